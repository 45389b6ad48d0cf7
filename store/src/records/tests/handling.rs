//! Days of axis B: what people do with an alarm, with a virtual clock, and the store closed and opened again between any two writes.

use model::Handling;

use super::*;

const MINUTE: i64 = 60;

/// One thing that somebody does, so that a whole day can be replayed with a crash after each.
type Doing = fn(&House, AlarmId);

/// Runs the day with a crash after every step, and audits after each.
fn day(house: &mut House, alarm: AlarmId, steps: &[Doing]) {
    for (number, step) in steps.iter().enumerate() {
        step(house, alarm);
        house.reopen();
        let broken = house.records.audit_alarms(house.clock.now()).unwrap();
        assert!(broken.is_empty(), "after step {number}: {broken:?}");
    }
}

impl House {
    /// A blood pressure of this class, raised now.
    pub(super) fn pressure(&self, priority: Priority) -> AlarmId {
        let at = self.clock.now();
        let raised = self.change("systolic_high", at, raised(priority, PRESSURE, at, false));
        self.apply(std::slice::from_ref(&raised));
        raised.alarm
    }

    fn until(&self, seconds: i64) -> Time {
        self.clock.now().plus_us(seconds * 1_000_000)
    }

    fn state(&self, alarm: AlarmId) -> Handling {
        self.view(alarm).handling
    }
}

#[test]
fn the_whole_way_of_a_fall_with_a_crash_after_every_step() {
    let mut house = house();
    let id = house.sos();
    day(
        &mut house,
        id,
        &[
            |h, id| drop(h.records.claim(id, h.dispatcher, None).unwrap()),
            |h, id| drop(h.records.hand_over(id, h.dispatcher, h.other_dispatcher, None).unwrap()),
            |h, id| drop(h.records.accept_hand_over(id, h.other_dispatcher, None).unwrap()),
            |h, id| drop(h.records.dispatch(id, h.other_dispatcher, Dispatch::Person(h.responder), None).unwrap()),
            |h, id| {
                let page = h.page_of(id, h.responder);
                h.records.accept_page(page.id, h.responder, None).unwrap();
            },
            |h, _| h.pass(45 * MINUTE),
            |h, id| assert_eq!(h.due(), [(id, Deadline::Arrival)]),
            |h, _| assert!(h.due().is_empty(), "told once"),
            |h, id| {
                let page = h.page_of(id, h.responder);
                h.records.arrived_by_page(page.id, h.responder, None).unwrap();
            },
            |h, _| h.pass(60 * MINUTE),
            |h, id| assert_eq!(h.due(), [(id, Deadline::Outcome)]),
            |h, id| {
                let outcome = Some(Outcome::TrueEmergency);
                h.records.resolve(id, h.other_dispatcher, outcome, "送医", None).unwrap();
            },
        ],
    );
    let view = house.view(id);
    assert_eq!((view.handling, view.outcome), (Handling::Closed, Some(Outcome::TrueEmergency)));
    assert_eq!(view.outcome.unwrap().was_true(), Some(true));
    let kinds: Vec<_> = house.kinds(id);
    assert_eq!(
        kinds,
        [
            "raised",
            "claimed",
            "offered",
            "handed_over",
            "dispatched",
            "accepted",
            "arrival_overdue",
            "arrived",
            "outcome_overdue",
            "resolved",
            "closed"
        ]
    );
    let told = house.records.alarm(id).unwrap().unwrap().pages;
    assert_eq!(
        told.iter().filter(|page| page.person.id == house.supervisor.0).count(),
        1,
        "still to be sent: not doubled"
    );
}

