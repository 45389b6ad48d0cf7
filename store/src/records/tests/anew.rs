//! What is to be told anew although somebody has it: it got worse, the elder calls again, a claim is from another day.

use model::{Condition, Handling};

use super::*;

const MINUTE: i64 = 60;
const SILENCE: AlarmKind = AlarmKind::Silence { silent_s: 1_800 };

impl House {
    /// Applies one change now, which pages these people if it pages.
    fn tell(&self, transition: &Transition, people: &[PersonId]) -> Applied {
        let cursor = Seq(self.records.alerting_cursor().unwrap().0 + 1);
        let plan = |_: &AlarmView| people.iter().map(|person| page_to(*person)).collect();
        self.records.apply(std::slice::from_ref(transition), cursor, self.clock.now(), &plan).unwrap()
    }

    fn worse(&self, alarm: AlarmId, priority: Priority) -> Transition {
        let began = self.view(alarm).started_at;
        self.change("systolic_high", began, Change::Worsened { priority, kind: PRESSURE })
    }

    /// Whom pages wait for.
    fn waits_for(&self, alarm: AlarmId) -> Vec<PersonId> {
        let pages = self.records.alarm(alarm).unwrap().unwrap().pages;
        let waits = pages.into_iter().filter(|page| page.state.slug() == "queued");
        let mut people: Vec<PersonId> = waits.map(|page| PersonId(page.person.id)).collect();
        people.sort();
        people
    }

    fn accept(&self, alarm: AlarmId, by: PersonId) -> Result<PageView, ActionError> {
        let pages = self.records.alarm(alarm).unwrap().unwrap().pages;
        let page = pages.into_iter().rfind(|page| page.person.id == by.0).unwrap();
        self.records.accept_page(page.id, by, None)
    }

    fn press(&self, alarm: AlarmId) -> usize {
        let began = self.view(alarm).started_at;
        self.apply(&[self.change("sos", began, Change::Repeated { kind: SOS })]).pages
    }

    fn unbroken(&self) {
        assert_eq!(self.records.audit_alarms(self.clock.now()).unwrap(), []);
        assert_eq!(self.records.audit_pages(self.clock.now()).unwrap(), []);
    }
}

/// A doctor accepted a P2 and is on the way. As a P1 it is nobody's yet: it pages, escalates, and whoever is paged can have it.
#[test]
fn what_was_accepted_and_gets_more_urgent_is_to_be_accepted_again() {
    let mut house = house();
    let id = house.pressure(Priority::P2);
    house.accept(id, house.doctor).unwrap();
    house.pass(20 * MINUTE);
    house.tell(&house.worse(id, Priority::P1), &[house.nurse]);
    house.reopen();
    let view = house.view(id);
    assert_eq!((view.handling, view.priority, view.accepted_by), (Handling::Open, Priority::P1, None));
    assert!(view.page_due_at.is_some(), "and it escalates");
    assert_eq!(house.waits_for(id), [house.doctor, house.nurse], "who has it hears of it too");
    assert_eq!(house.kinds(id), ["raised", "accepted", "worsened", "returned"]);
    house.unbroken();
    house.pass(2 * MINUTE);
    assert_eq!(house.steps(), 1);
    house.accept(id, house.nurse).unwrap();
    let view = house.view(id);
    assert_eq!((view.handling, view.page_due_at), (Handling::Engaged, None));
    assert_eq!(view.accepted_by.unwrap().id, house.nurse);
    let taken = house.accept(id, house.doctor);
    assert!(matches!(taken, Err(ActionError::AlreadyClaimedBy(name)) if name.contains("chen")));
    house.unbroken();
}

/// The same of a worklist item to which somebody was sent; and when the person accepts who had it, they go on.
#[test]
fn who_was_sent_for_less_is_asked_again() {
    let house = house();
    let id = house.pressure(Priority::P3);
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.records.dispatch(id, house.dispatcher, Dispatch::Person(house.responder), None).unwrap();
    house.pass(5 * MINUTE);
    house.tell(&house.worse(id, Priority::P2), &[house.doctor]);
    assert_eq!(house.view(id).handling, Handling::Open);
    assert!(house.waits_for(id).contains(&house.responder));
    house.accept(id, house.responder).unwrap();
    assert_eq!(house.view(id).handling, Handling::Engaged);
    // Less urgent news changes nothing.
    house.tell(&house.worse(id, Priority::P3), &[house.doctor]);
    assert_eq!(house.view(id).handling, Handling::Engaged);
    house.unbroken();
}

