//! The uplink over bad links: whatever the script does, the server holds every message and the outbox ends empty.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Lane, Seq, Time};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use vigil_mqtt::outbox::{self, CURSOR, Outbox};
use vigil_mqtt::uplink::{self, Config, Down, Hello, Stats};

use crate::broker::{Answer, Broker, PATIENCE, Script, Seen};

fn hello() -> Hello {
    Hello {
        down_filter: "vigil/1/s/g/d/#".to_owned(),
        state_topic: "vigil/1/s/g/st".to_owned(),
        birth: Arc::new(|| b"birth".to_vec()),
        will: b"lost".to_vec(),
    }
}

struct Running {
    outbox: Outbox,
    stats: Arc<Stats>,
    stop: Stop,
    task: JoinHandle<Result<(), uplink::Error>>,
    _down: mpsc::Receiver<Down>,
}

fn start(dir: &Path, broker: &Broker, tweak: impl FnOnce(&mut Config)) -> Running {
    let outbox = Outbox::open(dir, &journal::Config::default()).unwrap();
    let mut config = Config {
        port: broker.addr.port(),
        client_id: "g".to_owned(),
        reconnect_min_ms: 10,
        retry_min_ms: 10,
        retry_max_ms: 50,
        history_per_s: 0,
        ..Config::default()
    };
    tweak(&mut config);
    let (stats, stop, (down, from_server)) = (Arc::new(Stats::default()), Stop::new(), mpsc::channel(16));
    let clock = Clock::system();
    let task =
        tokio::spawn(uplink::run(config, outbox.clone(), hello(), down, Arc::clone(&stats), clock, stop.clone()));
    Running { outbox, stats, stop, task, _down: from_server }
}

impl Running {
    async fn stop(self) -> Outbox {
        self.stop.request();
        self.task.await.unwrap().unwrap();
        self.outbox
    }
}

fn entries(ids: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    ids.map(|id| outbox::encode(Time(0), "vigil/1/s/g/u/vit/d", &id.to_be_bytes())).collect()
}

fn cursor(journal: &journal::Journal) -> Seq {
    journal.stats().cursors.iter().find(|(name, _)| name == CURSOR).unwrap().1
}

/// All messages are held, the cursor reaches the head, and no more connections were needed than cuts plus two.
async fn delivers_all(script: Script, messages: u32, tweak: impl FnOnce(&mut Config)) {
    let connections_max = script.cuts.len() + 2;
    let mut broker = Broker::start(script).await;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), &broker, tweak);
    running.outbox.lane(Lane::Vit).append_wait(entries(0..messages)).await.unwrap();
    let wanted = messages as usize;
    let stored = |held: &crate::broker::Held| held.stored.keys().filter(|payload| payload.len() == 4).count();
    broker.until("all stored", |held| stored(held) == wanted).await;
    wait_for(|| cursor(running.outbox.lane(Lane::Vit)) == Seq(u64::from(messages))).await;
    let connections = broker.look(|held| held.connections);
    assert!(connections <= connections_max, "{connections} connections");
    let outbox = running.stop().await;
    assert_eq!(cursor(outbox.lane(Lane::Vit)), outbox.lane(Lane::Vit).head());
}

/// Polls a condition that has no event of its own.
async fn wait_for(condition: impl Fn() -> bool) {
    let polled = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.expect("the condition never held");
}

fn cuts(keep_session: bool, rtt_ms: u64, freeze_ms: u64) -> Script {
    Script {
        rtt: Duration::from_millis(rtt_ms),
        freeze: Duration::from_millis(freeze_ms),
        cuts: vec![30, 150],
        keep_session,
        ..Script::default()
    }
}

#[tokio::test]
async fn l1_broker_freezes_and_forgets_the_session() {
    for (rtt, messages) in [(0, 2_000), (20, 1_000), (100, 300)] {
        delivers_all(cuts(false, rtt, 200), messages, |_| {}).await;
    }
}

#[tokio::test]
async fn l1_a_freeze_of_a_whole_second() {
    delivers_all(cuts(false, 0, 1_000), 2_000, |_| {}).await;
}

#[tokio::test]
async fn l2_link_breaks_and_the_broker_is_well() {
    delivers_all(cuts(true, 0, 0), 2_000, |_| {}).await;
}

#[tokio::test]
async fn l3_link_breaks_and_the_session_is_kept() {
    for (rtt, messages) in [(0, 2_000), (20, 1_000), (100, 300)] {
        delivers_all(cuts(true, rtt, 50), messages, |_| {}).await;
    }
}

#[tokio::test]
async fn l4_one_ack_never_comes() {
    let answer =
        |seen: &Seen| if seen.connection == 1 && seen.packet_id == 2 { Answer::Withhold } else { Answer::Ack(0) };
    // Packet id 1 is the subscription's, 2 the birth's: the first slot of the window stays open for ever.
    let script = Script { answer: Box::new(answer), ..Script::default() };
    delivers_all(script, 2_000, |config| config.stall_ms = 300).await;
    let answer =
        |seen: &Seen| if seen.connection == 1 && seen.packet_id == 3 { Answer::Withhold } else { Answer::Ack(0) };
    let script = Script { answer: Box::new(answer), ..Script::default() };
    delivers_all(script, 2_000, |config| config.stall_ms = 300).await;
}

