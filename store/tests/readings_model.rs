//! The readings store against a naive one in memory: whatever is written, in whatever order and however often, with
//! reopening and sealing in between, both give the same rows, newest values and trends.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::metric::Shape;
use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use proptest::prelude::*;
use vigil_store::readings::{Bucket, Config, Readings, Trend};

const BASE: i64 = 1_700_000_000_000_000;
const STEP: i64 = 15_000_000;
const PAUSE: i64 = 300_000_000;

fn config() -> Config {
    Config {
        seal_rows: 16,
        block_rows_max: 24,
        head_rows_max: 60,
        log_bytes_max: 4_096,
        seal_series_max: 2,
        seal_budget_ms: 1_000,
        cache_rows_max: 64,
        page_bytes: 4_096,
        ..Config::default()
    }
}

fn series(number: usize) -> (Subject, Metric) {
    let subject = if number == 2 { Subject::Unattributed(DeviceId(1)) } else { Subject::Elder(ElderId(1)) };
    (subject, if number == 1 { Metric::Systolic } else { Metric::HeartRate })
}

/// First value wins; everything else is looked up anew each time.
#[derive(Default)]
struct Naive {
    rows: BTreeMap<(u32, u16, i64), Reading>,
    cursor: u64,
}

impl Naive {
    fn write(&mut self, rows: &[Reading], cursor: u64) -> (u64, u64, u64) {
        let (mut stored, mut duplicate, mut conflict) = (0, 0, 0);
        for row in rows {
            let key = (row.subject.to_u32(), row.sample.metric.id(), row.sample.taken_at.0);
            match self.rows.get(&key) {
                Some(old) if old.sample == row.sample => duplicate += 1,
                Some(_) => conflict += 1,
                None => {
                    self.rows.insert(key, *row);
                    stored += 1;
                }
            }
        }
        self.cursor = self.cursor.max(cursor);
        (stored, duplicate, conflict)
    }

    fn raw(&self, (subject, metric): (Subject, Metric), from: i64, to: i64) -> Vec<Reading> {
        let key = |at| (subject.to_u32(), metric.id(), at);
        self.rows.range(key(from)..key(to)).map(|(_, row)| *row).collect()
    }

    fn latest(&self, subject: Subject) -> Vec<Reading> {
        let all = |metric: &Metric| self.raw((subject, *metric), i64::MIN, i64::MAX).last().copied();
        Metric::ALL.iter().filter_map(all).collect()
    }

    fn trend(&self, of: (Subject, Metric), from: i64, to: i64, bucket_us: i64) -> Trend {
        let rows = self.raw(of, from, to);
        let judged: Vec<(i64, f64)> = rows
            .iter()
            .filter(|row| row.sample.quality.is_judged())
            .map(|row| (row.sample.taken_at.0, row.sample.value().unwrap()))
            .collect();
        let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (at, value) in &judged {
            buckets.entry(at.div_euclid(bucket_us) * bucket_us).or_default().push(*value);
        }
        let points = buckets.iter().map(|(start, values)| Bucket {
            start: Time(*start),
            n: values.len() as u64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        });
        let mut absent: Vec<(Time, Quality)> = Vec::new();
        let mut gaps: Vec<(i64, i64)> = Vec::new();
        let mut before = None;
        for row in &rows {
            let cause = row.sample.value().is_none().then_some(row.sample.quality);
            if before.flatten().is_some() {
                gaps.last_mut().unwrap().1 = row.sample.taken_at.0;
            }
            if let Some(cause) = cause.filter(|_| before.flatten() != cause) {
                absent.push((row.sample.taken_at, cause));
                gaps.push((row.sample.taken_at.0, row.sample.taken_at.0));
            }
            before = Some(cause);
        }
        gaps.extend(pauses(&judged, of.1));
        Trend { bucket_us, points: points.collect(), absent, gaps: union(gaps) }
    }
}

/// Distances of a streaming metric beyond five minutes and five times the median, rounded down to a quarter octave.
fn pauses(judged: &[(i64, f64)], metric: Metric) -> Vec<(i64, i64)> {
    let pairs: Vec<(i64, i64)> = judged.windows(2).map(|pair| (pair[0].0, pair[1].0)).collect();
    if metric.info().shape != Shape::Stream || pairs.is_empty() {
        return Vec::new();
    }
    let mut distances: Vec<i64> = pairs.iter().map(|(from, to)| to - from).collect();
    distances.sort_unstable();
    let median = distances[(distances.len() - 1) / 2];
    let quarter = ((1_i64 << median.ilog2()) / 4).max(1);
    let usual = median / quarter * quarter;
    pairs.into_iter().filter(|(from, to)| to - from > PAUSE && to - from > 5 * usual).collect()
}

