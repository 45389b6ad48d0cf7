//! Between the pager and the channels: limits, shares, health and the canary, in a running service.

use std::time::Duration;

use model::alarm::{Change, Transition};
use model::page::PageState;
use model::{AlarmId, AlarmKind, ElderId, EventKind, Priority, Seq, Subject};
use store::records::{AlarmFilter, NewPage};
use vigil_alerting::{CanaryConfig, Channel, ChannelConfigs, Config, Quota, demo, webhook};

use crate::receiver::{Answer, Receiver};
use crate::world::{KEY_TEXT, PATIENCE, World, at, by_webhook, sos, stop, webhook};

/// So many alarms at once, each of another elder (one elder's would be one alarm) and with a page to the first doctor by this
/// channel.
fn raise(world: &World, from: u32, count: u32, channel: &str, chain: &[&str]) -> Vec<AlarmId> {
    let alarms: Vec<Transition> = (from..from + count)
        .map(|number| {
            let started_at = at(0).plus_us(i64::from(number));
            let subject = Subject::Elder(ElderId(1_000 + number));
            let kind = AlarmKind::Event { kind: EventKind::Sos };
            Transition {
                alarm: AlarmId::of(subject, "sos", started_at),
                subject: subject.to_u32(),
                rule: "sos".into(),
                rules_version: 1,
                change: Change::Raised { priority: Priority::P2, kind, started_at, late: false },
                at: started_at,
                received_at: started_at,
            }
        })
        .collect();
    let chain: Vec<String> = chain.iter().map(|name| (*name).to_owned()).collect();
    let doctor = world.doctors[0];
    let plan = move |_: &_| vec![NewPage { chain: chain.clone(), ..NewPage::to(doctor, channel) }];
    // Before the log's end: the engine has nothing to say in these stories.
    let cursor = Seq(world.records.alerting_cursor().unwrap().0 + 1);
    world.records.apply(&alarms, cursor, world.clock.now(), &plan).unwrap();
    world.records.pages_notify().notify_one();
    alarms.into_iter().map(|alarm| alarm.alarm).collect()
}

fn demo(url: &str) -> demo::Config {
    serde_json::from_value(serde_json::json!({ "url": url, "secret": KEY_TEXT })).unwrap()
}

fn states(world: &World, alarm: AlarmId) -> Vec<(String, PageState)> {
    let detail = world.records.alarm(alarm).unwrap().unwrap();
    detail.pages.into_iter().map(|page| (page.channel, page.state)).collect()
}

async fn until(what: &str, mut test: impl FnMut() -> bool) {
    let reached = tokio::time::timeout(PATIENCE, async {
        while !test() {
            tokio::task::yield_now().await;
            tokio::task::spawn_blocking(|| std::thread::park_timeout(Duration::from_millis(5))).await.unwrap();
        }
    });
    assert!(reached.await.is_ok(), "{what} did not come");
}

/// One provider hangs with every place it has; pages by the other go out meanwhile.
#[tokio::test]
async fn a_channel_that_hangs_holds_up_only_its_own_pages() {
    let world = World::new();
    let mut hanging = Receiver::new(&vec![Answer::Hang; 200]).await;
    let mut working = Receiver::new(&[]).await;
    let config = Config {
        channels: ChannelConfigs {
            webhook: Some(webhook::Config { timeout_s: 30, ..webhook(&hanging.url) }),
            demo: Some(demo(&working.url)),
            ..ChannelConfigs::default()
        },
        sending_max: 4,
        ..Config::default()
    };
    let (_, tasks) = world.start(&config);
    raise(&world, 0, 20, "webhook", &[]);
    for _ in 0..2 {
        hanging.request().await;
    }
    raise(&world, 100, 10, "demo", &[]);
    for _ in 0..10 {
        working.request().await;
    }
    hanging.nothing_more();
    stop(tasks).await;
}

