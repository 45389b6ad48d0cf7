//! What holds for every log: silence inside the bounds, one alarm an episode, the same verdict after save and load, and no
//! harm from duplicates.

use std::collections::{HashMap, HashSet};

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::{AlarmId, DeviceId, ElderId, Event, EventKind, Lane, Metric, Quality, Sample, Seq, Sounded, Subject};
use proptest::prelude::*;
use vigil_engine::Engine;

use crate::day::{at, frame};

const METRICS: [Metric; 5] =
    [Metric::HeartRate, Metric::Spo2, Metric::Systolic, Metric::Glucose, Metric::RespiratoryRate];

#[derive(Clone, Debug)]
enum Line {
    /// Seconds since the line before, age of the sample, metric, where the value lies, quality.
    Value {
        pause: i64,
        age: i64,
        metric: usize,
        place: f64,
        quality: usize,
    },
    Event {
        pause: i64,
        age: i64,
        kind: usize,
    },
    Tick {
        pause: i64,
    },
    /// A gateway sounded: how long it lasted, which rule, how old the word is.
    Sounded {
        age: i64,
        lasted: i64,
        rule: usize,
    },
    Ages {
        aged: bool,
    },
    Rules {
        own: bool,
        aged: bool,
    },
}

fn lines() -> impl Strategy<Value = Vec<(u32, Line)>> {
    let age = prop_oneof![6 => 0_i64..3, 2 => 3_i64..600, 2 => 601_i64..20_000];
    let quality = prop_oneof![9 => Just(0_usize), 1 => 0..Quality::ALL.len()];
    let line = prop_oneof![
        12 => (1_i64..90, age.clone(), 0..METRICS.len(), 0.0..1.0_f64, quality)
            .prop_map(|(pause, age, metric, place, quality)| Line::Value { pause, age, metric, place, quality }),
        1 => (1_i64..90, age, 0..2_usize).prop_map(|(pause, age, kind)| Line::Event { pause, age, kind }),
        2 => (1_i64..900).prop_map(|pause| Line::Tick { pause }),
        1 => (0_i64..20_000, 0_i64..3_000, 0..3_usize)
            .prop_map(|(age, lasted, rule)| Line::Sounded { age, lasted, rule }),
        1 => any::<bool>().prop_map(|aged| Line::Ages { aged }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(own, aged)| Line::Rules { own, aged }),
    ];
    proptest::collection::vec((1_u32..4, line), 1..160)
}

/// A value from far below to far above the limits of the metric.
fn value(metric: Metric, place: f64) -> f64 {
    let (low, high) = match metric {
        Metric::HeartRate => (30.0, 160.0),
        Metric::Spo2 => (84.0, 100.0),
        Metric::Systolic => (80.0, 200.0),
        Metric::Glucose => (3.0, 19.0),
        _ => (5.0, 30.0),
    };
    low + place * (high - low)
}

fn log(lines: &[(u32, Line)]) -> Vec<Entry> {
    let mut now = 0;
    lines
        .iter()
        .map(|(elder, line)| match line {
            Line::Value { pause, age, metric, place, quality } => {
                now += pause;
                let metric = METRICS[*metric];
                let sample = Sample::new(metric, at(now - age), value(metric, *place), Quality::ALL[*quality]);
                let lane = if *age > 600 { Lane::Hist } else { Lane::Vit };
                let flags = Flags(if *age > 600 { Flags::HIST } else { 0 });
                let subject = Subject::Elder(ElderId(*elder));
                // A band and a finger clip, taking turns as it happens.
                let device = DeviceId(3 + u32::from(pause % 3 == 0));
                Entry::Frame(Frame { device, samples: vec![sample], lane, flags, subject, ..frame(now) })
            }
            Line::Event { pause, age, kind } => {
                now += pause;
                let events = vec![Event { kind: [EventKind::Sos, EventKind::Fall][*kind], at: at(now - age) }];
                let subject = Subject::Elder(ElderId(*elder));
                Entry::Frame(Frame { events, lane: Lane::Sos, subject, ..frame(now) })
            }
            Line::Tick { pause } => {
                now += pause;
                Entry::Tick(at(now))
            }
            Line::Sounded { age, lasted, rule } => {
                let word = crate::day::word(now, ["spo2_low", "sos", "fall"][*rule], now - age - lasted, now - age);
                Entry::Sounded(Sounded { subject: Subject::Elder(ElderId(*elder)), ..word })
            }
            Line::Ages { aged } => Entry::Aged { aged: *aged, at: at(now), elders: vec![ElderId(*elder)] },
            Line::Rules { own, aged } => {
                let set = if *aged { vigil_engine::for_age(80) } else { vigil_engine::default_rules() };
                let elders = if *own { vec![ElderId(*elder)] } else { vec![] };
                Entry::Rules { elders, at: at(now), set }
            }
        })
        .collect()
}

fn run(engine: &mut Engine, log: &[Entry], first: u64) -> Vec<(u64, Transition)> {
    let mut all = Vec::new();
    let mut out = Vec::new();
    for (seq, entry) in (first..).zip(log) {
        engine.step(Seq(seq), entry, &mut out);
        all.extend(out.drain(..).map(|transition| (seq, transition)));
    }
    all
}