fn union(mut gaps: Vec<(i64, i64)>) -> Vec<(Time, Time)> {
    gaps.sort_unstable();
    let mut out: Vec<(Time, Time)> = Vec::new();
    for (from, to) in gaps.into_iter().filter(|(from, to)| from < to) {
        match out.last_mut().filter(|last| from <= last.1.0) {
            Some(last) => last.1 = last.1.max(Time(to)),
            None => out.push((Time(from), Time(to))),
        }
    }
    out
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
    /// Single rows anywhere.
    Scatter(Vec<(usize, i64, i64)>),
    /// Everything sent so far once more, in writes of this size, forwards or backwards.
    Replay(usize, bool),
    Reopen,
    SealAll,
    Maintain,
}

fn act() -> impl Strategy<Value = Act> {
    let quality = prop::sample::select(vec![
        Quality::Ok,
        Quality::Ok,
        Quality::Ok,
        Quality::LowBattery,
        Quality::Motion,
        Quality::SensorOff,
        Quality::MeasurementFailed,
    ]);
    prop_oneof![
        6 => (0..3_usize, 0..900_i64, 1..90_i64, any::<bool>(), prop::sample::select(vec![1_i64, 1, 1, 3, 30]), 0..40_i64, quality)
            .prop_map(|(of, start, len, back, every, seed, quality)| Act::Burst { of, start, len, back, every, seed, quality }),
        3 => prop::collection::vec((0..3_usize, 0..4_000_i64, 0..9_i64), 1..12).prop_map(Act::Scatter),
        1 => (1..400_usize, any::<bool>()).prop_map(|(size, back)| Act::Replay(size, back)),
        1 => Just(Act::Reopen),
        1 => Just(Act::SealAll),
        1 => Just(Act::Maintain),
    ]
}

fn reading(of: usize, k: i64, value: i64, quality: Quality) -> Reading {
    let (subject, metric) = series(of);
    // Halves add up exactly in any order; every 40th stamp is a microsecond off the grid.
    let at = Time(BASE + k * STEP + i64::from(k % 40 == 7));
    let sample = if quality.has_value() {
        Sample::new(metric, at, value as f64 / 2.0, quality)
    } else {
        Sample::absent(metric, at, quality)
    };
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

fn compare(store: &Readings, naive: &Naive) {
    assert_eq!(store.cursor(), Seq(naive.cursor));
    assert_eq!(store.count(), naive.rows.len() as u64);
    for of in 0..3 {
        let (subject, metric) = series(of);
        assert_eq!(store.latest(subject), naive.latest(subject));
        let ranges = [(0, 4_100), (100, 700), (333, 1_001), (0, 0)];
        for (from, to) in ranges.map(|(from, to)| (BASE + from * STEP, BASE + to * STEP)) {
            let raw = store.raw(subject, metric, Time(from), Time(to), 100_000).unwrap();
            assert_eq!(raw, naive.raw((subject, metric), from, to));
            assert_eq!(store.raw(subject, metric, Time(from), Time(to), 5).unwrap(), raw[..raw.len().min(5)]);
            for buckets in [1, 7, 60, 900] {
                let trend = store.trend(subject, metric, Time(from), Time(to), buckets).unwrap();
                assert!(trend.bucket_us.saturating_mul(i64::from(buckets)) >= to - from);
                assert_eq!(trend, naive.trend((subject, metric), from, to, trend.bucket_us), "{from} {to} {buckets}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_answers_are_the_naive_ones(acts in prop::collection::vec(act(), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Readings::open(dir.path(), &config()).unwrap();
        let mut naive = Naive::default();
        let mut sent: Vec<Reading> = Vec::new();
        let write = |store: &Readings, naive: &mut Naive, rows: &[Reading], cursor: u64| {
            let written = store.write(rows, Seq(cursor)).unwrap();
            assert_eq!((written.stored, written.duplicate, written.conflict), naive.write(rows, cursor));
        };
        for (i, act) in acts.iter().enumerate() {
            match act {
                Act::Burst { .. } | Act::Scatter(_) => {
                    let rows = rows_of(act);
                    write(&store, &mut naive, &rows, i as u64 + 1);
                    sent.extend(rows);
                }
                Act::Replay(size, back) => {
                    let mut all = sent.clone();
                    if *back {
                        all.reverse();
                    }
                    all.chunks(*size).for_each(|rows| write(&store, &mut naive, rows, 1));
                }
                Act::Reopen => {
                    drop(store);
                    store = Readings::open(dir.path(), &config()).unwrap();
                }
                Act::SealAll => store.seal_all().unwrap(),
                Act::Maintain => store.maintain(Time(BASE)).unwrap(),
            }
        }
        compare(&store, &naive);
        store.seal_all().unwrap();
        prop_assert_eq!(store.stats().unwrap().head_rows, 0);
        compare(&store, &naive);
        sent.reverse();
        sent.chunks(100).for_each(|rows| write(&store, &mut naive, rows, 2));
        drop(store);
        let store = Readings::open(dir.path(), &config()).unwrap();
        compare(&store, &naive);
        prop_assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    }
}
