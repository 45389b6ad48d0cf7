//! Gates G6 and G7 with the real journal behind the door: what was acknowledged is on disk after a `kill -9`, and a
//! reader that sleeps misses nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use model::Seq;
use runtime::{Clock, Stop};
use vigil_mqtt::door::{Config, Done, Door, Identity, Intake, LinkChange, Publish, Verdict};

use crate::memory::resident;
use crate::support::*;

/// Set for the child process: the directory of its journal.
const CHILD_DIR: &str = "VIGIL_TEST_DOOR_DIR";
/// Kills of one run.
const ROUNDS: usize = 20;
const CHILD: &str = "disk::child_door";

/// Appends each payload as an entry.
struct ToJournal(Journal);

impl Intake for ToJournal {
    fn submit(&self, _: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let count = publishes.len();
        let entries = publishes.into_iter().map(|publish| publish.payload.to_vec()).collect();
        self.0.append(entries, move |result| {
            done(vec![if result.is_ok() { Verdict::Stored } else { Verdict::Busy }; count]);
        });
    }
    fn link(&self, _: &Arc<Identity>, _: LinkChange) {}
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, "journal", &journal::Config::default()).unwrap()
}

/// Not a test of its own: the process that is killed. Does nothing unless a test below started it.
#[test]
fn child_door() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let intake = Arc::new(ToJournal(open(Path::new(&dir))));
        let gatekeeper = Arc::new(FakeGatekeeper { logins: std::sync::Mutex::default() });
        let retained = Arc::new(FakeRetained::default());
        let door = Door::bind(&test_config(), gatekeeper, intake, retained, Clock::system()).await.unwrap();
        // On standard error: the test runner keeps standard output to itself.
        eprintln!("listening {}", door.local_addr());
        door.run(Stop::new()).await;
    });
}

fn entries(journal: &Journal) -> Vec<String> {
    let (mut reader, mut all) = (journal.reader(Seq(0)), Vec::new());
    loop {
        let batch = reader.read(1 << 20, Duration::ZERO).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch.iter().map(|(_, entry)| String::from_utf8(entry.to_vec()).unwrap()));
    }
}

