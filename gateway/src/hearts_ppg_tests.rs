//! What the step for hearts makes of pulse waves.

use ecg::made::{self, Dice, Noise};
use model::{Quality, Rate, Waveform};

use super::tests::{SECOND, blocks, derived, events, heart, name, told};
use super::*;

/// A device's pulse wave of so many seconds at 50 Hz, as blocks of five.
fn pulse_blocks(values: &[f64], from_s: i64) -> Vec<Report> {
    let counts = made::counts(values, 0.0025);
    let of = |(index, counts): (usize, &[i16])| {
        let block = Waveform {
            metric: Metric::Ppg,
            lead: 0,
            start: Time((from_s + 5 * index as i64) * SECOND),
            rate: Rate { samples: 50, seconds: 1 },
            scale: 0.0025,
            offset: 0.0,
            counts: counts.to_vec(),
        };
        Report { device: name("patch"), waveforms: vec![block], ..Report::default() }
    };
    counts.chunks(250).enumerate().map(of).collect()
}

fn pulse(seconds: f64, per_minute: f64, seed: u64) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    made::pulse(&made::beats(seconds, per_minute, &mut dice), seconds, 50.0, &mut dice)
}

fn jerked(seconds: f64, seed: u64) -> Vec<f64> {
    made::with_noise(&pulse(seconds, 75.0, seed), Noise::Motion, -12.0, 50.0, &mut Dice::new(seed))
}

#[test]
fn a_pulse_wave_gives_a_pulse_rate_and_a_noisy_one_an_absence_and_no_event() {
    let hearts = Hearts::new(Arc::default());
    let made = derived(&hearts, pulse_blocks(&pulse(20.0, 72.0, 61), 0));
    assert_eq!(made[0].samples[0].metric, Metric::PulseRate);
    assert_eq!(made[0].origins[0].raw, Some(("ppg".to_owned(), "1".to_owned())));
    let first = told(&made);
    assert!(
        first.len() == 2 && first.iter().all(|(_, q, v)| *q == Quality::Ok && (68..77).contains(&v.unwrap())),
        "{first:?}"
    );
    let noise = derived(&hearts, pulse_blocks(&jerked(20.0, 62), 20));
    let failed = Quality::MeasurementFailed;
    assert_eq!(told(&noise), [(30, failed, None), (40, failed, None)]);
    // A sensor that fell off: absent for what it is, and nobody is called.
    let off = derived(&hearts, pulse_blocks(&[1.0; 2_000], 40));
    assert_eq!(told(&off), [50, 60, 70, 80].map(|at| (at, Quality::SensorOff, None)));
    assert_eq!(events(&[made, noise, off].concat()), []);
}

#[test]
fn a_pulse_rate_beside_a_noisy_wave_is_marked_unless_it_is_critical_or_an_ecg_says_more() {
    let figures = Arc::new(Figures::default());
    let hearts = Hearts::new(Arc::clone(&figures));
    let pass = |metric, at_s, value| {
        let samples = vec![Sample::new(metric, Time(at_s * SECOND), value, Quality::Ok)];
        let report = Report { device: name("patch"), samples, ..Report::default() };
        hearts.pass(report, Time(at_s * SECOND)).0.samples[0].quality
    };
    derived(&hearts, pulse_blocks(&jerked(10.0, 63), 0));
    assert_eq!([Metric::PulseRate, Metric::HeartRate].map(|metric| pass(metric, 11, 118.0)), [Quality::Noisy; 2]);
    // Oxygen is the oximeter's own judgement; a critical rate may be the only sign.
    assert_eq!(pass(Metric::Spo2, 11, 91.0), Quality::Ok);
    assert_eq!([131.0, 40.0].map(|value| pass(Metric::PulseRate, 11, value)), [Quality::Ok; 2]);
    assert_eq!(figures.snapshot().devices[&name("patch")].noisy_rates, 2);
    derived(&hearts, pulse_blocks(&pulse(10.0, 75.0, 64), 20));
    assert_eq!(pass(Metric::PulseRate, 31, 118.0), Quality::Ok, "the wave can be read");
    // With an ECG the wave is not asked.
    derived(&hearts, blocks(&heart(10.0, 75.0, 65), 100, 5));
    let beside = derived(&hearts, pulse_blocks(&jerked(10.0, 66), 105));
    assert_eq!((told(&beside), pass(Metric::PulseRate, 116, 100.0)), (vec![], Quality::Ok));
}
