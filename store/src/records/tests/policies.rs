//! Policies in the records, the step that each alarm is at, and the audit.

#![allow(clippy::unwrap_used)]

use model::policy::{Policy, Step, StopOn, Target};
use model::{Handling, Priority};

use super::*;

pub(super) fn policy(name: &str, priorities: &[Priority], waits: &[u32]) -> Policy {
    let step = |wait_s: &u32| Step {
        wait_s: *wait_s,
        targets: vec![Target::OnCall { duty: None, backup: false }],
        channels: vec!["webhook".into()],
        stop_on: StopOn::Accept,
        only_priorities: vec![],
        only_hours: None,
        skip_if_empty: true,
    };
    let steps = waits.iter().map(step).collect();
    Policy { name: name.into(), version: 0, priorities: priorities.to_vec(), steps, repeat_s: 120 }
}

fn save(house: &House, policy: Policy) -> Result<u32> {
    house.records.save_policy(policy, &|name| name == "webhook", Some(house.doctor), "test")
}

/// P1: at 0, 30 and 90 s; P2: at 0 and 300 s.
fn house_with_policies() -> House {
    let house = house();
    house
        .records
        .ensure_policies(&[policy("p1", &[Priority::P1], &[0, 30, 60]), policy("p2", &[Priority::P2], &[0, 300])])
        .unwrap();
    house
}

#[test]
fn shipped_policies_are_kept_up_to_date_until_a_person_changes_them() {
    let house = house_with_policies();
    let shipped = [policy("p1", &[Priority::P1], &[0, 30, 60]), policy("p2", &[Priority::P2], &[0, 300])];
    house.records.ensure_policies(&shipped).unwrap();
    let versions = |name: &str| house.records.policy_versions(name).unwrap().len();
    assert_eq!((versions("p1"), versions("p2")), (1, 1), "nothing new");
    let newer = [policy("p1", &[Priority::P1], &[0, 20]), shipped[1].clone()];
    house.records.ensure_policies(&newer).unwrap();
    assert_eq!((versions("p1"), versions("p2")), (2, 1));
    let known = house.records.policy_for(Priority::P1).unwrap().unwrap();
    let mut own = policy("p1", &[Priority::P1], &[0, 10]);
    own.version = known.version;
    let version = save(&house, own.clone()).unwrap();
    house.records.ensure_policies(&shipped).unwrap();
    assert_eq!(house.records.policy_for(Priority::P1).unwrap().unwrap().version, version, "a person's word stands");
    let stale = save(&house, own);
    assert!(matches!(stale, Err(Error::PolicyChanged { version: now }) if now == version));
    assert_eq!(house.records.policy(known.version).unwrap().unwrap(), known, "every version stays");
}

#[test]
fn no_priority_is_left_without_a_policy() {
    let house = house_with_policies();
    let known = house.records.policy_for(Priority::P2).unwrap().unwrap();
    let mut other = policy("p2", &[Priority::P1], &[0]);
    other.version = known.version;
    let refused = save(&house, other).unwrap_err();
    assert!(matches!(&refused, Error::Policy(bad) if bad.place == "priorities"), "{refused}");
    // Of two for one priority the one saved last is taken.
    let both = save(&house, policy("all", &[Priority::P1, Priority::P2], &[0])).unwrap();
    assert_eq!(house.records.policy_for(Priority::P2).unwrap().unwrap().version, both);
}

#[test]
fn an_alarm_opens_with_its_policy_first_pages_and_first_deadline_in_one_commit() {
    let house = house_with_policies();
    let id = house.sos();
    let view = house.view(id);
    let version = house.records.policy_for(Priority::P1).unwrap().unwrap().version;
    assert_eq!(view.policy_version, Some(version));
    assert_eq!((view.step, view.next_step, view.level), (0, 1, 0));
    assert_eq!(view.page_due_at, Some(START.plus_us(30_000_000)));
    assert_eq!(house.page_of(id, house.doctor).step, 0);
}

