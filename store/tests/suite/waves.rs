//! Waveforms and origins: told again, cut to windows, refused.

use model::extra::Rate;
use model::{DeviceId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use vigil_store::readings::{Batch, Moved, Original, Readings, Stretch, Wave};

use crate::place::Place;
use crate::world::{BASE, SECOND, elder};

/// Five seconds of 360 Hz, beginning `second` after [`BASE`].
pub(crate) fn block(n: u32, lead: u32, second: i64) -> Wave {
    let counts = (0..1_800_i64).map(|i| ((second * 131 + i * 17 + i64::from(lead)) % 1_201 - 600) as i16).collect();
    let block = Waveform {
        metric: Metric::Ecg,
        lead,
        start: Time(BASE + second * SECOND),
        rate: Rate { samples: 360, seconds: 1 },
        scale: 0.005,
        offset: -5.12,
        counts,
    };
    Wave { subject: elder(n), device: DeviceId(3), block }
}

fn seconds(from: i64, to: i64) -> (Time, Time) {
    (Time(BASE + from * SECOND), Time(BASE + to * SECOND))
}

fn stretches(store: &Readings, from: i64, to: i64, limit: usize) -> (Vec<(u32, i64, i64)>, bool) {
    let (from, to) = seconds(from, to);
    let answer = store.stretches(elder(7), Metric::Ecg, from, to, limit).unwrap();
    let second = |at: Time| (at.0 - BASE) / SECOND;
    let plain = |one: &Stretch| (one.lead, second(one.from), second(one.to));
    (answer.found.iter().map(plain).collect(), answer.cut)
}

fn waves(store: &Readings, from: i64, to: i64) -> Vec<Wave> {
    let (from, to) = seconds(from, to);
    store.waves(elder(7), Metric::Ecg, from, to).unwrap()
}

pub(crate) fn blocks_come_back_sample_for_sample_and_only_once(place: &Place) {
    let sent: Vec<Wave> = (0..12).flat_map(|i| [block(7, 1, i * 5), block(7, 2, i * 5)]).collect();
    let batch = Batch { waves: sent.clone(), ..Batch::default() };
    let mut store = place.open();
    let written = store.write_batch(&batch, Seq(1)).unwrap().waves;
    assert_eq!((written.stored, written.samples, written.duplicate), (24, 24 * 1_800, 0));
    // The strip of an alarm told these before their turn; and a write that brings nothing new moves the cursor.
    let again = store.write_batch(&batch, Seq(2)).unwrap().waves;
    assert_eq!((again.stored, again.duplicate), (0, 24));
    let shorter = Wave { block: Waveform { counts: vec![1; 10], ..sent[0].block.clone() }, ..sent[0].clone() };
    store = place.settle(store);
    let written = store.write_batch(&Batch { waves: vec![shorter], ..Batch::default() }, Seq(2)).unwrap().waves;
    assert_eq!((written.stored, written.duplicate), (0, 1), "the first block stays");
    drop(store);
    store = place.open();
    assert_eq!((store.cursor(), store.wave_totals().unwrap()), (Seq(2), (24, 24 * 1_800)));
    assert_eq!(waves(&store, 0, 60), sent);
    // A window that begins inside a block has that block; one that ends at a block's beginning has not.
    assert_eq!(waves(&store, 7, 10), sent[2..4]);
    let (from, to) = seconds(0, 60);
    assert_eq!(store.waves(elder(7), Metric::Ppg, from, to).unwrap(), []);
    assert_eq!(store.waves(Subject::Unattributed(DeviceId(3)), Metric::Ecg, from, to).unwrap(), []);
    assert!(store.integrity_check().unwrap().is_empty());
}

pub(crate) fn stretches_have_their_gaps_and_their_limit(place: &Place) {
    let store = place.open();
    let waves = [0, 5, 10, 40, 45].into_iter().map(|at| block(7, 1, at)).chain([block(7, 2, 5)]).collect();
    store.write_batch(&Batch { waves, ..Batch::default() }, Seq(1)).unwrap();
    assert_eq!(stretches(&store, -100, 100, 10), (vec![(1, 40, 50), (1, 0, 15), (2, 5, 10)], false));
    assert_eq!(stretches(&store, 7, 42, 10), (vec![(1, 40, 42), (1, 7, 15), (2, 7, 10)], false));
    assert_eq!(stretches(&store, -100, 100, 2), (vec![(1, 40, 50), (1, 0, 15)], true));
    assert_eq!(stretches(&store, 15, 40, 10), (vec![], false));
}

pub(crate) fn what_cannot_be_a_block_is_counted_and_costs_nothing_else(place: &Place) {
    let store = place.open();
    let good = block(7, 1, 0);
    let endless = Wave {
        block: Waveform { rate: Rate { samples: 1, seconds: 60 }, ..good.block.clone() },
        device: DeviceId(4),
        ..good.clone()
    };
    let batch = Batch { waves: vec![endless, good.clone()], ..Batch::default() };
    let written = store.write_batch(&batch, Seq(1)).unwrap().waves;
    assert_eq!((written.stored, written.refused), (1, 1));
    assert_eq!(waves(&store, 0, 1), [good]);
}

fn reading(i: i64, value: f64) -> Reading {
    let sample = Sample::new(Metric::Glucose, Time(BASE + i), value, Quality::Ok);
    Reading { subject: elder(7), device: DeviceId(3), sample }
}

fn original(i: i64, raw: &str) -> Original {
    let origin = Origin {
        index: 0,
        raw: Some((raw.to_owned(), "mg/dL".to_owned())),
        device_ms: Some(BASE / 1_000 + 28_800_000),
        uncertainty_ms: Some(1_500),
    };
    Original { subject: elder(7), metric: Metric::Glucose, at: Time(BASE + i), origin }
}

pub(crate) fn an_origin_belongs_to_the_reading_that_was_stored(place: &Place) {
    let mut store = place.open();
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
    store = place.settle(store);
    drop(store);
    store = place.open();
    let origin = |i| store.origin(elder(7), Metric::Glucose, Time(BASE + i)).unwrap();
    assert_eq!(origin(1), Some(original(1, "99").origin));
    assert_eq!((origin(2), origin(3)), (None, None));
}

pub(crate) fn an_origin_goes_where_its_reading_goes(place: &Place) {
    let mut store = place.open();
    let other = Reading { subject: elder(8), ..reading(2, 9.0) };
    let rows = vec![reading(1, 5.5), reading(2, 6.0), reading(3, 6.5), other];
    let originals = (1..=3).map(|i| original(i, "99")).collect();
    store.write_batch(&Batch { rows, originals, ..Batch::default() }, Seq(1)).unwrap();
    let samples = vec![reading(1, 5.5).sample, reading(2, 6.0).sample];
    let moved = Moved { from: elder(7), to: elder(8), device: reading(1, 5.5).device, samples, waveforms: vec![] };
    // Told again in the same write: it is not the former subject's any more.
    let originals = vec![original(1, "99")];
    store.write_batch(&Batch { moves: vec![moved], originals, ..Batch::default() }, Seq(2)).unwrap();
    store = place.settle(store);
    let origin = |of, i| store.origin(elder(of), Metric::Glucose, Time(BASE + i)).unwrap();
    assert_eq!([origin(7, 1), origin(7, 2)], [None, None]);
    assert_eq!(origin(7, 3), Some(original(3, "99").origin));
    // Where another measurement stands the one that came found no place.
    assert_eq!([origin(8, 1), origin(8, 2)], [Some(original(1, "99").origin), None]);
}

pub(crate) fn blocks_of_waveforms_come_once_each_page_by_page(place: &Place) {
    let mut store = place.open();
    let block = |subject: u32, device: u32, lead: u32, start: i64| Wave {
        subject: elder(subject),
        device: DeviceId(device),
        block: Waveform {
            metric: Metric::Ecg,
            lead,
            start: Time(BASE + start * SECOND),
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
    store = place.settle(store);
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
    // Blocks that the other has already leave all the same, also in a write that brings nothing else.
    let of_one = waves.iter().filter(|wave| wave.subject == elder(1) && wave.device == DeviceId(3));
    let waveforms = of_one.map(|wave| wave.block.clone()).collect();
    let moved = Moved { from: elder(1), to: elder(2), device: DeviceId(3), samples: vec![], waveforms };
    store.write_batch(&Batch { moves: vec![moved], ..Batch::default() }, Seq(1)).unwrap();
    let store = place.settle(store);
    let left: Vec<u64> = store.wave_series(None, 10).unwrap().iter().map(|series| series.rows).collect();
    assert_eq!(left, [14, 28]);
}
