//! The detector as a stream: blocks do not matter, nothing makes it panic, an artefact does not stop it.

use model::Rate;
use proptest::prelude::*;
use vigil_ecg as ecg;
use vigil_ecg::Detector;
use vigil_ecg::made::{self, Dice};

fn found(values: &[f64], hz: f64) -> Vec<u64> {
    let (mut detector, mut out) = (Detector::new(hz).unwrap(), Vec::new());
    for value in values {
        detector.push(*value, &mut out);
    }
    detector.finish(&mut out);
    out
}

/// Beats that none of `found` is near.
fn missed(beats: &[f64], found: &[u64], hz: f64) -> Vec<f64> {
    let near = |beat: &f64| found.iter().any(|at| (*at as f64 / hz - beat).abs() < 0.05);
    beats.iter().copied().filter(|beat| !near(beat)).collect()
}

#[test]
fn an_hour_is_found_whole_and_in_order() {
    let mut dice = Dice::new(2);
    let beats = made::beats(600.0, 72.0, &mut dice);
    let values = made::heart(&beats, 600.0, 200.0, &mut dice);
    let at = found(&values, 200.0);
    assert!(at.is_sorted());
    assert!(missed(&beats[1..beats.len() - 1], &at, 200.0).is_empty());
    assert!(at.len() <= beats.len());
}

#[test]
fn the_beats_come_back_after_an_artefact() {
    let mut dice = Dice::new(4);
    let beats = made::beats(60.0, 72.0, &mut dice);
    let mut values = made::heart(&beats, 60.0, 250.0, &mut dice);
    // Somebody pulls at the cable: 50 mV back and forth for a second.
    for (i, value) in values.iter_mut().enumerate().take(5_250).skip(5_000) {
        *value += if (i / 12) % 2 == 0 { 50.0 } else { -50.0 };
    }
    let at = found(&values, 250.0);
    let after: Vec<f64> = beats.iter().copied().filter(|beat| (32.0..59.5).contains(beat)).collect();
    assert!(missed(&after, &at, 250.0).is_empty(), "{:?}", missed(&beats, &at, 250.0));
}

#[test]
fn a_low_beat_among_high_ones_is_found_by_search_back() {
    let mut dice = Dice::new(6);
    let beats = made::beats(30.0, 60.0, &mut dice);
    let mut values = made::heart(&beats, 30.0, 250.0, &mut dice);
    let low = beats[15];
    for (i, value) in values.iter_mut().enumerate() {
        if (i as f64 / 250.0 - low).abs() < 0.4 {
            *value *= 0.45;
        }
    }
    assert!(missed(&beats[1..29], &found(&values, 250.0), 250.0).is_empty());
}

#[test]
fn what_was_skipped_keeps_its_place() {
    let mut dice = Dice::new(8);
    let beats = made::beats(40.0, 72.0, &mut dice);
    let values = made::heart(&beats, 40.0, 250.0, &mut dice);
    let (mut detector, mut out) = (Detector::new(250.0).unwrap(), Vec::new());
    for value in &values[..5_000] {
        detector.push(*value, &mut out);
    }
    detector.skip(1_000, &mut out);
    for value in &values[6_000..] {
        detector.push(*value, &mut out);
    }
    detector.finish(&mut out);
    assert!(out.is_sorted());
    let there: Vec<f64> =
        beats.iter().copied().filter(|at| (0.5..19.5).contains(at) || (24.5..39.5).contains(at)).collect();
    assert!(missed(&there, &out, 250.0).is_empty());
    assert!(!out.iter().any(|at| (5_000..6_000).contains(at)));
}

#[test]
fn rates_that_cannot_be_are_refused() {
    for hz in [0.0, 99.0, 1e9, f64::NAN, -250.0] {
        assert!(Detector::new(hz).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Anything may come: peaks lie inside the strip, in order, a refractory period apart; figures are numbers.
    #[test]
    fn any_counts_are_read(
        counts in proptest::collection::vec(prop_oneof![any::<i16>(), Just(0), Just(i16::MIN), -50..50_i16], 0..6_000),
        repeat in 1_usize..40,
        samples in 1_u32..100_000, seconds in 1_u32..1_000, scale: f64,
    ) {
        let counts: Vec<i16> = counts.into_iter().flat_map(|count| std::iter::repeat_n(count, repeat)).take(20_000).collect();
        let found = ecg::read(Rate { samples, seconds }, scale, &counts);
        prop_assert!(found.peaks.iter().all(|peak| *peak < counts.len()));
        prop_assert!(found.peaks.is_sorted());
        prop_assert!(found.intervals.iter().all(|interval| *interval > 0.0));
        prop_assert!(found.heart_rate.is_none_or(|rate| rate.is_finite() && (0.0..=310.0).contains(&rate)), "{:?}", found.heart_rate);
        let f = found.figures;
        let figures = [f.present, f.flat, f.clipped, f.agreement, f.kurtosis, f.baseline, f.likeness, f.noise, f.hum];
        prop_assert!(figures.into_iter().all(f64::is_finite), "{f:?}");
    }

    /// Any stream of numbers, also such as are none.
    #[test]
    fn any_stream_is_followed(values in proptest::collection::vec(any::<f64>(), 0..3_000), hz in 100.0..1_000.0_f64, cut in 0_usize..3_000) {
        let (mut detector, mut out) = (Detector::new(hz).unwrap(), Vec::new());
        for (i, value) in values.iter().enumerate() {
            if i == cut {
                detector.skip(cut as u64, &mut out);
            }
            detector.push(*value, &mut out);
        }
        detector.finish(&mut out);
        prop_assert!(out.is_sorted());
    }
}
