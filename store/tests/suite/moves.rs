//! Measurements that change their subject: whatever was moved, settled, told again or read after a restart, the answers are
//! those of a store in which everything had been the right person's from the start.

use std::cell::RefCell;
use std::collections::BTreeMap;

use model::{DeviceId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vigil_store::readings::{Batch, Moved, Readings, Series};

use crate::place::{self, Kind, Place};
use crate::world::{ALL, BASE, SECOND, assert_same_trend, elder};

const CUFF: DeviceId = DeviceId(9);

fn subject(n: u8) -> Subject {
    if n == 0 { Subject::Unattributed(CUFF) } else { elder(n.into()) }
}

/// Measurement `i`: sometimes a failed one.
fn sample(i: usize) -> Sample {
    let at = Time(BASE + 40 * SECOND * i as i64);
    if i % 5 == 3 {
        Sample::absent(Metric::Systolic, at, Quality::MeasurementFailed)
    } else {
        Sample::new(Metric::Systolic, at, 100.0 + i as f64, Quality::Ok)
    }
}

fn reading(owner: u8, i: usize) -> Reading {
    Reading { subject: subject(owner), device: CUFF, sample: sample(i) }
}

fn moved(from: u8, to: u8, i: usize) -> Moved {
    Moved { from: subject(from), to: subject(to), device: CUFF, samples: vec![sample(i)], waveforms: Vec::new() }
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8),
    /// By what it is now, to another.
    Move(usize, u8),
    /// The last moves once more.
    Again,
    Settle,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..60_usize, 0..3_u8).prop_map(|(i, owner)| Step::Put(i, owner)),
        4 => (0..60_usize, 0..3_u8).prop_map(|(i, to)| Step::Move(i, to)),
        1 => Just(Step::Again),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Against an embedded store that was told the right owners at once.
