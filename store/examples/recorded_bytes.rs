//! Bytes a reading of real vital signs in the embedded store, sealed.
//! `VIGIL_SHARED_DATA=FOLDER cargo run --release -p vigil-store --example recorded_bytes`, where the folder holds
//! `vitals/mimic2_s00001_numerics_1min.csv` (32 h of a bedside monitor, a line a minute; a sensor that is off reads 0) and
//! `vitals/hr_1hz_from_beats_mitdb100.csv` (half an hour of heart rate, a line a second).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::Path;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Config, Readings};

/// Elders who all have the recording, each with a jitter of their own: a file of one recording would be mostly empty pages.
const ELDERS: u32 = 200;
const BASE: i64 = 1_700_000_000_000_000;
const MINUTES: (&str, &[(&str, Metric)]) = (
    "mimic2_s00001_numerics_1min.csv",
    &[
        ("HR[bpm]", Metric::HeartRate),
        ("PULSE[bpm]", Metric::PulseRate),
        ("RESP[pm]", Metric::RespiratoryRate),
        ("SpO2[%]", Metric::Spo2),
        ("ABPSys[mmHg]", Metric::Systolic),
        ("ABPDias[mmHg]", Metric::Diastolic),
    ],
);
const SECONDS: (&str, &[(&str, Metric)]) = ("hr_1hz_from_beats_mitdb100.csv", &[("hr_bpm", Metric::HeartRate)]);

fn main() {
    let Some(dir) = std::env::var_os("VIGIL_SHARED_DATA") else {
        println!("SKIPPED: VIGIL_SHARED_DATA names no folder of recordings");
        return;
    };
    for (name, columns) in [MINUTES, SECONDS] {
        let text = std::fs::read_to_string(Path::new(&dir).join("vitals").join(name)).unwrap();
        for jitter_ms in [0, 20] {
            measure(name, &text, columns, jitter_ms);
        }
    }
}

fn measure(name: &str, text: &str, columns: &[(&str, Metric)], jitter_ms: u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    for elder in 1..=ELDERS {
        let rows = rows(text, columns, elder, jitter_ms);
        store.write(&rows, Seq(u64::from(elder))).unwrap();
    }
    store.seal_all().unwrap();
    let stats = store.stats().unwrap();
    println!(
        "{name}, jitter {jitter_ms} ms, {ELDERS} times: {} readings, {:.2} bytes a sealed one, {:.2} with the file",
        stats.rows, stats.bytes_per_sealed_reading, stats.bytes_per_reading
    );
}

fn rows(text: &str, columns: &[(&str, Metric)], elder: u32, jitter_ms: u64) -> Vec<Reading> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|title| *title == name).unwrap();
    let columns: Vec<(usize, Metric)> = columns.iter().map(|(name, metric)| (place(name), *metric)).collect();
    let mut rows = Vec::new();
    for (line, n) in lines.zip(1_u64..) {
        let cells: Vec<&str> = line.split(',').collect();
        let noise = (n * u64::from(ELDERS) + u64::from(elder)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let late_us = if jitter_ms == 0 { 0 } else { noise % jitter_ms * 1_000 };
        let at = Time(BASE + cells[0].parse::<i64>().unwrap() * 1_000_000 + late_us as i64);
        for (column, metric) in &columns {
            let Ok(value) = cells[*column].parse::<f64>() else { continue };
            let sample = match value {
                0.0 => Sample::absent(*metric, at, Quality::SensorOff),
                _ => Sample::new(*metric, at, value, Quality::Ok),
            };
            rows.push(Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample });
        }
    }
    rows
}
