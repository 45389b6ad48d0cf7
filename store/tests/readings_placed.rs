//! Moving house: rows of another store stand here as they do there, and blocks of waveforms are listed page by page.
#![allow(clippy::unwrap_used)]

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Config, Placed, Readings, Wave};

const WANG: Subject = Subject::Elder(ElderId(7));
const CUFF: DeviceId = DeviceId(9);

fn reading(i: i64) -> Reading {
    let at = Time::from_secs(1_800_000_000 + 40 * i);
    Reading { subject: WANG, device: CUFF, sample: Sample::new(Metric::Systolic, at, 100.0 + i as f64, Quality::Ok) }
}

fn place(store: &Readings, i: i64, moved: bool) -> (u64, u64, u64, u64) {
    let batch = Batch { placed: vec![Placed { reading: reading(i), moved }], ..Batch::default() };
    let written = store.write_batch(&batch, Seq(0)).unwrap();
    (written.stored, written.moved, written.duplicate, written.conflict)
}

/// (instant, moved away) of every row.
fn shape(store: &Readings) -> Vec<(Time, bool)> {
    let page = store.page(WANG, Metric::Systolic, Time(i64::MIN), 1_000).unwrap();
    page.rows.iter().map(|row| (row.sample.taken_at, row.moved)).collect()
}

#[test]
fn a_placed_row_takes_the_state_it_has_elsewhere_sealed_or_not() {
    for seal in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = Readings::open(dir.path(), &Config::default()).unwrap();
        store.write(&[reading(0), reading(2)], Seq(5)).unwrap();
        let sealed = |store: &Readings| {
            if seal {
                store.seal_all().unwrap();
            }
        };
        sealed(&store);
        assert_eq!(place(&store, 1, true), (1, 0, 0, 0), "a new row, moved away");
        assert_eq!(place(&store, 1, true), (0, 0, 1, 0), "twice is once");
        assert_eq!(place(&store, 0, true), (0, 1, 0, 0), "a row that stands here leaves");
        sealed(&store);
        assert_eq!(place(&store, 0, true), (0, 0, 1, 0));
        assert_eq!(place(&store, 1, false), (0, 1, 0, 0), "one that was away is back");
        let other = Sample::new(Metric::Systolic, reading(2).sample.taken_at, 1.0, Quality::Ok);
        for moved in [true, false] {
            let placed = vec![Placed { reading: Reading { sample: other, ..reading(2) }, moved }];
            let written = store.write_batch(&Batch { placed, ..Batch::default() }, Seq(0)).unwrap();
            assert_eq!((written.conflict, written.stored), (1, 0), "another value stays out");
        }
        let expected = vec![
            (reading(0).sample.taken_at, true),
            (reading(1).sample.taken_at, false),
            (reading(2).sample.taken_at, false),
        ];
        assert_eq!(shape(&store), expected);
        assert_eq!(store.cursor(), Seq(5), "it says nothing about the journal");
        drop(store);
        assert_eq!(shape(&Readings::open(dir.path(), &Config::default()).unwrap()), expected, "after a restart");
    }
}

#[test]
fn blocks_of_waveforms_come_once_each_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let block = |subject: u32, device: u32, lead: u32, start: i64| Wave {
        subject: Subject::Elder(ElderId(subject)),
        device: DeviceId(device),
        block: Waveform {
            metric: Metric::Ecg,
            lead,
            start: Time::from_secs(start),
            rate: Rate::new(250, 1).unwrap(),
            scale: 0.005,
            offset: 0.0,
            counts: vec![lead as i16; 250],
        },
    };
    let mut waves = Vec::new();
    for subject in [1, 2] {
        for device in [3, 4] {
            waves.extend((0..7).flat_map(|i| [block(subject, device, 1, i), block(subject, device, 2, i)]));
        }
    }
    store.write_batch(&Batch { waves: waves.clone(), ..Batch::default() }, Seq(1)).unwrap();
    let first = store.wave_series(None, 1).unwrap();
    let rest = store.wave_series(Some((first[0].subject, first[0].metric)), 10).unwrap();
    assert_eq!((first[0].rows, rest.len(), rest[0].rows), (28, 1, 28));
    let mut found = Vec::new();
    for series in first.iter().chain(&rest) {
        let mut after = None;
        loop {
            let page = store.wave_page(series.subject, series.metric, after, 5).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            found.extend(page);
        }
    }
    waves.sort_by_key(|wave| (wave.subject.to_u32(), wave.place()));
    assert_eq!(found, waves);
}
