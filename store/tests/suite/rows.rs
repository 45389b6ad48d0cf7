//! Readings written, told again and read back.

use std::sync::atomic::{AtomicBool, Ordering};

use model::{DeviceId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Batch, Error, Original, Progress, Readings, Trend, bench_rows};

use crate::place::{Kind, Place};
use crate::world::{ALL, BASE, DAY, SECOND, all_of, assert_same_trend, elder, reading, steady};

pub(crate) fn everything_sent_twice_is_stored_once(place: &Place) {
    let mut store = place.open();
    let sent: Vec<Vec<Reading>> = (0..5).map(|i| bench_rows(i, 2_000)).collect();
    for (i, rows) in sent.iter().enumerate() {
        assert_eq!(store.write(rows, Seq(i as u64 + 1)).unwrap().stored, rows.len() as u64);
    }
    for settled in [false, true] {
        if settled {
            store = place.settle(store);
        }
        for rows in sent.iter().rev() {
            let rows: Vec<Reading> = rows.iter().rev().copied().collect();
            let written = store.write(&rows, Seq(1)).unwrap();
            assert_eq!((written.stored, written.duplicate, written.conflict), (0, rows.len() as u64, 0));
        }
        assert_eq!((store.count(), store.cursor()), (10_000, Seq(5)));
    }
    assert_eq!(store.stats().unwrap().rows, 10_000);
}

/// Odd numbers, and the ends of what a device number and a subject can be.
pub(crate) fn the_same_bits_come_back(place: &Place) {
    let values =
        [0.0, -0.0, 36.6, 0.1 + 0.2, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, 1.0 / 3.0, 98.6_f32.into()];
    let mut rows: Vec<Reading> =
        values.iter().zip(0..).map(|(value, i)| reading(1, BASE + i * SECOND + i, *value)).collect();
    for (quality, i) in Quality::ALL.iter().zip(0..) {
        let sample = Sample::new(Metric::Glucose, Time(BASE + i), 5.5, *quality);
        rows.push(Reading {
            subject: Subject::Unattributed(DeviceId(u32::MAX >> 1)),
            device: DeviceId(u32::MAX),
            sample,
        });
    }
    let mut store = place.open();
    assert_eq!(store.write(&rows, Seq(u64::MAX >> 1)).unwrap().stored, rows.len() as u64);
    for settled in [false, true] {
        if settled {
            store = place.settle(store);
        }
        let mut found = all_of(&store, 1);
        let subject = rows.last().unwrap().subject;
        found.extend(store.raw(subject, Metric::Glucose, ALL.0, ALL.1, 100).unwrap());
        let bits = |rows: &[Reading]| rows.iter().map(|row| row.sample.value().map(f64::to_bits)).collect::<Vec<_>>();
        assert_eq!(found, rows);
        assert_eq!(bits(&found), bits(&rows));
        // Zero and minus zero are equal and yet two values.
        let written = store.write(&[reading(1, BASE, -0.0)], Seq(1)).unwrap();
        assert_eq!((written.duplicate, written.conflict), (0, 1));
        assert_eq!(store.cursor(), Seq(u64::MAX >> 1));
    }
}

pub(crate) fn clocks_from_the_far_future_and_past_neither_lose_nor_block_what_follows(place: &Place) {
    let mut store = place.open();
    let odd = |at: Time| Reading {
        sample: Sample::new(Metric::HeartRate, at, 70.0, Quality::ClockSuspect),
        ..reading(1, 0, 0.0)
    };
    let (past, future) = (odd(Time::MIN), odd(Time::MAX));
    assert_eq!(store.write(&[future, past], Seq(1)).unwrap().stored, 2);
    store = place.settle(store);
    for i in 0..20 {
        assert_eq!(store.write(&steady(1, i * 50..i * 50 + 50), Seq(2 + i as u64)).unwrap().stored, 50);
    }
    store = place.settle(store);
    assert_eq!(store.write(&steady(1, 0..1_000), Seq(99)).unwrap().duplicate, 1_000);
    let mut expected = vec![past];
    expected.extend(steady(1, 0..1_000));
    expected.push(future);
    assert_eq!(all_of(&store, 1), expected);
    assert_eq!(store.latest(elder(1)), [future]);
    let trend = store.trend(elder(1), Metric::HeartRate, Time(BASE), Time(BASE + 1_000 * SECOND), 10).unwrap();
    assert_eq!(trend.points.iter().map(|point| point.n).sum::<u64>(), 1_000);
}