#[tokio::test]
async fn g6_what_was_acknowledged_is_there_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("listening")).unwrap();
        let addr: std::net::SocketAddr = line.trim_start_matches("listening ").parse().unwrap();
        let mut client = Client::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        client.send(&Connect::v3("gw1").bytes()).await;
        client.packet().await;
        let many: Vec<u8> = (1..=500_u16)
            .flat_map(|id| publish(false, 1, id, &up("gw1"), format!("{round}-{id}").as_bytes()))
            .collect();
        client.send(&many).await;
        // Killed in the middle of it, each time at another moment: some acknowledged, some on their way.
        for _ in 0..=23 * round {
            let ack = client.packet().await;
            acked.push(format!("{round}-{}", u16::from_be_bytes([ack.body[0], ack.body[1]])));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(ack) = client.next().await {
            acked.push(format!("{round}-{}", u16::from_be_bytes([ack.body[0], ack.body[1]])));
        }
    }
    let journal = open(dir.path());
    let stored = entries(&journal);
    let known: std::collections::HashSet<_> = stored.iter().collect();
    let missing: Vec<_> = acked.iter().filter(|id| !known.contains(id)).collect();
    assert!(missing.is_empty(), "{} acknowledged, missing {missing:?}", acked.len());
    assert!(acked.len() >= ROUNDS + 23 * ROUNDS * (ROUNDS - 1) / 2, "every round was under load: {}", acked.len());
    // None torn, none twice, each round in order and without a hole: a group is there as a whole or not at all.
    assert_eq!(known.len(), stored.len(), "an entry is there twice");
    for round in 0..ROUNDS {
        let of_round = stored.iter().filter_map(|entry| entry.strip_prefix(&format!("{round}-")));
        let ids: Vec<u16> = of_round.map(|id| id.parse().unwrap()).collect();
        assert!(ids.iter().copied().eq(1..=ids.len() as u16), "round {round}: {ids:?}");
    }
    eprintln!("{} acknowledged, {} in the journal", acked.len(), stored.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_a_reader_that_sleeps_misses_nothing_and_costs_no_memory() {
    const COUNT: usize = 100_000;
    /// Bytes of one entry: what piles up is 40 MB.
    const BYTES: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    // A tail cache far smaller than what piles up, so the reader must go to disk.
    let config = journal::Config { tail_bytes_max: 64 << 10, ..journal::Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    let mut reader = journal.reader(Seq(0));
    let door = Door::bind(
        &Config { receive_max: 500, ..test_config() },
        Arc::new(FakeGatekeeper { logins: std::sync::Mutex::default() }),
        Arc::new(ToJournal(journal.clone())),
        Arc::new(FakeRetained::default()),
        Clock::system(),
    )
    .await
    .unwrap();
    let (addr, stop) = (door.local_addr(), Stop::new());
    let running = tokio::spawn(door.run(stop.clone()));
    let mut client = Client::new(tokio::net::TcpStream::connect(addr).await.unwrap());
    client.send(&Connect::v3("gw1").bytes()).await;
    client.packet().await;
    let mut warm = 0;
    // The reader sleeps all the while.
    for start in (0..COUNT).step_by(500) {
        let many: Vec<u8> = (start..start + 500)
            .flat_map(|n| publish(false, 1, (n % 60_000) as u16 + 1, &up("gw1"), format!("{n:0BYTES$}").as_bytes()))
            .collect();
        client.send(&many).await;
        for _ in 0..500 {
            assert_eq!(client.packet().await.first, 0x40);
        }
        if start == COUNT * 2 / 5 {
            warm = resident();
        }
    }
    // Three fifths of it, 24 MB, came after the caches were full. They are on disk, not in memory.
    let grown = resident().saturating_sub(warm);
    eprintln!("grown by {} kB while {} kB piled up", grown >> 10, (COUNT * 3 / 5 * BYTES) >> 10);
    assert!(grown < COUNT * BYTES / 10, "resident memory grew by {grown} bytes");
    let mut next = 0;
    while next < COUNT {
        let batch = reader.read(256 << 10, Duration::from_secs(5)).unwrap();
        assert!(!batch.is_empty(), "stopped at {next}");
        for (_, entry) in batch.iter() {
            assert_eq!(std::str::from_utf8(entry).unwrap().parse::<usize>().unwrap(), next);
            next += 1;
        }
    }
    stop.request();
    drop(client);
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_work_that_a_reader_did_not_finish_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.register_cursor("reader").unwrap();
    let gatekeeper = Arc::new(FakeGatekeeper { logins: std::sync::Mutex::default() });
    let (intake, retained) = (Arc::new(ToJournal(journal.clone())), Arc::new(FakeRetained::default()));
    let door = Door::bind(&test_config(), gatekeeper, intake, retained, Clock::system()).await.unwrap();
    let (addr, stop) = (door.local_addr(), Stop::new());
    let running = tokio::spawn(door.run(stop.clone()));
    let mut client = Client::new(tokio::net::TcpStream::connect(addr).await.unwrap());
    client.send(&Connect::v3("gw1").bytes()).await;
    client.packet().await;
    for n in 1..=60_u16 {
        client.send(&publish(false, 1, n, &up("gw1"), n.to_string().as_bytes())).await;
        assert_eq!(client.packet().await, puback(n));
    }
    let numbers = |from: Seq| -> Vec<(Seq, u16)> {
        let batch = journal.reader(from).read(1 << 20, Duration::ZERO).unwrap();
        batch.iter().map(|(seq, entry)| (seq, std::str::from_utf8(entry).unwrap().parse().unwrap())).collect()
    };
    let cursor = || journal.stats().cursors.iter().find(|(name, _)| name == "reader").unwrap().1;
    // A reader takes everything, finishes twenty of it and dies.
    let taken = numbers(cursor());
    assert_eq!(taken.len(), 60);
    journal.commit_cursor("reader", taken[19].0);
    // The one after it gets what was not finished, in order, although the first had read it all.
    let again: Vec<u16> = numbers(cursor()).into_iter().map(|(_, number)| number).collect();
    assert_eq!(again, (21..=60).collect::<Vec<_>>());
    stop.request();
    drop(client);
    running.await.unwrap();
}
