//! Real recordings (the shared data beside the project) stored and read back.

use std::path::Path;

use codec::import::{Record, wfdb};
use model::extra::Rate;
use model::{DeviceId, Metric, Quality, Reading, Sample, Seq, Time, Waveform};
use vigil_store::readings::{Batch, Wave};

use crate::place::Place;
use crate::world::{ALL, BASE, SECOND, elder};

const DEVICE: DeviceId = DeviceId(1);
const VITALS: &str = "vitals/mimic2_s00001_numerics_1min.csv";
const COLUMNS: [(&str, Metric); 6] = [
    ("HR[bpm]", Metric::HeartRate),
    ("PULSE[bpm]", Metric::PulseRate),
    ("RESP[pm]", Metric::RespiratoryRate),
    ("SpO2[%]", Metric::Spo2),
    ("NBPSys[mmHg]", Metric::Systolic),
    ("NBPDias[mmHg]", Metric::Diastolic),
];

fn shared(name: &str) -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let dir = std::env::var("VIGIL_SHARED_DATA").unwrap_or_else(|_| beside.to_owned());
    let found = std::fs::read(Path::new(&dir).join(name)).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not there (set VIGIL_SHARED_DATA to the folder of recordings)");
    }
    found
}

/// Every number of the columns as the bedside monitor wrote it, zeros of a sensor that was off with the quality they get.
fn vitals(text: &str) -> Vec<Reading> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name| header.iter().position(|title| *title == name).unwrap();
    let columns = COLUMNS.map(|(name, metric)| (place(name), metric));
    let mut rows = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let at = Time(BASE + cells[0].parse::<i64>().unwrap() * SECOND);
        for (column, metric) in columns {
            let Ok(value) = cells[column].parse::<f64>() else { continue };
            let quality = if value == 0.0 { Quality::SensorOff } else { Quality::Ok };
            rows.push(Reading { subject: elder(1), device: DEVICE, sample: Sample::new(metric, at, value, quality) });
        }
    }
    rows
}

pub(crate) fn thirty_two_hours_of_vitals_come_back_bit_for_bit(place: &Place) {
    let Some(file) = shared(VITALS) else { return };
    let rows = vitals(std::str::from_utf8(&file).unwrap());
    assert!(rows.len() > 8_000, "{}", rows.len());
    let mut store = place.open();
    for (i, rows) in rows.chunks(1_000).enumerate() {
        assert_eq!(store.write(rows, Seq(i as u64 + 1)).unwrap().stored, rows.len() as u64);
    }
    for settled in [false, true] {
        if settled {
            store = place.settle(store);
        }
        for (_, metric) in COLUMNS {
            let sent: Vec<Reading> = rows.iter().filter(|row| row.sample.metric == metric).copied().collect();
            let found = store.raw(elder(1), metric, ALL.0, ALL.1, 100_000).unwrap();
            let bits = |row: &Reading| row.sample.value().map(f64::to_bits);
            assert!(found.iter().map(bits).eq(sent.iter().map(bits)), "{metric:?}");
            assert_eq!(found, sent, "{metric:?}");
        }
    }
}

/// Both leads in blocks of five seconds, as a gateway cuts them.
fn blocks(record: &Record) -> Vec<Wave> {
    let mut waves = Vec::new();
    for (signal, lead) in record.signals.iter().zip(1..) {
        let rate = Rate { samples: signal.rate.samples, seconds: signal.rate.seconds };
        for (counts, i) in signal.counts.chunks(1_800).zip(0..) {
            let start = Time(BASE + i * 5 * SECOND);
            let (scale, offset) = (signal.scale, signal.offset);
            let block = Waveform { metric: Metric::Ecg, lead, start, rate, scale, offset, counts: counts.to_vec() };
            waves.push(Wave { subject: elder(1), device: DEVICE, block });
        }
    }
    waves
}

pub(crate) fn mit_bih_100_comes_back_sample_for_sample(place: &Place) {
    let (Some(header), Some(data)) = (shared("ecg/100.hea"), shared("ecg/100.dat")) else { return };
    let record = wfdb::record(&wfdb::Header::parse(&header).unwrap(), &[&data]).unwrap();
    let mut sent = blocks(&record);
    let mut store = place.open();
    for (i, waves) in sent.chunks(100).enumerate() {
        let batch = Batch { waves: waves.to_vec(), ..Batch::default() };
        store.write_batch(&batch, Seq(i as u64 + 1)).unwrap();
    }
    assert_eq!(store.wave_totals().unwrap(), (sent.len() as u64, 2 * 650_000));
    store = place.settle(store);
    sent.sort_by_key(|wave| (wave.block.start, wave.block.lead));
    let mut found = Vec::new();
    // A million samples at most an answer.
    for i in 0..4 {
        let minutes = |n: i64| Time(BASE + n * 600 * SECOND);
        found.extend(store.waves(elder(1), Metric::Ecg, minutes(i), minutes(i + 1)).unwrap());
    }
    found.sort_by_key(|wave| (wave.block.start, wave.block.lead));
    assert!(found == sent, "{} blocks of {}", found.len(), sent.len());
}