/// Somebody is with the elder: that stays so, whoever answers for it from now on; nobody has to arrive once more.
#[test]
fn who_is_there_is_there_when_it_gets_worse() {
    let house = house();
    let id = house.pressure(Priority::P2);
    house.accept(id, house.doctor).unwrap();
    house.records.arrived(id, house.doctor, None).unwrap();
    let there = house.view(id).progress.arrived_at;
    house.pass(5 * MINUTE);
    house.tell(&house.worse(id, Priority::P1), &[house.nurse]);
    let view = house.view(id);
    assert_eq!((view.handling, view.progress.arrived_at, view.progress.outcome_by), (Handling::Open, there, None));
    house.unbroken();
    house.accept(id, house.nurse).unwrap();
    let progress = house.view(id).progress;
    assert_eq!((progress.arrived_at, progress.arrive_by), (there, None));
    assert_eq!(progress.outcome_by, Some(house.clock.now().plus_us(60 * MINUTE * 1_000_000)));
    house.unbroken();
}

/// The auditor sees a P1 that is engaged by who accepted it as a P2, however it came to be.
#[test]
fn the_auditor_sees_a_p1_that_was_accepted_as_less() {
    let house = house();
    let id = house.pressure(Priority::P2);
    house.accept(id, house.doctor).unwrap();
    house.unbroken();
    let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
    raw.execute("UPDATE alarm SET priority = 'P1' WHERE id = ?1", [id.0 as i64]).unwrap();
    let found = house.records.audit_alarms(house.clock.now()).unwrap();
    assert_eq!(found.iter().map(|one| one.alarm).collect::<Vec<_>>(), [id], "{found:?}");
}

/// The elder lies on the floor and a frame says so eleven minutes later.
#[test]
fn a_late_fall_pages_and_is_watched_like_any_p1() {
    for kind in [EventKind::Fall, EventKind::Sos, EventKind::UnspecifiedAlarm] {
        let house = house();
        let at = house.clock.now().plus_us(-11 * MINUTE * 1_000_000);
        let kind = AlarmKind::Event { kind };
        let fall = house.change("fall", at, raised(Priority::P1, kind, at, true));
        assert_eq!(house.apply(std::slice::from_ref(&fall)).pages, 1, "{kind:?}");
        let view = house.view(fall.alarm);
        assert!(view.late && view.page_due_at.is_some(), "{view:?}");
        house.unbroken();
        // Finished, and told once more: somebody asks for help.
        house.records.resolve(fall.alarm, house.dispatcher, Some(Outcome::NoAnswer), "", None).unwrap();
        house.pass(MINUTE);
        let again = Transition { at: at.plus_us(1), ..house.change("fall", at, Change::Repeated { kind }) };
        assert_eq!(house.apply(&[again]).pages, 1);
        assert_eq!(house.view(fall.alarm).handling, Handling::Open);
        // The auditor sees one that nobody would be reminded of.
        let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
        raw.execute("UPDATE alarm SET page_due_at = NULL", []).unwrap();
        assert_eq!(house.records.audit_alarms(house.clock.now()).unwrap().len(), 1);
        assert_eq!(house.records.audit_pages(house.clock.now()).unwrap().len(), 1);
    }
}

#[test]
fn a_late_fall_belongs_to_the_fall_that_is_open() {
    let house = house();
    let fall = AlarmKind::Event { kind: EventKind::Fall };
    let now = house.clock.now();
    let first = house.change("fall", now, raised(Priority::P1, fall, now, false));
    house.apply(std::slice::from_ref(&first));
    let before = now.plus_us(-20 * MINUTE * 1_000_000);
    let second = house.change("fall", before, raised(Priority::P1, fall, before, true));
    house.apply(std::slice::from_ref(&second));
    assert_eq!((house.view(second.alarm).id, house.view(first.alarm).repeats), (first.alarm, 1));
}

/// Help was promised and does not come: who promised it and the supervisor hear of every further call, but not of every press.
#[test]
fn who_presses_again_after_somebody_accepted_is_heard() {
    let mut house = house();
    let id = house.sos();
    house.pass(MINUTE);
    house.accept(id, house.doctor).unwrap();
    house.pass(50);
    assert_eq!(house.press(id), 0, "pressed before anybody could have told her");
    house.pass(130);
    assert_eq!(house.press(id), 2);
    assert_eq!(house.waits_for(id), [house.doctor, house.supervisor]);
    house.reopen();
    house.pass(2 * MINUTE);
    assert_eq!(house.press(id), 0, "told two minutes ago");
    house.pass(2 * MINUTE);
    assert_eq!(house.press(id), 2, "still to be sent: the same pages");
    let told = house.kinds(id).into_iter().filter(|kind| *kind == "escalated").count();
    assert_eq!((told, house.view(id).repeats, house.view(id).handling), (2, 4, Handling::Engaged));
    // The doctor answers, and so does the supervisor; it stays the doctor's.
    house.accept(id, house.doctor).unwrap();
    house.accept(id, house.supervisor).unwrap();
    assert_eq!(house.view(id).accepted_by.unwrap().id, house.doctor);
    // Once the doctor is there, the elder's voice is enough for them; the supervisor may ask whether they need somebody.
    house.records.arrived(id, house.doctor, None).unwrap();
    house.pass(4 * MINUTE);
    assert_eq!(house.press(id), 1);
    assert_eq!(house.waits_for(id), [house.supervisor]);
    house.unbroken();
}

