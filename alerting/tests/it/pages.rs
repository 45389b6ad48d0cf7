//! Pages: sent, refused, in doubt, repeated, and ended only by a person.

use model::Metric;
use model::alarm::AlarmEventKind as Kind;
use model::page::PageState;
use store::records::AlarmDetail;
use vigil_alerting::{Config, webhook};

use crate::receiver::{Answer, Receiver};
use crate::world::{PATIENCE, World, by_webhook, kinds, reads, sos, stop, webhook};

fn config(receiver: &Receiver) -> Config {
    by_webhook(webhook(&receiver.url))
}

fn states(alarm: &AlarmDetail) -> Vec<PageState> {
    alarm.pages.iter().map(|page| page.state).collect()
}

fn newest_is(state: PageState) -> impl Fn(&AlarmDetail) -> bool {
    move |alarm| {
        alarm
            .pages
            .last()
            .is_some_and(|page| page.state == state && page.attempts.iter().all(|a| a.finished_at.is_some()))
    }
}

#[tokio::test]
async fn an_sos_pages_the_first_doctor_without_naming_the_elder() {
    let world = World::new();
    let mut receiver = Receiver::new(&[]).await;
    let (alerting, tasks) = world.start(&config(&receiver));
    world.say(&sos(world.elder, 5)).await;
    let request = receiver.request().await;
    let alarm = world.alarm_when("the answer", newest_is(PageState::ProviderAccepted)).await;
    let page = &alarm.pages[0];
    assert_eq!(page.person.id, world.doctors[0].0);
    assert_eq!(request.id, format!("page-{}", page.id));
    let body = &request.body;
    assert_eq!((body["priority"].as_str(), body["kind"].as_str()), (Some("P1"), Some("sos")));
    assert_eq!((body["elder"].as_str(), body["attempt"].as_u64()), (Some("王*明"), Some(1)));
    assert_eq!(body["alarm"], alarm.view.id.to_string());
    assert_eq!(body["ack_url"], format!("http://127.0.0.1:8080/phone/pages/{}", page.id));
    assert!(!request.text.contains("王小明") && !request.text.contains("幸福路") && !request.text.contains("139"));
    assert_eq!(kinds(&alarm), [Kind::Raised, Kind::PageSent]);
    assert_eq!(alerting.stats().pages_accepted, 1);
    // The doctor takes over: nobody is paged again, however late it gets.
    world.records.accept_page(page.id, world.doctors[0], None).unwrap();
    world.later(3_600);
    world.say(&sos(world.elder, 10)).await;
    let alarm = world.alarm_when("the second press", |alarm| alarm.view.repeats == 1).await;
    assert_eq!(states(&alarm), [PageState::Accepted]);
    receiver.nothing_more();
    stop(tasks).await;
}

