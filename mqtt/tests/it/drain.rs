//! After an outage: what is live goes first, then the past, newest block first and marked so; wherever it is interrupted,
//! every entry arrives, and only what was under way arrives twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::entry::Flags;
use model::{Lane, Metric, Quality, Sample, Time};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;
use vigil_mqtt::outbox::{Entry, Outbox};
use vigil_mqtt::uplink::{self, Config, Hello, Stats};
use vigil_mqtt::wire::{self, WireFrame};

use crate::broker::{Broker, PATIENCE, Script};

const WINDOW: u16 = 16;

/// An entry of a lane that was queued `age_s` seconds ago.
fn entry(lane: Lane, seq: u64, age_s: i64) -> Vec<u8> {
    let at = Clock::system().now().plus_us(-age_s * 1_000_000);
    let samples = vec![Sample::new(Metric::HeartRate, Time::from_millis(at.millis()), 70.0, Quality::Ok)];
    let frame =
        WireFrame { epoch: 1, seq, gateway_time: Time::from_millis(at.millis()), samples, ..WireFrame::default() };
    let topic = format!("vigil/1/s/g/u/{}/d", lane.as_str());
    let payload = wire::encode_cbor(&frame);
    Entry { queued_at: at, number: Some((1, seq)), thinned: false, topic: &topic, payload: &payload }.encode()
}

/// The uplink as a task; dropping it is as rude as a power switch.
fn spawn(outbox: &Outbox, broker: &Broker, stop: &Stop) -> tokio::task::JoinHandle<Result<(), uplink::Error>> {
    let config = Config {
        port: broker.addr.port(),
        client_id: "g".to_owned(),
        window: WINDOW,
        window_urgent: 4,
        reconnect_min_ms: 5,
        history_per_s: 0,
        ..Config::default()
    };
    let hello =
        Hello { down_filter: String::new(), state_topic: String::new(), birth: Arc::new(Vec::new), will: Vec::new() };
    let (outbox, stop) = (outbox.clone(), stop.clone());
    tokio::spawn(async move {
        let (down, _heard) = mpsc::channel(1);
        uplink::run(config, outbox, hello, down, Arc::new(Stats::default()), Clock::system(), stop).await
    })
}

