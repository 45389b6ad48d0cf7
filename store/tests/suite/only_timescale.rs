//! What only TimescaleDB has: hypertables, continuous aggregates, jobs, compressed chunks and what comes late into them.

use model::{Metric, Seq, Time};
use vigil_store::readings::{Config, Retention};

use crate::place::{Case, Place};
use crate::world::{BASE, DAY, SECOND, all_of, elder, reading, steady};

pub(crate) const CASES: &[Case] = &[
    ("migrations_make_hypertables_aggregates_and_jobs_once", migrations_make_hypertables_aggregates_and_jobs_once),
    ("late_rows_find_compressed_chunks_and_make_them_partial", late_rows_find_compressed_chunks_and_make_them_partial),
    ("retention_drops_chunks", retention_drops_chunks),
];

/// Chunks of readings and how many of them are compressed; only while no store is open.
fn chunks(place: &Place) -> (u32, u32) {
    let sql = "SELECT count(*) || ' ' || count(*) FILTER (WHERE is_compressed) FROM timescaledb_information.chunks
               WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading'";
    let answer = place.one(sql);
    let (all, compressed) = answer.split_once(' ').unwrap();
    (all.parse().unwrap(), compressed.parse().unwrap())
}

fn migrations_make_hypertables_aggregates_and_jobs_once(place: &Place) {
    let shape = || {
        let hypertables = "SELECT string_agg(hypertable_name, ' ' ORDER BY hypertable_name)
            FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()";
        let aggregates = "SELECT string_agg(view_name, ' ' ORDER BY view_name)
            FROM timescaledb_information.continuous_aggregates WHERE view_schema = current_schema()";
        let jobs = "SELECT string_agg(proc_name || ' ' || hypertable_name, ', ' ORDER BY proc_name)
            FROM timescaledb_information.jobs WHERE hypertable_schema = current_schema()";
        let segments = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM timescaledb_information.compression_settings
            WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading' AND segmentby_column_index IS NOT NULL";
        let oid = "SELECT 'reading'::regclass::oid";
        [hypertables, aggregates, jobs, segments, oid].map(|sql| place.one(sql))
    };
    // The policy comes with the first maintenance.
    drop(place.settle(place.open()));
    let first = shape();
    assert_eq!(first[..2], ["reading waveform", "hour minute"]);
    assert_eq!(first[2..4], ["policy_compression reading", "metric subject"]);
    drop(place.settle(place.open()));
    assert_eq!(shape(), first, "a second start changes nothing");
}

fn late_rows_find_compressed_chunks_and_make_them_partial(place: &Place) {
    let store = place.open();
    let minutes =
        |day: i64, n: i64| (0..n).map(move |i| reading(1, BASE + day * DAY + i * 60 * SECOND, (60 + i % 7) as f64));
    let mut rows: Vec<_> = minutes(0, 300).chain(minutes(1, 300)).collect();
    store.write(&rows, Seq(1)).unwrap();
    drop(place.settle(store));
    let (all, compressed) = chunks(place);
    assert!(all >= 2 && compressed == all, "{compressed} of {all} chunks are compressed");

    let store = place.open();
    let late: Vec<_> = (0..50).map(|i| reading(1, BASE + i * 60 * SECOND + 7 * SECOND, 88.5)).collect();
    let again: Vec<_> = rows[..200].iter().rev().copied().collect();
    let other: Vec<_> = rows[200..250].iter().map(|row| reading(1, row.sample.taken_at.0, 199.0)).collect();
    let sent: Vec<_> = late.iter().chain(&again).chain(&other).copied().collect();
    let written = store.write(&sent, Seq(2)).unwrap();
    assert_eq!((written.stored, written.duplicate, written.conflict), (50, 200, 50));
    rows.extend(late);
    rows.sort_by_key(|row| row.sample.taken_at);
    assert_eq!(all_of(&store, 1), rows);
    drop(store);
    let partial = "SELECT count(*) FROM _timescaledb_catalog.chunk c JOIN timescaledb_information.chunks i
        ON i.chunk_schema = c.schema_name AND i.chunk_name = c.table_name
        WHERE i.hypertable_schema = current_schema() AND i.hypertable_name = 'reading' AND c.status & 8 = 8";
    assert_ne!(place.one(partial), "0", "late rows lie beside what is compressed");

    // A day later it is compressed again, and the aggregates know the late rows.
    let store = place.settle_at(place.open(), Time(BASE + 40 * DAY));
    assert_eq!(all_of(&store, 1), rows);
    let trend = store.trend(elder(1), Metric::HeartRate, Time(BASE), Time(BASE + 2 * DAY), 48).unwrap();
    assert_eq!(trend.points.iter().map(|point| point.n).sum::<u64>(), 650);
    drop(store);
    assert_eq!(place.one(partial), "0");
    let counted = place.one("SELECT sum(n) || ' ' || max(max) FROM hour");
    assert_eq!(counted, "650 88.5");
}

fn retention_drops_chunks(place: &Place) {
    let config = || {
        let retention = Retention { raw_days: 3, minute_days: 3, hour_days: 30, ..place.config().retention };
        Config { retention, ..place.config() }
    };
    let store = place.open_with(&config());
    for day in 0..8 {
        let rows: Vec<_> = steady(1, day * 86_400..day * 86_400 + 20);
        store.write(&rows, Seq(day as u64 + 1)).unwrap();
    }
    let store = place.settle_at(store, Time(BASE + 7 * DAY));
    let range = (Time(BASE - 3_600 * SECOND), Time(BASE + 8 * DAY));
    let trend = store.trend(elder(1), Metric::HeartRate, range.0, range.1, 200).unwrap();
    assert_eq!(trend.points.iter().map(|point| point.n).collect::<Vec<_>>(), [20; 8], "rollups outlive rows");
    drop(store);
    let (left, _) = chunks(place);
    assert!((4..=6).contains(&left), "{left} chunks of eight days are left");
}
