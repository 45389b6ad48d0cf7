//! 32 hours of a bedside monitor (MIMIC II, record s00001) under the default rules. Zeros in the file are a sensor that was
//! off or failed: none of them may raise a low value.

use model::{Metric, Priority, Quality, Sample};

use crate::day::at;

/// In the folder of shared recordings: `../shared/data` beside the project, or `VIGIL_SHARED_DATA`.
const FILE: &str = "vitals/mimic2_s00001_numerics_1min.csv";
const COLUMNS: [(&str, Metric); 6] = [
    ("HR[bpm]", Metric::HeartRate),
    ("PULSE[bpm]", Metric::PulseRate),
    ("RESP[pm]", Metric::RespiratoryRate),
    ("SpO2[%]", Metric::Spo2),
    ("NBPSys[mmHg]", Metric::Systolic),
    ("NBPDias[mmHg]", Metric::Diastolic),
];

#[test]
fn the_zeros_of_a_bedside_recording_raise_nothing() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let folder = std::env::var("VIGIL_SHARED_DATA").unwrap_or_else(|_| beside.to_owned());
    let Ok(text) = std::fs::read_to_string(std::path::Path::new(&folder).join(FILE)) else {
        eprintln!("SKIPPED: {FILE} is not there (set VIGIL_SHARED_DATA to the folder of recordings)");
        return;
    };
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut zeros = 0;
    let rows: Vec<_> = lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let taken_at = at(cells[0].parse().unwrap());
            let samples = COLUMNS.iter().filter_map(|(name, metric)| {
                let column = header.iter().position(|title| title == name)?;
                let value: f64 = cells[column].parse().ok()?;
                zeros += usize::from(*metric == Metric::Spo2 && value == 0.0);
                Some(Sample::new(*metric, taken_at, value, Quality::Ok).guarded())
            });
            (taken_at, samples.collect::<Vec<_>>())
        })
        .collect();
    let low: Vec<_> = rows
        .iter()
        .flat_map(|(_, samples)| samples)
        .filter(|sample| sample.metric == Metric::Spo2 && sample.quality.is_judged())
        .filter(|sample| sample.value().is_some_and(|value| value < 95.5))
        .collect();
    let (alarms, counters) = vigil_engine::judge::judge(vigil_engine::default_rules(), rows.clone());
    for alarm in &alarms {
        eprintln!("{}", serde_json::to_string(alarm).unwrap());
    }
    eprintln!("{} alarms, {} low SpO2 values, {counters:?}", alarms.len(), low.len());
    assert_eq!((rows.len(), zeros), (1_936, 363));
    for alarm in alarms.iter().filter(|alarm| alarm.rule == "spo2_low") {
        let real = low.iter().filter(|sample| (alarm.started_at..=alarm.raised_at).contains(&sample.taken_at)).count();
        assert!(real >= 2, "nobody measured this: {alarm:?}");
    }
    assert!(alarms.iter().all(|alarm| alarm.worst.is_some_and(|worst| worst > 0.0)));
    // Every alarm, so that a change of the rules or of the engine is seen: worklist items of a pressure above 140 measured
    // once, a slow pulse of the finger clip for a minute, and slow breath for half an hour (one of them with a value just inside).
    let of = |priority| alarms.iter().filter(|alarm| alarm.priority == priority).count();
    assert_eq!(alarms.len(), 25);
    assert_eq!(of(Priority::P1) + of(Priority::P2) + of(Priority::P3), 25, "none is technical");
}
