//! Pulse waves: made ones with seeded noise, upright and upside down, and recordings of a finger and a ring. SKIPPED where they are not.

use model::Rate;
use model::extra::NO_SAMPLE;
use vigil_ecg::made::{self, Dice, Noise};
use vigil_ecg::pulse::{self, Pulse};
use vigil_ecg::{Reason, Verdict};

use crate::recordings::shared;

/// Counts of a pulse of height 1.
const HEIGHT: f64 = 400.0;
const RATES: [f64; 6] = [45.0, 60.0, 75.0, 100.0, 130.0, 160.0];

fn read(values: &[f64], hz: u32) -> Pulse {
    pulse::read(Rate { samples: hz, seconds: 1 }, 1.0 / HEIGHT, 0.0, &made::counts(values, 1.0 / HEIGHT))
}

/// Ten seconds of a pulse.
fn wave(per_minute: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    made::pulse(&made::beats(10.0, per_minute, dice), 10.0, hz, dice)
}

#[test]
fn a_clean_pulse_is_counted_at_any_rate_sampling_and_polarity() {
    for (seed, hz) in [25, 50, 100, 250].into_iter().enumerate() {
        for (index, per_minute) in RATES.into_iter().enumerate() {
            let mut dice = Dice::new((10 * seed + index) as u64);
            let upright = wave(per_minute, f64::from(hz), &mut dice);
            let turned: Vec<f64> = upright.iter().map(|value| 20.0 - value).collect();
            for values in [upright, turned] {
                let found = read(&values, hz);
                assert_eq!(
                    (found.verdict, found.reason),
                    (Verdict::Usable, None),
                    "{per_minute} at {hz} Hz: {found:?}"
                );
                let told = found.rate.unwrap();
                assert!((told - per_minute).abs() < 0.06 * per_minute, "{per_minute} at {hz} Hz: {told}");
            }
        }
    }
}

/// Sixty strips of one kind of noise: usable, doubtful, unusable; and the rate of a usable one told worst, percent.
fn sweep(kind: Noise, snr_db: f64) -> ([usize; 3], f64) {
    let (mut verdicts, mut worst) = ([0; 3], 0.0_f64);
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let rate = RATES[seed as usize % RATES.len()];
        let clean = wave(rate, 50.0, &mut dice);
        let found = read(&made::with_noise(&clean, kind, snr_db, 50.0, &mut dice), 50);
        verdicts[found.verdict as usize] += 1;
        if found.verdict == Verdict::Usable {
            worst = worst.max(found.rate.map_or(0.0, |told| 100.0 * (told - rate).abs() / rate));
        }
    }
    eprintln!(
        "{kind:?} at {snr_db} dB: usable, doubtful, unusable {verdicts:?}; usable rates off by {worst:.1} % at worst"
    );
    (verdicts, worst)
}

/// Kind, dB, usable at least, unusable at least, usable rate off at most, percent (the made rate itself wanders by 4).
const EXPECTED: &[(Noise, f64, usize, usize, f64)] = &[
    (Noise::Motion, 24.0, 58, 0, 8.0),
    (Noise::Motion, 12.0, 50, 0, 12.0),
    (Noise::Motion, -6.0, 0, 50, 100.0),
    (Noise::Motion, -12.0, 0, 56, 100.0),
    (Noise::Muscle, 12.0, 56, 0, 8.0),
    (Noise::Muscle, -12.0, 0, 57, 100.0),
    (Noise::Baseline, 0.0, 54, 0, 8.0),
];

