//! The clients' worker with a whole reception behind it, and the table of what is sent again.

use ::mqtt::wire::WireFrame;
use model::{Event, EventKind, Metric, Quality, Sample};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::link::house::{FLUSH_MS, House, STUCK};

/// A client's queue with its worker.
fn client(house: &House) -> mpsc::Sender<Submit> {
    let (queue, submits) = mpsc::channel(WAITING_MAX);
    let client = toml::from_str("name = \"band\"\ntoken = \"long-token\"").unwrap();
    tokio::spawn(Worker::new(&client, &house.context("mqtt-1")).run(submits));
    queue
}

async fn submit(queue: &mpsc::Sender<Submit>, lane: Lane, seq: u64) -> oneshot::Receiver<Vec<Verdict>> {
    let at = Time::from_secs(1_700_000_000);
    let frame = WireFrame { epoch: 1, seq, gateway_time: at, ..WireFrame::default() };
    let frame = match lane {
        Lane::Sos => WireFrame { events: vec![Event { kind: EventKind::Sos, at }], ..frame },
        _ => WireFrame { samples: vec![Sample::new(Metric::HeartRate, at, 70.0, Quality::Ok)], ..frame },
    };
    let name = |text| Name::new(text).unwrap();
    let topic = ::mqtt::topic::up(&name("home"), &name("band"), lane, &name("band"));
    let publish = Publish {
        topic,
        payload: wire::encode_cbor(&frame).into(),
        qos: 1,
        retain: false,
        dup: false,
        received_at: at,
        will: None,
    };
    let (done, verdicts) = oneshot::channel();
    let done: Done = Box::new(move |given| _ = done.send(given));
    assert!(queue.send(Submit { publishes: vec![publish], done }).await.is_ok());
    verdicts
}

async fn told(verdicts: oneshot::Receiver<Vec<Verdict>>) -> Verdict {
    timeout(STUCK, verdicts).await.expect("no verdict").unwrap()[0]
}

#[tokio::test]
async fn an_sos_of_a_client_does_not_stand_behind_its_readings_however_many_wait() {
    let house = House::new("name = \"band\"", FLUSH_MS).await;
    let queue = client(&house);
    // The lane was quiet before the first; the others wait.
    assert_eq!(told(submit(&queue, Lane::Vit, 1).await).await, Verdict::Stored);
    let mut waiting = Vec::new();
    for seq in 2..2 + WAITING_MAX as u64 {
        waiting.push(submit(&queue, Lane::Vit, seq).await);
    }
    assert_eq!(told(submit(&queue, Lane::Vit, 1_000).await).await, Verdict::Busy, "the bound");
    assert_eq!(told(submit(&queue, Lane::Sos, 1).await).await, Verdict::Stored);
    assert_eq!(told(submit(&queue, Lane::Sos, 1).await).await, Verdict::Duplicate);
    assert_eq!((house.head(Lane::Sos), house.head(Lane::Vit)), (1, 1));
    assert!(waiting.iter_mut().all(|verdict| verdict.try_recv().is_err()), "answered before it is durable");
}

#[tokio::test]
async fn what_is_sent_again_while_it_waits_for_the_disk_is_stored_once() {
    let house = House::new("name = \"band\"", 500).await;
    let queue = client(&house);
    assert_eq!(told(submit(&queue, Lane::Vit, 1).await).await, Verdict::Stored);
    let (first, again) = (submit(&queue, Lane::Vit, 2).await, submit(&queue, Lane::Vit, 2).await);
    assert_eq!((told(first).await, told(again).await), (Verdict::Stored, Verdict::Duplicate));
    assert_eq!(told(submit(&queue, Lane::Vit, 3).await).await, Verdict::Stored);
    assert_eq!(house.head(Lane::Vit), 3);
}

#[test]
fn what_waited_at_the_client_is_history_here() {
    assert_eq!(samples_lane(Lane::Vit, Flags(0)), Lane::Vit);
    assert_eq!(samples_lane(Lane::Vit, Flags(Flags::HIST)), Lane::Hist);
    assert_eq!(samples_lane(Lane::Hist, Flags(0)), Lane::Hist);
}

#[test]
fn two_clients_do_not_share_a_token() {
    let device = |name: &str| toml::from_str(&format!("name = {name:?}")).unwrap();
    let roster = Roster::new(&[device("a"), device("b")], None).unwrap();
    let link = |other: &str| -> Config {
        let client = |name: &str, token: &str| format!("[[clients]]\nname = {name:?}\ntoken = {token:?}\n");
        toml::from_str(&format!("listen = \"127.0.0.1:0\"\n{}{}", client("a", "long-token"), client("b", other)))
            .unwrap()
    };
    assert!(link("other-token").validate(&roster).is_ok());
    assert!(link("long-token").validate(&roster).is_err());
}

#[test]
fn what_is_sent_again_is_known_for_a_while() {
    let mut seen = Seen::default();
    let number = |seq| Number { lane: 2, epoch: 1, seq };
    for seq in 0..=REMEMBERED_MAX as u64 {
        seen.add(number(seq));
        seen.add(number(seq));
    }
    assert!(!seen.has(number(0)) && seen.has(number(1)) && seen.has(number(REMEMBERED_MAX as u64)));
}