#[test]
fn two_seats_at_once_and_one_has_it() {
    for round in 0..8 {
        let house = house();
        let id = house.sos();
        // Two handles on one file, as two processes have them.
        let other = Records::open(house.dir.path(), house.clock.clone()).unwrap();
        let barrier = std::sync::Barrier::new(2);
        let claim = |records: &Records, by| {
            barrier.wait();
            records.claim(id, by, Some("k"))
        };
        let (first, second) = std::thread::scope(|scope| {
            let second = scope.spawn(|| claim(&other, house.other_dispatcher));
            let first = claim(&house.records, house.dispatcher);
            (first, second.join().unwrap())
        });
        let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
        let owner = won.unwrap().claimed_by.unwrap();
        assert!(matches!(lost, Err(ActionError::AlreadyClaimedBy(name)) if name == owner.name), "round {round}");
        assert_eq!(house.kinds(id), ["raised", "claimed"], "one claim in the history");
        assert_eq!(house.view(id).claimed_by, Some(owner));
    }
}

#[test]
fn an_offer_that_nobody_answers_stays_with_the_giver() {
    let mut house = house();
    let id = house.sos();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.pass(170);
    let view = house.records.hand_over(id, house.dispatcher, house.other_dispatcher, None).unwrap();
    assert_eq!(view.claimed_by.as_ref().unwrap().id, house.dispatcher.0, "until it is accepted it is the giver's");
    assert_eq!(view.progress.offer_until, Some(house.until(60)));
    house.pass(60);
    house.reopen();
    assert_eq!(house.due(), [(id, Deadline::Offer)], "and not the lease, which the offer renewed");
    let view = house.view(id);
    assert_eq!((view.handling, view.progress.offered_to), (Handling::Claimed, None));
    assert_eq!(view.claimed_by.unwrap().id, house.dispatcher.0);
    let late = house.records.accept_hand_over(id, house.other_dispatcher, None);
    assert!(matches!(late, Err(ActionError::NotOffered)), "{late:?}");
    // An inattentive giver loses it all the same: three minutes after the offer.
    house.pass(120);
    assert_eq!(house.due(), [(id, Deadline::Lease)]);
    assert_eq!(house.view(id).page_due_at, Some(house.clock.now()), "and people are paged again");
    assert_eq!(house.kinds(id), ["raised", "claimed", "offered", "hand_over_returned", "returned"]);
}

#[test]
fn after_a_long_stop_each_deadline_is_done_once_and_in_order() {
    let mut house = house();
    let id = house.sos();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.records.hand_over(id, house.dispatcher, house.other_dispatcher, None).unwrap();
    house.pass(3_600);
    house.reopen();
    assert_eq!(house.due(), [(id, Deadline::Offer), (id, Deadline::Lease)]);
    house.reopen();
    assert!(house.due().is_empty());
    assert_eq!(house.kinds(id), ["raised", "claimed", "offered", "hand_over_returned", "returned"]);
}

#[test]
fn who_may_hand_over_to_whom() {
    let house = house();
    let id = house.sos();
    let offer = |by, to| house.records.hand_over(id, by, to, None);
    assert!(matches!(offer(house.dispatcher, house.other_dispatcher), Err(ActionError::ClaimFirst)));
    house.records.claim(id, house.dispatcher, None).unwrap();
    assert!(matches!(offer(house.other_dispatcher, house.supervisor), Err(ActionError::AlreadyClaimedBy(_))));
    assert!(matches!(offer(house.dispatcher, house.doctor), Err(ActionError::NoReceiver)), "doctors are paged");
    assert!(matches!(offer(house.dispatcher, house.dispatcher), Err(ActionError::NoReceiver)));
    assert!(matches!(offer(house.dispatcher, PersonId(99)), Err(ActionError::NoReceiver)));
    assert!(matches!(offer(house.nurse, house.other_dispatcher), Err(ActionError::NotAllowed)));
    // A supervisor gives somebody else's alarm to a third one; the receiver declines, then a claim accepts.
    offer(house.supervisor, house.other_dispatcher).unwrap();
    let declined = house.records.decline_hand_over(id, house.other_dispatcher, None).unwrap();
    assert_eq!(declined.claimed_by.unwrap().id, house.dispatcher.0);
    offer(house.supervisor, house.other_dispatcher).unwrap();
    let other = house.records.accept_hand_over(id, house.supervisor, None);
    assert!(matches!(other, Err(ActionError::NotOffered)), "offered to somebody else");
    let taken = house.records.claim(id, house.other_dispatcher, None).unwrap();
    assert_eq!(taken.claimed_by.unwrap().id, house.other_dispatcher.0);
    // Whoever offered it and claims it again keeps it.
    offer(house.other_dispatcher, house.dispatcher).unwrap();
    house.records.claim(id, house.other_dispatcher, None).unwrap();
    assert!(matches!(house.records.accept_hand_over(id, house.dispatcher, None), Err(ActionError::NotOffered)));
}

