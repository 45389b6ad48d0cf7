//! Measurements that change their subject: whatever was moved, sealed, told again or read after a restart, the answers are
//! those of a store in which everything had been the right person's from the start.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use proptest::prelude::*;
use vigil_store::readings::{Batch, Config, Moved, Readings};

const CUFF: DeviceId = DeviceId(9);
const ALL: (Time, Time) = (Time(i64::MIN), Time(i64::MAX));

fn subject(n: u8) -> Subject {
    if n == 0 { Subject::Unattributed(CUFF) } else { Subject::Elder(ElderId(n.into())) }
}

/// Measurement `i`: sometimes a failed one.
fn sample(i: usize) -> Sample {
    let at = Time::from_secs(1_800_000_000 + 40 * i as i64);
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
    Seal,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..60_usize, 0..3_u8).prop_map(|(i, owner)| Step::Put(i, owner)),
        4 => (0..60_usize, 0..3_u8).prop_map(|(i, to)| Step::Move(i, to)),
        1 => Just(Step::Again),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..80)
}

fn small() -> Config {
    Config { seal_rows: 8, block_rows_max: 16, head_rows_max: 40, ..Config::default() }
}

fn assert_answers(store: &Readings, owners: &BTreeMap<usize, u8>) {
    let dir = tempfile::tempdir().unwrap();
    let plain = Readings::open(dir.path(), &small()).unwrap();
    let rows: Vec<Reading> = owners.iter().map(|(i, owner)| reading(*owner, *i)).collect();
    plain.write(&rows, Seq(1)).unwrap();
    for owner in 0..3 {
        let of = subject(owner);
        let raw = |store: &Readings| store.raw(of, Metric::Systolic, ALL.0, ALL.1, 10_000).unwrap();
        assert_eq!(raw(store), raw(&plain), "rows of {of:?}");
        assert_eq!(store.latest(of), plain.latest(of), "newest of {of:?}");
        let (from, to) = (Time::from_secs(1_800_000_000), Time::from_secs(1_800_003_600));
        for buckets in [1, 60, 3_600] {
            let trend = |store: &Readings| store.trend(of, Metric::Systolic, from, to, buckets).unwrap();
            assert_eq!(trend(store), trend(&plain), "trend of {of:?} in {buckets}");
        }
    }
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn moving_is_as_if_it_had_been_so_from_the_start(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Readings::open(dir.path(), &small()).unwrap();
        // The first owner told stays, until it is moved.
        let mut owners: BTreeMap<usize, u8> = BTreeMap::new();
        let (mut seq, mut last) = (0, Vec::new());
        for step in steps {
            seq += 1;
            match step {
                Step::Put(i, owner) => {
                    // A device tells a measurement for one owner; told again it stays where it is now.
                    let first = *owners.entry(i).or_insert(owner);
                    store.write(&[reading(first, i)], Seq(seq)).unwrap();
                }
                Step::Move(i, to) => {
                    let Some(owner) = owners.get_mut(&i) else { continue };
                    last = vec![moved(*owner, to, i)];
                    // The device tells it once more in the same write, as it was first told.
                    let rows = vec![reading(*owner, i)];
                    store.write_batch(&Batch { rows, moves: last.clone(), ..Batch::default() }, Seq(seq)).unwrap();
                    *owner = to;
                }
                Step::Again => {
                    let stands = last.iter().all(|m| owners.iter().any(|(i, o)| m.samples == [sample(*i)] && subject(*o) == m.to));
                    if stands {
                        store.write_batch(&Batch { moves: last.clone(), ..Batch::default() }, Seq(seq)).unwrap();
                    }
                }
                Step::Seal => store.seal_all().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = Readings::open(dir.path(), &small()).unwrap();
                }
            }
        }
        assert_answers(&store, &owners);
        store.seal_all().unwrap();
        let rows = store.count();
        assert_answers(&store, &owners);
        drop(store);
        let store = Readings::open(dir.path(), &small()).unwrap();
        assert_answers(&store, &owners);
        prop_assert_eq!(store.count(), rows);
    }
}

#[test]
fn a_measurement_told_again_does_not_come_back_to_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    store.write(&[reading(0, 1)], Seq(1)).unwrap();
    store.write_batch(&Batch { moves: vec![moved(0, 1, 1)], ..Batch::default() }, Seq(2)).unwrap();
    store.write(&[reading(0, 1)], Seq(3)).unwrap();
    store.seal_all().unwrap();
    store.write(&[reading(0, 1)], Seq(4)).unwrap();
    assert_answers(&store, &BTreeMap::from([(1, 1)]));
    // The move came first: the measurement, told later, is where it belongs.
    store.write_batch(&Batch { moves: vec![moved(0, 2, 2)], ..Batch::default() }, Seq(5)).unwrap();
    store.write(&[reading(0, 2)], Seq(6)).unwrap();
    assert_answers(&store, &BTreeMap::from([(1, 1), (2, 2)]));
}

#[test]
fn another_measurement_of_the_same_instant_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &small()).unwrap();
    let own =
        Reading { sample: Sample::new(Metric::Systolic, sample(1).taken_at, 180.0, Quality::Ok), ..reading(1, 1) };
    store.write(&[own, reading(0, 1)], Seq(1)).unwrap();
    let written = store.write_batch(&Batch { moves: vec![moved(0, 1, 1)], ..Batch::default() }, Seq(2)).unwrap();
    assert_eq!(written.conflict, 1, "counted, and both values are kept in the measurements");
    let rows = store.raw(subject(1), Metric::Systolic, ALL.0, ALL.1, 10).unwrap();
    assert_eq!(rows, [own]);
}
