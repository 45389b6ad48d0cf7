//! Made strips with seeded noise: what is told of each is right, and what cannot be told is not.

use model::Rate;
use vigil_ecg as ecg;
use vigil_ecg::made::{self, Dice, Noise};
use vigil_ecg::{Finding, Reason, Verdict};

const SCALE: f64 = 0.005;
const RATES: [f64; 6] = [45.0, 60.0, 75.0, 100.0, 130.0, 160.0];

fn read(values: &[f64], hz: u32) -> Finding {
    ecg::read(Rate { samples: hz, seconds: 1 }, SCALE, &made::counts(values, SCALE))
}

/// Ten seconds of a heart.
fn heart(per_minute: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    made::heart(&made::beats(10.0, per_minute, dice), 10.0, hz, dice)
}

/// Sixty strips of one kind of noise: usable, doubtful, unusable; and the rate told worst, in beats a minute.
fn sweep(kind: Noise, snr_db: f64) -> ([usize; 3], f64) {
    let (mut verdicts, mut worst) = ([0; 3], 0.0_f64);
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let rate = RATES[seed as usize % RATES.len()];
        let heart = heart(rate, 250.0, &mut dice);
        let found = read(&made::with_noise(&heart, kind, snr_db, 250.0, &mut dice), 250);
        verdicts[found.verdict as usize] += 1;
        worst = worst.max(found.heart_rate.map_or(0.0, |told| (told - rate).abs()));
    }
    eprintln!(
        "{kind:?} at {snr_db} dB: usable, doubtful, unusable {verdicts:?}; rates told off by {worst:.1}/min at worst"
    );
    (verdicts, worst)
}

/// Kind, dB, usable or doubtful at least, unusable at least, rate off at most (the made rate itself wanders by 2.5).
const EXPECTED: &[(Noise, f64, usize, usize, f64)] = &[
    (Noise::Motion, 24.0, 60, 0, 3.0),
    (Noise::Motion, 12.0, 60, 0, 3.0),
    (Noise::Motion, 6.0, 55, 0, 10.0),
    (Noise::Motion, -3.0, 0, 50, 40.0),
    (Noise::Motion, -12.0, 0, 60, 0.0),
    (Noise::Muscle, 12.0, 60, 0, 3.0),
    (Noise::Muscle, 6.0, 58, 0, 3.0),
    (Noise::Muscle, -6.0, 0, 58, 40.0),
    (Noise::Muscle, -12.0, 0, 60, 0.0),
    (Noise::Mains, 0.0, 60, 0, 6.0),
    (Noise::Baseline, -6.0, 60, 0, 3.0),
];

#[test]
fn noise_of_a_known_strength_gets_the_verdict_it_deserves() {
    for (kind, snr_db, readable, unusable, off) in EXPECTED {
        let (verdicts, worst) = sweep(*kind, *snr_db);
        assert!(verdicts[0] + verdicts[1] >= *readable, "{kind:?} {snr_db} dB");
        assert!(verdicts[2] >= *unusable && worst <= *off, "{kind:?} {snr_db} dB");
    }
}

#[test]
fn noise_alone_has_no_heart_rate() {
    for kind in [Noise::Motion, Noise::Muscle, Noise::Mains, Noise::Baseline] {
        for seed in 0..30 {
            let noise: Vec<f64> = made::noise(kind, 2_500, 250.0, &mut Dice::new(seed));
            let found = read(&noise, 250);
            assert_eq!((found.verdict, found.heart_rate), (Verdict::Unusable, None), "{kind:?} {seed} {found:?}");
        }
    }
}

#[test]
fn every_rate_from_100_to_1000_hz_finds_the_beats() {
    for hz in [100_u32, 125, 200, 250, 257, 360, 500, 512, 1_000, 4_000] {
        for (index, rate) in RATES.into_iter().enumerate() {
            let mut dice = Dice::new(7 + index as u64);
            let beats = made::beats(10.0, rate, &mut dice);
            let values = made::heart(&beats, 10.0, hz.into(), &mut dice);
            let found = read(&values, hz);
            assert_eq!(found.verdict, Verdict::Usable, "{hz} Hz, {rate}/min: {found:?}");
            let at: Vec<f64> = found.peaks.iter().map(|peak| *peak as f64 / f64::from(hz)).collect();
            // A beat at the very edge may be told or not.
            let inner: Vec<f64> = beats.iter().copied().filter(|at| (0.3..9.7).contains(at)).collect();
            for beat in &inner {
                assert!(at.iter().any(|at| (at - beat).abs() < 0.012), "{hz} Hz, {rate}/min: {beat} of {at:?}");
            }
            assert!(at.len() <= inner.len() + 2, "{hz} Hz, {rate}/min");
        }
    }
}

