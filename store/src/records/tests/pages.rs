//! The life of a page: sent, in doubt, accepted, declined, withdrawn.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use model::page::PageState;
use model::{Handling, PageId};

use super::*;

/// Sends the one page that is due, with this result.
fn send(house: &House, result: &SendResult) -> PageJob {
    let mut due = house.records.pages_due(house.clock.now(), 10).unwrap();
    assert_eq!(due.len(), 1);
    let job = due.remove(0);
    let attempt = house.records.start_attempt(job.page, house.clock.now()).unwrap().unwrap();
    assert!(house.records.pages_due(Time::MAX, 10).unwrap().is_empty(), "it is being sent");
    house.records.finish_attempt(attempt, result, "", None).unwrap();
    job
}

fn state(house: &House, page: model::PageId) -> PageState {
    house.records.page(page).unwrap().unwrap().0.state
}

#[test]
fn sent_read_and_accepted_are_three_things() {
    let house = house();
    let id = house.sos();
    let job = send(&house, &SendResult::Accepted { provider_ref: Some("r1".into()) });
    assert_eq!(house.view(id).page_state, Some(PageState::ProviderAccepted));
    assert_eq!(house.view(id).handling, Handling::Open, "sent is not accepted");
    assert_eq!(house.records.mark_read(job.page, house.doctor).unwrap().state, PageState::Read);
    assert!(matches!(house.records.mark_read(job.page, house.nurse), Err(ActionError::NotAllowed)));
    assert_eq!(house.records.pages_of(house.doctor, true, 10).unwrap().len(), 1);

    let page = house.records.accept_page(job.page, house.doctor, Some("k")).unwrap();
    assert_eq!(page.state, PageState::Accepted);
    let view = house.view(id);
    assert_eq!((view.handling, view.page_due_at), (Handling::Engaged, None));
    assert_eq!(view.accepted_by.unwrap().id, house.doctor);
    house.records.accept_page(job.page, house.doctor, Some("k")).unwrap();
    assert_eq!(house.kinds(id), ["raised", "page_sent", "accepted"]);
    assert_eq!(house.records.mark_read(job.page, house.doctor).unwrap().state, PageState::Accepted);
    assert!(house.records.pages_of(house.doctor, true, 10).unwrap().is_empty());
    assert_eq!(house.records.pages_of(house.doctor, false, 10).unwrap().len(), 1);
}

#[test]
fn only_one_person_accepts() {
    let house = house();
    let at = house.clock.now();
    let raised = house.change("sos", at, raised(Priority::P1, SOS, at, false));
    let plan = |_: &AlarmView| vec![page_to(house.doctor), page_to(house.nurse)];
    house.records.apply(std::slice::from_ref(&raised), Seq(1), at, &plan).unwrap();
    let (doctors, nurses) = (house.page_of(raised.alarm, house.doctor), house.page_of(raised.alarm, house.nurse));
    assert!(matches!(house.records.accept_page(doctors.id, house.nurse, None), Err(ActionError::NotAllowed)));
    assert!(matches!(house.records.accept_page(doctors.id, house.dispatcher, None), Err(ActionError::NotAllowed)));
    let sending = house.records.start_attempt(doctors.id, at).unwrap().unwrap();
    house.records.accept_page(nurses.id, house.nurse, None).unwrap();
    let second = house.records.accept_page(doctors.id, house.doctor, None);
    assert!(matches!(second, Err(ActionError::AlreadyClaimedBy(name)) if name == "chen 某"));
    // The answer of a provider that comes too late does not bring a withdrawn page back.
    let late = SendResult::Retry { after: Duration::ZERO };
    house.records.finish_attempt(sending, &late, "", None).unwrap();
    assert_eq!(state(&house, doctors.id), PageState::Superseded);
    assert_eq!(house.records.start_attempt(doctors.id, at).unwrap(), None);
    assert!(house.records.pages_due(Time::MAX, 10).unwrap().is_empty());
}

#[test]
fn a_resolved_alarm_withdraws_its_pages() {
    let house = house();
    let id = house.sos();
    house.records.resolve(id, house.dispatcher, Some(Outcome::Test), "", None).unwrap();
    let page = house.page_of(id, house.doctor);
    assert_eq!(page.state, PageState::Superseded);
    assert!(matches!(house.records.accept_page(page.id, house.doctor, None), Err(ActionError::AlreadyResolved)));
    house.pass(86_400);
    assert_eq!(house.steps(), 0);
}

#[test]
fn declined_or_refused_pages_go_to_the_next_person_until_nobody_is_left() {
    let house = house();
    let id = house.sos();
    let page = house.page_of(id, house.doctor);
    house.records.decline_page(page.id, house.doctor, "在手术", None).unwrap();
    let job = send(&house, &SendResult::RefusedPerson);
    assert_eq!(job.person, house.nurse);
    assert_eq!(state(&house, job.page), PageState::PermFailed);
    assert!(house.records.pages_due(Time::MAX, 10).unwrap().is_empty(), "everybody was tried");
    assert_eq!(house.kinds(id), ["raised", "declined", "page_failed", "page_failed"]);
    assert!(house.view(id).page_due_at.is_some(), "the next round comes at the alarm's own time");
    // Who declined may still change their mind.
    house.records.accept_page(page.id, house.doctor, None).unwrap();
    assert_eq!(house.view(id).handling, Handling::Engaged);
}

