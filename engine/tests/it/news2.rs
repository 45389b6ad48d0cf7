//! The NEWS2 table at every value around its boundaries: 281 rows, written as rows of points, one digit a value.

use vigil_engine::news2::{Consciousness, Inputs, Parameter, Scale, score, tenths, whole};

/// First value, points of it and of those that follow, how a value becomes an input.
type Row = (u16, &'static str, fn(u16) -> Inputs, Parameter);

fn nothing() -> Inputs {
    Inputs::default()
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (5, "3333 111 000000000 2222 333333",
        |v| Inputs { respiratory_rate: Some(v), ..nothing() }, Parameter::RespiratoryRate),
    (80, "333333333333 22 11 00000",
        |v| Inputs { spo2: Some(v), ..nothing() }, Parameter::Spo2),
    (80, "3333 22 11 0000000000000",
        |v| Inputs { spo2: Some(v), spo2_scale: Scale::Two, on_oxygen: Some(false), ..nothing() }, Parameter::Spo2),
    (80, "3333 22 11 00000 11 22 3333",
        |v| Inputs { spo2: Some(v), spo2_scale: Scale::Two, on_oxygen: Some(true), ..nothing() }, Parameter::Spo2),
    (85, "333333 2222222222 1111111111 0000",
        |v| Inputs { systolic: Some(v), ..nothing() }, Parameter::Systolic),
    (218, "00 33",
        |v| Inputs { systolic: Some(v), ..nothing() }, Parameter::Systolic),
    (36, "33333 1111111111 0000000000000000000000000000000000000000 11111111111111111111 22222222222222222222 33333",
        |v| Inputs { heart_rate: Some(v), ..nothing() }, Parameter::HeartRate),
    (345, "333333 1111111111 00000000000000000000 1111111111 22222",
        |v| Inputs { temperature_tenths: Some(v), ..nothing() }, Parameter::Temperature),
    (0, "0 3333", |v| Inputs {
        consciousness: Consciousness::parse(["A", "C", "V", "P", "U"][usize::from(v)]), ..nothing()
    }, Parameter::Consciousness),
    (0, "0 2",
        |v| Inputs { on_oxygen: Some(v == 1), ..nothing() }, Parameter::OnOxygen),
];

#[test]
fn every_boundary_of_the_table() {
    let mut rows = 0;
    for (first, points, input, parameter) in TABLE {
        let digits = points.chars().filter(char::is_ascii_digit);
        for (value, digit) in (*first..).zip(digits) {
            let scored = score(&input(value));
            assert_eq!(scored.parts.get(*parameter), digit.to_digit(10).map(|d| d as u8), "{parameter:?} {value}");
            rows += 1;
        }
    }
    assert_eq!(rows, 281, "the test set is whole");
}

#[test]
fn half_goes_up_before_it_is_scored() {
    // With one decimal printed by the machine, each of these is a tenth low and in the wrong band.
    for (celsius, expected) in [(35.05, 351), (36.05, 361), (38.05, 381), (39.05, 391), (39.04, 390), (37.0, 370)] {
        assert_eq!(tenths(celsius), expected, "{celsius}");
    }
    for (value, expected) in [(90.5, 91), (90.49, 90), (110.5, 111), (8.0, 8), (24.5, 25), (-3.0, 0), (1e9, u16::MAX)] {
        assert_eq!(whole(value), expected, "{value}");
    }
}

const WELL: Inputs = Inputs {
    respiratory_rate: Some(18),
    spo2: Some(95),
    spo2_scale: Scale::One,
    on_oxygen: Some(false),
    systolic: Some(120),
    heart_rate: Some(80),
    consciousness: Some(Consciousness::Alert),
    temperature_tenths: Some(370),
};

#[test]
fn a_complete_set_is_one_number() {
    let scored = score(&WELL);
    assert_eq!((scored.total, scored.min, scored.max, scored.complete), (1, 1, 1, true));
    assert!(scored.missing.is_empty() && scored.decides.is_none() && !scored.single_three);
    let worst = Inputs {
        respiratory_rate: Some(30),
        spo2: Some(80),
        on_oxygen: Some(true),
        systolic: Some(80),
        heart_rate: Some(140),
        consciousness: Some(Consciousness::Pain),
        temperature_tenths: Some(340),
        ..WELL
    };
    assert_eq!(score(&worst).total, vigil_engine::news2::TOTAL_MAX);
}

#[test]
fn what_is_missing_is_an_interval_and_never_zero() {
    // The worked example of the facts: P2 is certain, P1 undecided.
    let home = Inputs {
        systolic: Some(105),
        heart_rate: Some(112),
        spo2: Some(93),
        temperature_tenths: Some(384),
        ..nothing()
    };
    let scored = score(&home);
    assert_eq!((scored.total, scored.min, scored.max, scored.complete), (6, 6, 14, false));
    assert_eq!(scored.missing, [Parameter::RespiratoryRate, Parameter::OnOxygen, Parameter::Consciousness]);
    assert_eq!(scored.decides, Some(Parameter::RespiratoryRate));
    assert_eq!((score(&nothing()).min, score(&nothing()).max), (0, 20));
}

#[test]
fn only_a_measurement_that_can_change_the_response_decides() {
    let oxygen = Inputs { on_oxygen: None, ..WELL };
    assert_eq!((score(&oxygen).min, score(&oxygen).max), (1, 3));
    assert_eq!(score(&oxygen).decides, None, "1 and 3 have the same response");
    let close = Inputs { heart_rate: Some(135), respiratory_rate: Some(21), ..oxygen };
    assert_eq!((score(&close).min, score(&close).decides), (6, Some(Parameter::OnOxygen)), "7 is another response");
    let certain = Inputs { systolic: Some(85), ..close };
    assert_eq!((score(&certain).min, score(&certain).decides), (9, None), "an emergency already");
}

#[test]
fn scale_2_waits_for_a_word_about_oxygen_where_it_matters() {
    let scale2 = Inputs { spo2: Some(97), spo2_scale: Scale::Two, on_oxygen: None, ..WELL };
    let scored = score(&scale2);
    // On air 0, on oxygen 3 for the value and 2 for the oxygen.
    assert_eq!((scored.min, scored.max, scored.parts.spo2), (0, 5, None));
    assert_eq!((scored.missing.as_slice(), scored.decides), (&[Parameter::OnOxygen][..], Some(Parameter::OnOxygen)));
    let low = score(&Inputs { spo2: Some(85), ..scale2 });
    assert_eq!((low.min, low.max, low.parts.spo2), (2, 4, Some(2)), "the same on air and on oxygen");
    let unknown = score(&Inputs { spo2: None, ..scale2 });
    assert_eq!((unknown.min, unknown.max), (0, 5));
}

/// Whatever is missing turns out to be, the total lies in the interval, and both ends are reached.
#[test]
fn the_interval_is_true_and_tight() {
    let rates = [5, 10, 15, 22, 30].map(Some);
    let spo2s = [80, 85, 87, 90, 94, 96, 98].map(Some);
    let air = [Some(false), Some(true)];
    for scale in [Scale::One, Scale::Two] {
        for known in 0_u8..8 {
            let mut totals = Vec::new();
            let base =
                Inputs { spo2_scale: scale, respiratory_rate: Some(22), spo2: Some(96), on_oxygen: Some(true), ..WELL };
            let keep = |bit: u8| known & bit != 0;
            let given = Inputs {
                respiratory_rate: base.respiratory_rate.filter(|_| keep(1)),
                spo2: base.spo2.filter(|_| keep(2)),
                on_oxygen: base.on_oxygen.filter(|_| keep(4)),
                ..base
            };
            for respiratory_rate in rates.into_iter().filter(|rate| !keep(1) || *rate == base.respiratory_rate) {
                for spo2 in spo2s.into_iter().filter(|spo2| !keep(2) || *spo2 == base.spo2) {
                    for on_oxygen in air.into_iter().filter(|air| !keep(4) || *air == base.on_oxygen) {
                        totals.push(score(&Inputs { respiratory_rate, spo2, on_oxygen, ..base }).total);
                    }
                }
            }
            let scored = score(&given);
            assert_eq!(totals.iter().min(), Some(&scored.min), "{given:?}");
            assert_eq!(totals.iter().max(), Some(&scored.max), "{given:?}");
        }
    }
}
