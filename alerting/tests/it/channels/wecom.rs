//! 企业微信: tokens, members, doubles, cards; and the robot of a group.

use std::sync::Arc;

use serde_json::{Value, json};
use vigil_alerting::{Channels, Fate, Message, Recipient};

use super::fake::server::{Fake, Fault};
use super::fake::wecom::{ROBOT_KEY, SECRET, Wecom};
use super::{channels, doctor, fate, message, person, person_for, retry, send};
use crate::world::at;

const APP: &str = "wecom_app";
const ROBOT: &str = "wecom_robot";

pub(super) fn config(base: &str) -> Value {
    json!({"corp_id": "ww1", "secret": SECRET, "agent_id": 1_000_002, "base_url": base, "timeout_s": 30})
}

pub(super) fn robot(base: &str) -> Value {
    json!({"key": ROBOT_KEY, "base_url": base, "timeout_s": 30})
}

async fn world() -> (Fake<Wecom>, Channels) {
    let fake = Fake::start(Wecom::with(&["LiDoctor1"])).await;
    let channels = channels(json!({APP: config(&fake.url), ROBOT: robot(&fake.url)}));
    (fake, channels)
}

fn code(code: i64) -> Fault {
    Fault::Say(200, json!({"errcode": code, "errmsg": "x"}).to_string())
}

fn attempt(number: u32) -> Message {
    Message { attempt: number, ..message() }
}

#[tokio::test]
async fn a_card_arrives_with_one_token_for_all() {
    let (mut fake, channels) = world().await;
    for number in 1..=3 {
        let sent = send(&channels, APP, &doctor(), &attempt(number), at(0)).await;
        assert_eq!((sent.fate, sent.provider_ref), (Fate::Accepted, Some(format!("msg-{number}"))));
    }
    assert_eq!(
        fake.paths(),
        ["/cgi-bin/gettoken", "/cgi-bin/message/send", "/cgi-bin/message/send", "/cgi-bin/message/send"]
    );
    let (user, body) = fake.provider().arrived[0].clone();
    assert_eq!(user, "lidoctor1");
    assert_eq!(body["textcard"]["title"], "P1 紧急 紧急呼叫");
    assert_eq!(body["textcard"]["description"], "王*明,11-22 14:03。守望寻呼 7-1 回复码 482106");
    assert_eq!(body["textcard"]["url"], "https://vigil.example.org/tap/abc");
    // In English for those who read it.
    let english = Recipient { language: "en".into(), ..doctor() };
    assert_eq!(send(&channels, APP, &english, &attempt(4), at(0)).await.fate, Fate::Accepted);
    assert_eq!(fake.provider().arrived[3].1["textcard"]["title"], "P1 Urgent SOS");
    fake.paths();
}

#[tokio::test]
async fn a_token_is_fetched_again_before_its_end_and_when_it_was_taken_away() {
    let (mut fake, channels) = world().await;
    let two = ["/cgi-bin/gettoken", "/cgi-bin/message/send"];
    let send_at = async |second: i64, number: u32| {
        fake.clock.set(at(second));
        send(&channels, APP, &doctor(), &attempt(number), at(second)).await.fate
    };
    assert_eq!(send_at(0, 1).await, Fate::Accepted);
    assert_eq!(send_at(7_000, 2).await, Fate::Accepted);
    assert_eq!(send_at(7_201, 3).await, Fate::Accepted);
    fake.provider().revoke();
    assert_eq!(send_at(7_202, 4).await, Fate::Accepted);
    assert_eq!(fake.paths(), [two[0], two[1], two[1], two[0], two[1], two[1], two[0], two[1]]);
    assert_eq!(fake.provider().arrived.len(), 4);
    // The provider says "ended" whatever is done: once more and no more.
    for ended in [40_014, 42_001] {
        fake.faults([code(ended)]);
        assert_eq!(send(&channels, APP, &doctor(), &attempt(5), at(7_203)).await.fate, Fate::Accepted);
        let token = json!({"errcode": 0, "access_token": "t", "expires_in": 7200}).to_string();
        fake.faults([code(ended), Fault::Say(200, token), code(ended)]);
        assert_eq!(send(&channels, APP, &doctor(), &attempt(6), at(7_203)).await.fate, retry());
        assert_eq!(fake.paths(), [two[1], two[0], two[1], two[1], two[0], two[1]]);
        // The false token is found out.
        assert_eq!(send(&channels, APP, &doctor(), &attempt(ended as u32), at(7_203)).await.fate, Fate::Accepted);
        assert_eq!(fake.paths(), [two[1], two[0], two[1]]);
    }
}

