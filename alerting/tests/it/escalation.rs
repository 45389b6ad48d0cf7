//! Each rule of escalation as a story: who is paged when, and nobody else.

use model::alarm::AlarmEventKind as Kind;
use model::page::PageState;
use model::people::Role;
use model::policy::{StopOn, Target};
use model::rule::Hours;
use model::{Handling, Outcome, PersonId};
use store::records::NewPerson;

use crate::receiver::Answer;
use crate::story::{Story, step, to_supervisors};
use crate::world::{World, at, sos};

/// 08:00 in Shanghai is `at(0)`; these hours are long over.
fn night() -> Option<Hours> {
    let now = Hours::parse("00:00-23:59").unwrap();
    assert!(now.contains(at(0)));
    let hours = (0..24).map(|hour| format!("{hour:02}:00-{:02}:30", (hour + 1) % 24));
    hours.filter_map(|text| Hours::parse(&text).ok()).find(|hours| !hours.contains(at(0)))
}

fn dispatcher(world: &World) -> PersonId {
    let new = NewPerson {
        name: "赵座席".into(),
        phone: String::new(),
        role: Role::Dispatcher,
        login: "seat".into(),
        password: "Langes-Wort-7".into(),
        team: None,
        language: "zh".into(),
        on_call_order: None,
    };
    world.records.create_person(&new).unwrap()
}

#[tokio::test]
async fn the_shipped_policy_pages_step_by_step_and_its_last_without_end_until_somebody_accepts() {
    let mut story = Story::new(&[]).await;
    let ([first, second], supervisor) = (story.world.doctors, story.supervisor);
    story.sos(&[first]).await;
    story.expect(29, &[]).await;
    story.expect(30, &[supervisor]).await;
    story.expect(60, &[first]).await;
    assert_eq!((story.alarm().view.step, story.alarm().view.level), (2, 2));
    story.expect(179, &[]).await;
    story.expect(180, &[second]).await;
    story.expect(300, &[supervisor]).await;
    for repetition in 0..4 {
        story.expect(600 + 120 * repetition, &[supervisor, first, second]).await;
    }
    let alarm = story.alarm();
    assert_eq!((alarm.view.level, story.history()["escalated"]), (5, 5), "repetitions are no lines of history");
    assert!(story.world.records.audit_pages(story.world.clock.now()).unwrap().is_empty());
    story.world.records.accept_page(story.page_of(second).id, second, None).unwrap();
    assert_eq!(story.due(), None);
    story.expect(36_000, &[]).await;
    story.stop().await;
}

#[tokio::test]
async fn a_step_without_anybody_is_passed_over_at_once_and_nobody_is_rung_twice_in_a_minute() {
    let mut story = Story::new(&[]).await;
    let [first, second] = story.world.doctors;
    story.world.records.set_disabled(story.supervisor, true).unwrap();
    story.sos(&[first]).await;
    // The supervisors' step is empty and the doctor's begins in its place, but 30 s after the first ring.
    story.expect(30, &[]).await;
    assert_eq!(story.history()["step_skipped"], 1);
    assert_eq!(story.page_of(first).due_at, Some(at(60)));
    story.expect(59, &[]).await;
    story.expect(60, &[first]).await;
    story.expect(150, &[second]).await;
    story.stop().await;
}

#[tokio::test]
async fn an_empty_step_may_be_waited_for_all_the_same() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    story.world.records.set_disabled(story.supervisor, true).unwrap();
    let mut patient = to_supervisors(30);
    patient.skip_if_empty = false;
    story.policy(vec![step(0), patient, step(90)]);
    story.sos(&[first]).await;
    story.expect(119, &[]).await;
    story.expect(120, &[first]).await;
    story.stop().await;
}

#[tokio::test]
async fn a_step_whose_conditions_do_not_hold_is_passed_over() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    let mut by_night = step(0);
    by_night.only_hours = night();
    by_night.channels = vec!["pigeon".into()];
    let mut for_others = to_supervisors(30);
    for_others.only_priorities = vec![model::Priority::P2];
    story.policy(vec![by_night, step(20), for_others, step(300)]);
    story.start();
    story.world.say(&sos(story.world.elder, 0)).await;
    story.expect(0, &[first]).await;
    story.expect(49, &[]).await;
    // At 50 s the step for P2 hands its turn on: the doctor, who was rung 50 s ago, at 60 s.
    story.expect(50, &[]).await;
    story.expect(60, &[first]).await;
    assert_eq!(story.history()["step_skipped"], 2);
    story.stop().await;
}

