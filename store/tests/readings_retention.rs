//! Retention of the embedded store: rows become rollups, rollups coarser, and trends go on as if nothing had happened.
#![allow(clippy::unwrap_used)]

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Config, FILE, Moved, Original, Readings, Retention, Trend, Wave, Written};

const ELDER: Subject = Subject::Elder(ElderId(7));
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A local midnight, so that days are whole hours.
const START: i64 = 19_700 * DAY;

fn config() -> Config {
    Config { seal_rows: 100, block_rows_max: 100, seal_budget_ms: 1_000, ..Config::default() }
}

/// Every 20 s, halves so that sums are exact, now and then without a value, once with a long pause.
fn row(metric: Metric, i: i64) -> Reading {
    let pause = if i > 5_000 { 20 * MINUTE } else { 0 };
    let at = Time(START + i * 20_000_000 + pause);
    let sample = if i % 300 > 290 {
        Sample::absent(metric, at, Quality::SensorOff)
    } else {
        Sample::new(metric, at, 60.0 + (i * 7 % 31) as f64 / 2.0, Quality::Ok)
    };
    Reading { subject: ELDER, device: DeviceId(3), sample }
}

fn rows(metric: Metric, range: std::ops::Range<i64>) -> Vec<Reading> {
    range.map(|i| row(metric, i)).collect()
}

/// Somebody else is measured at `now`, so the clock is believed.
fn goes_on(store: &Readings, now: i64) {
    let sample = Sample::new(Metric::RespiratoryRate, Time(now), 15.0, Quality::Ok);
    store
        .write(&[Reading { subject: Subject::Elder(ElderId(1_000)), device: DeviceId(4), sample }], store.cursor())
        .unwrap();
    maintain(store, now);
}

fn maintain(store: &Readings, now: i64) {
    // A sweep is done in pieces.
    for _ in 0..50 {
        store.maintain(Time(now)).unwrap();
    }
}

fn trend(store: &Readings, from: i64, to: i64, buckets: u32) -> Trend {
    store.trend(ELDER, Metric::HeartRate, Time(from), Time(to), buckets).unwrap()
}

fn raw(store: &Readings) -> Vec<Reading> {
    store.raw(ELDER, Metric::HeartRate, Time(i64::MIN), Time(i64::MAX), 1_000_000).unwrap()
}

#[test]
fn rows_become_minutes_and_hours_and_trends_stay_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &config()).unwrap();
    store.write(&rows(Metric::HeartRate, 0..20_000), Seq(1)).unwrap();
    let (end, all) = (START + 5 * DAY, raw(&store));
    let ranges = [(START, end, 120), (START, end, 7_200), (START + DAY, START + 2 * DAY, 24), (START, end, 5)];
    let before = ranges.map(|(from, to, buckets)| trend(&store, from, to, buckets));
    assert!(before[0].gaps.len() > 60 && before[0].absent.len() > 60);
    assert_eq!((before[0].bucket_us, before[1].bucket_us), (HOUR, MINUTE));

    // Half of the rows are too old: raw where there is raw, minutes where there is none, and no seam.
    goes_on(&store, START + 92 * DAY);
    let left = raw(&store);
    assert!(left.len() < 13_000 && left.len() > 11_000, "{}", left.len());
    assert_eq!(left, all[all.len() - left.len()..]);
    assert!(left[0].sample.taken_at >= Time(START + 2 * DAY - 100 * 20_000_000));
    for (range, before) in ranges.iter().zip(&before) {
        assert_eq!(&trend(&store, range.0, range.1, range.2), before, "{range:?}");
    }
    let count = left.len() as u64 + 1;
    assert_eq!((store.count(), store.stats().unwrap().rows), (count, count));
    assert_eq!(store.series(None, 9).unwrap()[0].rows, left.len() as u64);

    goes_on(&store, START + 200 * DAY);
    assert_eq!((raw(&store), store.count()), (vec![], 2), "hers are in one block");
    drop(store);
    let store = Readings::open(dir.path(), &config()).unwrap();
    for (range, before) in ranges.iter().zip(&before) {
        assert_eq!(&trend(&store, range.0, range.1, range.2), before, "{range:?}");
    }
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    assert_eq!(store.latest(ELDER), all[all.len() - 1..]);

    // Two years on only hours are left: charts of hours are the same, finer ones have a point an hour.
    goes_on(&store, START + 740 * DAY);
    for i in [0, 2, 3] {
        assert_eq!(trend(&store, ranges[i].0, ranges[i].1, ranges[i].2), before[i], "{i}");
    }
    let fine = trend(&store, START, end, 7_200);
    assert_eq!(fine.points.len(), before[0].points.len());
    assert_eq!((fine.gaps, fine.absent), (before[1].gaps.clone(), before[1].absent.clone()));

    goes_on(&store, START + 3_700 * DAY);
    assert_eq!((store.series(None, 9).unwrap().len(), store.latest(ELDER)), (1, vec![]));
    assert_eq!(trend(&store, START, end, 120).points, vec![]);
    assert_eq!(store.stats().unwrap().series, 1);
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    // The place of the series in memory is given to the next one.
    let new = Sample::new(Metric::Spo2, Time(START + 3_699 * DAY), 97.0, Quality::Ok);
    let new = Reading { subject: ELDER, device: DeviceId(1), sample: new };
    assert_eq!(store.write(&[new], Seq(2)).unwrap().stored, 1);
    assert_eq!((store.latest(ELDER), store.stats().unwrap().series), (vec![new], 2));
}

