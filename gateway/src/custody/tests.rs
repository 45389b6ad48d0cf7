//! The budget: what was produced is in the outbox or declared, reading for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::note::LossCause;
use model::{Lane, Metric, Name, Note, Quality, Rate, Sample, Seq, Time, Waveform};
use mqtt::outbox::{self, Outbox};
use mqtt::wire::{self, WireFrame};
use runtime::{Clock, Stop};
use tokio::task::JoinSet;

use super::keeper::{Keeper, Kept};
use crate::Encoding;
use crate::framer::{Framer, Inlet};
use crate::report::Report;

const START: Time = Time::from_secs(1_700_000_000);
/// Small enough that an hour of two devices at 1 Hz is far too much.
const BUDGET: u64 = 512 * 1024;

struct Edge {
    _dir: tempfile::TempDir,
    outbox: Outbox,
    inlet: Inlet,
    clock: Clock,
    kept: Arc<Kept>,
    _framing: JoinSet<Result<(), crate::Error>>,
}

impl Edge {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = journal::Config { bytes_max: BUDGET, tail_bytes_max: 0, ..journal::Config::default() };
        let (outbox, lanes) = crate::lanes::open(dir.path(), &config, START).unwrap();
        let (clock, mut framing) = (Clock::manual(START), JoinSet::new());
        let framer = Framer {
            site: Name::new("home").unwrap(),
            gateway: Name::new("gw").unwrap(),
            encoding: Encoding::Cbor,
            outbox: outbox.clone(),
            lanes: Arc::new(Mutex::new(lanes)),
            clock: clock.clone(),
            flush: Duration::ZERO,
            bytes_max: BUDGET,
        };
        let inlet = framer.start(&mut framing, &Stop::new(), &Stop::new());
        Self { _dir: dir, outbox, inlet, clock, kept: Arc::default(), _framing: framing }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            outbox: self.outbox.clone(),
            inlet: self.inlet.clone(),
            clock: self.clock.clone(),
            bytes_max: BUDGET,
            history_after: Duration::from_mins(1),
            kept: Arc::clone(&self.kept),
        }
    }

    /// Frames of a lane that wait, as the server would get them.
    fn waiting(&self, lane: Lane) -> Vec<WireFrame> {
        let (journal, book) = (self.outbox.lane(lane), self.outbox.book(lane));
        let mut reader = journal.reader(Seq(journal.first().0 - 1));
        let mut frames = Vec::new();
        while reader.position() < journal.head() {
            for (seq, bytes) in reader.read(1 << 20, Duration::ZERO).unwrap().iter() {
                if !book.is_done(seq.0) {
                    frames.push(wire::decode(outbox::decode(bytes).unwrap().payload).unwrap());
                }
            }
        }
        frames
    }
}

fn vital(device: u8, second: i64) -> Report {
    let at = START.plus_us(second * 1_000_000);
    let samples = vec![
        Sample::new(Metric::HeartRate, at, 60.0 + f64::from(device), Quality::Ok),
        Sample::new(Metric::Spo2, at, 97.0, Quality::Ok),
    ];
    Report { device: Name::new(&format!("band-{device}")).unwrap(), samples, ..Report::default() }
}

fn strip(second: i64) -> Report {
    let block = Waveform {
        metric: Metric::Ecg,
        lead: 0,
        start: START.plus_us(second * 1_000_000),
        rate: Rate { samples: 250, seconds: 1 },
        scale: 0.005,
        offset: 0.0,
        counts: (0..250).map(|i| (i * 37 % 2_000) as i16).collect(),
    };
    Report { device: Name::new("ecg").unwrap(), waveforms: vec![block], ..Report::default() }
}

#[tokio::test]
async fn over_the_budget_waveforms_go_first_then_history_is_thinned_and_all_of_it_is_declared() {
    let edge = Edge::new();
    let stop = Stop::new();
    let keeping = tokio::spawn(edge.keeper().run(stop.clone()));
    let seconds = 4_000;
    for second in 0..seconds {
        edge.clock.set(START.plus_us(second * 1_000_000));
        for device in 0..2 {
            // The last one is waited for, and with it all before it.
            let report = vital(device, second);
            if second + 1 < seconds {
                assert!(edge.inlet.send(report).await);
            } else {
                edge.inlet.deliver(report).await.unwrap();
            }
        }
        if second % 10 == 0 {
            edge.inlet.deliver(strip(second)).await.unwrap();
        }
        if second == 100 {
            let sos = model::Event { kind: model::EventKind::Sos, at: edge.clock.now() };
            edge.inlet.deliver(Report { events: vec![sos], ..Report::default() }).await.unwrap();
        }
    }
    stop.request();
    keeping.await.unwrap();
    assert!(edge.outbox.disk_bytes() <= BUDGET, "{} bytes", edge.outbox.disk_bytes());

    let mut declared = BTreeMap::from([(Lane::Wav, BTreeSet::new()), (Lane::Vit, BTreeSet::new())]);
    let (mut removed, mut thinned) = (0, 0);
    for text in edge.waiting(Lane::Evt).iter().flat_map(|frame| &frame.notes) {
        match Note::parse(text).unwrap() {
            Note::Gone { epoch: 1, lane: Lane::Wav, from, to, cause: LossCause::DiskBudget } => {
                declared.get_mut(&Lane::Wav).unwrap().extend(from..=to);
            }
            Note::Thinned { epoch: 1, lane: Lane::Vit, from, to, readings, kept, .. } => {
                declared.get_mut(&Lane::Vit).unwrap().extend(from..=to);
                removed += readings - kept;
                thinned += kept;
            }
            other => panic!("{other:?}"),
        }
    }
    for (lane, produced) in [(Lane::Wav, seconds as u64 / 10), (Lane::Vit, seconds as u64 * 2)] {
        let there: BTreeSet<u64> = edge.waiting(lane).iter().map(|frame| frame.seq).collect();
        assert!(there.is_disjoint(&declared[&lane]), "{lane:?}: declared, and still there");
        let all: BTreeSet<u64> = there.union(&declared[&lane]).copied().collect();
        assert_eq!(all, (1..=produced).collect(), "{lane:?}");
    }
    let count = |lane| edge.waiting(lane).iter().map(|frame| frame.samples.len() as u64).sum::<u64>();
    assert_eq!(count(Lane::Vit) + count(Lane::Hist) + removed, seconds as u64 * 4, "produced = there + declared");
    assert!(thinned > 0 && count(Lane::Hist) == thinned, "{thinned}");
    // All values of a metric are equal here, so one a minute, metric and device is left; a minute may lie across two steps.
    let minutes = declared[&Lane::Vit].len() as u64 / 2 / 60 + 1;
    assert!(thinned <= minutes * 2 * 2 * 2, "{thinned} of {minutes} minutes");
    assert_eq!(edge.waiting(Lane::Sos).len(), 1);
}

#[tokio::test]
async fn within_the_budget_nothing_goes_and_what_is_live_or_thinned_never_does() {
    let edge = Edge::new();
    for second in 0..30 {
        edge.inlet.deliver(vital(0, second)).await.unwrap();
    }
    edge.clock.set(START.plus_us(30_000_000));
    assert!(!edge.keeper().step().await, "live readings stay");
    edge.clock.set(START.plus_us(120_000_000));
    assert!(edge.keeper().step().await);
    assert_eq!((edge.waiting(Lane::Vit).len(), edge.waiting(Lane::Hist).len()), (0, 1));
    assert!(!edge.keeper().step().await, "what was thinned is not thinned again");
    assert_eq!(edge.waiting(Lane::Hist)[0].samples.len(), 2, "two metrics in one minute");
}
