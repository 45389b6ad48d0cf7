//! The simulated elders against the default rules: quiet days raise nothing, each scenario raises its own alarm in time.

use engine::{default_rules, judge::judge};
use model::{Priority, Sample, Time};
use vigil_gateway::sim::{Person, Said, Scenario};

/// Eight in the morning in Shanghai.
const START: Time = Time::from_secs(1_795_046_400);

fn rows(person: &mut Person, from: Time, seconds: i64, step_s: usize) -> Vec<(Time, Vec<Sample>)> {
    let mut rows = Vec::new();
    let mut said: Vec<Said> = Vec::new();
    for second in (0..seconds).step_by(step_s) {
        let at = from.plus_us(second * 1_000_000);
        person.step(at, &mut said);
        rows.extend(said.drain(..).filter(|said| !said.samples.is_empty()).map(|said| (at, said.samples)));
    }
    rows
}

#[test]
fn two_quiet_days_of_ten_elders_raise_nothing() {
    for index in 1..=10 {
        let mut person = Person::new(1, index, 60, 1_800);
        let (alarms, counters) = judge(default_rules(), rows(&mut person, START, 2 * 86_400, 60));
        assert!(alarms.is_empty(), "elder {index}: {alarms:?}");
        assert!(counters.judged > 1_000, "{counters:?}");
    }
}

#[test]
fn a_crisis_and_a_desaturation_are_p1_within_ninety_seconds() {
    for (scenario, rule) in [(Scenario::HypertensiveCrisis, "systolic_high"), (Scenario::Desaturation, "spo2_low")] {
        for index in 1..=5 {
            let mut person = Person::new(1, index, 10, 1_800);
            let mut all = rows(&mut person, START, 60, 1);
            person.begin(scenario, START.plus_us(60_000_000), 300);
            all.extend(rows(&mut person, START.plus_us(60_000_000), 90, 1));
            let (alarms, _) = judge(default_rules(), all);
            let found = alarms.iter().find(|alarm| alarm.rule == rule).map(|alarm| alarm.priority);
            assert_eq!(found, Some(Priority::P1), "{scenario:?} of elder {index}: {alarms:?}");
        }
    }
}

#[test]
fn a_band_off_the_wrist_is_no_alarm_of_low_values() {
    let mut person = Person::new(1, 1, 10, 1_800);
    let mut all = rows(&mut person, START, 60, 1);
    person.begin(Scenario::DeviceRemoved, START.plus_us(60_000_000), 600);
    all.extend(rows(&mut person, START.plus_us(60_000_000), 600, 1));
    let (alarms, _) = judge(default_rules(), all);
    let low: Vec<_> = alarms.iter().filter(|alarm| alarm.rule.ends_with("_low")).collect();
    assert!(low.is_empty(), "{low:?}");
}