#[test]
fn a_retry_waits_and_a_doubt_does_not() {
    let house = house();
    let id = house.sos();
    send(&house, &SendResult::Retry { after: Duration::from_secs(15) });
    assert!(house.records.pages_due(house.clock.now(), 10).unwrap().is_empty());
    house.pass(14);
    assert!(house.records.pages_due(house.clock.now(), 10).unwrap().is_empty());
    house.pass(1);
    let job = send(&house, &SendResult::InDoubt);
    assert_eq!((job.state, job.attempts), (PageState::TempFailed, 1));
    let job = send(&house, &SendResult::Accepted { provider_ref: None });
    assert_eq!((job.state, job.attempts), (PageState::InDoubt, 2));
    let results: Vec<_> = house.page_of(id, house.doctor).attempts.into_iter().map(|a| a.result).collect();
    assert_eq!(results, ["retry", "in_doubt", "accepted"]);
}

#[test]
fn a_crash_while_sending_leaves_a_page_in_doubt() {
    let house = house();
    let id = house.sos();
    let page = house.page_of(id, house.doctor).id;
    let attempt = house.records.start_attempt(page, house.clock.now()).unwrap().unwrap();
    // A new process on the same data.
    let records = Records::open(house.dir.path(), house.clock.clone()).unwrap();
    assert_eq!(records.pages_in_doubt_at_start().unwrap(), 1);
    let due = records.pages_due(house.clock.now(), 10).unwrap();
    assert_eq!((due[0].page, due[0].state), (page, PageState::InDoubt));
    assert_eq!(records.pages_in_doubt_at_start().unwrap(), 0);
    let known = records.finish_attempt(attempt, &SendResult::InDoubt, "", None);
    assert!(matches!(known, Err(Error::NotFound(_))), "that attempt is over");
}

#[test]
fn an_unanswered_p1_is_due_again_and_a_worse_one_pages_at_once() {
    let house = house();
    let began = house.clock.now();
    house.apply(&[house.change("systolic_high", began, raised(Priority::P2, PRESSURE, began, false))]);
    let id = AlarmId::of(Subject::Elder(house.elder), "systolic_high", began);
    send(&house, &SendResult::Accepted { provider_ref: None });
    house.pass(60);
    house.apply(&[house.change("systolic_high", began, Change::Worsened { priority: Priority::P1, kind: PRESSURE })]);
    assert_eq!(house.view(id).priority, Priority::P1);
    send(&house, &SendResult::Accepted { provider_ref: None });
    let waiting = |at| house.records.steps_due(at, 10).unwrap().len();
    let again = house.clock.now().plus_us(Timers::default().repeat_p1_us);
    assert_eq!((waiting(again.plus_us(-1)), waiting(again)), (0, 1));
    // Less urgent again: told, but neither lowered nor paged.
    house.pass(1);
    let lesser = Change::Worsened { priority: Priority::P2, kind: PRESSURE };
    assert_eq!(house.apply(&[house.change("systolic_high", began, lesser)]).pages, 0);
    assert_eq!(house.view(id).priority, Priority::P1);
}

/// One step of a paging service that can be killed before each write, and between sending and writing the answer down.
struct Service<'a> {
    records: Records,
    house: &'a House,
    /// Steps left before the kill.
    left: usize,
    sent: &'a mut Vec<PageId>,
}

impl Service<'_> {
    fn start<'a>(house: &'a House, left: usize, sent: &'a mut Vec<PageId>) -> Service<'a> {
        let records = Records::open(house.dir.path(), house.clock.clone()).unwrap();
        records.pages_in_doubt_at_start().unwrap();
        Service { records, house, left, sent }
    }

    /// `None`: killed.
    fn step(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }

    /// The log's SOS, then every page that is due; the doctor declines, so that the nurse is paged.
    fn run(&mut self, raise: &Transition) -> Option<()> {
        self.step()?;
        let now = self.house.clock.now();
        self.records.apply(std::slice::from_ref(raise), Seq(1), now, &self.house.plan()).unwrap();
        loop {
            let Some(job) = self.records.pages_due(now, 1).unwrap().pop() else {
                let pages = self.records.alarm(raise.alarm).unwrap().unwrap().pages;
                let first = &pages[0];
                if first.state == PageState::Declined {
                    return Some(());
                }
                self.step()?;
                self.records.decline_page(first.id, self.house.doctor, "", None).unwrap();
                continue;
            };
            self.step()?;
            let attempt = self.records.start_attempt(job.page, now).unwrap().unwrap();
            self.step()?;
            self.sent.push(job.page);
            self.step()?;
            self.records.finish_attempt(attempt, &SendResult::Accepted { provider_ref: None }, "", None).unwrap();
        }
    }
}

/// Killed before any write, once: everybody who had to be paged was, twice at most, and the alarm still waits for a person.
#[test]
fn a_kill_between_any_two_writes_loses_no_page() {
    let mut kills = 0;
    for left in 0.. {
        let house = house();
        let raise = house.change("sos", house.clock.now(), raised(Priority::P1, SOS, house.clock.now(), false));
        let mut sent = Vec::new();
        let whole = Service::start(&house, left, &mut sent).run(&raise).is_some();
        kills += usize::from(!whole);
        Service::start(&house, usize::MAX, &mut sent).run(&raise).unwrap();
        let detail = house.records.alarm(raise.alarm).unwrap().unwrap();
        let people: Vec<u32> = detail.pages.iter().map(|page| page.person.id).collect();
        assert_eq!(people, [house.doctor.0, house.nurse.0], "killed before step {left}");
        for page in &detail.pages {
            let times = sent.iter().filter(|id| **id == page.id).count();
            assert!((1..=2).contains(&times), "page {} went out {times} times, killed before step {left}", page.id);
        }
        assert!(sent.len() <= 3, "one double a kill: {sent:?}");
        assert_eq!((detail.view.handling, detail.view.page_due_at.is_some()), (Handling::Open, true));
        if whole {
            break;
        }
    }
    assert_eq!(kills, 8, "apply, decline, and three steps for each of two pages");
}
