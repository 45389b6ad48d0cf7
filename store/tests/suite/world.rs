//! Readings of made-up people, and comparing what stores answer.

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Subject, Time};
use vigil_store::readings::{Bucket, Readings, Trend};

/// 2023-11-14, microseconds since 1970.
pub(crate) const BASE: i64 = 1_700_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
pub(crate) const ALL: (Time, Time) = (Time(i64::MIN), Time(i64::MAX));

pub(crate) fn elder(n: u32) -> Subject {
    Subject::Elder(ElderId(n))
}

pub(crate) fn reading(n: u32, at: i64, value: f64) -> Reading {
    Reading {
        subject: elder(n),
        device: DeviceId(n),
        sample: Sample::new(Metric::HeartRate, Time(at), value, Quality::Ok),
    }
}

/// One value a second after [`BASE`].
pub(crate) fn steady(n: u32, seconds: std::ops::Range<i64>) -> Vec<Reading> {
    seconds.map(|s| reading(n, BASE + s * SECOND, (60 + s % 30) as f64)).collect()
}

pub(crate) fn all_of(store: &Readings, n: u32) -> Vec<Reading> {
    store.raw(elder(n), Metric::HeartRate, ALL.0, ALL.1, 1_000_000).unwrap()
}

/// Equal but for the last bits of means: sums are made in different orders.
pub(crate) fn same_trend(a: &Trend, b: &Trend) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    let same = |(a, b): (&Bucket, &Bucket)| Bucket { mean: b.mean, ..*a } == *b && near(a.mean, b.mean);
    let rest = (a.bucket_us, &a.absent, &a.gaps, a.points.len()) == (b.bucket_us, &b.absent, &b.gaps, b.points.len());
    rest && a.points.iter().zip(&b.points).all(same)
}

#[track_caller]
pub(crate) fn assert_same_trend(found: &Trend, expected: &Trend, what: &str) {
    if !same_trend(found, expected) {
        let odd = found.points.iter().zip(&expected.points).find(|(a, b)| a != b);
        panic!(
            "{what}: widths {} {}, points {} {}, first that differ {odd:?}\nabsent {:?}\n       {:?}\ngaps {:?}\n     {:?}",
            found.bucket_us,
            expected.bucket_us,
            found.points.len(),
            expected.points.len(),
            found.absent,
            expected.absent,
            found.gaps,
            expected.gaps
        );
    }
}
