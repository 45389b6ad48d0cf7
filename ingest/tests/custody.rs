//! What is missing of a gateway's numbers is found, kept over restarts, and closed by what comes or by what is declared.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use model::note::LossCause;
use model::{Lane, Metric, Name, Note, Quality, Sample, Time};
use mqtt::door::{Gatekeeper, Identity, Intake, Login, Publish, Verdict};
use mqtt::{topic, wire};
use runtime::{Clock, Tasks};
use store::readings::Readings;
use store::records::{Dialect, Gap, GapState, Records};
use vigil_ingest::{Config, Ingest};

const NOON: Time = Time::from_secs(1_800_000_000);
/// Longest time a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    journal: Journal,
    records: Records,
    ingest: Ingest,
    tasks: Tasks,
    gateway: Arc<Identity>,
    token: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let site = records.create_site(&name("home")).unwrap();
        let (_, token) = records.create_gateway(site, &name("gw1"), Dialect::Vigil).unwrap();
        Self::open(dir, clock, records, token)
    }

    fn open(dir: tempfile::TempDir, clock: Clock, records: Records, token: String) -> Self {
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let readings = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let tasks = Tasks::new();
        let config = Config { tick_s: 60, writer_linger_ms: 1, ..Config::default() };
        let ingest = Ingest::start(config, dir.path(), &journal, &records, &readings, clock.clone(), &tasks).unwrap();
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let password = Some(token.as_bytes());
        let login = Login { client_id: "gw1", username: Some("gw1"), password, peer, tls: false };
        let gateway = Arc::new(Gatekeeper::login(&ingest, &login).unwrap());
        Self { dir, clock, journal, records, ingest, tasks, gateway, token }
    }

    /// `spoiled`: without the ledger's cache.
    async fn restart(self, spoiled: bool) -> Self {
        let Self { dir, clock, journal, records, ingest, tasks, token, .. } = self;
        assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
        drop(ingest);
        tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
        if spoiled {
            // There is none yet when the first save has not come.
            let _absent = std::fs::remove_file(dir.path().join("ledger.ckpt"));
        }
        Self::open(dir, clock, records, token)
    }

    async fn submit(&self, publish: Publish) {
        let (done, verdicts) = tokio::sync::oneshot::channel();
        self.ingest.submit(&self.gateway, vec![publish], Box::new(move |got| done.send(got).unwrap()));
        assert_eq!(verdicts.await.unwrap(), [Verdict::Stored]);
    }

    async fn frames(&self, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            self.submit(frame(seq)).await;
        }
    }

    async fn note(&self, seq: u64, note: &Note) {
        let notes = vec![note.to_text()];
        let frame = wire::WireFrame { epoch: 1, seq, gateway_time: NOON, notes, ..wire::WireFrame::default() };
        self.submit(publish(Lane::Evt, "_", &frame)).await;
    }

    fn pass(&self, seconds: i64) {
        self.clock.set(self.clock.now().plus_us(seconds * 1_000_000));
    }

    /// Waits until the gaps look like this: first, last, missing, lost, state.
    async fn gaps(&self, wanted: &[(u64, u64, u64, u64, GapState)]) -> Vec<Gap> {
        let polled = async {
            loop {
                let mut gaps = self.records.gaps(None, 100).unwrap();
                gaps.sort_by_key(|gap| gap.first);
                let look = |gap: &Gap| (gap.first, gap.last, gap.missing, gap.lost, gap.state);
                if gaps.iter().map(look).eq(wanted.iter().copied()) {
                    return gaps;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, polled).await;
        found.unwrap_or_else(|_| panic!("not {wanted:?}: {:?}", self.records.gaps(None, 100).unwrap()))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn publish(lane: Lane, device: &str, frame: &wire::WireFrame) -> Publish {
    let topic = topic::up(&name("home"), &name("gw1"), lane, &name(device));
    let payload = wire::encode_cbor(frame).into();
    Publish { topic, payload, qos: 1, retain: false, dup: false, received_at: NOON, will: None }
}

fn frame(seq: u64) -> Publish {
    let at = NOON.plus_us(seq as i64 * 1_000);
    let samples = vec![Sample::new(Metric::HeartRate, at, 70.0, Quality::Ok)];
    publish(Lane::Vit, "band", &wire::WireFrame { epoch: 1, seq, gateway_time: at, samples, ..Default::default() })
}

#[tokio::test]
async fn a_hole_becomes_a_gap_survives_restarts_and_is_filled() {
    let world = World::new();
    world.frames((1..=10).chain(21..=30)).await;
    // The auditor has to see the hole before it can grow old.
    while world.ingest.missing().gaps == 0 {
        world.pass(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let open = GapState::Open;
    let first = world.gaps(&[(11, 20, 10, 0, open)]).await;
    world.frames(15..=20).await;
    world.pass(11);
    world.gaps(&[(11, 20, 4, 0, open)]).await;
    let world = world.restart(false).await;
    assert_eq!(world.ingest.missing().frames, 4);
    let world = world.restart(true).await;
    assert_eq!(world.ingest.missing().frames, 4, "the ledger is a cache, the gap is not");
    world.frames(11..=14).await;
    let filled = world.gaps(&[(11, 20, 0, 0, GapState::Filled)]).await;
    assert_eq!((filled[0].id, filled[0].opened_at), (first[0].id, first[0].opened_at));
    assert_eq!(world.ingest.missing().gaps, 0);
}

#[tokio::test]
async fn what_is_declared_is_no_gap_and_what_comes_after_all_is_not_lost() {
    let world = World::new();
    let gone = |from, to| Note::Gone { epoch: 1, lane: Lane::Vit, from, to, cause: LossCause::Corrupt };
    world.note(1, &gone(11, 15)).await;
    world.frames((1..=10).chain(21..=30)).await;
    while world.ingest.missing().gaps == 0 {
        world.pass(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.gaps(&[(16, 20, 5, 0, GapState::Open)]).await;
    world.note(2, &gone(14, 18)).await;
    world.pass(11);
    world.gaps(&[(16, 20, 2, 3, GapState::Open)]).await;
    let thinned = Note::Thinned {
        epoch: 1,
        lane: Lane::Vit,
        from: 19,
        to: 20,
        readings: 2,
        kept: 1,
        cause: LossCause::DiskBudget,
    };
    world.note(3, &thinned).await;
    let lost = world.gaps(&[(16, 20, 0, 5, GapState::Lost)]).await;
    assert!(lost[0].closed_at.is_some() && lost[0].cause.is_some());
    let counts = world.records.loss_counts().unwrap();
    assert_eq!((counts.frames, counts.readings_thinned), (8, 1));
    world.frames(16..=20).await;
    world.gaps(&[(16, 20, 0, 0, GapState::Filled)]).await;
}