#[test]
fn noise_of_a_known_strength_gets_the_verdict_it_deserves() {
    let fails = |(kind, snr_db, usable, unusable, off): &&(Noise, f64, usize, usize, f64)| {
        let (verdicts, worst) = sweep(*kind, *snr_db);
        verdicts[0] < *usable || verdicts[2] < *unusable || worst > *off
    };
    let failed: Vec<_> = EXPECTED.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn what_is_no_pulse_says_why() {
    let mut dice = Dice::new(3);
    let clean = wave(70.0, 50.0, &mut dice);
    let reason = |values: &[f64]| read(values, 50).reason;
    assert_eq!(reason(&[0.5; 500]), Some(Reason::Flat));
    assert_eq!(reason(&clean[..200]), Some(Reason::Short));
    assert_eq!(read(&clean, 10).reason, Some(Reason::Rate));
    let weak: Vec<f64> = clean.iter().map(|value| value * 3.0 / HEIGHT).collect();
    assert!(matches!(reason(&weak), Some(Reason::Weak | Reason::Flat)), "{:?}", read(&weak, 50));
    let cut: Vec<f64> = clean.iter().map(|value| value.clamp(0.1, 0.3)).collect();
    assert_eq!(reason(&cut), Some(Reason::Clipped));
    // A hundred thousandth of the light pulses.
    let faint = pulse::read(Rate { samples: 50, seconds: 1 }, 1.0, 1e7, &made::counts(&clean, 1.0 / HEIGHT));
    assert_eq!((faint.verdict, faint.reason), (Verdict::Unusable, Some(Reason::Weak)), "{faint:?}");
    let mut gone = made::counts(&clean, 1.0 / HEIGHT);
    gone[..350].fill(NO_SAMPLE);
    assert_eq!(pulse::read(Rate { samples: 50, seconds: 1 }, 1.0, 0.0, &gone).reason, Some(Reason::LeadOff));
    for counts in [vec![], vec![i16::MAX; 600], vec![NO_SAMPLE; 600]] {
        let found = pulse::read(Rate { samples: 50, seconds: 1 }, f64::NAN, f64::INFINITY, &counts);
        assert_eq!((found.verdict, found.rate), (Verdict::Unusable, None));
    }
}

/// Strips of ten seconds of one column.
fn strips(name: &str, column: usize, hz: u32) -> Option<Vec<Pulse>> {
    let text = std::fs::read_to_string(shared("ppg", name)?).unwrap();
    let cell = |line: &str| line.split(',').nth(column)?.trim().parse::<f64>().ok();
    let counts: Vec<i16> = text.lines().filter_map(cell).map(|value| value as i16).collect();
    let read = |counts: &[i16]| pulse::read(Rate { samples: hz, seconds: 1 }, 1.0, 0.0, counts);
    Some(counts.chunks_exact(10 * hz as usize).map(read).collect())
}

fn count(strips: &[Pulse]) -> [usize; 3] {
    let of = |verdict| strips.iter().filter(|strip| strip.verdict == verdict).count();
    [Verdict::Usable, Verdict::Doubtful, Verdict::Unusable].map(of)
}

#[test]
fn a_finger_at_rest_is_counted_and_one_that_moves_is_not_believed() {
    let Some(rest) = strips("heartpy_data.csv", 0, 100) else { return };
    assert_eq!(count(&rest), [2, 0, 0], "{rest:?}");
    assert!(rest.iter().all(|strip| (55.0..63.0).contains(&strip.rate.unwrap())));
    let Some(moved) = strips("heartpy_data2.csv", 1, 117) else { return };
    eprintln!("a finger that moves: usable, doubtful, unusable {:?}", count(&moved));
    let rates: Vec<f64> =
        moved.iter().filter(|one| one.verdict == Verdict::Usable).filter_map(|one| one.rate).collect();
    assert!(rates.len() >= 4 && rates.iter().all(|rate| (55.0..80.0).contains(rate)), "{rates:?}");
    // Its first forty seconds are jerks.
    assert!(moved[..4].iter().all(|strip| strip.verdict == Verdict::Unusable), "{moved:?}");
}

#[test]
fn much_of_a_ring_that_is_worn_loosely_is_not_believed() {
    let Some(ring) = strips("ring_data.csv", 0, 32) else { return };
    let [usable, doubtful, unusable] = count(&ring);
    eprintln!("a loose ring, {} strips: usable {usable}, doubtful {doubtful}, unusable {unusable}", ring.len());
    assert!(unusable > ring.len() / 3 && usable > ring.len() / 5);
    let odd = ring.iter().filter(|one| one.verdict == Verdict::Usable);
    let odd = odd.filter(|one| one.rate.is_none_or(|rate| !(45.0..130.0).contains(&rate))).count();
    assert!(odd * 20 <= usable, "{odd} of {usable} usable strips tell a rate that nobody has at rest");
}
