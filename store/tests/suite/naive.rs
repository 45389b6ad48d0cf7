//! The naive store: a map in memory. The first value wins, and every answer is worked out anew from the rows.

use std::collections::BTreeMap;

use model::metric::Shape;
use model::{Metric, Quality, Reading, Subject, Time};
use vigil_store::readings::{Batch, Bucket, Moved, Trend, Written};

/// Distances beyond five minutes may be gaps. Microseconds.
const PAUSE: i64 = 300_000_000;

type Key = (u32, u16, i64);

/// A row, and whether it was taken to another subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) reading: Reading,
    pub(crate) moved: bool,
}

#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) rows: BTreeMap<Key, Held>,
    pub(crate) cursor: u64,
}

fn key(reading: &Reading) -> Key {
    (reading.subject.to_u32(), reading.sample.metric.id(), reading.sample.taken_at.0)
}

impl Naive {
    /// What the store should say of the same batch: rows and moves only.
    pub(crate) fn write(&mut self, batch: &Batch, cursor: u64) -> Written {
        let mut written = Written::default();
        for reading in &batch.rows {
            match self.rows.get(&key(reading)) {
                Some(old) if !old.moved && old.reading.sample == reading.sample => written.duplicate += 1,
                Some(_) => written.conflict += 1,
                None => {
                    self.rows.insert(key(reading), Held { reading: *reading, moved: false });
                    written.stored += 1;
                }
            }
        }
        batch.moves.iter().for_each(|moved| self.carry(moved, &mut written));
        self.cursor = self.cursor.max(cursor);
        written
    }

    fn carry(&mut self, moved: &Moved, written: &mut Written) {
        if moved.from == moved.to {
            return;
        }
        for sample in &moved.samples {
            let of = |subject| Reading { subject, device: moved.device, sample: *sample };
            let (from, to) = (of(moved.from), of(moved.to));
            match self.rows.get_mut(&key(&from)) {
                None => drop(self.rows.insert(key(&from), Held { reading: from, moved: true })),
                Some(old) if old.moved => {}
                Some(old) if old.reading.sample == *sample => old.moved = true,
                Some(_) => written.conflict += 1,
            }
            match self.rows.get_mut(&key(&to)) {
                None => drop(self.rows.insert(key(&to), Held { reading: to, moved: false })),
                Some(old) if old.moved => *old = Held { reading: to, moved: false },
                Some(old) if old.reading.sample == *sample => written.duplicate += 1,
                Some(_) => written.conflict += 1,
            }
        }
        written.moved += 1;
    }

    pub(crate) fn held(&self, (subject, metric): (Subject, Metric)) -> Vec<Held> {
        let key = |at| (subject.to_u32(), metric.id(), at);
        self.rows.range(key(i64::MIN)..=key(i64::MAX)).map(|(_, row)| *row).collect()
    }

    pub(crate) fn raw(&self, (subject, metric): (Subject, Metric), from: i64, to: i64) -> Vec<Reading> {
        let key = |at| (subject.to_u32(), metric.id(), at);
        self.rows.range(key(from)..key(to)).filter(|(_, row)| !row.moved).map(|(_, row)| row.reading).collect()
    }

    pub(crate) fn latest(&self, subject: Subject) -> Vec<Reading> {
        let last = |metric: &Metric| self.raw((subject, *metric), i64::MIN, i64::MAX).last().copied();
        Metric::ALL.iter().filter_map(last).collect()
    }

    pub(crate) fn trend(&self, of: (Subject, Metric), from: i64, to: i64, bucket_us: i64) -> Trend {
        let rows = self.raw(of, from, to);
        let judged = rows.iter().filter(|row| row.sample.quality.is_judged());
        let judged: Vec<(i64, f64)> = judged.map(|row| (row.sample.taken_at.0, row.sample.value().unwrap())).collect();
        let (absent, mut gaps) = absences(&rows);
        gaps.extend(pauses(&judged, of.1));
        Trend { bucket_us, points: points(&judged, bucket_us), absent, gaps: union(gaps) }
    }
}

fn points(judged: &[(i64, f64)], bucket_us: i64) -> Vec<Bucket> {
    let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in judged {
        buckets.entry(at.div_euclid(bucket_us) * bucket_us).or_default().push(*value);
    }
    let bucket = |(start, values): (i64, Vec<f64>)| Bucket {
        start: Time(start),
        n: values.len() as u64,
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        mean: values.iter().sum::<f64>() / values.len() as f64,
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    buckets.into_iter().map(bucket).collect()
}

/// Beginnings of runs of absent values with their causes, and how long each run lasts: to the next row.
#[allow(clippy::type_complexity)]
fn absences(rows: &[Reading]) -> (Vec<(Time, Quality)>, Vec<(i64, i64)>) {
    let mut absent: Vec<(Time, Quality)> = Vec::new();
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    let mut before = None;
    for row in rows {
        let (at, cause) = (row.sample.taken_at, row.sample.value().is_none().then_some(row.sample.quality));
        if before.is_some() {
            gaps.last_mut().unwrap().1 = at.0;
        }
        if let Some(cause) = cause.filter(|_| before != cause) {
            absent.push((at, cause));
            gaps.push((at.0, at.0));
        }
        before = cause;
    }
    (absent, gaps)
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
