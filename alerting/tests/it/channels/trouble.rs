//! What no provider documents: every channel against a provider that hangs, resets, cuts its answer, answers rubbish or floods.

use std::sync::Arc;
use std::time::Duration;

use model::Time;
use serde_json::{Value, json};
use vigil_alerting::{Channels, Fate, Message};

use super::fake::aliyun::Aliyun;
use super::fake::robots::{Ding, Lark};
use super::fake::server::{Fake, Fault, Provider, Reply, Request};
use super::fake::tencent::Tencent;
use super::fake::wecom::Wecom;
use super::{aliyun, channels, doctor, message, retry, robots, send, tencent, wecom};
use crate::world::at;

/// Any provider, so that one table holds all.
struct Any(Box<dyn Provider>);

impl Provider for Any {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        self.0.answer(request, now)
    }
}

type Row = (&'static str, fn() -> Box<dyn Provider>, fn(&str) -> Value);

const ALL: [Row; 8] = [
    ("wecom_app", || Box::new(Wecom::with(&["LiDoctor1"])), wecom::config),
    ("wecom_robot", || Box::new(Wecom::default()), wecom::robot),
    ("dingtalk", || Box::new(Ding::default()), robots::ding),
    ("feishu", || Box::new(Lark::default()), robots::lark),
    ("aliyun_sms", || Box::new(Aliyun::default()), aliyun::sms),
    ("aliyun_voice", || Box::new(Aliyun::default()), aliyun::voice),
    ("tencent_sms", || Box::new(Tencent::default()), tencent::sms),
    ("tencent_voice", || Box::new(Tencent::default()), tencent::voice),
];

/// A provider and its channel, with what it fetches beforehand (a token) fetched.
async fn stand(row: &Row) -> (Fake<Any>, Arc<Channels>) {
    let mut fake = Fake::start(Any(row.1())).await;
    let channels = channels(json!({ row.0: row.2(&fake.url) }));
    assert_eq!(send(&channels, row.0, &doctor(), &page(1), at(0)).await.fate, Fate::Accepted, "{}", row.0);
    fake.paths();
    fake.clock.set(at(100));
    (fake, Arc::new(channels))
}

/// Pages differ, as no provider takes the same words twice.
fn page(number: u64) -> Message {
    Message { page: model::PageId(number), code: Some(format!("{number:04}")), ..message() }
}

#[tokio::test]
async fn what_an_answer_is_not_has_one_meaning_in_every_channel() {
    let after = Some(Duration::from_secs(7));
    for row in &ALL {
        for (fault, expected) in [
            (Fault::Reset, Fate::InDoubt),
            (Fault::Cut, Fate::InDoubt),
            (Fault::Flood, Fate::InDoubt),
            (Fault::Say(200, "<html>login</html>".into()), Fate::InDoubt),
            (Fault::Say(200, "{}".into()), Fate::InDoubt),
            (Fault::Say(200, String::new()), Fate::InDoubt),
            (Fault::Say(500, "oops".into()), retry()),
            (Fault::Say(502, "<html>".into()), retry()),
            (Fault::With(503, "retry-after", "7", String::new()), Fate::Retry { after }),
            (Fault::With(429, "retry-after", "7", String::new()), Fate::Retry { after }),
            (Fault::With(302, "location", "/elsewhere", String::new()), Fate::Misconfigured),
            (Fault::Say(404, "not here".into()), Fate::Misconfigured),
            (Fault::Say(401, String::new()), Fate::Misconfigured),
        ] {
            let (mut fake, channels) = stand(row).await;
            fake.faults([fault.clone()]);
            let sent = send(&channels, row.0, &doctor(), &page(2), at(100)).await;
            assert_eq!(sent.fate, expected, "{} {fault:?}: {}", row.0, sent.detail);
            assert_eq!(fake.paths().len(), 1, "{} {fault:?}: asked once, no redirect followed", row.0);
        }
    }
}

/// A provider that takes a minute costs one page its time, and no other page anything.
#[tokio::test]
async fn a_provider_that_hangs_is_in_doubt_and_holds_no_other_page_up() {
    for row in &ALL {
        let (mut fake, channels) = stand(row).await;
        fake.faults([Fault::Hang]);
        let (name, hanging) = (row.0, Arc::clone(&channels));
        let hung = tokio::spawn(async move { send(&hanging, name, &doctor(), &page(4), at(100)).await });
        fake.request().await;
        let other = vigil_alerting::Recipient { phone: "13900000000".into(), ..doctor() };
        assert_eq!(send(&channels, name, &other, &page(5), at(100)).await.fate, Fate::Accepted, "{name}");
        fake.request().await;
        assert!(!hung.is_finished(), "{name}");
        // From here on time passes as soon as nothing else can happen.
        tokio::time::pause();
        let sent = hung.await.unwrap();
        tokio::time::resume();
        assert_eq!((sent.fate, sent.detail.as_str()), (Fate::InDoubt, "no answer in time"), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_but_in_time_counts() {
    for row in &ALL {
        let (mut fake, channels) = stand(row).await;
        let go = Arc::new(tokio::sync::Notify::new());
        fake.faults([Fault::Held(Arc::clone(&go))]);
        let name = row.0;
        let waiting = tokio::spawn(async move { send(&channels, name, &doctor(), &page(6), at(100)).await });
        fake.request().await;
        go.notify_one();
        assert_eq!(waiting.await.unwrap().fate, Fate::Accepted, "{name}");
    }
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    // A port that was free a moment ago: nothing listens on it.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for row in &ALL {
        let channels = channels(json!({ row.0: row.2(&format!("http://127.0.0.1:{port}")) }));
        let sent = send(&channels, row.0, &doctor(), &page(1), at(0)).await;
        assert_eq!(sent.fate, retry(), "{}", row.0);
        assert!(sent.detail.ends_with("no connection"), "{}", sent.detail);
    }
}