#[test]
fn an_electrode_that_is_off_is_not_a_heart_that_stands() {
    let mut dice = Dice::new(1);
    let cases: [(&str, Vec<i16>, Reason); 5] = [
        ("no samples", vec![model::extra::NO_SAMPLE; 2_500], Reason::LeadOff),
        ("at the end stop", vec![i16::MAX; 2_500], Reason::LeadOff),
        ("one number", vec![12; 2_500], Reason::Flat),
        ("one bit", (0..2_500).map(|i| 12 + i16::from(i % 7 == 0)).collect(), Reason::Flat),
        ("alive, no beats", (0..2_500).map(|_| (3.0 * dice.bell()) as i16).collect(), Reason::NoBeats),
    ];
    for (what, counts, reason) in cases {
        let found = ecg::read(Rate { samples: 250, seconds: 1 }, SCALE, &counts);
        assert_eq!((found.verdict, found.reason), (Verdict::Unusable, Some(reason)), "{what}: {found:?}");
        assert_eq!((found.heart_rate, found.pause_s.is_some()), (None, reason == Reason::NoBeats), "{what}");
    }
}

#[test]
fn a_pause_is_told_and_slows_the_rate() {
    for (from, to) in [(3.0, 7.5), (5.0, 20.0), (-1.0, 4.0)] {
        let mut dice = Dice::new(3);
        let mut beats = made::beats(10.0, 75.0, &mut dice);
        beats.retain(|at| !(from..to).contains(at));
        let found = read(&made::heart(&beats, 10.0, 250.0, &mut dice), 250);
        assert_ne!(found.verdict, Verdict::Unusable, "{found:?}");
        assert!(found.pause_s.is_some_and(|pause| pause >= 3.4), "{found:?}");
        assert!(found.heart_rate.is_some_and(|rate| rate < 60.0), "{found:?}");
    }
}

#[test]
fn clipped_short_slow_and_broken_strips_say_so() {
    let mut dice = Dice::new(5);
    let values = heart(75.0, 250.0, &mut dice);
    let held: Vec<f64> =
        values.iter().enumerate().map(|(i, v)| (v + 3.0 * (i as f64 / 60.0).sin()).clamp(-1.5, 1.5)).collect();
    let clipped = read(&held, 250);
    assert_eq!((clipped.verdict, clipped.reason), (Verdict::Unusable, Some(Reason::Clipped)), "{clipped:?}");
    assert_eq!(read(&values[..1_000], 250).reason, Some(Reason::Short));
    assert_eq!(read(&values, 50).reason, Some(Reason::Rate));
    // Two gaps: nothing is counted across them, what is there is read.
    let mut counts = made::counts(&values, SCALE);
    counts[1_400..1_700].fill(model::extra::NO_SAMPLE);
    counts[300..310].fill(model::extra::NO_SAMPLE);
    let found = ecg::read(Rate { samples: 250, seconds: 1 }, SCALE, &counts);
    assert_eq!((found.verdict, found.reason), (Verdict::Doubtful, Some(Reason::LeadOff)), "{found:?}");
    assert!(found.heart_rate.is_some_and(|rate| (rate - 75.0).abs() < 4.0) && found.pause_s.is_none(), "{found:?}");
}

#[test]
fn the_best_lead_speaks() {
    let mut dice = Dice::new(9);
    let clean = heart(75.0, 250.0, &mut dice);
    let noisy = made::with_noise(&clean, Noise::Motion, -6.0, 250.0, &mut dice);
    let found = ecg::best([read(&noisy, 250), read(&clean, 250)]).unwrap();
    assert_eq!(found.verdict, Verdict::Usable);
    assert!(ecg::best([]).is_none());
}

#[test]
fn the_ends_without_beats_are_told_for_what_they_last() {
    let mut dice = Dice::new(9);
    let mut beats = made::beats(10.0, 75.0, &mut dice);
    beats.retain(|at| (2.0..7.5).contains(at));
    let values = made::heart(&beats, 10.0, 250.0, &mut dice);
    let quiet = read(&values, 250).quiet;
    let near = |told: Option<f64>, truth: f64| told.is_some_and(|told| (told - truth).abs() < 0.05);
    assert!(near(quiet.before, beats[0]) && near(quiet.after, 10.0 - beats[beats.len() - 1]), "{quiet:?} {beats:?}");
    assert!((0.7..1.0).contains(&quiet.between), "{quiet:?}");
    // Where samples are missing nothing is known.
    let mut counts = made::counts(&values, SCALE);
    counts[..100].fill(model::extra::NO_SAMPLE);
    counts[2_400..].fill(model::extra::NO_SAMPLE);
    let quiet = ecg::read(Rate { samples: 250, seconds: 1 }, SCALE, &counts).quiet;
    assert_eq!((quiet.before, quiet.after), (None, None));
    assert!(quiet.between > 1.5, "{quiet:?}");
}