fn fresh() -> Engine {
    Engine::new(vigil_engine::default_rules())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// I9 of the facts: the log decides, wherever a checkpoint was taken.
    #[test]
    fn the_same_verdict_from_any_checkpoint(lines in lines(), cut in 0.0..1.0_f64) {
        let log = log(&lines);
        let whole = run(&mut fresh(), &log, 1);
        let cut = (cut * log.len() as f64) as usize;
        let mut engine = fresh();
        let mut parts = run(&mut engine, &log[..cut], 1);
        let mut loaded = Engine::load(&engine.save()).unwrap();
        parts.extend(run(&mut loaded, &log[cut..], cut as u64 + 1));
        prop_assert_eq!(parts, whole);
    }

    /// Every alarm is raised once, and nothing is said about an alarm that was not raised or is cleared.
    #[test]
    fn an_alarm_is_raised_once_and_its_story_is_in_order(lines in lines()) {
        let mut standing: HashMap<AlarmId, bool> = HashMap::new();
        let mut unknown: HashSet<AlarmId> = HashSet::new();
        let mut open: HashSet<(u32, String, bool)> = HashSet::new();
        let mut place: HashMap<AlarmId, (u32, String, bool)> = HashMap::new();
        let told = run(&mut fresh(), &log(&lines), 1);
        let is_word = |transition: &Transition| matches!(transition.change, Change::Sounded { .. });
        // A word may tell of an episode beside another that is found late, or make a late one stand.
        let words: HashSet<AlarmId> = told.iter().filter(|(_, t)| is_word(t)).map(|(_, t)| t.alarm).collect();
        for (_, transition) in told {
            let id = transition.alarm;
            if let Change::Raised { late, kind, .. } = transition.change {
                // The same word told again when others came between is raised again by the same name: the records have it.
                let known = standing.insert(id, true).is_some();
                prop_assert!(!known || words.contains(&id), "raised twice: {:?}", transition);
                if matches!(kind, model::AlarmKind::Threshold { .. }) && !words.contains(&id) {
                    let key = (transition.subject, transition.rule.clone(), late);
                    prop_assert!(open.insert(key.clone()), "two at a time: {:?}", transition);
                    place.insert(id, key);
                }
            } else if matches!(transition.change, Change::Sounded { .. }) {
                // Said late, maybe of what is over by now.
                prop_assert!(standing.contains_key(&id), "{:?}", transition);
            } else {
                prop_assert_eq!(standing.get(&id), Some(&true), "{:?}", transition);
            }
            match transition.change {
                Change::DataLost => prop_assert!(unknown.insert(id)),
                Change::StillPresent => prop_assert!(unknown.remove(&id)),
                _ => {}
            }
            let late = place.get(&id).is_some_and(|key| key.2);
            if transition.change == Change::Cleared || (late && transition.change == Change::DataLost) {
                standing.insert(id, false);
                place.get(&id).map(|key| open.remove(key));
            }
        }
    }

    /// Inside all bounds nothing is ever said, in whatever order and however late the values come.
    #[test]
    fn nothing_is_raised_inside_the_bounds(lines in lines()) {
        let mut log = log(&lines);
        log.retain(|entry| matches!(entry, Entry::Frame(frame) if frame.events.is_empty()));
        for entry in &mut log {
            let Entry::Frame(frame) = entry else { continue };
            for sample in &mut frame.samples {
                let good = match sample.metric {
                    Metric::HeartRate => 110.49,
                    Metric::Spo2 => 95.5,
                    Metric::Systolic => 139.49,
                    Metric::Glucose => 3.951,
                    _ => 20.49,
                };
                // Beyond the range of a meter is beyond all bounds.
                let quality = if sample.beyond_range().is_some() { Quality::Absent } else { sample.quality };
                *sample = Sample::new(sample.metric, sample.taken_at, good, quality);
            }
        }
        prop_assert_eq!(run(&mut fresh(), &log, 1), vec![]);
    }

    /// The network says everything twice: the same alarms.
    #[test]
    fn a_frame_delivered_twice_changes_nothing(lines in lines()) {
        let log = log(&lines);
        // A word said twice is one line of history: the records know it by its time. Here it is not followed.
        let not_word = |transition: &Transition| !matches!(transition.change, Change::Sounded { .. });
        let once: Vec<_> =
            run(&mut fresh(), &log, 1).into_iter().map(|(_, transition)| transition).filter(not_word).collect();
        let doubled: Vec<_> = log.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect();
        let twice: Vec<_> =
            run(&mut fresh(), &doubled, 1).into_iter().map(|(_, transition)| transition).filter(not_word).collect();
        prop_assert_eq!(twice, once);
    }

    /// Late data, whatever they say, leave the live alarms as they are.
    #[test]
    fn late_data_never_touch_live_alarms(lines in lines()) {
        let mut all = log(&lines);
        all.retain(|entry| !matches!(entry, Entry::Sounded(_)));
        let live = |transition: &Transition, late: &mut HashSet<AlarmId>| {
            if matches!(transition.change, Change::Raised { late: true, .. }) {
                late.insert(transition.alarm);
            }
            !late.contains(&transition.alarm)
        };
        let is_late_value = |entry: &Entry| matches!(entry, Entry::Frame(f) if f.lane == Lane::Hist);
        // The time at which they came is that of a server which runs.
        let nothing = |entry: &Entry| match entry {
            Entry::Frame(frame) if is_late_value(entry) => Entry::Aged { aged: true, at: frame.received_at, elders: vec![] },
            other => other.clone(),
        };
        let without: Vec<_> = all.iter().map(nothing).collect();
        // Within one tick people are looked at in the order in which they were first heard; that order is no verdict.
        let live_of = |log: &[Entry]| {
            let mut late = HashSet::new();
            let mut told = run(&mut fresh(), log, 1);
            told.retain(|(_, transition)| live(transition, &mut late));
            told.sort_by_key(|(seq, transition)| (*seq, transition.subject));
            told
        };
        prop_assert_eq!(live_of(&all), live_of(&without));
    }
}