#[tokio::test]
async fn l5_inserts_do_not_disturb_connecting() {
    let mut broker = Broker::start(Script { rtt: Duration::from_millis(50), ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), &broker, |_| {});
    let mut id = 0;
    // Inserts go on without a pause until the first of them is stored: the connection was made meanwhile.
    while !broker.look(|held| held.stored.keys().any(|payload| payload.len() == 4)) {
        running.outbox.lane(Lane::Vit).append_wait(entries(id..id + 1)).await.unwrap();
        id += 1;
        assert!(id < 200_000, "no connection while entries keep coming");
    }
    broker.until("all stored", |held| held.stored.len() == id as usize + 1).await;
    assert_eq!(broker.look(|held| held.connections), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_sos_passes_a_full_window() {
    let answer = |seen: &Seen| if seen.topic.contains("/u/vit/") { Answer::Withhold } else { Answer::Ack(0) };
    let mut broker = Broker::start(Script { answer: Box::new(answer), ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), &broker, |config| {
        config.window = 16;
        config.window_urgent = 4;
    });
    running.outbox.lane(Lane::Vit).append_wait(entries(0..500)).await.unwrap();
    // The window counts the birth until it is acknowledged, then twelve slots are open to readings.
    broker.until("the ordinary share is full", |held| held.publishes == 13).await;
    running.outbox.put(Lane::Sos, Time(7), "vigil/1/s/g/u/sos/d", b"sos").await.unwrap();
    broker.until("the SOS", |held| held.stored.contains_key(b"sos".as_slice())).await;
    assert_eq!(broker.look(|held| held.publishes), 14);
    assert_eq!(running.stats.snapshot().oldest_waiting, Some(Time(0)));
    running.stop().await;
}

#[tokio::test]
async fn reasons_decide_what_happens_to_an_entry() {
    let answer = |seen: &Seen| match seen.payload.as_slice() {
        [0, 0, 0, 7 | 77] => Answer::Ack(0x99),
        [0, 0, 0, 10] if seen.times < 3 => Answer::Ack(0x97),
        [0, 0, 0, 20] if seen.times < 2 => Answer::Ack(0x10),
        [0, 0, 0, 30] if seen.times < 2 => Answer::Ack(0x87),
        _ => Answer::Ack(0),
    };
    let mut broker = Broker::start(Script { answer: Box::new(answer), ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), &broker, |_| {});
    running.outbox.lane(Lane::Vit).append_wait(entries(0..100)).await.unwrap();
    broker.until("all but the refused", |held| held.stored.len() == 99).await;
    wait_for(|| cursor(running.outbox.lane(Lane::Vit)) == Seq(100)).await;
    let stats = running.stats.snapshot();
    assert_eq!((stats.acked, stats.refused, stats.retried, stats.oldest_waiting), (98, 2, 4, None));
    let outbox = running.stop().await;
    let kept = outbox.refused.reader(Seq(0)).read(10_000, Duration::ZERO).unwrap();
    let kept: Vec<_> = kept.iter().map(|(_, bytes)| outbox::decode(bytes).unwrap().payload.to_vec()).collect();
    assert_eq!(kept, [vec![0, 0, 0, 7], vec![0, 0, 0, 77]]);
    assert_eq!(broker.look(|held| held.connections), 1, "a negative answer is no reason to reconnect");
}

#[tokio::test]
async fn a_restarted_gateway_goes_on_where_it_was() {
    let mut broker = Broker::start(Script::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), &broker, |_| {});
    running.outbox.lane(Lane::Vit).append_wait(entries(0..300)).await.unwrap();
    broker.until("some", |held| held.stored.len() > 100).await;
    drop(running.stop().await);
    let running = start(dir.path(), &broker, |_| {});
    running.outbox.lane(Lane::Vit).append_wait(entries(300..400)).await.unwrap();
    broker.until("all", |held| held.stored.len() == 401).await;
    let (births, will, filters, goodbyes) =
        broker.look(|held| (held.payloads[b"birth".as_slice()], held.will, held.filters.len(), held.goodbyes));
    assert_eq!((births, will, filters, goodbyes), (2, true, 2, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_bad_configuration_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &journal::Config::default()).unwrap();
    let bad = [
        Config::default(),
        Config { client_id: "g".to_owned(), window: 1, ..Config::default() },
        Config { client_id: "g".to_owned(), password: "p".to_owned(), ..Config::default() },
        Config { client_id: "g".to_owned(), tls_ca_file: Some("/nowhere/ca.pem".into()), ..Config::default() },
    ];
    for config in bad {
        let (down, _from_server) = mpsc::channel(1);
        let ended =
            uplink::run(config, outbox.clone(), hello(), down, Arc::default(), Clock::system(), Stop::new()).await;
        assert!(ended.is_err());
    }
}
