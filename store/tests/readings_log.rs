//! The log of the embedded store goes a little with each write, and what is left of it brings nothing back.
#![allow(clippy::unwrap_used)]

use model::{ElderId, Metric, Seq, Subject, Time};
use vigil_store::readings::{Config, Readings, bench_rows};

/// Rows of a write, and their bytes in the log.
const WRITE: usize = 5_000;
const WRITE_BYTES: u64 = 27 * WRITE as u64;
/// What one write takes from the log at most, and one row of the log more.
const TRIM_MAX: u64 = (1 << 20) + WRITE_BYTES;

#[test]
fn old_log_rows_go_a_little_with_each_write_and_never_come_back() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing is sealed until it is old, and everything is old.
    let held = Config { seal_rows: 60_000, ..Config::default() };
    let store = Readings::open(dir.path(), &held).unwrap();
    for batch in 0..40 {
        store.write(&bench_rows(batch, WRITE), Seq(batch + 1)).unwrap();
    }
    assert_eq!(store.stats().unwrap().log_bytes, 40 * WRITE_BYTES);
    drop(store);
    let eager = Config { seal_age_s: 0, seal_series_max: 10_000, seal_budget_ms: 600_000, ..Config::default() };
    let mut store = Readings::open(dir.path(), &eager).unwrap();
    let (mut batch, mut steps) = (40, 0);
    while store.stats().unwrap().log_bytes > 2 * WRITE_BYTES {
        let before = store.stats().unwrap().log_bytes;
        store.write(&bench_rows(batch, WRITE), Seq(batch + 1)).unwrap();
        let after = store.stats().unwrap().log_bytes;
        assert!(before + WRITE_BYTES - after <= TRIM_MAX, "{before} to {after}");
        (batch, steps) = (batch + 1, steps + 1);
        assert!(steps < 20, "the log does not become shorter: {after}");
        if steps == 2 {
            // Much of what was sealed is still in the log.
            assert!(after > 20 * WRITE_BYTES, "{after}");
            drop(store);
            store = Readings::open(dir.path(), &eager).unwrap();
        }
    }
    assert!(steps > 4, "{steps}");
    assert_eq!(store.count(), batch * WRITE as u64);
    let rows = store.raw(Subject::Elder(ElderId(1)), Metric::HeartRate, Time(0), Time(i64::MAX), 10_000).unwrap();
    assert_eq!(rows.len() as u64, (batch * WRITE as u64).div_ceil(2_000));
    assert!(store.integrity_check().unwrap().is_empty());
}