#[tokio::test]
async fn many_pages_at_once_fetch_one_token_and_share_its_failure() {
    let (mut fake, channels) = world().await;
    let channels = Arc::new(channels);
    let all = |from: u32| -> Vec<_> {
        let page = |number: u32| {
            let channels = Arc::clone(&channels);
            tokio::spawn(async move { channels.send(APP, &doctor(), &attempt(number), at(0)).await.fate })
        };
        (from..from + 16).map(page).collect()
    };
    // The first fetch hangs; the others have waited for it.
    fake.faults([Fault::Hang]);
    let pages = all(0);
    assert_eq!(fake.request().await.path, "/cgi-bin/gettoken");
    tokio::time::pause();
    for page in pages {
        assert_eq!(page.await.unwrap(), retry());
    }
    tokio::time::resume();
    assert_eq!(fake.paths().len(), 0, "one time-out for all");
    for page in all(100) {
        assert_eq!(page.await.unwrap(), Fate::Accepted);
    }
    assert_eq!(fake.paths().iter().filter(|path| path.ends_with("gettoken")).count(), 1);
    assert_eq!(fake.provider().arrived.len(), 16);
}

#[tokio::test]
async fn zero_is_no_success_when_the_person_is_among_the_refused() {
    let (mut fake, channels) = world().await;
    fake.provider().hidden.insert("lidoctor1".into());
    let sent = send(&channels, APP, &doctor(), &message(), at(0)).await;
    assert_eq!((sent.fate, sent.provider_ref), (person(), None));
    fake.provider().hidden.clear();
    fake.provider().unlicensed.insert("lidoctor1".into());
    assert_eq!(fate(&channels, APP, at(0)).await, person());
    let stranger = Recipient { address: Some("nobody".into()), ..doctor() };
    assert_eq!(send(&channels, APP, &stranger, &message(), at(0)).await.fate, person());
    assert!(fake.provider().arrived.is_empty());
    fake.paths();
}

#[tokio::test]
async fn an_address_that_means_many_reaches_nobody() {
    let (mut fake, channels) = world().await;
    for address in [None, Some("@all"), Some("LiDoctor1|boss"), Some("")] {
        let to = Recipient { address: address.map(str::to_owned), ..doctor() };
        assert_eq!(send(&channels, APP, &to, &message(), at(0)).await.fate, person(), "{address:?}");
    }
    assert!(fake.paths().is_empty());
}

/// The provider swallows a text it has had: the same attempt twice is one message, the next attempt is another.
#[tokio::test]
async fn every_attempt_is_another_text() {
    let (mut fake, channels) = world().await;
    for number in [1, 1, 2] {
        assert_eq!(send(&channels, APP, &doctor(), &attempt(number), at(0)).await.fate, Fate::Accepted);
    }
    assert_eq!(fake.provider().arrived.len(), 2);
    // And what is above a member's limit it drops with a word of success: only our own counter can know.
    for number in 3..50 {
        assert_eq!(send(&channels, APP, &doctor(), &attempt(number), at(0)).await.fate, Fate::Accepted);
    }
    assert_eq!(fake.provider().arrived.len(), 30);
    fake.paths();
}

