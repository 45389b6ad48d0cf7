//! Days in the life of the readings store: crashes, damage, maintenance, backups, other processes, readers beside the
//! writer. The tests that need a second process start this test binary again with an environment variable.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Config, Error, FILE, Readings, bench_rows, bench_write_rate};

const CHILD: &str = "VIGIL_TEST_READINGS_CHILD";
const ALL: (Time, Time) = (Time(i64::MIN), Time(i64::MAX));

fn small() -> Config {
    Config { seal_rows: 64, block_rows_max: 128, head_rows_max: 400, seal_series_max: 4, ..Config::default() }
}

fn reading(elder: u32, at: i64, value: f64, quality: Quality) -> Reading {
    let sample = Sample::new(Metric::HeartRate, Time(at), value, quality);
    Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
}

fn steady(elder: u32, seconds: std::ops::Range<i64>) -> Vec<Reading> {
    seconds.map(|s| reading(elder, s * 1_000_000, (60 + s % 30) as f64, Quality::Ok)).collect()
}

fn all_of(store: &Readings, elder: u32) -> Vec<Reading> {
    store.raw(Subject::Elder(ElderId(elder)), Metric::HeartRate, ALL.0, ALL.1, 1_000_000).unwrap()
}

/// Write number `i` of the crash test: three elders, some rows late, some told again.
fn crash_batch(i: u64) -> Vec<Reading> {
    let base = i as i64 * 20;
    let fresh = (0..20).map(|k| (base + k) * 1_000_000);
    let late = (0..5).map(|k| (base - 300 + k * 7) * 1_000_000 + 500_000);
    let again = (0..5).map(|k| (base - 40 + k) * 1_000_000);
    let at = fresh.chain(late).chain(again);
    at.map(|at| reading(1 + (at / 1_000_000).rem_euclid(3) as u32, at, (at / 500_000 % 50) as f64, Quality::Ok))
        .collect()
}

fn start_child(role: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, format!("{role}:{}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test by itself: what the other tests run in a second process.
#[test]
fn child_process() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (role, dir) = task.split_once(':').unwrap();
    let mut out = std::io::stdout();
    match (role, Readings::open(Path::new(dir), &small())) {
        ("writer", Ok(store)) => {
            for i in store.cursor().0 + 1.. {
                store.write(&crash_batch(i), Seq(i)).unwrap();
                writeln!(out, "stored {i}").unwrap();
                out.flush().unwrap();
            }
        }
        (_, Ok(_)) => writeln!(out, "opened").unwrap(),
        (_, Err(error)) => writeln!(out, "refused: {error}").unwrap(),
    }
}

#[test]
fn killed_at_any_moment_it_holds_exactly_the_committed_writes() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=8_usize {
        let mut child = start_child("writer", dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stored = lines.by_ref().map_while(Result::ok).filter_map(|l| l.rsplit_once("stored ")?.1.parse().ok());
        let acknowledged: u64 = stored.by_ref().nth(round * 11).unwrap();
        child.kill().unwrap();
        let last = stored.last().unwrap_or(acknowledged);
        child.wait().unwrap();
        let store = Readings::open(dir.path(), &small()).unwrap();
        let cursor = store.cursor().0;
        assert!(cursor == last || cursor == last + 1, "acknowledged {last}, found {cursor}");
        let mut expected: BTreeMap<(u32, i64), Reading> = BTreeMap::new();
        for row in (1..=cursor).flat_map(crash_batch) {
            expected.entry((row.subject.to_u32(), row.sample.taken_at.0)).or_insert(row);
        }
        let found: Vec<Reading> = (1..=3).flat_map(|elder| all_of(&store, elder)).collect();
        assert_eq!(found, expected.into_values().collect::<Vec<_>>());
        assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn another_process_is_told_who_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    let mut said = String::new();
    let mut child = start_child("opener", dir.path());
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("in use by another process"), "{said}");
    assert!(matches!(Readings::open(dir.path(), &small()), Err(Error::Locked { .. })));
    drop(store);
    Readings::open(dir.path(), &small()).unwrap();
}

#[test]
fn everything_sent_twice_and_sealed_is_stored_once_and_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config { seal_rows: 512, ..Config::default() }).unwrap();
    let sent: Vec<Vec<Reading>> = (0..20).map(|i| bench_rows(i, 10_000)).collect();
    for (i, rows) in sent.iter().enumerate() {
        let rows: Vec<Reading> = rows.iter().filter(|row| row.device.0 <= 50).copied().collect();
        assert_eq!(store.write(&rows, Seq(i as u64 + 1)).unwrap().stored, rows.len() as u64);
    }
    store.seal_all().unwrap();
    let before = store.stats().unwrap();
    assert_eq!((before.head_rows, before.sealed_rows), (0, before.rows));
    for rows in sent.iter().rev() {
        let rows: Vec<Reading> = rows.iter().filter(|row| row.device.0 <= 50).rev().copied().collect();
        let written = store.write(&rows, Seq(1)).unwrap();
        assert_eq!((written.stored, written.duplicate, written.conflict), (0, rows.len() as u64, 0));
    }
    let after = store.stats().unwrap();
    assert_eq!((after.rows, after.block_bytes, after.log_bytes), (before.rows, before.block_bytes, 0));
    eprintln!("{} rows, {:.2} bytes a sealed reading in blocks of 100", after.rows, after.bytes_per_sealed_reading);
}