#[tokio::test]
async fn who_declines_is_left_out_and_the_next_person_is_paged_at_once() {
    let mut story = Story::new(&[]).await;
    let ([first, second], supervisor) = (story.world.doctors, story.supervisor);
    story.sos(&[first]).await;
    story.world.clock.set(at(5));
    story.world.records.decline_page(story.page_of(first).id, first, "在手术", None).unwrap();
    story.expect(5, &[second]).await;
    story.expect(30, &[supervisor]).await;
    // Who is on call declined: the turn goes to the one after, who was rung 55 s ago.
    story.expect(60, &[]).await;
    story.expect(65, &[second]).await;
    story.expect(180, &[supervisor]).await;
    // The last step leaves nobody out.
    story.expect(480, &[supervisor, first, second]).await;
    story.stop().await;
}

#[tokio::test]
async fn a_dead_channel_hands_over_to_the_next_at_once() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    let mut both = step(0);
    both.channels = vec!["pigeon".into(), "webhook".into()];
    story.policy(vec![both]);
    story.sos(&[first]).await;
    let pages = story.pages();
    let seen: Vec<_> = pages.iter().map(|page| (page.channel.as_str(), page.state, page.person.id)).collect();
    let expected = [("pigeon", PageState::PermFailed, first.0), ("webhook", PageState::ProviderAccepted, first.0)];
    assert_eq!(seen, expected);
    assert_eq!(pages[0].round, pages[1].round, "one chain");
    story.stop().await;
}

#[tokio::test]
async fn nobody_is_reached_by_any_channel_and_the_next_step_runs_at_once() {
    let mut story = Story::new(&[]).await;
    let mut dead = step(0);
    dead.channels = vec!["pigeon".into(), "owl".into()];
    story.policy(vec![dead, to_supervisors(300)]);
    story.sos(&[story.supervisor]).await;
    let failed = story.pages().iter().filter(|page| page.state == PageState::PermFailed).count();
    assert_eq!(failed, 4, "two doctors by two channels");
    assert_eq!(story.alarm().view.level, 1);
    story.stop().await;
}

#[tokio::test]
async fn without_a_receipt_in_twenty_seconds_the_next_channel_has_its_turn() {
    let mut story = Story::new(&[]).await;
    let [first, second] = story.world.doctors;
    let mut both = step(0);
    both.channels = vec!["webhook".into(), "pigeon".into()];
    story.policy(vec![both, to_supervisors(300)]);
    story.sos(&[first]).await;
    story.expect(19, &[]).await;
    // The next channel is dead: the next person, by the first channel again.
    story.expect(20, &[second]).await;
    let states: Vec<_> = story.pages().iter().map(|page| (page.channel.clone(), page.state)).collect();
    assert_eq!(states[0], ("webhook".into(), PageState::Expired));
    assert_eq!(states[1], ("pigeon".into(), PageState::PermFailed));
    // Who reads is not hurried along, and can still answer what expired.
    story.world.records.mark_read(story.page_of(second).id, second).unwrap();
    story.expect(41, &[]).await;
    let expired = story.pages()[0].id;
    story.world.records.accept_page(expired, first, None).unwrap();
    assert_eq!(story.alarm().view.handling, Handling::Engaged);
    story.stop().await;
}

#[tokio::test]
async fn somebody_who_reads_is_waited_for_once() {
    let mut story = Story::new(&[]).await;
    let ([first, _], supervisor) = (story.world.doctors, story.supervisor);
    story.policy(vec![step(0), to_supervisors(30), to_supervisors(300)]);
    story.sos(&[first]).await;
    let page = story.page_of(first).id;
    for _ in 0..2 {
        story.world.records.mark_read(page, first).unwrap();
        assert_eq!(story.due(), Some(at(60)), "once");
    }
    story.expect(59, &[]).await;
    story.expect(60, &[supervisor]).await;
    story.stop().await;
}

#[tokio::test]
async fn no_answer_from_the_provider_pages_by_the_next_channel_too() {
    let mut story = Story::new(&[Answer::Hang]).await;
    let [first, second] = story.world.doctors;
    let mut both = step(0);
    both.channels = vec!["webhook".into(), "pigeon".into()];
    story.policy(vec![both]);
    story.sos(&[first, second]).await;
    let pages = story.pages();
    assert_eq!((pages[0].state, pages[0].channel.as_str()), (PageState::InDoubt, "webhook"));
    assert_eq!((pages[1].state, pages[1].channel.as_str()), (PageState::PermFailed, "pigeon"));
    // The one in doubt goes again, under its own number.
    story.world.later(5);
    let again = story.receiver.request().await.id;
    assert_eq!(again, format!("page-{}", pages[0].id));
    story.settled().await;
    story.stop().await;
}