#[test]
fn parking_has_limits_and_wakes_by_itself() {
    let mut house = house();
    let p2 = house.pressure(Priority::P2);
    let park = |h: &House, id, by, minutes: i64| h.records.park(id, by, h.until(minutes * MINUTE), "饭后复测", None);
    assert!(matches!(park(&house, p2, house.dispatcher, 30), Err(ActionError::NotAllowed)));
    assert!(matches!(park(&house, p2, house.nurse, 30), Err(ActionError::NotAllowed)));
    assert!(matches!(park(&house, p2, house.doctor, 61), Err(ActionError::ParkTooLong { minutes_max: 60 })));
    assert!(matches!(park(&house, p2, house.doctor, 0), Err(ActionError::ParkTooLong { .. })));
    let no_reason = house.records.park(p2, house.doctor, house.until(60), " ", None);
    assert!(matches!(no_reason, Err(ActionError::NeedsReason)));
    let view = park(&house, p2, house.doctor, 60).unwrap();
    assert_eq!((view.handling, view.page_due_at), (Handling::Parked, None));
    assert_eq!(view.progress.parked.unwrap().reason, "饭后复测");
    assert_eq!(house.records.alarm_counts().unwrap().parked, 1, "parked alarms stay counted");
    house.pass(60 * MINUTE - 1);
    assert!(house.due().is_empty());
    house.pass(1);
    house.reopen();
    assert_eq!(house.due(), [(p2, Deadline::Wake)]);
    assert_eq!((house.state(p2), house.view(p2).page_due_at), (Handling::Open, Some(house.clock.now())));
    assert_eq!(house.kinds(p2), ["raised", "parked", "woken"]);
}

#[test]
fn nothing_urgent_is_parked_and_what_gets_worse_wakes() {
    let house = house();
    let sos = house.sos();
    let until = house.until(600);
    for by in [house.doctor, house.supervisor] {
        assert!(matches!(house.records.park(sos, by, until, "稍后", None), Err(ActionError::NotParkable)));
    }
    let at = house.clock.now();
    // A marked test press of class P3 is still a press: I8.
    let press = house.change("sos_test", at, raised(Priority::P3, SOS, at, false));
    house.apply(std::slice::from_ref(&press));
    assert!(matches!(
        house.records.park(press.alarm, house.supervisor, until, "稍后", None),
        Err(ActionError::NotParkable)
    ));
    let p3 = house.pressure(Priority::P3);
    house.records.claim(p3, house.dispatcher, None).unwrap();
    let theirs = house.records.park(p3, house.doctor, until, "稍后", None);
    assert!(matches!(theirs, Err(ActionError::AlreadyClaimedBy(_))), "a dispatcher is on it");
    house.records.park(p3, house.supervisor, until, "稍后", None).unwrap();
    let worse = house.change("systolic_high", at, Change::Worsened { priority: Priority::P1, kind: PRESSURE });
    assert_eq!(house.apply(&[worse]).pages, 1);
    assert_eq!((house.state(p3), house.view(p3).priority), (Handling::Open, Priority::P1));
    assert!(house.records.audit_alarms(house.clock.now()).unwrap().is_empty());
    assert_eq!(house.kinds(p3), ["raised", "claimed", "parked", "worsened", "woken"]);
}

