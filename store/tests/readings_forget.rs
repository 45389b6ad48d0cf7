//! Forgetting one person: nothing of them is in any answer, nor in the raw bytes of the files; others lose nothing.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Config, FILE, Forgotten, Moved, Original, Readings, Wave};

const START: i64 = 1_700_000_000_000_000;

fn elder(id: u32) -> Subject {
    Subject::Elder(ElderId(id))
}

fn small() -> Config {
    Config { seal_rows: 300, block_rows_max: 300, page_bytes: 4_096, ..Config::default() }
}

fn reading(subject: Subject, metric: Metric, i: i64) -> Reading {
    let noise = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 40) % 50;
    let at = Time(START + i * 1_000_000 + noise * 1_000);
    Reading { subject, device: DeviceId(3), sample: Sample::new(metric, at, (600 + noise) as f64 / 10.0, Quality::Ok) }
}

fn wave(subject: Subject, second: i64) -> Wave {
    let counts = (0..500_i64).map(|i| ((i * i * 31 + second * 977) % 3_001) as i16).collect();
    let (rate, start) = (Rate { samples: 500, seconds: 1 }, Time(START + second * 1_000_000));
    let block = Waveform { metric: Metric::Ecg, lead: 2, start, rate, scale: 1.0, offset: 0.0, counts };
    Wave { subject, device: DeviceId(3), block }
}

/// Blocks, log, waveforms and origins of three elders with the same values: what is left of the others holds the same bytes.
fn fill(store: &Readings) {
    for part in 0..12 {
        let mut batch = Batch::default();
        for id in [6, 7, 8] {
            for metric in [Metric::HeartRate, Metric::Spo2] {
                batch.rows.extend((part * 100..part * 100 + 100).map(|i| reading(elder(id), metric, i)));
            }
            batch.waves.push(wave(elder(id), part));
            let at = reading(elder(id), Metric::HeartRate, part * 100).sample.taken_at;
            let raw = Some((format!("told of elder number {id}"), "bpm".to_owned()));
            let origin = Origin { index: 0, raw, device_ms: None, uncertainty_ms: None };
            batch.originals.push(Original { subject: elder(id), metric: Metric::HeartRate, at, origin });
        }
        store.write_batch(&batch, Seq(part as u64 + 1)).unwrap();
    }
}

fn all(store: &Readings, id: u32) -> (Vec<Reading>, usize, bool) {
    let rows = store.raw(elder(id), Metric::HeartRate, Time(0), Time(i64::MAX), 1_000_000).unwrap();
    let waves = store.waves(elder(id), Metric::Ecg, Time(0), Time(START + 1_000_000_000)).unwrap();
    let origin = store.origin(elder(id), Metric::HeartRate, reading(elder(id), Metric::HeartRate, 0).sample.taken_at);
    (rows, waves.len(), origin.unwrap().is_some())
}

/// Log rows of a series in the raw bytes of a file, looked for without any help of the store.
fn log_rows(dir: &Path, id: u32, metric: Metric) -> usize {
    let mut key = metric.id().to_le_bytes().to_vec();
    key.extend(id.to_le_bytes());
    let files = [dir.join(FILE), dir.join(format!("{FILE}-wal"))];
    let bytes: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect();
    let at = |bytes: &[u8]| i64::from_le_bytes(bytes[6..14].try_into().unwrap());
    bytes.windows(14).filter(|w| w.starts_with(&key) && (START..START + 2_000_000_000).contains(&at(w))).count()
}

