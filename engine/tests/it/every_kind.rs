//! What holds for every kind of rule and every log: silence inside the bounds, one alarm until it clears, the same verdict
//! after save and load, byte for byte the same alarms, no harm from late and repeated readings, no cover for a call for help,
//! and bounded memory. proptest prints the seed of a case that fails.

use std::collections::{HashMap, HashSet};

use model::alarm::{AlarmKind, Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::quiet::{Quiet, QuietKind, Whose};
use model::rule::{Rule, RuleSet};
use model::{AlarmId, DeviceId, ElderId, Event, EventKind, Lane, Metric, Priority, Quality, Sample, Seq, Subject};
use proptest::prelude::*;
use vigil_engine::Engine;

use crate::day::{at, frame};

/// One rule of each kind, each alone on its metrics.
const RULES: &str = r#"
[[rules]]
slug = "sos"
zh = "1"
en = "1"
test.event = { event = "sos", priority = "P1", repeat_within_s = 300 }
[[rules]]
slug = "device_error"
zh = "1"
en = "1"
test.event = { event = "device_error", priority = "T", repeat_within_s = 300 }
[[rules]]
slug = "cuff"
zh = "1"
en = "1"
[rules.test.threshold]
metric = "systolic"
side = "high"
clear_margin = 5.0
confirm = { within_s = 600, unconfirmed = "P2" }
levels = [{ priority = "P1", limit = 180.0, hold_s = 60 }, { priority = "P3", limit = 140.0, hold_s = 0 }]
[[rules]]
slug = "weight_gain"
zh = "1"
en = "1"
test.trend = { metric = "weight", side = "high", by = 2.0, against = { last_days = { days = 3 } }, priority = "P2" }
[[rules]]
slug = "weight_loss"
zh = "1"
en = "1"
test.trend = { metric = "weight", side = "low", by = 3.0, against = { baseline = { days = 7, at_least = 3 } }, priority = "P3" }
[[rules]]
slug = "lows"
zh = "1"
en = "1"
test.count = { metric = "glucose", side = "low", limit = 3.9, count = 3, within_s = 86400, priority = "P2" }
[[rules]]
slug = "no_weight"
zh = "1"
en = "1"
hours = "07:00-22:00"
test.silence = { after_s = 172800, priority = "P3", metric = "weight" }
[[rules]]
slug = "silence"
zh = "1"
en = "1"
test.silence = { after_s = 1800, priority = "T" }
[[rules]]
slug = "news2"
zh = "1"
en = "1"
[rules.test.score]
score = "news2"
window_s = 900
hold_s = 60
single_three = "P2"
levels = [{ priority = "P1", at_least = 7 }, { priority = "P2", at_least = 5 }]
"#;

/// Metric, its lowest and highest value here, and one inside every bound.
const METRICS: [(Metric, f64, f64, f64); 7] = [
    (Metric::Systolic, 80.0, 200.0, 139.49),
    (Metric::Weight, 68.0, 74.0, 70.0),
    (Metric::Glucose, 3.0, 8.0, 3.951),
    (Metric::RespiratoryRate, 5.0, 30.0, 20.49),
    (Metric::Spo2, 86.0, 100.0, 95.5),
    (Metric::HeartRate, 35.0, 140.0, 90.49),
    (Metric::BodyTemperature, 34.0, 40.0, 38.049),
];

fn rules(without: &[&str]) -> RuleSet {
    #[derive(serde::Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    let mut rules = toml::from_str::<Rules>(RULES).unwrap().rules;
    rules.retain(|rule| !without.contains(&rule.slug.as_str()));
    let set = RuleSet { name: "kinds".into(), version: 1, source: "a test".into(), rules };
    set.check().unwrap();
    set
}

#[derive(Clone, Debug)]
enum Line {
    /// Seconds of pause, age of the value, metric, where it lies, 0 for a good value.
    Value(i64, i64, usize, f64, usize),
    Sos(i64),
    DeviceError(i64),
    Tick(i64),
    Quiet(u32, usize, i64),
    /// Takes rules away or gives them back.
    Rules(usize),
}

fn lines() -> impl Strategy<Value = Vec<(u32, Line)>> {
    // A minute, hours, and days between two readings: holds, windows and days all have their turn.
    let pause = || prop_oneof![6 => 1_i64..90, 2 => 90_i64..5_000, 2 => 5_000_i64..90_000];
    let age = prop_oneof![6 => 0_i64..3, 2 => 3_i64..600, 2 => 601_i64..200_000];
    let quality = prop_oneof![9 => Just(0_usize), 1 => 0..Quality::ALL.len()];
    let line = prop_oneof![
        14 => (pause(), age, 0..METRICS.len(), 0.0..1.0_f64, quality)
            .prop_map(|(pause, age, metric, place, quality)| Line::Value(pause, age, metric, place, quality)),
        1 => (1_i64..900).prop_map(Line::Sos),
        1 => (1_i64..900).prop_map(Line::DeviceError),
        4 => pause().prop_map(Line::Tick),
        1 => (0_u32..4, 0_usize..3, 0_i64..200_000).prop_map(|(id, kind, lasts)| Line::Quiet(id, kind, lasts)),
        1 => (0_usize..4).prop_map(Line::Rules),
    ];
    proptest::collection::vec((1_u32..3, line), 1..160)
}

fn log(lines: &[(u32, Line)]) -> Vec<Entry> {
    let mut now = 0;
    let mut entry = |(elder, line): &(u32, Line)| {
        let subject = Subject::Elder(ElderId(*elder));
        let of_event =
            |now, kind| Frame { events: vec![Event { kind, at: at(now) }], lane: kind.lane(), subject, ..frame(now) };
        match line {
            Line::Value(pause, age, metric, place, quality) => {
                now += pause;
                let (metric, low, high, _) = METRICS[*metric];
                let sample = Sample::new(metric, at(now - age), low + place * (high - low), Quality::ALL[*quality]);
                let lane = if *age > 600 { Lane::Hist } else { Lane::Vit };
                let flags = Flags(if *age > 600 { Flags::HIST } else { 0 });
                let device = DeviceId(3 + u32::from(pause % 3 == 0));
                Entry::Frame(Frame { device, samples: vec![sample], lane, flags, subject, ..frame(now) })
            }
            Line::Sos(pause) => {
                now += pause;
                Entry::Frame(of_event(now, EventKind::Sos))
            }
            Line::DeviceError(pause) => {
                now += pause;
                Entry::Frame(of_event(now, EventKind::DeviceError))
            }
            Line::Tick(pause) => {
                now += pause;
                Entry::Tick(at(now))
            }
            Line::Quiet(id, kind, lasts) => {
                let kind = QuietKind::ALL[*kind];
                let about_device = kind == QuietKind::Maintenance;
                let whose = if about_device { Whose::Device(DeviceId(3)) } else { Whose::Elder(ElderId(*elder)) };
                Entry::Quiet(Quiet { id: *id, kind, whose, from: at(now), until: at(now + lasts), at: at(now) })
            }
            Line::Rules(which) => {
                let without: &[&str] = [&[][..], &["weight_gain", "cuff"], &["news2"], &["lows", "no_weight"]][*which];
                let elders = if which % 2 == 0 { vec![ElderId(*elder)] } else { vec![] };
                Entry::Rules { elders, at: at(now), set: rules(without) }
            }
        }
    };
    lines.iter().map(&mut entry).collect()
}

fn run(engine: &mut Engine, log: &[Entry], first: u64) -> Vec<Transition> {
    let mut out = Vec::new();
    for (seq, entry) in (first..).zip(log) {
        engine.step(Seq(seq), entry, &mut out);
    }
    out
}

fn fresh() -> Engine {
    Engine::new(rules(&[]))
}

/// What the records get, as bytes.
fn bytes(told: &[Transition]) -> Vec<u8> {
    serde_json::to_vec(told).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_log_and_rules_give_the_same_bytes_whatever_the_checkpoint(lines in lines(), cut in 0.0..1.0_f64) {
        let log = log(&lines);
        let mut whole = fresh();
        let told = run(&mut whole, &log, 1);
        prop_assert_eq!(bytes(&run(&mut fresh(), &log, 1)), bytes(&told));
        let cut = (cut * log.len() as f64) as usize;
        let mut engine = fresh();
        let mut parts = run(&mut engine, &log[..cut], 1);
        let mut loaded = Engine::load(&engine.save()).unwrap();
        parts.extend(run(&mut loaded, &log[cut..], cut as u64 + 1));
        prop_assert_eq!(bytes(&parts), bytes(&told));
        prop_assert_eq!(loaded.save(), whole.save());
    }

    /// Raised once, told of while it stands, cleared once: of each rule at most one live condition at a time.
    #[test]
    fn an_alarm_stands_once_until_it_clears(lines in lines()) {
        let mut standing: HashMap<AlarmId, bool> = HashMap::new();
        let mut open: HashMap<AlarmId, (u32, String, bool)> = HashMap::new();
        // Late values of a ladder that go no further end what they showed; a trend waits for the next weighing.
        let mut ended_by_loss: HashSet<AlarmId> = HashSet::new();
        for transition in run(&mut fresh(), &log(&lines), 1) {
            let id = transition.alarm;
            match transition.change {
                // A ladder without a mild level asks before there is an alarm.
                Change::RemeasureAsked { .. } => {}
                Change::Raised { late, kind, .. } => {
                    prop_assert!(standing.insert(id, true).is_none(), "raised twice: {:?}", transition);
                    if late && matches!(kind, AlarmKind::Threshold { .. }) {
                        ended_by_loss.insert(id);
                    }
                    if !matches!(kind, AlarmKind::Event { .. }) {
                        let key = (transition.subject, transition.rule.clone(), late);
                        prop_assert!(!open.values().any(|other| *other == key), "two at a time: {:?}", transition);
                        open.insert(id, key);
                    }
                }
                _ => prop_assert_eq!(standing.get(&id), Some(&true), "{:?}", transition),
            }
            let lost = transition.change == Change::DataLost && ended_by_loss.contains(&id);
            if transition.change == Change::Cleared || lost {
                standing.insert(id, false);
                open.remove(&id);
            }
        }
    }

    /// Inside its own bounds no rule says anything, in whatever order and however late the values come.
    #[test]
    fn nothing_is_raised_inside_the_bounds(lines in lines()) {
        let mut log = log(&lines);
        log.retain(|entry| !matches!(entry, Entry::Frame(frame) if !frame.events.is_empty()));
        for entry in &mut log {
            let Entry::Frame(frame) = entry else { continue };
            for sample in &mut frame.samples {
                let (_, _, _, good) = METRICS.into_iter().find(|row| row.0 == sample.metric).unwrap();
                // Beyond the range of a meter is beyond all bounds.
                let quality = if sample.beyond_range().is_some() { Quality::Absent } else { sample.quality };
                *sample = Sample::new(sample.metric, sample.taken_at, good, quality);
            }
        }
        let mut told = run(&mut fresh(), &log, 1);
        // Silence has no value to be inside of.
        told.retain(|transition| !matches!(transition.rule.as_str(), "silence" | "no_weight"));
        prop_assert_eq!(told, vec![]);
    }

    #[test]
    fn a_frame_delivered_twice_changes_nothing(lines in lines()) {
        let log = log(&lines);
        let once = run(&mut fresh(), &log, 1);
        let doubled: Vec<_> = log.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect();
        prop_assert_eq!(run(&mut fresh(), &doubled, 1), once);
    }

    /// What is told late pages nobody: without a live value there is at most a review item.
    #[test]
    fn late_readings_alone_are_review_items(lines in lines()) {
        let mut log = log(&lines);
        log.retain(|entry| matches!(entry, Entry::Frame(f) if f.lane == Lane::Hist) || matches!(entry, Entry::Tick(_)));
        for transition in run(&mut fresh(), &log, 1) {
            if let Change::Raised { priority, late, kind, .. } = transition.change {
                let silence = matches!(kind, AlarmKind::Silence { .. });
                prop_assert!(silence || (late && priority == Priority::P3), "{:?}", transition);
            }
        }
    }

    /// I8 of the facts: whatever is quiet, a press is heard.
    #[test]
    fn quiet_never_covers_a_call_for_help(lines in lines()) {
        let mut engine = fresh();
        let mut out = Vec::new();
        let mut seen: HashSet<(u32, i64)> = HashSet::new();
        for (seq, entry) in (1..).zip(log(&lines)) {
            out.clear();
            engine.step(Seq(seq), &entry, &mut out);
            let Entry::Frame(frame) = &entry else { continue };
            for event in frame.events.iter().filter(|event| event.kind == EventKind::Sos) {
                if seen.insert((frame.subject.to_u32(), event.at.0)) {
                    let heard = |t: &&Transition| matches!(t.change, Change::Raised { .. } | Change::Repeated { .. });
                    prop_assert_eq!(out.iter().filter(|t| t.rule == "sos").filter(heard).count(), 1, "{:?}", entry);
                }
            }
        }
    }

    /// 2 kB an elder, whatever was heard: here of nine rules on seven metrics of two devices.
    #[test]
    fn memory_is_bounded(lines in lines()) {
        let mut engine = fresh();
        run(&mut engine, &log(&lines), 1);
        prop_assert!(engine.state_bytes() <= 2_048 * engine.subjects(), "{} bytes", engine.state_bytes());
    }
}