/// The page that says "called again" goes on by the next channel when it fails, and without supervisors to who is on call.
#[test]
fn another_call_reaches_somebody_where_nobody_supervises() {
    let house = house();
    house.records.set_disabled(house.supervisor, true).unwrap();
    let id = house.sos();
    house.accept(id, house.doctor).unwrap();
    house.pass(3 * MINUTE);
    assert_eq!(house.press(id), 2);
    assert_eq!(house.waits_for(id), [house.doctor, house.nurse]);
    house.accept(id, house.nurse).unwrap();
    assert_eq!(house.view(id).accepted_by.unwrap().id, house.doctor, "the nurse answers besides");
}

/// Told that the elder calls again, who accepted says that they cannot: nobody has it any more.
#[test]
fn who_accepted_and_then_cannot_gives_it_back() {
    let house = house();
    let id = house.sos();
    house.accept(id, house.doctor).unwrap();
    house.pass(3 * MINUTE);
    house.press(id);
    let pages = house.records.alarm(id).unwrap().unwrap().pages;
    let told = pages.into_iter().rfind(|page| page.person.id == house.doctor.0).unwrap();
    house.records.decline_page(told.id, house.doctor, "车坏了", None).unwrap();
    let view = house.view(id);
    assert_eq!((view.handling, view.accepted_by, view.page_due_at), (Handling::Open, None, Some(house.clock.now())));
    assert!(house.waits_for(id).contains(&house.nurse), "the next person at once");
    house.unbroken();
}

/// A dispatcher claims "no data", the band speaks again, and she goes home. A week later the elder is silent again.
#[test]
fn a_claim_of_what_is_over_ends_by_itself() {
    let mut house = house();
    let id = house.silent();
    house.records.claim(id, house.dispatcher, None).unwrap();
    assert_eq!(house.view(id).claim_until, None, "while it lasts there is no hurry");
    house.pass(20 * MINUTE);
    house.apply(&[house.change("silence", house.view(id).started_at, Change::Cleared)]);
    house.pass(7 * 60 * MINUTE);
    house.records.note(id, house.dispatcher, "电话无人接", None).unwrap();
    house.pass(60 * MINUTE);
    house.due();
    assert_eq!(house.view(id).handling, Handling::Claimed, "the note renewed it");
    house.pass(7 * 60 * MINUTE);
    house.reopen();
    assert_eq!(house.due(), [(id, Deadline::Lease)]);
    assert_eq!(house.view(id).handling, Handling::Closed);
    assert_eq!(house.kinds(id), ["raised", "claimed", "cleared", "note", "returned", "closed"]);
    house.pass(7 * 24 * 60 * MINUTE);
    let next = house.silent();
    assert_eq!((house.view(next).id, house.view(next).handling), (next, Handling::Open));
    house.unbroken();
}

/// The new silence joins the alarm that is claimed, and its elder is frail.
#[test]
fn a_silence_that_joins_another_is_looked_at_like_a_new_one() {
    let house = house();
    let id = house.silent();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.apply(&[house.change("silence", house.view(id).started_at, Change::Cleared)]);
    house.pass(30 * MINUTE);
    assert!(house.due().is_empty(), "over: nobody is unwatched");
    house.records.set_risk(house.elder, Risk { ability: Some(3), lives_alone: true }, None).unwrap();
    house.pass(90 * MINUTE);
    let again = house.silent();
    let view = house.view(again);
    assert_eq!((view.id, view.repeats, view.condition), (id, 1, Condition::Present));
    house.pass(30 * MINUTE);
    assert_eq!(house.due(), [(id, Deadline::Unwatched)]);
    let view = house.view(id);
    assert_eq!((view.priority, view.handling), (Priority::P2, Handling::Claimed));
    house.unbroken();
    house.pass(15 * MINUTE);
    assert_eq!(house.due(), [(id, Deadline::Lease)]);
    assert_eq!(house.view(id).page_due_at, Some(house.clock.now()), "and people are paged");
}

impl House {
    /// Nothing was heard of the elder for half an hour.
    fn silent(&self) -> AlarmId {
        let since = self.clock.now().plus_us(-30 * MINUTE * 1_000_000);
        let raise = self.change("silence", since, raised(Priority::T, SILENCE, since, false));
        self.apply(std::slice::from_ref(&raise));
        raise.alarm
    }
}
