//! Waveforms and origins in the readings store: told again, cut to windows, damaged, upgraded, copied.
#![allow(clippy::unwrap_used)]

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Config, Error, FILE, Original, Readings, Wave};

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
fn a_file_of_the_first_format_is_upgraded_and_copied() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).write(&[reading(1, 5.5)], Seq(1)).unwrap();
    {
        // What a program without waveforms and retention left behind.
        let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        db.execute_batch(
            "DROP TABLE waveform; DROP TABLE origin; DROP TABLE bad_log; ALTER TABLE block DROP COLUMN kept; ALTER TABLE bad_block DROP COLUMN kept;
             ALTER TABLE meta DROP COLUMN now; ALTER TABLE meta DROP COLUMN clean; ALTER TABLE meta DROP COLUMN blank; PRAGMA user_version = 1;",
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