#[test]
fn a_raise_begins_the_more_urgent_policy_and_the_level_never_falls() {
    let house = house_with_policies();
    let began = house.clock.now();
    house.apply(&[house.change("systolic_high", began, raised(Priority::P2, PRESSURE, began, false))]);
    let id = AlarmId::of(Subject::Elder(house.elder), "systolic_high", began);
    house.pass(300);
    let run = |house: &House| {
        let now = house.clock.now();
        let due = house.records.steps_due(now, 10).unwrap().remove(0);
        let policy = house.records.policy(due.alarm.policy_version.unwrap()).unwrap().unwrap();
        house.records.run_step(&due, &policy, &[page_to(house.nurse)], now).unwrap()
    };
    assert_eq!(run(&house), StepWork::Paged);
    assert_eq!(house.view(id).level, 1);
    house.pass(1);
    house.apply(&[house.change("systolic_high", began, Change::Worsened { priority: Priority::P1, kind: PRESSURE })]);
    let view = house.view(id);
    assert_eq!((view.step, view.next_step, view.level), (0, 1, 1));
    assert_eq!(view.page_due_at, Some(house.clock.now().plus_us(30_000_000)));
    for level in [1, 2, 2] {
        house.clock.set(house.view(id).page_due_at.unwrap());
        run(&house);
        assert_eq!(house.view(id).level, level);
    }
}

#[test]
fn the_audit_finds_what_nothing_would_remind_of() {
    let house = house_with_policies();
    let id = house.sos();
    let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
    let found = || house.records.audit_pages(house.clock.now()).unwrap();
    let causes = || found().into_iter().map(|one| (one.alarm, one.cause)).collect::<Vec<_>>();
    assert_eq!(causes(), []);
    // Nobody runs the step: late after five minutes. Nor sends the page.
    house.pass(30 + 299);
    assert_eq!(causes(), [(id, "page_late")]);
    house.pass(2);
    assert_eq!(causes(), [(id, "step_late"), (id, "page_late")]);
    raw.execute("UPDATE alarm SET page_due_at = NULL", []).unwrap();
    assert_eq!(causes(), [(id, "no_deadline"), (id, "page_late")]);
    house.records.claim(id, house.dispatcher, None).unwrap();
    assert_eq!(house.view(id).handling, Handling::Claimed);
    assert_eq!(causes(), []);
    house.pass(180 + 301);
    assert_eq!(causes(), [(id, "lease_late")]);
    house.records.resolve(id, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
    assert_eq!(causes(), []);
}

/// The provider does not answer, so the person is called too; that the first channel then fails for good is no reason to page
/// somebody else.
#[test]
fn a_chain_that_another_page_took_over_goes_on_once() {
    let house = house_with_policies();
    let at = house.clock.now();
    let sos = house.change("sos", at, raised(Priority::P1, SOS, at, false));
    let plan = |_: &AlarmView| {
        vec![NewPage { chain: vec!["voice".into()], reserve: vec![house.nurse], ..NewPage::to(house.doctor, "app") }]
    };
    house.records.apply(std::slice::from_ref(&sos), Seq(1), at, &plan).unwrap();
    let send = |channel: &str, result: &SendResult| {
        let due = house.records.pages_due(house.clock.now(), 10).unwrap();
        let job = due.iter().find(|job| job.channel == channel).unwrap();
        let attempt = house.records.start_attempt(job.page, house.clock.now()).unwrap().unwrap();
        house.records.finish_attempt(attempt, result, "", None).unwrap();
    };
    let people = || {
        let pages = house.records.alarm(sos.alarm).unwrap().unwrap().pages;
        pages.iter().map(|page| (page.person.id, page.channel.clone())).collect::<Vec<_>>()
    };
    send("app", &SendResult::InDoubt);
    send("voice", &SendResult::Accepted { provider_ref: None });
    send("app", &SendResult::RefusedConfig);
    assert_eq!(people(), [(house.doctor.0, "app".into()), (house.doctor.0, "voice".into())]);
    // Declined by whichever page: the next person, by the first channel of the step.
    let page = house.records.alarm(sos.alarm).unwrap().unwrap().pages[0].id;
    house.records.decline_page(page, house.doctor, "", None).unwrap();
    assert_eq!(people().last(), Some(&(house.nurse.0, "webhook".into())));
    assert_eq!(people().len(), 3);
}