/// The last acks have come.
async fn emptied(outbox: &Outbox) {
    let polled = async {
        while !outbox.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.expect("the outbox is never empty");
}

fn open(dir: &std::path::Path) -> Outbox {
    Outbox::open(dir, &journal::Config::default()).unwrap()
}

#[tokio::test]
async fn the_present_first_then_the_past_newest_block_first() {
    let mut broker = Broker::start(Script::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let old = (1..=900).map(|seq| entry(Lane::Vit, seq, 8 * 3_600 - seq as i64));
    let young = (901..=1_000).map(|seq| entry(Lane::Vit, seq, 10));
    outbox.lane(Lane::Vit).append_wait(old.chain(young).collect()).await.unwrap();
    outbox.lane(Lane::Wav).append_wait(vec![entry(Lane::Wav, 3_000, 10)]).await.unwrap();
    outbox.lane(Lane::Hist).append_wait(vec![entry(Lane::Hist, 2_000, 10)]).await.unwrap();
    outbox.lane(Lane::Evt).append_wait(vec![entry(Lane::Evt, 1_500, 9_000)]).await.unwrap();
    outbox.lane(Lane::Sos).append_wait(vec![entry(Lane::Sos, 1_400, 9_000)]).await.unwrap();
    let stop = Stop::new();
    let running = spawn(&outbox, &broker, &stop);
    broker.until("all", |held| held.stored.len() == 1_004).await;
    emptied(&outbox).await;
    stop.request();
    running.await.unwrap().unwrap();
    let frames: Vec<_> =
        broker.look(|held| held.order.iter().map(|(_, payload)| wire::decode(payload).unwrap()).collect());
    let seqs: Vec<u64> = frames.iter().map(|frame| frame.seq).collect();
    assert_eq!(seqs[..2], [1_400, 1_500]);
    let vit: Vec<u64> = seqs.iter().copied().filter(|seq| *seq <= 1_000).collect();
    let blocks = [773..=900, 645..=772, 517..=644, 389..=516, 261..=388, 133..=260, 5..=132, 1..=4];
    let wanted: Vec<u64> = (901..=1_000).chain(blocks.into_iter().flatten()).collect();
    assert_eq!(vit, wanted);
    for frame in &frames {
        assert_eq!(frame.flags.has(Flags::HIST), frame.seq <= 900, "{}", frame.seq);
    }
}

#[tokio::test]
async fn an_old_sos_is_sent_in_order_and_as_what_it_is() {
    let mut broker = Broker::start(Script::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let all = (1..=300).map(|seq| entry(Lane::Sos, seq, 7_200)).collect();
    outbox.lane(Lane::Sos).append_wait(all).await.unwrap();
    let stop = Stop::new();
    let running = spawn(&outbox, &broker, &stop);
    broker.until("all", |held| held.stored.len() == 300).await;
    stop.request();
    running.await.unwrap().unwrap();
    let frames: Vec<_> =
        broker.look(|held| held.order.iter().map(|(_, payload)| wire::decode(payload).unwrap()).collect());
    assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq && !frame.flags.has(Flags::HIST)));
}

/// Cuts of the link, power switches of the uplink and restarts of the process at any point, while more is put in.
#[tokio::test]
async fn whatever_interrupts_the_drain_nothing_is_lost_and_little_is_sent_twice() {
    for seed in 0..12_u64 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let cuts = (0..rng.random_range(0..4)).map(|_| rng.random_range(1..600)).collect();
        let script = Script { cuts, freeze: Duration::from_millis(5), ..Script::default() };
        let cut_times = script.cuts.len();
        let mut broker = Broker::start(script).await;
        let dir = tempfile::tempdir().unwrap();
        let mut outbox = open(dir.path());
        let (mut next, mut ends) = (BTreeMap::from([(Lane::Vit, 0_u64), (Lane::Hist, 10_000)]), 0);
        for _ in 0..rng.random_range(1..5) {
            for (lane, next) in &mut next {
                let count = rng.random_range(1..300);
                // Ages fall as numbers grow, as they do; now and then the clock jumped.
                let age = if rng.random_bool(0.2) { 1 } else { 40_000 };
                let entries =
                    (*next..*next + count).map(|seq| entry(*lane, seq, age - (seq % 10_000) as i64)).collect();
                outbox.lane(*lane).append_wait(entries).await.unwrap();
                *next += count;
            }
            let stop = Stop::new();
            let running = spawn(&outbox, &broker, &stop);
            let upto = broker.look(|held| held.publishes) + rng.random_range(0..400);
            // Less than that may be left: then the interruption comes when all is sent.
            let _idle = broker.holds(Duration::from_millis(300), |held| held.publishes >= upto).await;
            running.abort();
            let _aborted = running.await;
            ends += 1;
            if rng.random_bool(0.5) {
                drop(outbox);
                outbox = open(dir.path());
            }
        }
        let wanted: u64 = next.values().map(|next| next % 10_000).sum();
        let stop = Stop::new();
        let running = spawn(&outbox, &broker, &stop);
        let whole = |held: &crate::broker::Held| {
            let mut seen = BTreeMap::<u64, usize>::new();
            for (payload, times) in &held.stored {
                // By number: a frame that has waited longer since carries one flag more.
                *seen.entry(wire::decode(payload).unwrap().seq).or_default() += times;
            }
            seen
        };
        broker.until("every entry", |held| whole(held).len() as u64 == wanted).await;
        emptied(&outbox).await;
        stop.request();
        running.await.unwrap().unwrap();
        let seen = broker.look(whole);
        let twice: usize = seen.values().map(|times| times - 1).sum();
        assert!(twice <= (ends + cut_times) * usize::from(WINDOW), "seed {seed}: {twice} twice");
    }
}
