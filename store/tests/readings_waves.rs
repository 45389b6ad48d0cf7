//! Waveforms and origins in the readings store: told again, cut to windows, damaged, upgraded, copied.
#![allow(clippy::unwrap_used)]

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Config, Error, FILE, Original, Readings, Stretch, Wave};

const ELDER: Subject = Subject::Elder(ElderId(7));
const SECOND: i64 = 1_000_000;

/// Five seconds of 360 Hz, beginning at `second`.
fn block(lead: u32, second: i64) -> Wave {
    let counts = (0..1_800_i64).map(|i| ((second * 131 + i * 17 + i64::from(lead)) % 1_201 - 600) as i16).collect();
    let block = Waveform {
        metric: Metric::Ecg,
        lead,
        start: Time(second * SECOND),
        rate: Rate { samples: 360, seconds: 1 },
        scale: 0.005,
        offset: -5.12,
        counts,
    };
    Wave { subject: ELDER, device: DeviceId(3), block }
}

fn open(dir: &std::path::Path) -> Readings {
    Readings::open(dir, &Config::default()).unwrap()
}

fn seconds(from: i64, to: i64) -> (Time, Time) {
    (Time(from * SECOND), Time(to * SECOND))
}

fn stretches(store: &Readings, from: i64, to: i64, limit: usize) -> (Vec<(u32, i64, i64)>, bool) {
    let (from, to) = seconds(from, to);
    let answer = store.stretches(ELDER, Metric::Ecg, from, to, limit).unwrap();
    let plain = |one: &Stretch| (one.lead, one.from.0 / SECOND, one.to.0 / SECOND);
    (answer.found.iter().map(plain).collect(), answer.cut)
}

#[test]
fn blocks_come_back_sample_for_sample_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let waves: Vec<Wave> = (0..12).flat_map(|i| [block(1, i * 5), block(2, i * 5)]).collect();
    let batch = Batch { waves: waves.clone(), ..Batch::default() };
    {
        let store = open(dir.path());
        let written = store.write_batch(&batch, Seq(1)).unwrap().waves;
        assert_eq!((written.stored, written.samples, written.duplicate), (24, 24 * 1_800, 0));
        // The strip of an alarm told these before their turn; and a write that brings nothing new moves the cursor.
        let again = store.write_batch(&batch, Seq(2)).unwrap().waves;
        assert_eq!((again.stored, again.duplicate), (0, 24));
        let shorter = Wave { block: Waveform { counts: vec![1; 10], ..waves[0].block.clone() }, ..waves[0].clone() };
        let written = store.write_batch(&Batch { waves: vec![shorter], ..Batch::default() }, Seq(2)).unwrap().waves;
        assert_eq!((written.stored, written.duplicate), (0, 1), "the first block stays");
    }
    let store = open(dir.path());
    assert_eq!((store.cursor(), store.wave_totals().unwrap()), (Seq(2), (24, 24 * 1_800)));
    let (from, to) = seconds(0, 60);
    assert_eq!(store.waves(ELDER, Metric::Ecg, from, to).unwrap(), waves);
    // A window that begins inside a block has that block; one that ends at a block's beginning has not.
    let (from, to) = seconds(7, 10);
    let found = store.waves(ELDER, Metric::Ecg, from, to).unwrap();
    assert_eq!(found, waves[2..4]);
    assert_eq!(store.waves(ELDER, Metric::Ppg, from, to).unwrap(), []);
    let stranger = Subject::Unattributed(DeviceId(3));
    assert_eq!(store.waves(stranger, Metric::Ecg, from, to).unwrap(), []);
    assert!(store.integrity_check().unwrap().is_empty());
}

#[test]
fn stretches_have_their_gaps_and_their_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let waves = [0, 5, 10, 40, 45].into_iter().map(|at| block(1, at)).chain([block(2, 5)]).collect();
    store.write_batch(&Batch { waves, ..Batch::default() }, Seq(1)).unwrap();
    assert_eq!(stretches(&store, -100, 100, 10), (vec![(1, 40, 50), (1, 0, 15), (2, 5, 10)], false));
    assert_eq!(stretches(&store, 7, 42, 10), (vec![(1, 40, 42), (1, 7, 15), (2, 7, 10)], false));
    assert_eq!(stretches(&store, -100, 100, 2), (vec![(1, 40, 50), (1, 0, 15)], true));
    assert_eq!(stretches(&store, 15, 40, 10), (vec![], false));
}

