//! Every back end against the naive one: whatever is written, in whatever order and however often, corrected, moved, with
//! reopening, maintenance, sealing and compression in between, the rows, the newest values and the trends are the same.

use std::cell::RefCell;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vigil_store::readings::{Batch, Moved, Readings, Written};

use crate::naive::Naive;
use crate::place::{Kind, Place};
use crate::world::{ALL, BASE, assert_same_trend};

/// Distance of two instants of the grid. Microseconds.
const STEP: i64 = 15_000_000;
/// Instants used: three and a half days, so that chunks, partitions and rollups of days are crossed.
const GRID: i64 = 20_000;
const SERIES: usize = 3;

fn series(number: usize) -> (Subject, Metric) {
    let subject = if number == 2 { Subject::Unattributed(DeviceId(1)) } else { Subject::Elder(ElderId(1)) };
    (subject, if number == 1 { Metric::Systolic } else { Metric::HeartRate })
}

/// One thing that happens to the store.
#[derive(Clone, Debug)]
enum Act {
    /// Rows of one series: start, count, direction, and what they carry.
    Burst {
        of: usize,
        start: i64,
        len: i64,
        back: bool,
        every: i64,
        seed: i64,
        quality: Quality,
    },
    /// Single rows anywhere: some new, some told before with another value.
    Scatter(Vec<(usize, i64, i64)>),
    /// Everything sent so far once more, in writes of this size, forwards or backwards.
    Replay(usize, bool),
    /// Heart rates near an instant that turn out to be the other subject's: of the elder's or of the device's.
    Move {
        elders: bool,
        start: i64,
        len: i64,
    },
    Reopen,
    Seal,
    /// Maintenance when so many steps of the grid have passed.
    Maintain(i64),
    /// Sealed, rolled up, compressed.
    Settle,
}

fn act() -> impl Strategy<Value = Act> {
    let qualities = [Quality::Ok, Quality::LowBattery, Quality::Motion, Quality::SensorOff, Quality::MeasurementFailed];
    let quality = prop_oneof![3 => Just(Quality::Ok), 4 => prop::sample::select(qualities.to_vec())];
    // Mostly near each other, so that they meet.
    let start = || prop_oneof![3 => 0..900_i64, 2 => 5_000..6_500_i64, 1 => 0..GRID - 2_700];
    let every = prop::sample::select(vec![1_i64, 1, 1, 3, 5, 30]);
    prop_oneof![
        6 => (0..SERIES, start(), 1..90_i64, any::<bool>(), every, 0..40_i64, quality).prop_map(
            |(of, start, len, back, every, seed, quality)| Act::Burst { of, start, len, back, every, seed, quality }
        ),
        3 => prop::collection::vec((0..SERIES, 0..GRID, 0..9_i64), 1..12).prop_map(Act::Scatter),
        1 => (1..400_usize, any::<bool>()).prop_map(|(size, back)| Act::Replay(size, back)),
        1 => (any::<bool>(), start(), 1..60_i64).prop_map(|(elders, start, len)| Act::Move { elders, start, len }),
        1 => Just(Act::Reopen),
        1 => Just(Act::Seal),
        2 => (0..2 * GRID).prop_map(Act::Maintain),
        1 => Just(Act::Settle),
    ]
}

fn instant(k: i64) -> Time {
    // Every 40th stamp is a microsecond off the grid.
    Time(BASE + k * STEP + i64::from(k % 40 == 7))
}

fn reading(of: usize, k: i64, value: i64, quality: Quality) -> Reading {
    let (subject, metric) = series(of);
    // Tenths do not add up exactly.
    let sample = Sample::new(metric, instant(k), 60.0 + value as f64 / 10.0, quality);
    Reading { subject, device: DeviceId(1 + (value % 2) as u32), sample }
}

fn rows_of(act: &Act) -> Vec<Reading> {
    match act {
        Act::Burst { of, start, len, back, every, seed, quality } => {
            let mut rows: Vec<Reading> =
                (0..*len).map(|i| reading(*of, start + i * every, seed + i % 7, *quality)).collect();
            if *back {
                rows.reverse();
            }
            rows
        }
        Act::Scatter(points) => points.iter().map(|(of, k, value)| reading(*of, *k, *value, Quality::Ok)).collect(),
        _ => Vec::new(),
    }
}

/// The store and its model, written alike.
struct Pair<'a> {
    place: &'a Place,
    /// `None` only while it is opened again.
    store: Option<Readings>,
    naive: Naive,
    sent: Vec<Reading>,
    has_moved: bool,
}