#[tokio::test]
async fn every_code_has_its_meaning() {
    let (mut fake, channels) = world().await;
    assert_eq!(fate(&channels, APP, at(0)).await, Fate::Accepted);
    let later = Fate::Retry { after: Some(std::time::Duration::from_mins(1)) };
    for (number, expected) in [
        (-1, retry()),
        (40_003, person()),
        (40_056, Fate::Misconfigured),
        (45_009, later),
        (45_033, retry()),
        (60_011, Fate::Misconfigured),
        (60_020, Fate::Misconfigured),
        (60_111, person()),
        (81_013, person()),
        (99_999, Fate::Misconfigured),
    ] {
        fake.faults([code(number)]);
        assert_eq!(fate(&channels, APP, at(0)).await, expected, "{number}");
    }
    fake.paths();
    for (key, value) in [("secret", "another"), ("corp_id", "ww2")] {
        let mut table = config(&fake.url);
        table[key] = value.into();
        let wrong = super::channels(json!({ APP: table }));
        assert_eq!(fate(&wrong, APP, at(0)).await, Fate::Misconfigured, "{key}");
        assert_eq!(fake.paths(), ["/cgi-bin/gettoken"]);
    }
}

/// Nothing of the page has left while the token is fetched: never in doubt.
#[tokio::test]
async fn trouble_with_the_token_is_tried_again() {
    let (mut fake, channels) = world().await;
    for fault in
        [Fault::Reset, Fault::Cut, Fault::Flood, Fault::Say(200, "{}".into()), Fault::Say(502, String::new()), code(-1)]
    {
        fake.faults([fault.clone()]);
        assert_eq!(fate(&channels, APP, at(0)).await, retry(), "{fault:?}");
        assert_eq!(fake.paths(), ["/cgi-bin/gettoken"]);
    }
}

#[tokio::test]
async fn a_robot_tells_its_group_without_what_answers_for_one_person() {
    let (mut fake, channels) = world().await;
    assert_eq!(fate(&channels, ROBOT, at(0)).await, Fate::Accepted);
    let said = fake.provider().robot_said[0].clone();
    let text = said["text"]["content"].as_str().unwrap().to_owned();
    assert_eq!(text, "P1 紧急 紧急呼叫\n王*明,11-22 14:03。守望寻呼 7-1\nhttps://vigil.example.org/phone/pages/7");
    assert_eq!(said["text"]["mentioned_list"], json!(["LiDoctor1"]));
    // Without an id the number is mentioned, which the text does not show.
    let unknown = Recipient { address: None, ..doctor() };
    assert_eq!(send(&channels, ROBOT, &unknown, &message(), at(0)).await.fate, Fate::Accepted);
    let said = fake.provider().robot_said[1].clone();
    assert_eq!(said["text"]["mentioned_mobile_list"], json!(["13800000000"]));
    assert!(!said["text"]["content"].as_str().unwrap().contains("138"));
    fake.paths();
}

#[tokio::test]
async fn a_robots_minute_is_used_up_and_comes_back() {
    let (mut fake, channels) = world().await;
    for _ in 0..20 {
        assert_eq!(fate(&channels, ROBOT, at(0)).await, Fate::Accepted);
    }
    assert_eq!(fate(&channels, ROBOT, at(0)).await, person_for(60));
    fake.clock.set(at(61));
    assert_eq!(fate(&channels, ROBOT, at(61)).await, Fate::Accepted);
    fake.faults([code(-1), code(93_000)]);
    assert_eq!(fate(&channels, ROBOT, at(61)).await, retry());
    assert_eq!(fate(&channels, ROBOT, at(61)).await, Fate::Misconfigured);
    let wrong = super::channels(json!({ROBOT: {"key": "another", "base_url": fake.url}}));
    assert_eq!(fate(&wrong, ROBOT, at(61)).await, Fate::Misconfigured);
    fake.paths();
}
