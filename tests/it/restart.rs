//! A server that is told to stop under load ends in time and keeps what it acknowledged; an event stream that names its last
//! event over a restart misses nothing and gets nothing twice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::load::{self, STUCK, Session, Steady, caught_up, publish, readings_of, sos};
use crate::world::{Process, World};

/// What an operator's service manager gives us.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// SIGTERM; the exit status must be 0 in time.
async fn terminate(mut server: Process) {
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < STOP_WITHIN, "still running after {STOP_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_is_quick_and_keeps_every_promise() {
    let world = World::new(3, 2);
    let mut promised = Vec::new();
    // Each round another gateway, so that the numbers of its frames begin at 0.
    for gateway in &world.gateways {
        let server = world.spawn();
        let load = Steady::start(server.mqtt, gateway);
        load.until(300).await;
        let base = load.base;
        terminate(server).await;
        let (acked, ended) = load.stop().await;
        assert!(ended.is_err(), "the stop must come under load");
        promised.push((gateway, base, acked));
        let left: Vec<_> = std::fs::read_dir(world.data_dir()).unwrap().map(|one| one.unwrap().file_name()).collect();
        let logs = left.iter().filter(|name| name.to_string_lossy().ends_with("-wal"));
        assert_eq!(logs.count(), 0, "a clean stop leaves whole files: {left:?}");
    }
    let server = world.spawn();
    caught_up(server.console).await;
    terminate(server).await;
    let readings = readings_of(&world.data_dir());
    for (gateway, base, acked) in promised {
        load::assert_stored(&readings, gateway, base, acked);
    }
}

#[test]
fn a_stop_right_after_the_start_is_a_clean_one() {
    let world = World::new(1, 1);
    for _ in 0..5 {
        world.spawn().stop();
    }
}

/// Reads a stream until it has so many alarm events, or until the server ends it. The numbers of the events, in order.
async fn follow(session: &Session, console: SocketAddr, after: Option<i64>, count: usize) -> Vec<i64> {
    let mut request = session.request(console, "/api/stream?after=0");
    if let Some(after) = after {
        // As browsers do: the first address again, and the header says how far they got.
        request = request.header("last-event-id", after.to_string());
    }
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut seqs, mut bytes) = (Vec::new(), Vec::new());
    while seqs.len() < count {
        let chunk = tokio::time::timeout(STUCK, answer.chunk()).await.expect("no event comes");
        let Ok(Some(chunk)) = chunk else { break };
        bytes.extend_from_slice(&chunk);
        while let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") {
            let event = String::from_utf8(bytes.drain(..end + 2).collect()).unwrap();
            assert!(!event.contains("event: reset"), "the stream lost its place");
            if event.contains("event: alarm") {
                let id = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
                seqs.push(id.parse().unwrap());
            }
        }
    }
    seqs
}

async fn alarms(session: &Session, console: SocketAddr) -> usize {
    let list = session.get(console, "/api/alarms?state=all").await;
    list["alarms"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_misses_nothing_over_a_restart() {
    let world = World::new(1, 8);
    let gateway = &world.gateways[0];
    let press = |devices: std::ops::Range<usize>| {
        devices.map(|device| (device as u64, sos(gateway, device, device as u64))).collect::<Vec<_>>()
    };
    let server = world.spawn();
    let session = Session::open(server.console, "zuoxi").await;
    assert_eq!(publish(server.mqtt, gateway, press(0..2)).await.len(), 2);
    let mut seen = follow(&session, server.console, None, 2).await;
    assert_eq!(seen.len(), 2);
    // These are acknowledged while nobody reads the stream, and the server stops at once.
    assert_eq!(publish(server.mqtt, gateway, press(2..5)).await.len(), 3);
    terminate(server).await;

    // And these come before the browser is back. Its session outlives the restart.
    let server = world.spawn();
    assert_eq!(publish(server.mqtt, gateway, press(5..7)).await.len(), 2);
    let last = seen.last().copied();
    seen.extend(follow(&session, server.console, last, 5).await);
    // While it reads: one more, live. Pages make events too: until all eight alarms were told of.
    let last = seen.last().copied();
    let (live, acked) =
        tokio::join!(follow(&session, server.console, last, 1), publish(server.mqtt, gateway, press(7..8)));
    assert_eq!(acked, [7]);
    seen.extend(live);
    while alarms(&session, server.console).await < 8 {
        let last = seen.last().copied();
        seen.extend(follow(&session, server.console, last, 1).await);
    }
    terminate(server).await;
    let recorded = world.records().alarm_events_after(0, 1_000).unwrap();
    let raised = recorded.iter().filter(|event| event.kind == model::alarm::AlarmEventKind::Raised).count();
    assert_eq!(raised, 8, "every press raised an alarm");
    let recorded: Vec<i64> = recorded.iter().map(|event| event.seq).collect();
    assert!(seen.len() >= 8 && recorded.starts_with(&seen), "each once and in order: {seen:?} of {recorded:?}");
}