pub(crate) fn a_paused_store_refuses_writes_answers_questions_and_catches_up(place: &Place) {
    let store = place.open();
    store.write(&steady(1, 0..100), Seq(1)).unwrap();
    store.pause_writes(true);
    assert!(matches!(store.write(&steady(1, 100..200), Seq(2)), Err(Error::Paused)));
    assert!(matches!(store.maintain(Time(0)), Err(Error::Paused)));
    assert_eq!((all_of(&store, 1).len(), store.cursor()), (100, Seq(1)));
    store.pause_writes(false);
    assert_eq!(store.write(&steady(1, 50..200), Seq(2)).unwrap().stored, 100);
    assert_eq!(all_of(&store, 1), steady(1, 0..200));
}

pub(crate) fn a_second_writer_is_refused_until_the_first_is_gone(place: &Place) {
    if place.kind == Kind::Timescale {
        // PGlite takes one connection: the second would wait for the first to end. Plain PostgreSQL shows it.
        return;
    }
    let store = place.open();
    store.write(&steady(1, 0..10), Seq(1)).unwrap();
    let second = place.try_open().and_then(|second| second.write(&steady(1, 0..20), Seq(2)));
    assert!(matches!(second, Err(Error::Locked { .. } | Error::WriterElsewhere { .. })), "{second:?}");
    // Nor does a second process delete anything.
    let second = place.try_open().and_then(|second| second.maintain(Time(BASE + 400 * DAY)));
    assert!(matches!(second, Err(Error::Locked { .. } | Error::WriterElsewhere { .. })), "{second:?}");
    let second = place.try_open().and_then(|second| second.forget(elder(1)));
    assert!(matches!(second, Err(Error::Locked { .. } | Error::WriterElsewhere { .. })), "{second:?}");
    assert_eq!(store.write(&steady(1, 10..20), Seq(2)).unwrap().stored, 10);
    drop(store);
    let store = place.open();
    let written = pgtest::until("the lock is not released", || store.write(&steady(1, 0..30), Seq(3)).ok());
    assert_eq!((written.stored, written.duplicate), (10, 20));
}