/// Somebody holds the records' file longer than a write waits. The result is written when it can be: a page that stayed "sending"
/// would keep every later one to this person back.
#[tokio::test]
async fn a_result_that_the_disk_does_not_take_is_written_later() {
    let world = World::new();
    let mut receiver = Receiver::new(&[Answer::Hang]).await;
    let (alerting, tasks) = world.start(&config(&receiver));
    world.say(&sos(world.elder, 5)).await;
    let first = receiver.request().await;
    let lock = rusqlite::Connection::open(world.path().join(store::records::FILE)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unsaved = async {
        while alerting.stats().pages_unsaved == 0 {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, unsaved).await.unwrap();
    lock.execute_batch("ROLLBACK").unwrap();
    world.alarm_when("the doubt", |alarm| alarm.pages[0].state != PageState::Sending).await;
    world.later(60);
    assert_eq!(receiver.request().await.id, first.id, "sent again under its number");
    assert_eq!(alerting.stats().pages_unsaved, 0);
    stop(tasks).await;
}

#[tokio::test]
async fn a_busy_receiver_is_asked_again_when_it_said_so_with_the_same_id() {
    let world = World::new();
    let answers = [Answer::With(429, "retry-after", "7".into()), Answer::Status(500)];
    let mut receiver = Receiver::new(&answers).await;
    let (_, tasks) = world.start(&config(&receiver));
    world.say(&sos(world.elder, 0)).await;
    let first = receiver.request().await;
    let alarm = world.alarm_when("the refusal", newest_is(PageState::TempFailed)).await;
    assert_eq!(alarm.pages[0].due_at, Some(crate::world::at(7)));
    world.later(8);
    let second = receiver.request().await;
    assert_eq!((&second.id, second.body["attempt"].as_u64()), (&first.id, Some(2)));
    world
        .alarm_when("the error", |alarm| alarm.pages[0].attempts.len() == 2 && newest_is(PageState::TempFailed)(alarm))
        .await;
    world.later(30);
    assert_eq!(receiver.request().await.id, first.id);
    let alarm = world.alarm_when("success", newest_is(PageState::ProviderAccepted)).await;
    let results: Vec<_> = alarm.pages[0].attempts.iter().map(|attempt| attempt.result.as_str()).collect();
    assert_eq!(results, ["retry", "retry", "accepted"]);
    stop(tasks).await;
}

#[tokio::test]
async fn no_answer_is_in_doubt_and_sent_again_with_the_same_id() {
    let world = World::new();
    let mut receiver = Receiver::new(&[Answer::Hang]).await;
    let (alerting, tasks) = world.start(&config(&receiver));
    world.say(&sos(world.elder, 0)).await;
    let first = receiver.request().await;
    world.alarm_when("the doubt", newest_is(PageState::InDoubt)).await;
    assert_eq!(alerting.stats().pages_in_doubt, 1);
    world.later(30);
    assert_eq!(receiver.request().await.id, first.id);
    // At 30 s the next step may page as well, when the first page is done by then.
    let first_is_accepted =
        |alarm: &AlarmDetail| alarm.pages.first().map(|page| page.state) == Some(PageState::ProviderAccepted);
    world.alarm_when("success", first_is_accepted).await;
    stop(tasks).await;
}

#[tokio::test]
async fn a_redirect_or_a_refusal_is_not_followed_and_the_next_doctor_is_paged() {
    for answer in [Answer::With(302, "location", "/elsewhere".into()), Answer::Status(404), Answer::Status(410)] {
        let world = World::new();
        let mut receiver = Receiver::new(&[answer]).await;
        let (_, tasks) = world.start(&config(&receiver));
        world.say(&sos(world.elder, 0)).await;
        let (first, second) = (receiver.request().await, receiver.request().await);
        assert_ne!(first.id, second.id);
        let alarm = world.alarm_when("the second page", newest_is(PageState::ProviderAccepted)).await;
        assert_eq!(states(&alarm), [PageState::PermFailed, PageState::ProviderAccepted]);
        assert_eq!(alarm.pages[1].person.id, world.doctors[1].0);
        assert!(kinds(&alarm).contains(&Kind::PageFailed));
        receiver.nothing_more();
        stop(tasks).await;
    }
}

#[tokio::test]
async fn an_endless_answer_is_success_and_not_read_to_its_end() {
    let world = World::new();
    let mut receiver = Receiver::new(&[Answer::Flood]).await;
    let (_, tasks) = world.start(&config(&receiver));
    world.say(&sos(world.elder, 0)).await;
    receiver.request().await;
    world.alarm_when("success", newest_is(PageState::ProviderAccepted)).await;
    stop(tasks).await;
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let world = World::new();
    // A port that was free a moment ago: nothing listens on it.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let webhook = webhook::Config { ..webhook(&format!("http://127.0.0.1:{port}/")) };
    let (_, tasks) = world.start(&by_webhook(webhook));
    world.say(&sos(world.elder, 0)).await;
    let alarm = world.alarm_when("the failure", newest_is(PageState::TempFailed)).await;
    assert_eq!(alarm.pages[0].attempts[0].detail, "no connection");
    stop(tasks).await;
}

#[tokio::test]
async fn without_a_channel_the_failure_is_visible() {
    let world = World::new();
    let (_, tasks) = world.start(&Config::default());
    world.say(&sos(world.elder, 0)).await;
    let alarm = world.alarm_when("both failures", |alarm| states(alarm).starts_with(&[PageState::PermFailed; 2])).await;
    assert_eq!(alarm.pages[0].attempts[0].detail, "the channel webhook is not configured");
    stop(tasks).await;
}

/// The process ends while a page is being sent: the next one sends it again, with the same id, and loses none.
#[tokio::test]
async fn a_page_under_way_at_the_end_of_the_process_is_sent_again_by_the_next() {
    let world = World::new();
    let mut receiver = Receiver::new(&[Answer::Hang, Answer::Hang]).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (_, tasks) = world.start(&config(&receiver));
        if ids.is_empty() {
            world.say(&sos(world.elder, 0)).await;
        }
        ids.push(receiver.request().await.id);
        stop(tasks).await;
        assert_eq!(states(&world.alarms()[0]), [PageState::Sending]);
    }
    receiver.next_answers(&[]);
    let (_, tasks) = world.start(&config(&receiver));
    ids.push(receiver.request().await.id);
    let alarm = world.alarm_when("success", newest_is(PageState::ProviderAccepted)).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let results: Vec<_> = alarm.pages[0].attempts.iter().map(|attempt| attempt.result.as_str()).collect();
    assert_eq!(results, ["in_doubt", "in_doubt", "accepted"]);
    receiver.nothing_more();
    stop(tasks).await;
}

#[tokio::test]
async fn a_worklist_item_pages_nobody_and_its_worsening_does() {
    let world = World::new();
    let mut receiver = Receiver::new(&[]).await;
    let (_, tasks) = world.start(&config(&receiver));
    world.say(&reads(world.elder, 0, Metric::Systolic, 186.0)).await;
    let alarm = world.alarm_when("the item", |_| true).await;
    assert!(alarm.pages.is_empty());
    receiver.nothing_more();
    world.say(&reads(world.elder, 90, Metric::Systolic, 190.0)).await;
    assert_eq!(receiver.request().await.body["priority"], "P1");
    stop(tasks).await;
}