#[test]
fn what_cannot_be_a_block_is_counted_and_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let good = block(1, 0);
    let endless = Wave {
        block: Waveform { rate: Rate { samples: 1, seconds: 60 }, ..good.block.clone() },
        device: DeviceId(4),
        ..good.clone()
    };
    let batch = Batch { waves: vec![endless, good.clone()], ..Batch::default() };
    let written = store.write_batch(&batch, Seq(1)).unwrap().waves;
    assert_eq!((written.stored, written.refused), (1, 1));
    let (from, to) = seconds(0, 1);
    assert_eq!(store.waves(ELDER, Metric::Ecg, from, to).unwrap(), [good]);
}

fn reading(at: i64, value: f64) -> Reading {
    let sample = Sample::new(Metric::Glucose, Time(at), value, Quality::Ok);
    Reading { subject: ELDER, device: DeviceId(3), sample }
}

fn original(at: i64, raw: &str) -> Original {
    let origin = Origin {
        index: 0,
        raw: Some((raw.to_owned(), "mg/dL".to_owned())),
        device_ms: Some(at / 1_000 + 28_800_000),
        uncertainty_ms: Some(1_500),
    };
    Original { subject: ELDER, metric: Metric::Glucose, at: Time(at), origin }
}

#[test]
fn an_origin_belongs_to_the_reading_that_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = Batch { rows: vec![reading(1, 5.5)], originals: vec![original(1, "99")], ..Batch::default() };
    assert_eq!(store.write_batch(&first, Seq(1)).unwrap().origins, 1);
    // Another value of the same instant is refused, and so is what it came from; an origin without a reading is nobody's.
    let second = Batch {
        rows: vec![reading(1, 7.0), reading(2, 6.0)],
        originals: vec![original(1, "126"), original(3, "100")],
        ..Batch::default()
    };
    let written = store.write_batch(&second, Seq(2)).unwrap();
    assert_eq!((written.conflict, written.stored, written.origins), (1, 1, 0));
    drop(store);
    let store = open(dir.path());
    let origin = |at| store.origin(ELDER, Metric::Glucose, Time(at)).unwrap();
    assert_eq!(origin(1), Some(original(1, "99").origin));
    assert_eq!((origin(2), origin(3)), (None, None));
}

#[test]
fn a_file_of_the_first_format_is_upgraded_and_copied() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).write(&[reading(1, 5.5)], Seq(1)).unwrap();
    {
        // What a program without waveforms and retention left behind.
        let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        db.execute_batch(
            "DROP TABLE waveform; DROP TABLE origin; DROP TABLE bad_log; ALTER TABLE block DROP COLUMN kept; ALTER TABLE bad_block DROP COLUMN kept;
             ALTER TABLE meta DROP COLUMN now; ALTER TABLE meta DROP COLUMN clean; PRAGMA user_version = 1;",
        )
        .unwrap();
    }
    let store = open(dir.path());
    assert_eq!((store.cursor(), store.count()), (Seq(1), 1));
    let batch = Batch {
        waves: vec![block(1, 0)],
        originals: vec![original(5, "90")],
        rows: vec![reading(5, 5.0)],
        ..Batch::default()
    };
    store.write_batch(&batch, Seq(2)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    store.backup_to(&copy.path().join(FILE)).unwrap();
    let copied = open(copy.path());
    let (from, to) = seconds(0, 1);
    assert_eq!(copied.waves(ELDER, Metric::Ecg, from, to).unwrap(), batch.waves);
    assert_eq!(copied.origin(ELDER, Metric::Glucose, Time(5)).unwrap(), Some(original(5, "90").origin));
    assert!(copied.integrity_check().unwrap().is_empty());
}

#[test]
fn a_damaged_block_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).write_batch(&Batch { waves: vec![block(1, 0), block(1, 5)], ..Batch::default() }, Seq(1)).unwrap();
    {
        let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        db.execute("UPDATE waveform SET data = zeroblob(length(data)) WHERE t0 = 0", []).unwrap();
    }
    let store = open(dir.path());
    let (from, to) = seconds(0, 1);
    assert!(matches!(store.waves(ELDER, Metric::Ecg, from, to), Err(Error::Corrupt { .. })));
    assert_eq!(store.integrity_check().unwrap().len(), 1);
    let (from, to) = seconds(5, 6);
    assert_eq!(store.waves(ELDER, Metric::Ecg, from, to).unwrap().len(), 1, "the other block is read");
}