#[test]
fn sealed_readings_with_jitter_take_at_most_three_bytes_with_their_rollups() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let mut noise = 12_345_u64;
    let mut rows = Vec::new();
    for second in 0..16_384_i64 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = second * 1_000_000 + (noise >> 40) as i64 % 21 * 1_000;
        rows.push(reading(1, at, (70 + second / 50 % 20 + (noise >> 50) as i64 % 3) as f64, Quality::Ok));
    }
    store.write(&rows, Seq(1)).unwrap();
    store.seal_all().unwrap();
    let stats = store.stats().unwrap();
    eprintln!(
        "{:.2} bytes a sealed reading, {:.2} with the file",
        stats.bytes_per_sealed_reading, stats.bytes_per_reading
    );
    assert!(stats.bytes_per_sealed_reading <= 3.0, "{}", stats.bytes_per_sealed_reading);
}

#[test]
fn a_backup_taken_while_writing_is_a_whole_store() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Readings::open(dir.path(), &small()).unwrap();
    store.write(&steady(1, 0..500), Seq(1)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 2..200_i64 {
                store.write(&steady(1, i * 500..i * 500 + 50), Seq(i as u64)).unwrap();
            }
        });
        store.backup_to(&copy.path().join(FILE)).unwrap();
        writer.join().unwrap();
    });
    let restored = Readings::open(copy.path(), &small()).unwrap();
    assert_eq!(restored.integrity_check().unwrap(), Vec::<String>::new());
    let rows = all_of(&restored, 1);
    assert_eq!(rows, all_of(&store, 1)[..rows.len()]);
    assert_eq!(rows.len() as u64, 500 + (restored.cursor().0 - 1) * 50);
    assert!(matches!(store.backup_to(&copy.path().join(FILE)), Err(Error::BackupExists { .. })));
}

#[test]
fn a_damaged_block_is_named_moved_aside_and_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    store.write(&steady(1, 0..128), Seq(1)).unwrap();
    store.seal_all().unwrap();
    drop(store);
    let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    db.execute("UPDATE block SET data = CAST(substr(data, 1, 20) || x'ff' || substr(data, 22) AS BLOB)", []).unwrap();
    drop(db);
    let store = Readings::open(dir.path(), &small()).unwrap();
    assert!(store.integrity_check().unwrap()[0].contains("checksum"));
    let subject = Subject::Elder(ElderId(1));
    assert!(matches!(store.raw(subject, Metric::HeartRate, ALL.0, ALL.1, 10), Err(Error::Corrupt { .. })));
    let late = reading(1, 1_500_000, 80.0, Quality::Ok);
    assert_eq!(store.write(&[late], Seq(2)).unwrap().stored, 1);
    store.seal_all().unwrap();
    assert_eq!(all_of(&store, 1), [late]);
    assert_eq!((store.stats().unwrap().bad_blocks, store.count()), (1, 1));
    assert_eq!(store.integrity_check().unwrap(), ["1 damaged blocks were moved aside"]);
}

#[test]
fn foreign_newer_and_impossible_files_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    drop(Readings::open(dir.path(), &small()).unwrap());
    let set = |pragma: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(pragma).unwrap();
    set("PRAGMA user_version = 99");
    assert!(matches!(Readings::open(dir.path(), &small()), Err(Error::Newer { found: 99, .. })));
    set("PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert!(matches!(Readings::open(dir.path(), &small()), Err(Error::Foreign { .. })));
    std::fs::write(&path, "this is not a database, it is a letter to nobody in particular".repeat(20)).unwrap();
    assert!(matches!(Readings::open(dir.path(), &small()), Err(Error::Foreign { .. })));
    std::fs::remove_file(&path).unwrap();
    let mut only_read = std::fs::File::create(&path).unwrap().metadata().unwrap().permissions();
    only_read.set_readonly(true);
    std::fs::set_permissions(&path, only_read).unwrap();
    assert!(matches!(Readings::open(dir.path(), &small()), Err(Error::ReadOnly { .. })));
    assert!(matches!(Readings::open(&dir.path().join("missing"), &small()), Err(Error::Io { .. })));
    let odd = Config { seal_rows: 0, ..Config::default() };
    assert!(matches!(Readings::open(dir.path(), &odd), Err(Error::Config(_))));
}

#[test]
fn the_log_is_trimmed_and_memory_bounded_with_many_slow_series() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { head_rows_max: 2_000, log_bytes_max: 200_000, seal_series_max: 64, ..Config::default() };
    let store = Readings::open(dir.path(), &config).unwrap();
    for i in 0..60_u64 {
        let rows: Vec<Reading> =
            (0..500).map(|elder| reading(elder + 1, i as i64 * 60_000_000, 70.0, Quality::Ok)).collect();
        store.write(&rows, Seq(i + 1)).unwrap();
        let stats = store.stats().unwrap();
        assert!(stats.head_rows <= 4_500 && stats.log_bytes <= 400_000, "{stats:?}");
    }
    assert_eq!(store.count(), 30_000);
    assert_eq!(all_of(&store, 250).len(), 60);
}

#[test]
fn too_many_series_are_refused_and_nothing_is_half_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config { series_max: 3, ..small() }).unwrap();
    store.write(&steady(1, 0..3), Seq(1)).unwrap();
    let rows: Vec<Reading> = (1..=5).flat_map(|elder| steady(elder, 3..4)).collect();
    assert!(matches!(store.write(&rows, Seq(2)), Err(Error::TooManySeries { max: 3 })));
    assert_eq!((store.count(), store.cursor()), (3, Seq(1)));
    assert_eq!(store.write(&steady(1, 0..5), Seq(2)).unwrap().stored, 2);
}

#[test]
fn the_measured_write_rate_is_a_rate_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let rate = bench_write_rate(dir.path()).unwrap();
    assert!(rate > 0.0 && rate.is_finite());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    eprintln!("{rate:.0} readings/s");
}
