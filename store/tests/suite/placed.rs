//! Moving house: rows of another store stand here as they do there.

use model::{DeviceId, Metric, Quality, Reading, Sample, Seq, Time};
use vigil_store::readings::{Batch, Placed, Readings};

use crate::place::Place;
use crate::world::{ALL, BASE, SECOND, elder};

fn reading(i: i64) -> Reading {
    let sample = Sample::new(Metric::Systolic, Time(BASE + 40 * SECOND * i), 100.0 + i as f64, Quality::Ok);
    Reading { subject: elder(7), device: DeviceId(9), sample }
}

fn place_one(store: &Readings, reading: Reading, moved: bool) -> (u64, u64, u64, u64) {
    let batch = Batch { placed: vec![Placed { reading, moved }], ..Batch::default() };
    let written = store.write_batch(&batch, Seq(0)).unwrap();
    (written.stored, written.moved, written.duplicate, written.conflict)
}

/// (instant, moved away) of every row.
fn shape(store: &Readings) -> Vec<(Time, bool)> {
    let page = store.page(elder(7), Metric::Systolic, ALL.0, 1_000).unwrap();
    page.rows.iter().map(|row| (row.sample.taken_at, row.moved)).collect()
}

pub(crate) fn a_placed_row_takes_the_state_it_has_elsewhere(place: &Place) {
    for settles in [false, true] {
        let place = place.another();
        let settle = |store: Readings| if settles { place.settle(store) } else { store };
        let mut store = place.open();
        store.write(&[reading(0), reading(2)], Seq(5)).unwrap();
        store = settle(store);
        assert_eq!(place_one(&store, reading(1), true), (1, 0, 0, 0), "a new row, moved away");
        assert_eq!(place_one(&store, reading(1), true), (0, 0, 1, 0), "twice is once");
        assert_eq!(place_one(&store, reading(0), true), (0, 1, 0, 0), "a row that stands here leaves");
        store = settle(store);
        assert_eq!(place_one(&store, reading(0), true), (0, 0, 1, 0));
        assert_eq!(place_one(&store, reading(1), false), (0, 1, 0, 0), "one that was away is back");
        let other = Sample::new(Metric::Systolic, reading(2).sample.taken_at, 1.0, Quality::Ok);
        for moved in [true, false] {
            // A row that was moved away has no value to compare: its device tells whose measurement it was.
            let device = DeviceId(if moved { 8 } else { 9 });
            let there = Reading { sample: other, device, ..reading(2) };
            assert_eq!(place_one(&store, there, moved), (0, 0, 0, 1), "another measurement stays out");
        }
        let at = |i| reading(i).sample.taken_at;
        let expected = vec![(at(0), true), (at(1), false), (at(2), false)];
        assert_eq!(shape(&store), expected);
        assert_eq!(store.latest(elder(7)), [reading(2)]);
        assert_eq!(store.cursor(), Seq(5), "it says nothing about the journal");
        drop(store);
        assert_eq!(shape(&place.open()), expected, "after a restart");
    }
}
