//! A small day with known answers.

use model::{Handling, Outcome, Priority, Time};
use store::records::{AlarmTimes, SeatHour};

use super::csv;
use super::report::{Flood, Report, Times};

const SECOND_US: i64 = 1_000_000;

/// Seconds after a full hour.
fn at(second: i64) -> Time {
    Time::from_secs(1_795_312_800 + second)
}

fn alarm(second: i64, priority: Priority, rule: &str) -> AlarmTimes {
    AlarmTimes {
        priority,
        rule: rule.to_owned(),
        rule_zh: format!("{rule},报警"),
        rule_en: rule.to_owned(),
        elder: Some(1),
        team: Some("=一队".to_owned()),
        device_kind: Some("watch".to_owned()),
        late: false,
        raised_at: at(second),
        claimed_at: None,
        accepted_at: None,
        arrived_at: None,
        resolved_at: None,
        closed_at: None,
        handling: Handling::Open,
        outcome: None,
        repeats: 0,
    }
}

fn report(alarms: &[AlarmTimes], hours: &[SeatHour]) -> Report {
    Report::new(at(0), at(86_400), at(90_000), alarms, hours)
}

#[test]
fn times_are_by_nearest_rank_and_shares_of_all() {
    let mut alarms: Vec<AlarmTimes> = (0..4).map(|n| alarm(n * 1_000, Priority::P1, "sos")).collect();
    for (alarm, took) in alarms.iter_mut().zip([30, 60, 61]) {
        alarm.claimed_at = Some(alarm.raised_at.plus_us(took * SECOND_US));
    }
    // A doctor was before the dispatcher.
    alarms[2].accepted_at = Some(alarms[2].raised_at.plus_us(50 * SECOND_US));
    let report = report(&alarms, &[]);
    let p1 = &report.by_priority[0];
    assert_eq!((p1.priority, p1.alarms), (Priority::P1, 4));
    assert_eq!((p1.answer.count, p1.answer.p50_s, p1.answer.p95_s), (3, Some(50), Some(60)));
    assert_eq!(
        (p1.answer.within_60_s, p1.answer.within_180_s),
        (Some(0.75), Some(0.75)),
        "the fourth was never answered"
    );
    assert_eq!(p1.arrive, Times { within_60_s: Some(0.0), within_180_s: Some(0.0), ..Times::default() });
    assert_eq!(report.by_priority[1].answer, Times::default(), "no P2: no share of nothing");
}

#[test]
fn predictive_value_counts_labels_only() {
    let outcomes =
        [Some(Outcome::TrueHandled), Some(Outcome::FalseAlarm), Some(Outcome::Referred), Some(Outcome::Test), None];
    let alarms: Vec<AlarmTimes> = outcomes
        .into_iter()
        .map(|outcome| AlarmTimes { outcome, ..alarm(0, Priority::P2, "spo2_low") })
        .chain([alarm(5, Priority::P3, "systolic_high")])
        .collect();
    let report = report(&alarms, &[]);
    let [spo2, systolic] = report.rules.as_slice() else { panic!("{:?}", report.rules) };
    assert_eq!((spo2.alarms, spo2.labelled_true, spo2.labelled_false), (5, 2, 1));
    assert_eq!(spo2.predictive, Some(2.0 / 3.0));
    assert_eq!(systolic.predictive, None);
    assert_eq!(report.device_kinds[0].alarms, 6);
}

#[test]
fn a_flood_is_measured_against_the_seats_at_work() {
    // 22 alarms in 5 minutes, then one every 4 minutes.
    let mut alarms: Vec<AlarmTimes> = (0..22).map(|n| alarm(n * 15, Priority::P3, "spo2_low")).collect();
    alarms.extend((0..6).map(|n| alarm(600 + n * 240, Priority::P3, "spo2_low")));
    alarms.extend((0..50).map(|n| alarm(900 + n, Priority::T, "silence")));
    alarms.sort_by_key(|alarm| alarm.raised_at);
    let seats =
        |count| (1..=count).map(|person| SeatHour { hour: at(0).0 / 3_600_000_000, person }).collect::<Vec<_>>();
    let one = report(&alarms, &seats(1));
    assert_eq!(one.floods.len(), 1);
    let Flood { from, to, alarms: count } = one.floods[0];
    assert!(from == at(0) && to > at(315) && to < at(1_200) && count >= 22, "{:?}", one.floods);
    assert_eq!(report(&alarms, &seats(3)).floods, [], "three seats can take it");
    assert_eq!((one.by_hour[0].seats, one.by_hour[0].p3, one.by_hour[0].t), (1, 28, 50));
}

#[test]
fn noise_is_named() {
    let mut alarms: Vec<AlarmTimes> = [0, 20, 59].map(|second| alarm(second, Priority::P3, "spo2_low")).into();
    alarms.push(AlarmTimes { elder: Some(2), ..alarm(0, Priority::P3, "spo2_low") });
    alarms.push(AlarmTimes { handling: Handling::Closed, ..alarm(100, Priority::P2, "fever") });
    let report = report(&alarms, &[]);
    assert_eq!(report.chattering, 1);
    assert_eq!(report.standing, 4, "open for a day; the closed one is not");
    assert_eq!(report.elders, [(1, 4), (2, 1)]);
    assert_eq!(report.top_tenth_share, Some(0.8));
}

#[test]
fn a_table_cannot_be_taken_for_a_formula() {
    let text = csv::text(&report(&[alarm(0, Priority::P1, "sos, \"a\"")], &[]));
    assert!(text.starts_with('\u{feff}') && text.contains("rule,\"sos, \"\"a\"\"\",alarms,1\r\n"), "{text}");
    assert!(text.contains("team,\"'=一队\",alarms,1\r\n"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with('=')));
}