impl Pair<'_> {
    fn store(&self) -> &Readings {
        self.store.as_ref().unwrap()
    }

    fn write(&mut self, batch: &Batch, cursor: u64) {
        let written = self.store().write_batch(batch, Seq(cursor)).unwrap();
        let expected = self.naive.write(batch, cursor);
        let of = |written: Written| (written.stored, written.duplicate, written.conflict, written.moved);
        assert_eq!(of(written), of(expected), "stored, duplicate, conflict, moved");
    }

    fn rows(&mut self, rows: &[Reading], cursor: u64) {
        self.write(&Batch { rows: rows.to_vec(), ..Batch::default() }, cursor);
    }

    fn act(&mut self, act: &Act, cursor: u64) {
        match act {
            Act::Burst { .. } | Act::Scatter(_) => {
                let rows = rows_of(act);
                self.rows(&rows, cursor);
                self.sent.extend(rows);
            }
            Act::Replay(size, back) => {
                let mut all = self.sent.clone();
                if *back {
                    all.reverse();
                }
                all.chunks(*size).for_each(|rows| self.rows(rows, 1));
            }
            Act::Move { elders, start, len } => self.carry(*elders, *start, *len, cursor),
            Act::Reopen => {
                drop(self.store.take());
                self.store = Some(self.place.open());
            }
            Act::Seal => self.store().seal_all().unwrap(),
            Act::Maintain(steps) => self.store().maintain(Time(BASE + steps * STEP)).unwrap(),
            Act::Settle => self.store = self.store.take().map(|store| self.place.settle(store)),
        }
    }

    /// Moves what stands there, each reading as a measurement of its own.
    fn carry(&mut self, elders: bool, start: i64, len: i64, cursor: u64) {
        let (from, to) = if elders { (series(0), series(2)) } else { (series(2), series(0)) };
        let found = self.naive.raw(from, instant(start).0, instant(start + len).0);
        let one = |row: &Reading| Moved {
            from: from.0,
            to: to.0,
            device: row.device,
            samples: vec![row.sample],
            waveforms: Vec::new(),
        };
        let moves: Vec<Moved> = found.iter().map(one).collect();
        self.has_moved |= !moves.is_empty();
        self.write(&Batch { moves, ..Batch::default() }, cursor);
    }

    fn compare(&self) {
        let (store, naive) = (self.store(), &self.naive);
        assert_eq!(store.cursor(), Seq(naive.cursor));
        if !self.has_moved {
            assert_eq!(store.count(), naive.rows.len() as u64);
        }
        for of in (0..SERIES).map(series) {
            let (subject, metric) = of;
            assert_eq!(store.latest(subject), naive.latest(subject));
            let ranges = [(0, GRID), (100, 700), (333, 6_001), (5_759, 5_761), (0, 0)];
            for (from, to) in ranges.map(|(from, to)| (BASE + from * STEP, BASE + to * STEP)) {
                let raw = store.raw(subject, metric, Time(from), Time(to), 100_000).unwrap();
                assert_eq!(raw, naive.raw(of, from, to));
                assert_eq!(store.raw(subject, metric, Time(from), Time(to), 5).unwrap(), raw[..raw.len().min(5)]);
                for buckets in [1, 60, 900, 7_000] {
                    let trend = store.trend(subject, metric, Time(from), Time(to), buckets).unwrap();
                    assert!(trend.bucket_us.saturating_mul(i64::from(buckets)) >= to - from);
                    let expected = naive.trend(of, from, to, trend.bucket_us);
                    assert_same_trend(&trend, &expected, &format!("{of:?} {from} {to} {buckets}"));
                }
            }
            let page = store.page(subject, metric, ALL.0, 100_000).unwrap();
            let found: Vec<_> = page.rows.iter().map(|row| (row.sample.taken_at, row.moved)).collect();
            let held = naive.held(of);
            assert_eq!(found, held.iter().map(|row| (row.reading.sample.taken_at, row.moved)).collect::<Vec<_>>());
        }
    }
}

fn run(place: &Place, acts: &[Act]) {
    let store = Some(place.open());
    let mut pair = Pair { place, store, naive: Naive::default(), sent: Vec::new(), has_moved: false };
    for (i, act) in acts.iter().enumerate() {
        pair.act(act, i as u64 + 1);
    }
    pair.compare();
    pair.act(&Act::Settle, 0);
    pair.compare();
    pair.act(&Act::Replay(100, true), 0);
    pair.act(&Act::Reopen, 0);
    pair.compare();
    assert_eq!(pair.store().integrity_check().unwrap(), Vec::<String>::new());
}

/// How many histories a back end lives through: a server takes longer over each.
fn cases(kind: Kind) -> u32 {
    match kind {
        Kind::Embedded => 64,
        Kind::Postgres => 8,
        Kind::Timescale => 3,
    }
}

pub(crate) fn whatever_happens_the_answers_are_the_naive_ones(place: &Place) {
    let config = ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases(place.kind)),
        failure_persistence: None,
        // Every try on a server takes a while.
        max_shrink_iters: if place.kind == Kind::Embedded { 4_096 } else { 16 },
        ..ProptestConfig::default()
    };
    let place = RefCell::new(place);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(act(), 1..20), |acts| {
        run(&place.borrow().another(), &acts);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