#[test]
fn what_comes_too_late_is_counted_and_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &config()).unwrap();
    store.write(&rows(Metric::HeartRate, 0..1_000), Seq(1)).unwrap();
    let before = trend(&store, START, START + DAY, 24);
    goes_on(&store, START + 100 * DAY);
    // The same again, others of that time, and an elder who was not known before.
    let mut late = rows(Metric::HeartRate, 0..10);
    late.push(row(Metric::Spo2, 5));
    late.extend(
        rows(Metric::HeartRate, 0..1).iter().map(|row| Reading { subject: Subject::Elder(ElderId(99)), ..*row }),
    );
    assert_eq!(store.write(&late, Seq(2)).unwrap(), Written { expired: 12, ..Written::default() });
    assert_eq!((store.count(), store.cursor(), store.stats().unwrap().series), (1, Seq(2), 2));
    assert_eq!(trend(&store, START, START + DAY, 24), before);
    // A restart does not forget what time it is.
    drop(store);
    let store = Readings::open(dir.path(), &config()).unwrap();
    assert_eq!(store.write(&late, Seq(2)).unwrap().expired, 12);
    let block = Waveform {
        metric: Metric::Ecg,
        lead: 1,
        start: Time(START),
        rate: Rate { samples: 100, seconds: 1 },
        scale: 1.0,
        offset: 0.0,
        counts: vec![5; 100],
    };
    let waves = vec![Wave { subject: ELDER, device: DeviceId(1), block }];
    let moved = Moved {
        from: Subject::Unattributed(DeviceId(3)),
        to: ELDER,
        device: DeviceId(3),
        samples: vec![row(Metric::HeartRate, 3).sample],
        waveforms: vec![],
    };
    let written = store.write_batch(&Batch { waves, moves: vec![moved], ..Batch::default() }, Seq(3)).unwrap();
    assert_eq!((written.waves.expired, written.waves.stored, written.expired), (1, 0, 1));
    assert_eq!(store.count(), 1);
}

#[test]
fn metrics_have_their_own_days_and_rows_in_memory_grow_old_too() {
    let dir = tempfile::tempdir().unwrap();
    let raw_days_of = [("heart_rate".to_owned(), 10), ("spo2".to_owned(), 0)].into_iter().collect();
    let config = Config { retention: Retention { raw_days_of, ..Retention::default() }, ..Config::default() };
    let store = Readings::open(dir.path(), &config).unwrap();
    for metric in [Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate] {
        // Not enough for a block: all of it is in memory.
        store.write(&rows(metric, 0..50), Seq(1)).unwrap();
    }
    goes_on(&store, START + 20 * DAY);
    let count = |metric| store.raw(ELDER, metric, Time(0), Time(i64::MAX), 99).unwrap().len();
    assert_eq!([Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate].map(count), [0, 50, 50]);
    assert_eq!(trend(&store, START, START + HOUR, 60).points.len(), 17);
    store.seal_all().unwrap();
    goes_on(&store, START + 9_000 * DAY);
    assert_eq!([Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate].map(count), [0, 50, 0]);
    assert_eq!(store.series(None, 9).unwrap().len(), 2);
}

#[test]
fn old_waveforms_and_origins_go_and_the_file_uses_their_pages_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &config()).unwrap();
    let day_of = |day: i64| {
        let block = |second: i64| Waveform {
            metric: Metric::Ecg,
            lead: 1,
            start: Time(START + day * DAY + second * 1_000_000),
            rate: Rate { samples: 250, seconds: 1 },
            scale: 1.0,
            offset: 0.0,
            counts: (0..250).map(|i| ((i * second * 7_919 + day) % 2_000) as i16).collect(),
        };
        let waves = (0..400).map(|s| Wave { subject: ELDER, device: DeviceId(1), block: block(s) }).collect();
        let (rows, at) = (rows(Metric::HeartRate, day * 4_320..day * 4_320 + 2_000), START + day * DAY);
        let origin = Origin { index: 0, raw: Some(("60".into(), "bpm".into())), device_ms: None, uncertainty_ms: None };
        let at = rows.iter().find(|row| row.sample.taken_at.0 >= at).unwrap().sample.taken_at;
        let originals = vec![Original { subject: ELDER, metric: Metric::HeartRate, at, origin }];
        Batch { rows, waves, originals, ..Batch::default() }
    };
    let pages = || {
        let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut most = 0;
    for day in 0..400 {
        let written = store.write_batch(&day_of(day), Seq(day as u64 + 1)).unwrap();
        assert_eq!((written.origins, written.waves.stored), (1, 400));
        maintain(&store, START + day * DAY);
        if day == 100 {
            most = pages();
        }
    }
    let (blocks, _) = store.wave_totals().unwrap();
    assert!((90 * 400..=92 * 400).contains(&blocks), "{blocks}");
    let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    let origins: i64 = db.query_row("SELECT count(*) FROM origin", [], |row| row.get(0)).unwrap();
    assert!((90..=92).contains(&origins), "{origins}");
    // 300 days more made it longer only by the rollups of those days.
    assert!(pages() < most + most / 4, "{} {most}", pages());
}

#[test]
fn rows_that_were_moved_away_are_in_no_rollup() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &config()).unwrap();
    store.write(&rows(Metric::HeartRate, 0..400), Seq(1)).unwrap();
    let samples = rows(Metric::HeartRate, 0..200).iter().map(|row| row.sample).collect();
    let to = Subject::Elder(ElderId(8));
    let moves = vec![Moved { from: ELDER, to, device: DeviceId(3), samples, waveforms: vec![] }];
    store.write_batch(&Batch { moves, ..Batch::default() }, Seq(2)).unwrap();
    let of = |subject| store.trend(subject, Metric::HeartRate, Time(START), Time(START + DAY), 24).unwrap();
    let before = [of(ELDER), of(to)];
    goes_on(&store, START + 100 * DAY);
    assert_eq!(store.count(), 1);
    assert_eq!([of(ELDER), of(to)], before);
}