fn assert_answers(store: &Readings, owners: &BTreeMap<usize, u8>) {
    let other = place::embedded();
    let plain = other.open();
    let rows: Vec<Reading> = owners.iter().map(|(i, owner)| reading(*owner, *i)).collect();
    plain.write(&rows, Seq(1)).unwrap();
    for owner in 0..3 {
        let of = subject(owner);
        let raw = |store: &Readings| store.raw(of, Metric::Systolic, ALL.0, ALL.1, 10_000).unwrap();
        assert_eq!(raw(store), raw(&plain), "rows of {of:?}");
        assert_eq!(store.latest(of), plain.latest(of), "newest of {of:?}");
        for buckets in [1, 60, 3_600] {
            let range = (Time(BASE), Time(BASE + 3_600 * SECOND));
            let trend = |store: &Readings| store.trend(of, Metric::Systolic, range.0, range.1, buckets).unwrap();
            assert_same_trend(&trend(store), &trend(&plain), &format!("trend of {of:?} in {buckets}"));
        }
    }
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

fn total(store: &Readings) -> u64 {
    store.series(None, 100).unwrap().iter().map(|series| series.rows).sum()
}

/// The same, counted row by row.
fn paged(store: &Readings) -> u64 {
    let series = store.series(None, 100).unwrap();
    let rows = |one: &Series| store.page(one.subject, one.metric, Time(i64::MIN), 100_000).unwrap().rows.len() as u64;
    series.iter().map(rows).sum()
}

fn run(place: &Place, steps: &[Step]) {
    let mut store = place.open();
    // The first owner told stays, until it is moved.
    let mut owners: BTreeMap<usize, u8> = BTreeMap::new();
    let (mut seq, mut last) = (0, Vec::new());
    for step in steps {
        seq += 1;
        match step {
            Step::Put(i, owner) => {
                // A device tells a measurement for one owner; told again it stays where it is now.
                let first = *owners.entry(*i).or_insert(*owner);
                store.write(&[reading(first, *i)], Seq(seq)).unwrap();
            }
            Step::Move(i, to) => {
                let Some(owner) = owners.get_mut(i) else { continue };
                last = vec![moved(*owner, *to, *i)];
                // The device tells it once more in the same write, as it was first told.
                let rows = vec![reading(*owner, *i)];
                store.write_batch(&Batch { rows, moves: last.clone(), ..Batch::default() }, Seq(seq)).unwrap();
                *owner = *to;
            }
            Step::Again => {
                let stands = |m: &Moved| owners.iter().any(|(i, o)| m.samples == [sample(*i)] && subject(*o) == m.to);
                if last.iter().all(stands) {
                    store.write_batch(&Batch { moves: last.clone(), ..Batch::default() }, Seq(seq)).unwrap();
                }
            }
            Step::Settle => store = place.settle(store),
            Step::Reopen => {
                drop(store);
                store = place.open();
            }
        }
    }
    assert_answers(&store, &owners);
    assert_eq!(total(&store), paged(&store), "a row that stands in the log and in a block is one row");
    store = place.settle(store);
    let rows = total(&store);
    assert_eq!(rows, paged(&store));
    assert_answers(&store, &owners);
    drop(store);
    store = place.open();
    assert_answers(&store, &owners);
    assert_eq!(total(&store), rows);
}

pub(crate) fn moving_is_as_if_it_had_been_so_from_the_start(place: &Place) {
    let cases = match place.kind {
        Kind::Embedded => 24,
        Kind::Postgres => 4,
        Kind::Timescale => 1,
    };
    let place = RefCell::new(place);
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 16, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        run(&place.borrow().another(), &steps);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

pub(crate) fn a_measurement_told_again_does_not_come_back_to_where_it_was(place: &Place) {
    let mut store = place.open();
    store.write(&[reading(0, 1)], Seq(1)).unwrap();
    store.write_batch(&Batch { moves: vec![moved(0, 1, 1)], ..Batch::default() }, Seq(2)).unwrap();
    store.write(&[reading(0, 1)], Seq(3)).unwrap();
    store = place.settle(store);
    store.write(&[reading(0, 1)], Seq(4)).unwrap();
    assert_answers(&store, &BTreeMap::from([(1, 1)]));
    // The move came first: the measurement, told later, is where it belongs.
    store.write_batch(&Batch { moves: vec![moved(0, 2, 2)], ..Batch::default() }, Seq(5)).unwrap();
    store.write(&[reading(0, 2)], Seq(6)).unwrap();
    assert_answers(&store, &BTreeMap::from([(1, 1), (2, 2)]));
}

pub(crate) fn another_measurement_of_the_same_instant_is_not_touched(place: &Place) {
    let store = place.open();
    let other = Sample::new(Metric::Systolic, sample(1).taken_at, 180.0, Quality::Ok);
    let own = Reading { sample: other, ..reading(1, 1) };
    store.write(&[own, reading(0, 1)], Seq(1)).unwrap();
    let written = store.write_batch(&Batch { moves: vec![moved(0, 1, 1)], ..Batch::default() }, Seq(2)).unwrap();
    assert_eq!(written.conflict, 1, "counted, and both values are kept in the measurements");
    let rows = store.raw(subject(1), Metric::Systolic, ALL.0, ALL.1, 10).unwrap();
    assert_eq!(rows, [own]);
}

/// A cuff of a cabin measures somebody; it is told as nobody's, or as another's, and given to the right person afterwards.
pub(crate) fn who_is_forgotten_leaves_no_value_where_it_was_before(place: &Place) {
    const VALUE: f64 = 148.37;
    let cuff = DeviceId(7);
    let whole = Sample::new(Metric::Systolic, Time(BASE + SECOND), VALUE, Quality::Ok);
    let wrong = Sample::new(Metric::Systolic, Time(BASE + 90 * SECOND), VALUE, Quality::Ok);
    let told = [(Subject::Unattributed(cuff), whole), (elder(1), wrong)];
    let rows = told.map(|(subject, sample)| Reading { subject, device: cuff, sample });
    let moves = told.map(|(from, sample)| Moved {
        from,
        to: elder(2),
        device: cuff,
        samples: vec![sample],
        waveforms: Vec::new(),
    });
    let other = |i| Reading { subject: elder(1), device: cuff, sample: sample(i) };
    // Sealed before the move, after it, or only when the person is deleted.
    for (before, after) in [(true, true), (false, true), (true, false), (false, false)] {
        let place = place.another();
        let settle = |store: Readings, settles: bool| if settles { place.settle(store) } else { store };
        let mut store = place.open();
        store.write(&[&rows[..], &[other(1), other(20)]].concat(), Seq(1)).unwrap();
        store = settle(store, before);
        drop(store);
        assert!(place.holds(VALUE), "the search finds what is there");
        store = place.open();
        store.write_batch(&Batch { moves: moves.to_vec(), ..Batch::default() }, Seq(2)).unwrap();
        store = settle(store, after);
        let place_of = |subject| store.page(subject, Metric::Systolic, ALL.0, 10).unwrap().rows;
        assert!(place_of(told[0].0)[0].moved && place_of(told[0].0)[0].device == cuff);
        if place.kind == Kind::Embedded {
            let (_, proof) = store.forget_with_proof(elder(2)).unwrap();
            assert!(proof.found_before > 0 && proof.found_after == 0, "{proof:?}");
        } else {
            store.forget(elder(2)).unwrap();
        }
        for subject in [told[0].0, elder(1), elder(2)] {
            let page = store.page(subject, Metric::Systolic, ALL.0, 10).unwrap();
            assert!(page.rows.iter().all(|row| row.sample.value() != Some(VALUE)), "{page:?}");
        }
        drop(store);
        assert!(!place.holds(VALUE), "{before} {after}");
        // The journal tells it again as it was first told.
        store = place.open();
        assert_eq!(store.write(&rows, Seq(3)).unwrap().stored, 0);
        store = place.settle(store);
        assert_eq!(store.raw(elder(1), Metric::Systolic, ALL.0, ALL.1, 10).unwrap(), [other(1), other(20)]);
        assert_eq!(store.raw(told[0].0, Metric::Systolic, ALL.0, ALL.1, 10).unwrap(), []);
        assert_eq!(store.series(None, 10).unwrap().iter().filter(|one| one.subject == elder(2)).count(), 0);
        assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
        drop(store);
        assert!(!place.holds(VALUE));
    }
}

/// A program before its marks lost their values wrote into a database; the first deletion of a person takes them out.
pub(crate) fn values_that_old_programs_left_go_with_the_first_deletion(place: &Place) {
    if place.kind == Kind::Embedded {
        // A test beside `embedded/marks.rs` makes such a file.
        return;
    }
    let store = place.open();
    store.write(&[reading(0, 1), reading(1, 2)], Seq(1)).unwrap();
    store.write_batch(&Batch { moves: vec![moved(0, 2, 1)], ..Batch::default() }, Seq(2)).unwrap();
    drop(place.settle(store));
    place.one("UPDATE reading SET value = 148.37 WHERE quality = 255 RETURNING 1");
    place.one("UPDATE state SET marks_blank = false RETURNING 1");
    place.one(
        "INSERT INTO latest SELECT subject, metric, ts, 148.37, device, 0 FROM reading WHERE quality = 255 RETURNING 1",
    );
    assert!(place.holds(148.37));
    let store = place.open();
    store.forget(elder(2)).unwrap();
    drop(store);
    assert!(!place.holds(148.37));
    assert_eq!(place.one("SELECT count(*) FROM reading WHERE quality = 255"), "1");
}
