//! The core of the timescale store on a real PostgreSQL: what is written comes back, once, also after a restart.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use pgtest::{Pglite, Postgres};
use vigil_store::readings::{Batch, Config, Dsn, Error, Progress, Readings, Store, TimescaleConfig, Written};

const NOON: i64 = 1_795_305_600;
const ALL: (Time, Time) = (Time(i64::MIN), Time(i64::MAX));

fn config(dsn: &str) -> Config {
    let timescale = TimescaleConfig { dsn: Some(Dsn::new(dsn)), ..TimescaleConfig::default() };
    Config { store: Store::Timescale, timescale, ..Config::default() }
}

fn elder(n: u32) -> Subject {
    Subject::Elder(ElderId(n))
}

fn reading(of: u32, second: i64, value: f64) -> Reading {
    let sample = Sample::new(Metric::HeartRate, Time::from_secs(NOON + second), value, Quality::Ok);
    Reading { subject: elder(of), device: DeviceId(9), sample }
}

fn raw(store: &Readings, of: u32) -> Vec<Reading> {
    store.raw(elder(of), Metric::HeartRate, ALL.0, ALL.1, 10_000).unwrap()
}

fn counts(written: Written) -> (u64, u64, u64) {
    (written.stored, written.duplicate, written.conflict)
}

/// One story for both kinds of schema.
fn first_stays_and_everything_comes_back(dsn: &str, pool_max: usize) {
    let mut config = config(dsn);
    config.timescale.pool_max = pool_max;
    config.timescale.schema = format!("pool_{pool_max}");
    let reopen = || Readings::open(Path::new("."), &config).unwrap();
    let store = reopen();
    let rows = [reading(1, 0, 70.0), reading(1, 1, 71.5), reading(2, 0, -0.0)];
    assert_eq!(counts(store.write(&rows, Seq(5)).unwrap()), (3, 0, 0));
    assert_eq!(counts(store.write(&rows, Seq(5)).unwrap()), (0, 3, 0));
    // Inside one write: the first of an instant wins; the rest is told apart by what is stored.
    let again = [
        reading(1, 2, 72.0),
        reading(1, 2, 72.0),
        reading(1, 2, 73.0),
        reading(1, 0, 70.0),
        reading(1, 0, 99.0),
        reading(2, 0, 0.0),
        reading(1, -86_400 * 40, 60.0),
    ];
    assert_eq!(counts(store.write(&again, Seq(7)).unwrap()), (2, 2, 3));
    let expect = vec![reading(1, -86_400 * 40, 60.0), rows[0], rows[1], again[0]];
    assert_eq!(raw(&store, 1), expect);
    assert_eq!(raw(&store, 2)[0].sample.value().map(f64::to_bits), Some((-0.0_f64).to_bits()));
    assert_eq!(store.latest(elder(1)), vec![again[0]]);
    assert_eq!((store.count(), store.cursor()), (5, Seq(7)));
    let behind = Progress { pending: vec![(Seq(20), Seq(30)), (Seq(7), Seq(9))], live: Seq(40) };
    store.write_batch(&Batch::default(), &behind).unwrap();
    drop(store);
    let store = reopen();
    assert_eq!(store.progress().unwrap(), behind);
    assert_eq!((store.count(), store.cursor()), (5, Seq(7)));
    assert_eq!(store.latest(elder(1)), vec![again[0]]);
    // A smaller position changes nothing.
    store.write(&[], Seq(1)).unwrap();
    assert_eq!(store.progress().unwrap(), behind);
}

#[test]
fn on_plain_postgresql() {
    let Some(server) = Postgres::start() else { return };
    first_stays_and_everything_comes_back(&server.dsn(), 4);
    first_stays_and_everything_comes_back(&server.dsn(), 1);
}

#[test]
fn on_timescaledb() {
    let Some(server) = Pglite::start() else { return };
    first_stays_and_everything_comes_back(&server.dsn(), 1);
    assert_eq!(server.one("SELECT count(*) FROM timescaledb_information.hypertables"), "2");
    assert_eq!(server.one("SELECT kind FROM pool_1.state"), "timescale");
}

/// A schema's kind is for good: what only lacks a right is said, and nothing is made.
#[test]
fn the_extension_is_made_where_it_is_there_and_never_silently_done_without() {
    let Some(server) = Pglite::bare() else { return };
    server.admin("ALTER SCHEMA public RENAME TO elsewhere");
    let mut config = config(&server.dsn());
    config.timescale.pool_max = 1;
    let open = || Readings::open(Path::new("."), &config).unwrap();
    let store = open();
    let refused = pgtest::until("the server is not there", || match store.progress() {
        Err(Error::Unreachable { .. }) => None,
        other => Some(other),
    });
    let Err(Error::NoExtension { what }) = refused else { panic!("{refused:?}") };
    assert!(what.contains("administrator") && what.contains("extension = \"off\""), "{what}");
    drop(store);
    assert_eq!(server.one("SELECT count(*) FROM pg_namespace WHERE nspname = 'vigil'"), "0");
    server.admin("ALTER SCHEMA elsewhere RENAME TO public");
    let store = open();
    pgtest::until("the schema is not made", || store.progress().ok());
    assert_eq!(counts(store.write(&[reading(1, 0, 70.0)], Seq(1)).unwrap()), (1, 0, 0));
    drop(store);
    assert_eq!(server.one("SELECT kind FROM vigil.state"), "timescale");
}

/// Runs too short to move it by themselves do not make each start read more than the one before.
#[test]
fn short_runs_move_the_instant_from_which_a_start_reads() {
    let Some(server) = Postgres::start() else { return };
    let config = config(&server.dsn());
    for run in 0..4 {
        let store = Readings::open(Path::new("."), &config).unwrap();
        let rows: Vec<Reading> = (run * 40_000..(run + 1) * 40_000).map(|i| reading(1, i, 70.0)).collect();
        for rows in rows.chunks(10_000) {
            pgtest::until("the rows are not written", || store.write(rows, Seq(1)).ok());
        }
    }
    assert_eq!(server.one("SELECT latest_from = '-infinity' FROM vigil.state"), "f");
}

/// Rows that an outage left behind are not late when they come: nothing is made again for them. Meanwhile one look a minute is enough;
/// what waited is made at once when the backlog is stored.
#[test]
fn rollups_stay_behind_while_a_backlog_is_stored() {
    let Some(server) = Postgres::start() else { return };
    let store = Readings::open(Path::new("."), &config(&server.dsn())).unwrap();
    let rows: Vec<Reading> = (-20..20).map(|hour| reading(1, hour * 1_800, 70.0)).collect();
    let backlog = Progress { pending: vec![(Seq(1), Seq(3))], live: Seq(5) };
    let batch = Batch { rows, ..Batch::default() };
    pgtest::until("the rows are not written", || store.write_batch(&batch, &backlog).ok());
    let claimed = || server.one("SELECT extract(epoch FROM rollup_claimed)::int8 FROM vigil.state");
    let now = NOON + 10 * 3_600;
    for second in [-10, 10] {
        store.maintain(Time::from_secs(now + second)).unwrap();
        assert_eq!(claimed(), (now - 7 * 3_600).to_string());
    }
    store.write(&[reading(1, 5 * 3_600 + 1, 70.0)], Seq(6)).unwrap();
    assert_eq!(server.one("SELECT count(*) FROM vigil.late"), "0");
    store.maintain(Time::from_secs(now + 20)).unwrap();
    assert_eq!(claimed(), (now - 3_600).to_string());
}