#[test]
fn somebody_is_sent_declines_and_the_seat_has_it_again() {
    let house = house();
    let id = house.sos();
    let send = |by, who| house.records.dispatch(id, by, who, None);
    assert!(matches!(send(house.dispatcher, Dispatch::Words("120")), Err(ActionError::ClaimFirst)));
    house.records.claim(id, house.dispatcher, None).unwrap();
    assert!(matches!(send(house.other_dispatcher, Dispatch::Words("120")), Err(ActionError::AlreadyClaimedBy(_))));
    assert!(matches!(send(house.dispatcher, Dispatch::Words("  ")), Err(ActionError::NoReceiver)));
    assert!(matches!(send(house.dispatcher, Dispatch::Person(house.other_dispatcher)), Err(ActionError::NoReceiver)));
    assert!(matches!(house.records.arrived(id, house.dispatcher, None), Err(ActionError::NotEngaged)));
    let view = send(house.dispatcher, Dispatch::Person(house.responder)).unwrap();
    assert_eq!((view.handling, view.progress.arrive_by), (Handling::Engaged, Some(house.until(45 * MINUTE))));
    assert!(matches!(house.records.claim(id, house.other_dispatcher, None), Err(ActionError::AlreadyClaimedBy(_))));
    let page = house.page_of(id, house.responder);
    house.records.decline_page(page.id, house.responder, "在外地", None).unwrap();
    let view = house.view(id);
    assert_eq!((view.handling, view.claimed_by.unwrap().id), (Handling::Claimed, house.dispatcher.0));
    assert_eq!(view.claim_until, Some(house.until(180)), "with a fresh lease");
    send(house.dispatcher, Dispatch::Words("邻居老赵")).unwrap();
    house.records.arrived(id, house.dispatcher, None).unwrap();
    let first = house.view(id).progress.arrived_at;
    house.pass(30);
    assert_eq!(
        house.records.arrived(id, house.supervisor, None).unwrap().progress.arrived_at,
        first,
        "the first time stands"
    );
    assert!(house.records.audit_alarms(house.clock.now()).unwrap().is_empty());
}

#[test]
fn responders_only_accept_decline_and_arrive() {
    let house = house();
    let id = house.sos();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.records.dispatch(id, house.dispatcher, Dispatch::Person(house.responder), None).unwrap();
    let by = house.responder;
    let outcome = Some(Outcome::TrueHandled);
    for refused in [
        house.records.claim(id, by, None),
        house.records.resolve(id, by, outcome, "", None),
        house.records.note(id, by, "x", None),
        house.records.hand_over(id, by, house.dispatcher, None),
        house.records.park(id, by, house.until(60), "x", None),
        house.records.void(id, by, VoidReason::Test, "", None),
        house.records.reopen(id, by, "x", None),
    ] {
        assert!(matches!(refused, Err(ActionError::NotAllowed)), "{refused:?}");
    }
    let page = house.page_of(id, by);
    house.records.accept_page(page.id, by, None).unwrap();
    assert!(house.records.arrived_by_page(page.id, house.nurse, None).is_err(), "another person's page");
    house.records.arrived_by_page(page.id, by, None).unwrap();
    // A doctor answers besides; the arrival stands and nobody is asked to arrive again.
    let doctor = house.page_of(id, house.doctor);
    assert!(house.records.accept_page(doctor.id, house.doctor, None).is_err(), "somebody has it");
    assert!(house.view(id).progress.outcome_by.is_some());
}

#[test]
fn a_doctor_who_accepts_has_to_arrive_and_a_supervisor_takes_back() {
    let house = house();
    let id = house.sos();
    let page = house.page_of(id, house.doctor);
    house.records.accept_page(page.id, house.doctor, None).unwrap();
    assert_eq!(house.view(id).progress.arrive_by, Some(house.until(45 * MINUTE)));
    for times in 1..=3_u32 {
        house.pass(if times == 1 { 45 * MINUTE } else { 15 * MINUTE });
        assert_eq!(house.due(), [(id, Deadline::Arrival)]);
        assert_eq!(house.view(id).progress.overdue, times);
    }
    let pages = house.records.alarm(id).unwrap().unwrap().pages;
    let told = pages.iter().rfind(|page| page.person.id == house.supervisor.0).unwrap();
    // The supervisor answers besides the doctor; the alarm is still the doctor's.
    house.records.accept_page(told.id, house.supervisor, None).unwrap();
    assert_eq!(house.view(id).accepted_by.unwrap().id, house.doctor);
    assert!(matches!(house.records.release(id, house.dispatcher, None), Err(ActionError::AlreadyClaimedBy(_))));
    let view = house.records.release(id, house.supervisor, None).unwrap();
    assert_eq!((view.handling, view.accepted_by), (Handling::Open, None));
    assert_eq!(view.page_due_at, Some(house.clock.now()), "paged anew");
}