pub(crate) fn readers_beside_a_writer_never_miss_or_double_a_row(place: &Place) {
    let store = place.open();
    let rows = if place.kind == Kind::Embedded { 3_000 } else { 600 };
    let expected = steady(1, 0..rows);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) || seen < expected.len() {
                let found = all_of(&store, 1);
                assert!(found.len() >= seen);
                assert_eq!(found, expected[..found.len()]);
                let range = (Time(BASE), Time(BASE + 3_600 * SECOND));
                let trend = store.trend(elder(1), Metric::HeartRate, range.0, range.1, 60).unwrap();
                let n: u64 = trend.points.iter().map(|bucket| bucket.n).sum();
                assert!(n >= found.len() as u64 && n <= expected.len() as u64);
                seen = found.len();
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for (i, rows) in expected.chunks(10).enumerate() {
            store.write(rows, Seq(i as u64 + 1)).unwrap();
            if i % 20 == 7 {
                store.maintain(Time(BASE + DAY * 3)).unwrap();
            }
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

pub(crate) fn progress_comes_back_with_its_rows(place: &Place) {
    let mut store = place.open();
    assert_eq!((store.progress().unwrap(), store.cursor()), (Progress::default(), Seq(0)));
    let pending = vec![(Seq(40), Seq(90)), (Seq(10), Seq(20))];
    let progress = Progress { pending, live: Seq(120) };
    let write = |store: &Readings, seconds, progress: &Progress| {
        store.write_batch(&Batch { rows: steady(1, seconds), ..Batch::default() }, progress).unwrap()
    };
    write(&store, 0..10, &progress);
    assert_eq!(store.cursor(), Seq(10));
    drop(store);
    store = place.open();
    // The embedded store keeps only what is done: what comes twice costs it little.
    let kept = if place.kind == Kind::Embedded { Progress::at(Seq(10)) } else { progress };
    assert_eq!((store.progress().unwrap(), store.cursor()), (kept, Seq(10)));
    write(&store, 10..20, &Progress::at(Seq(130)));
    drop(store);
    store = place.open();
    assert_eq!((store.progress().unwrap(), store.cursor()), (Progress::at(Seq(130)), Seq(130)));
    assert_eq!(all_of(&store, 1), steady(1, 0..20));
}

pub(crate) fn pages_and_series_walk_through_everything(place: &Place) {
    let store = place.open();
    let mut rows: Vec<Reading> = (1..=3).flat_map(|n| steady(n, 0..50)).collect();
    let stranger = Reading { subject: Subject::Unattributed(DeviceId(5)), ..reading(5, BASE, 1.0) };
    rows.push(stranger);
    let origin = model::Origin {
        index: 0,
        raw: Some(("98.6".to_owned(), "degF".to_owned())),
        device_ms: Some(1_700_000_000_123),
        uncertainty_ms: None,
    };
    let at = rows[60].sample.taken_at;
    let original = Original { subject: elder(2), metric: Metric::HeartRate, at, origin: origin.clone() };
    let batch = Batch { rows: rows.clone(), originals: vec![original], ..Batch::default() };
    store.write_batch(&batch, Seq(1)).unwrap();
    let store = place.settle(store);
    let mut after = None;
    let mut walked = Vec::new();
    loop {
        let some = store.series(after, 2).unwrap();
        let Some(last) = some.last() else { break };
        after = Some((last.subject, last.metric));
        walked.extend(some);
    }
    let counts: Vec<_> = walked.iter().map(|one| (one.subject, one.rows)).collect();
    let mut expected = vec![(elder(1), 50), (elder(2), 50), (elder(3), 50), (stranger.subject, 1)];
    expected.sort_by_key(|(subject, _)| subject.to_u32());
    assert_eq!(counts, expected);
    let (mut found, mut after) = (Vec::new(), ALL.0);
    loop {
        let page = store.page(elder(2), Metric::HeartRate, after, 7).unwrap();
        after = page.rows.last().map_or(after, |row| row.sample.taken_at);
        let more = page.more;
        found.extend(page.rows);
        if !more {
            break;
        }
    }
    assert_eq!(
        found.iter().map(|row| row.sample).collect::<Vec<_>>(),
        steady(2, 0..50).iter().map(|r| r.sample).collect::<Vec<_>>()
    );
    assert!(found.iter().all(|row| row.device == DeviceId(2) && !row.moved));
    assert_eq!(found.iter().filter_map(|row| row.origin.clone()).collect::<Vec<_>>(), [origin]);
    assert!(found[10].origin.is_some());
}

pub(crate) fn everything_of_one_person_is_forgotten_and_nothing_else(place: &Place) {
    let mut store = place.open();
    let rows: Vec<Reading> = (1..=3).flat_map(|n| steady(n, 0..300)).collect();
    let origin = model::Origin { index: 0, raw: None, device_ms: Some(7), uncertainty_ms: Some(9) };
    let original = Original { subject: elder(2), metric: Metric::HeartRate, at: rows[300].sample.taken_at, origin };
    let waves = vec![crate::waves::block(2, 1, 0), crate::waves::block(3, 1, 0)];
    store.write_batch(&Batch { rows, waves, originals: vec![original], ..Batch::default() }, Seq(1)).unwrap();
    store = place.settle(store);
    let gone = store.forget(elder(2)).unwrap();
    assert_eq!((gone.series, gone.rows, gone.waves, gone.origins), (1, 300, 1, 1));
    for reopened in [false, true] {
        if reopened {
            store = place.settle(store);
            drop(store);
            store = place.open();
        }
        assert_eq!((all_of(&store, 2), store.latest(elder(2))), (vec![], vec![]));
        let trend = |n| store.trend(elder(n), Metric::HeartRate, Time(BASE), Time(BASE + DAY), 100).unwrap();
        assert_eq!((trend(2).points.len(), trend(2).gaps.len()), (0, 0));
        assert!(store.waves(elder(2), Metric::Ecg, ALL.0, ALL.1).unwrap().is_empty());
        assert_eq!(store.origin(elder(2), Metric::HeartRate, Time(BASE)).unwrap(), None);
        assert!(store.series(None, 10).unwrap().iter().all(|one| one.subject != elder(2)));
        for n in [1, 3] {
            assert_eq!(all_of(&store, n), steady(n, 0..300));
            assert_eq!(trend(n).points.iter().map(|point| point.n).sum::<u64>(), 300);
        }
        assert_eq!(store.waves(elder(3), Metric::Ecg, ALL.0, ALL.1).unwrap().len(), 1);
    }
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    // Who comes back begins anew.
    assert_eq!(store.write(&steady(2, 0..10), Seq(2)).unwrap().stored, 10);
    assert_eq!(store.forget(elder(9)).unwrap().rows, 0);
}

pub(crate) fn sparklines_of_many_are_the_points_of_each_trend(place: &Place) {
    let store = place.open();
    let rows: Vec<Reading> = (1..=6).flat_map(|n| steady(n, 0..i64::from(n) * 90)).collect();
    store.write(&rows, Seq(1)).unwrap();
    let store = place.settle(store);
    let subjects: Vec<Subject> = [3, 9, 1, 6, 3].into_iter().map(elder).collect();
    let (from, to) = (Time(BASE + 30 * SECOND), Time(BASE + 400 * SECOND));
    let many = store.sparklines(&subjects, Metric::HeartRate, from, to, 24).unwrap();
    assert_eq!(many.len(), subjects.len());
    for (subject, trend) in subjects.iter().zip(&many) {
        let one = store.trend(*subject, Metric::HeartRate, from, to, 24).unwrap();
        let points = Trend { absent: Vec::new(), gaps: Vec::new(), ..one };
        assert_same_trend(trend, &points, &format!("{subject:?}"));
    }
    assert!(store.sparklines(&[], Metric::HeartRate, from, to, 24).unwrap().is_empty());
}