#[tokio::test]
async fn a_used_up_limit_moves_the_page_to_the_next_channel_and_survives_a_restart() {
    let world = World::new();
    let mut first = Receiver::new(&[]).await;
    let mut second = Receiver::new(&[]).await;
    let mut config = by_webhook(webhook(&first.url));
    config.channels.demo = Some(demo(&second.url));
    config.quota.insert(Channel::Webhook, Quota { per_day: Some(2), ..Quota::default() });
    let (_, tasks) = world.start(&config);
    raise(&world, 0, 2, "webhook", &["demo"]);
    first.request().await;
    first.request().await;
    stop(tasks).await;

    let (alerting, tasks) = world.start(&config);
    let alarm = raise(&world, 10, 1, "webhook", &["demo"])[0];
    second.request().await;
    until("the other channel", || states(&world, alarm).len() == 2).await;
    assert_eq!(states(&world, alarm)[0], ("webhook".to_owned(), PageState::PermFailed));
    first.nothing_more();
    let row = alerting.channels().unwrap().into_iter().find(|row| row.name == "webhook").unwrap();
    assert_eq!((row.quota[0].used, row.quota[0].count, row.quota[0].window_s), (2, 2, None));
    // The next day there is room again.
    world.later(24 * 3_600);
    let alarm = raise(&world, 20, 1, "webhook", &["demo"])[0];
    first.request().await;
    until("the answer", || states(&world, alarm) == [("webhook".to_owned(), PageState::ProviderAccepted)]).await;
    stop(tasks).await;
}

#[tokio::test]
async fn a_test_on_demand_finds_a_dead_channel_and_its_recovery() {
    let world = World::new();
    let mut receiver = Receiver::new(&[Answer::Status(404)]).await;
    let (alerting, tasks) = world.start(&by_webhook(webhook(&receiver.url)));
    let doctor = world.doctors[0];
    assert!(alerting.test_channel("pigeon", doctor).await.unwrap().is_none());
    let unset = alerting.test_channel("smtp", doctor).await.unwrap().unwrap();
    assert!(!unset.ok && unset.detail.contains("not configured"), "{unset:?}");
    assert!(!alerting.test_channel("webhook", doctor).await.unwrap().unwrap().ok);
    assert_eq!(receiver.request().await.body["test"], true);
    let alarms = || world.records.alarms(AlarmFilter::default(), 10).unwrap();
    let [alarm] = alarms().try_into().unwrap();
    assert_eq!((alarm.priority, alarm.rule.as_str()), (Priority::T, "channel_webhook"));
    let row = |name| alerting.channels().unwrap().into_iter().find(|row| row.name == name).unwrap();
    assert!(row("webhook").health.unwrap().dead_since.is_some());
    assert!(alerting.test_channel("webhook", doctor).await.unwrap().unwrap().ok);
    receiver.request().await;
    assert_eq!(row("webhook").health.unwrap().dead_since, None);
    assert_eq!(world.records.alarm_view(alarm.id).unwrap().unwrap().handling, model::Handling::Closed);
    assert_eq!(row("smtp").health, None, "what is not set up is not dead");
    stop(tasks).await;
}

#[tokio::test]
async fn the_canary_tests_every_channel_once_a_day() {
    let world = World::new();
    let mut receiver = Receiver::new(&[]).await;
    let canary = CanaryConfig { login: "doctor1".into(), at: "09:00".into() };
    let config = Config { canary, ..by_webhook(webhook(&receiver.url)) };
    let (_, tasks) = world.start(&config);
    let request = receiver.request().await;
    assert_eq!((request.body["test"].as_bool(), request.body["kind"].as_str()), (Some(true), Some("channel_test")));
    until("the books", || world.records.channel_health().unwrap().iter().any(|row| row.canary_ok_at.is_some())).await;
    stop(tasks).await;
    // A restart on the same day sends none; the next day does.
    let (_, tasks) = world.start(&config);
    world.clock.set(at(60));
    world.say(&sos(world.elder, 60)).await;
    assert_eq!(receiver.request().await.body["test"], false);
    let alarm = world.alarm_when("the page", |alarm| alarm.pages[0].state == PageState::ProviderAccepted).await;
    world.records.accept_page(alarm.pages[0].id, world.doctors[0], None).unwrap();
    stop(tasks).await;
    world.clock.set(at(24 * 3_600));
    let (_, tasks) = world.start(&config);
    assert_eq!(receiver.request().await.body["test"], true);
    stop(tasks).await;
    assert!(world.records.alarms(AlarmFilter::default(), 10).unwrap().iter().all(|alarm| alarm.rule == "sos"));
}