fn holds(dir: &Path, needle: &str) -> bool {
    let files = [dir.join(FILE), dir.join(format!("{FILE}-wal"))];
    files.iter().any(|file| {
        std::fs::read(file).unwrap_or_default().windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[test]
fn nothing_of_one_person_is_left_in_answers_or_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    fill(&store);
    let others = [all(&store, 6), all(&store, 8)];
    assert!(log_rows(dir.path(), 7, Metric::Spo2) > 0 && holds(dir.path(), "elder number 7"));
    let (rows, bytes) = (store.count(), store.stats().unwrap().log_bytes);
    let (forgotten, proof) = store.forget_with_proof(elder(7)).unwrap();
    assert_eq!((forgotten.series, forgotten.rows, forgotten.waves, forgotten.origins), (2, 2_400, 12, 12));
    assert!(proof.found_before > 1_000 && proof.patterns > 10 && proof.bytes > 100_000, "{proof:?}");
    assert_eq!(proof.found_after, 0, "{proof:?}");
    assert_eq!((log_rows(dir.path(), 7, Metric::HeartRate), log_rows(dir.path(), 7, Metric::Spo2)), (0, 0));
    assert!(!holds(dir.path(), "elder number 7") && holds(dir.path(), "elder number 8"));
    assert_eq!(store.count(), rows - 2_400);
    assert!(store.stats().unwrap().log_bytes <= bytes);
    assert_eq!((all(&store, 7), store.latest(elder(7))), ((vec![], 0, false), vec![]));
    assert_eq!([all(&store, 6), all(&store, 8)], others);
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    drop(store);
    let store = Readings::open(dir.path(), &small()).unwrap();
    assert_eq!((all(&store, 7).0.len(), store.count()), (0, rows - 2_400));
    assert_eq!([all(&store, 6), all(&store, 8)], others);
    // Again is nothing, and a new life begins from nothing.
    assert_eq!(store.forget(elder(7)).unwrap(), Forgotten::default());
    assert_eq!(store.write(&[reading(elder(7), Metric::HeartRate, 0)], Seq(99)).unwrap().stored, 1);
}

#[test]
fn the_search_finds_what_a_delete_that_does_not_overwrite_leaves_behind() {
    let dir = tempfile::tempdir().unwrap();
    fill(&Readings::open(dir.path(), &small()).unwrap());
    let file = dir.path().join(FILE);
    {
        // What a program of format 2 did: deleted without overwriting.
        let db = rusqlite::Connection::open(&file).unwrap();
        db.execute_batch("PRAGMA secure_delete = OFF; DELETE FROM origin WHERE series >> 16 = 7;").unwrap();
        db.execute_batch("UPDATE meta SET clean = 1").unwrap();
    }
    let store = Readings::open(dir.path(), &small()).unwrap();
    assert!(store.forget_with_proof(elder(7)).unwrap().1.found_after > 0);
}

#[test]
fn a_file_of_format_2_is_brought_up_to_date_and_forgets_what_it_had_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    {
        let db = rusqlite::Connection::open(&file).unwrap();
        db.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;").unwrap();
        db.execute_batch(include_str!("readings_format2.sql")).unwrap();
    }
    let store = Readings::open(dir.path(), &small()).unwrap();
    assert_eq!((store.count(), store.cursor()), (340, Seq(2)));
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    let at = |minute: i64| Time(START + minute * 60_000_000);
    let raw = store.raw(elder(7), Metric::HeartRate, at(0), at(1_000), 1_000).unwrap();
    assert_eq!((raw.len(), raw[8].sample.value(), raw[49].sample.quality), (320, Some(64.0), Quality::SensorOff));
    assert_eq!(store.waves(elder(7), Metric::Ecg, at(0), at(1)).unwrap()[0].block.counts[1], 37);
    assert_eq!(store.origin(elder(7), Metric::HeartRate, at(0)).unwrap().unwrap().device_ms, Some(5));
    let trend = |store: &Readings| store.trend(elder(7), Metric::HeartRate, at(-20), at(340), 6).unwrap();
    let before = trend(&store);
    assert_eq!((before.points.len(), before.absent.len()), (6, 6));
    // Retention works on its old blocks. Somebody else is measured by then.
    let sample = Sample::new(Metric::Spo2, at(100 * 1_440), 97.0, Quality::Ok);
    store.write(&[Reading { subject: elder(8), device: DeviceId(8), sample }], Seq(2)).unwrap();
    for _ in 0..20 {
        store.maintain(at(100 * 1_440)).unwrap();
    }
    assert_eq!((trend(&store), store.count()), (before, 1));
    let (_, proof) = store.forget_with_proof(elder(7)).unwrap();
    assert_eq!(proof.found_after, 0, "{proof:?}");
    drop(store);
    let db = rusqlite::Connection::open(&file).unwrap();
    assert_eq!(db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), 4);
}

#[test]
fn forgetting_lets_others_write_and_takes_what_comes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    fill(&store);
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut i = 1_200;
            while !done.load(Ordering::Acquire) {
                let rows = [6, 7, 8].map(|id| reading(elder(id), Metric::HeartRate, i));
                assert_eq!(store.write(&rows, Seq(i as u64)).unwrap().stored, 3);
                i += 1;
            }
            i
        });
        store.forget(elder(7)).unwrap();
        done.store(true, Ordering::Release);
        writer.join().unwrap()
    });
    assert_eq!((all(&store, 6).0.len(), all(&store, 8).0.len()), (written as usize, written as usize));
    store.forget(elder(7)).unwrap();
    assert_eq!(log_rows(dir.path(), 7, Metric::HeartRate), 0);
    assert_eq!(store.count(), 2 * (1_200 + written as u64));
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

/// A shared cuff measured elder 7 at this second; at first it was nobody's. The value is no whole number, so that both forms are found.
fn measure_for_7(store: &Readings) {
    let (from, device) = (Subject::Unattributed(DeviceId(3)), DeviceId(3));
    let sample = Sample::new(Metric::Systolic, Time(START), 148.37, Quality::Ok);
    let other = Sample::new(Metric::Systolic, Time(START + 1), 99.5, Quality::Ok);
    let rows = [sample, other].map(|sample| Reading { subject: from, device, sample });
    store.write(&rows, Seq(1)).unwrap();
    let moves = vec![Moved { from, to: elder(7), device, samples: vec![sample], waveforms: Vec::new() }];
    store.write_batch(&Batch { moves, ..Batch::default() }, Seq(2)).unwrap();
}

#[test]
fn a_measurement_that_was_moved_here_is_looked_for_where_it_was_too() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Readings::open(dir.path(), &small()).unwrap();
    let file = dir.path().join(FILE);
    measure_for_7(&open());
    // The log row as it was first told, set aside by a repair: the rest of it stays.
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch("INSERT INTO bad_log SELECT * FROM log WHERE seq = 1").unwrap();
    let bytes = || db.query_row("SELECT rows FROM bad_log", [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let before = bytes();
    let (_, proof) = open().forget_with_proof(elder(7)).unwrap();
    assert_eq!(proof.found_after, 0, "{proof:?}");
    assert_eq!(bytes(), before[before.len() / 2..], "the other measurement");
    // A place that no deletion reaches is found.
    let dir = tempfile::tempdir().unwrap();
    let open = || Readings::open(dir.path(), &small()).unwrap();
    measure_for_7(&open());
    let other = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("CREATE TABLE copy AS SELECT * FROM log WHERE seq = 1").unwrap();
    let (_, proof) = open().forget_with_proof(elder(7)).unwrap();
    assert_eq!(proof.found_after, 1, "{proof:?}");
}