#[tokio::test]
async fn a_claim_pauses_and_its_end_returns_to_the_same_level() {
    let mut story = Story::new(&[]).await;
    let ([first, _], supervisor) = (story.world.doctors, story.supervisor);
    let seat = dispatcher(&story.world);
    story.sos(&[first]).await;
    story.expect(30, &[supervisor]).await;
    story.world.clock.set(at(40));
    let id = story.alarm().view.id;
    story.world.records.claim(id, seat, None).unwrap();
    story.expect(219, &[]).await;
    // The lease of 3 min is over. The task looks at the wall's pace; here it is asked at once.
    story.world.clock.set(at(220));
    story.world.records.handling_due(at(220), &|_: &_| Vec::new()).unwrap();
    story.expect(220, &[supervisor]).await;
    let view = story.alarm().view;
    assert_eq!((view.handling, view.step, view.level), (Handling::Open, 1, 1), "the same level");
    story.expect(250, &[first]).await;
    story.stop().await;
}

#[tokio::test]
async fn a_step_that_only_an_outcome_stops_goes_on_after_acceptance() {
    let mut story = Story::new(&[]).await;
    let ([first, _], supervisor) = (story.world.doctors, story.supervisor);
    let mut until_outcome = to_supervisors(60);
    until_outcome.stop_on = StopOn::Outcome;
    let mut until_claim = to_supervisors(30);
    until_claim.stop_on = StopOn::Claim;
    story.policy(vec![step(0), until_claim, until_outcome]);
    story.sos(&[first]).await;
    story.world.clock.set(at(10));
    story.world.records.accept_page(story.page_of(first).id, first, None).unwrap();
    story.expect(30, &[]).await;
    story.expect(89, &[]).await;
    story.expect(90, &[supervisor]).await;
    story.expect(210, &[supervisor]).await;
    let id = story.alarm().view.id;
    story.world.records.resolve(id, first, Some(Outcome::TrueHandled), "", None).unwrap();
    assert_eq!(story.due(), None);
    story.expect(36_000, &[]).await;
    story.stop().await;
}

/// The shift changes at 40 s: the alarm is the new doctor's from the next step on.
#[tokio::test]
async fn a_new_shift_inherits_what_is_open() {
    let mut story = Story::new(&[]).await;
    let ([first, second], supervisor) = (story.world.doctors, story.supervisor);
    story.sos(&[first]).await;
    story.expect(30, &[supervisor]).await;
    story.world.records.set_disabled(first, true).unwrap();
    story.expect(60, &[second]).await;
    story.stop().await;
}

#[tokio::test]
async fn steps_missed_while_the_server_was_down_run_at_once_each_once() {
    let mut story = Story::new(&[]).await;
    let ([first, second], supervisor) = (story.world.doctors, story.supervisor);
    story.sos(&[first]).await;
    story.stop().await;
    story.world.clock.set(at(7_200));
    story.start();
    // Steps 2 to 6 in their order; who is meant by several of them is rung once.
    story.expect(7_200, &[supervisor, first, second]).await;
    assert_eq!(story.history()["escalated"], 5);
    assert_eq!(story.alarm().view.level, 5);
    // The repetitions that were missed are not made up.
    story.expect(7_319, &[]).await;
    story.expect(7_320, &[supervisor, first, second]).await;
    story.stop().await;
}

/// An alarm goes on by the version under which it opened.
#[tokio::test]
async fn a_new_version_is_for_the_alarms_after_it() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    story.policy(vec![step(0), step(100)]);
    story.sos(&[first]).await;
    let opened = story.alarm().view.policy_version;
    story.policy(vec![to_supervisors(0)]);
    story.expect(99, &[]).await;
    story.expect(100, &[first]).await;
    assert_eq!(story.alarm().view.policy_version, opened);
    assert!(story.world.records.policy_for(model::Priority::P1).unwrap().map(|policy| policy.version) > opened);
    story.stop().await;
}

#[tokio::test]
async fn another_elders_page_is_never_held_up() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    let team = story.world.records.person(first).unwrap().unwrap().team_id();
    let mut new = World::another("1941-01-01");
    new.team = team;
    let other = story.world.records.create_elder(&new).unwrap();
    story.sos(&[first]).await;
    story.world.say(&sos(other, 1)).await;
    story.receiver.request().await;
    let paged: Vec<u32> = story.world.alarms().iter().map(|alarm| alarm.pages[0].person.id).collect();
    assert_eq!(paged, [first.0, first.0]);
    story.settled().await;
    story.stop().await;
}

/// A person of a step is named twice: one page.
#[tokio::test]
async fn a_person_is_paged_once_a_step() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    let mut twice = step(0);
    twice.targets.push(Target::Person { person: first });
    story.policy(vec![twice]);
    story.sos(&[first]).await;
    assert!(!story.alarm().events.iter().any(|event| event.kind == Kind::PageFailed));
    story.stop().await;
}