/// A pressure stays "present" for hours after one measurement: it is open again when somebody measured again, not by the clock.
#[test]
fn a_p1_needs_an_outcome_and_reopens_when_it_is_measured_again() {
    let mut house = house();
    let id = house.pressure(Priority::P1);
    let none = house.records.resolve(id, house.dispatcher, None, "", None);
    assert!(matches!(none, Err(ActionError::NeedsOutcome)));
    let view = house.records.resolve(id, house.dispatcher, Some(Outcome::FalseAlarm), "袖带松", None).unwrap();
    assert_eq!((view.handling, view.progress.reopen_at), (Handling::Resolved, Some(house.until(60 * MINUTE))));
    assert_eq!(view.outcome.unwrap().was_true(), Some(false));
    for _ in 0..72 {
        house.pass(10 * MINUTE);
        assert!(house.due().is_empty(), "nothing new was measured");
    }
    house.reopen();
    assert_eq!((house.state(id), house.view(id).progress.reopen_at), (Handling::Resolved, None));
    let began = house.view(id).started_at;
    assert_eq!(house.apply(&[house.change("systolic_high", began, Change::Repeated { kind: PRESSURE })]).pages, 1);
    let view = house.view(id);
    assert_eq!((view.handling, view.outcome), (Handling::Open, None));
    // Resolved again; now the pressure falls in time, and it is over.
    house.records.resolve(id, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
    house.apply(&[house.change("systolic_high", began, Change::Cleared)]);
    assert_eq!(house.state(id), Handling::Closed);
    house.pass(61 * MINUTE);
    assert!(house.due().is_empty());
    assert_eq!(house.kinds(id), ["raised", "resolved", "repeated", "reopened", "resolved", "cleared", "closed"]);
}

/// The line was down: what was measured after the outcome arrives when it is no news any more. It opens nothing at once; when the
/// alarm is looked at, it counts.
#[test]
fn what_was_measured_after_the_outcome_and_told_late_counts_at_the_next_look() {
    for looked_at_before in [false, true] {
        let house = house();
        let id = house.pressure(Priority::P2);
        let began = house.view(id).started_at;
        let late = |minutes: i64| Transition {
            at: house.until(-minutes * MINUTE),
            ..house.change("systolic_high", began, Change::Repeated { kind: PRESSURE })
        };
        house.pass(MINUTE);
        house.records.resolve(id, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
        house.pass(if looked_at_before { 90 } else { 30 } * MINUTE);
        assert!(house.due().is_empty());
        let before = late(if looked_at_before { 91 } else { 31 });
        let after = late(20);
        assert_eq!(house.apply(&[before]).pages, 0);
        assert_eq!(house.view(id).progress.reopen_at.is_some(), !looked_at_before, "measured before the outcome");
        assert_eq!(house.apply(&[after]).pages, 0);
        assert_eq!(house.state(id), Handling::Resolved);
        house.pass(60 * MINUTE);
        assert_eq!(house.due(), [(id, Deadline::Reopen)]);
        assert_eq!((house.state(id), house.view(id).page_due_at), (Handling::Open, Some(house.clock.now())));
    }
}

/// Nothing heard is the condition itself: whoever finished it while it lasts is told again.
#[test]
fn a_silence_that_was_resolved_and_lasts_is_open_again() {
    let house = house();
    let at = house.clock.now();
    let silence = AlarmKind::Silence { silent_s: 1_800 };
    for priority in [Priority::P2, Priority::T] {
        let rule = format!("silence_{}", priority.slug());
        let raise = house.change(&rule, at, raised(priority, silence, at, false));
        house.apply(std::slice::from_ref(&raise));
        let outcome = Some(Outcome::NoAnswer);
        house.records.resolve(raise.alarm, house.dispatcher, outcome, "", None).unwrap();
    }
    let urgent = house.change("silence_P2", at, Change::Cleared).alarm;
    house.pass(60 * MINUTE);
    assert_eq!(house.due().into_iter().filter(|(id, _)| *id == urgent).count(), 1);
    assert_eq!(house.state(urgent), Handling::Open);
    // A technical one is looked at the next day, and what it means for a frail elder at the same time.
    house.records.set_risk(house.elder, Risk { ability: Some(4), lives_alone: true }, None).unwrap();
    let technical = house.change("silence_T", at, Change::Cleared).alarm;
    house.pass(23 * 60 * MINUTE);
    assert!(house.due().contains(&(technical, Deadline::Reopen)));
    assert_eq!(house.due(), [(technical, Deadline::Unwatched)]);
    assert_eq!(house.view(technical).priority, Priority::P2);
}

/// Who is sent has no address in the first channel: the next one has its turn, and when there is none the history says so.
#[test]
fn whoever_is_sent_is_reached_by_the_next_channel() {
    let house = house();
    let mut policy = policies::policy("p1", &[Priority::P1], &[0]);
    policy.steps[0].channels = vec!["app".into(), "voice".into()];
    house.records.ensure_policies(&[policy]).unwrap();
    let id = house.sos();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.records.dispatch(id, house.dispatcher, Dispatch::Person(house.responder), None).unwrap();
    let refuse = |channel: &str| {
        let due = house.records.pages_due(house.clock.now(), 10).unwrap();
        let job = due.iter().find(|job| job.person == house.responder && job.channel == channel).unwrap();
        let attempt = house.records.start_attempt(job.page, house.clock.now()).unwrap().unwrap();
        house.records.finish_attempt(attempt, &SendResult::RefusedPerson, "no address", None).unwrap();
    };
    refuse("app");
    refuse("voice");
    assert!(house.records.pages_due(Time::MAX, 10).unwrap().iter().all(|job| job.person == house.doctor));
    let events = house.records.alarm(id).unwrap().unwrap().events;
    assert_eq!(events.last().unwrap().detail["cause"], "sent_unreachable", "{events:?}");
    assert_eq!(house.state(id), Handling::Engaged);
}

#[test]
fn a_site_without_supervisors_lets_those_on_call_answer_an_overdue_arrival() {
    let house = house();
    let id = house.sos();
    let page = house.page_of(id, house.doctor);
    house.records.accept_page(page.id, house.doctor, None).unwrap();
    house.records.set_disabled(house.supervisor, true).unwrap();
    house.pass(45 * MINUTE);
    let nurse = house.nurse;
    house.records.handling_due(house.clock.now(), &|_: &AlarmView| vec![nurse]).unwrap();
    let told = house.page_of(id, nurse);
    house.records.accept_page(told.id, nurse, None).unwrap();
}

#[test]
fn a_call_while_the_last_one_is_in_hand_is_an_alarm_of_its_own() {
    let house = house();
    let first = house.sos();
    house.records.claim(first, house.dispatcher, None).unwrap();
    house.pass(6 * MINUTE);
    let joined = house.sos();
    assert_eq!(house.view(joined).id, first, "who has it hears of it: the same call");
    house.records.dispatch(first, house.dispatcher, Dispatch::Words("邻居"), None).unwrap();
    house.pass(20 * MINUTE);
    let second = house.sos();
    let view = house.view(second);
    assert_eq!((view.id, view.handling, house.state(first)), (second, Handling::Open, Handling::Engaged));
    assert!(view.page_due_at.is_some(), "people are paged for it");
}

#[test]
fn the_same_again_within_half_an_hour_is_the_same_alarm() {
    let mut house = house();
    let first = house.pressure(Priority::P2);
    let began = house.clock.now();
    house.records.resolve(first, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
    house.apply(&[house.change("systolic_high", began, Change::Cleared)]);
    assert_eq!(house.state(first), Handling::Closed);
    house.pass(29 * MINUTE);
    let again = house.pressure(Priority::P1);
    assert_ne!(first, again, "the engine names episodes");
    house.reopen();
    let view = house.view(again);
    assert_eq!((view.id, view.handling, view.priority, view.repeats), (first, Handling::Open, Priority::P1, 1));
    assert_eq!(house.kinds(first), ["raised", "resolved", "cleared", "closed", "repeated", "reopened"]);
    // What the engine says of the episode belongs to the alarm; applied again it changes nothing.
    let began = house.clock.now();
    let cleared = house.change("systolic_high", began, Change::Cleared);
    house.apply(std::slice::from_ref(&cleared));
    assert_eq!(house.view(first).condition, model::Condition::Cleared);
    let events = house.records.last_alarm_event().unwrap();
    house.apply(&[cleared, house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, false))]);
    assert_eq!(house.records.last_alarm_event().unwrap(), events);
    // Half an hour later it is another alarm.
    house.records.resolve(first, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
    house.pass(31 * MINUTE);
    let other = house.pressure(Priority::P2);
    assert_eq!((house.view(other).id, house.state(first)), (other, Handling::Closed));
}

#[test]
fn presses_count_up_and_page_only_when_more_urgent() {
    let house = house();
    let first = house.sos();
    let pages = house.records.alarm(first).unwrap().unwrap().pages.len();
    for _ in 0..3 {
        house.pass(6 * MINUTE);
        house.sos();
    }
    let detail = house.records.alarm(first).unwrap().unwrap();
    assert_eq!(
        (detail.view.repeats, detail.pages.len()),
        (3, pages),
        "one alarm, not four; the repeats page on their own"
    );
    assert_eq!(house.records.alarms_open(10).unwrap().len(), 1);
    let p3 = house.pressure(Priority::P3);
    house.pass(MINUTE);
    house.pressure(Priority::P1);
    let view = house.view(p3);
    assert_eq!((view.priority, view.repeats), (Priority::P1, 1));
    assert_eq!(house.page_of(p3, house.doctor).state.slug(), "queued");
    house.pass(MINUTE);
    house.pressure(Priority::P2);
    assert_eq!(house.view(p3).priority, Priority::P1, "I7: it never falls without a person");
}

#[test]
fn people_reopen_and_supervisors_void() {
    let house = house();
    let id = house.sos();
    assert!(matches!(house.records.reopen(id, house.dispatcher, "x", None), Err(ActionError::NotDone)));
    house.records.resolve(id, house.dispatcher, Some(Outcome::FalseAlarm), "", None).unwrap();
    assert!(matches!(house.records.reopen(id, house.dispatcher, "", None), Err(ActionError::NeedsReason)));
    let view = house.records.reopen(id, house.other_dispatcher, "家属来电,人还在地上", Some("r")).unwrap();
    assert_eq!((view.handling, view.page_due_at), (Handling::Open, Some(house.clock.now())));
    house.records.reopen(id, house.other_dispatcher, "家属来电,人还在地上", Some("r")).unwrap();
    assert_eq!(house.kinds(id), ["raised", "resolved", "closed", "reopened"], "the same key does it once");
    for by in [house.dispatcher, house.doctor] {
        let refused = house.records.void(id, by, VoidReason::Test, "", None);
        assert!(matches!(refused, Err(ActionError::NotAllowed)));
    }
    let view = house.records.void(id, house.supervisor, VoidReason::WrongPerson, "设备戴错人", None).unwrap();
    assert_eq!((view.handling, view.outcome, view.page_due_at), (Handling::Void, None, None));
    assert!(house.records.pages_due(house.until(3_600), 10).unwrap().is_empty(), "nobody is paged for it");
    assert!(matches!(house.records.claim(id, house.dispatcher, None), Err(ActionError::AlreadyResolved)));
    assert!(house.records.alarms_open(10).unwrap().is_empty());
    assert_eq!(house.records.alarms(AlarmFilter::default(), 10).unwrap().len(), 1, "never deleted");
    assert!(house.records.audit_alarms(house.clock.now()).unwrap().is_empty());
}
