//! A recording through the engine: what would these rules have raised? For `vigil judge` and for previews.
//!
//! One person, rows in time order, judged as if each row had been received when it was taken.

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::rule::RuleSet;
use model::{AlarmId, AlarmKind, DeviceId, ElderId, GatewayId, Lane, Priority, Sample, Seq, Subject, Time};
use serde::Serialize;

use crate::{Counters, Engine, SECOND_US};

/// Ticks between two rows: one a minute ...
const TICK_US: i64 = 60 * SECOND_US;
/// ... but not more than these, however long the recording paused; then one at its end.
const TICKS_MAX: i64 = 2_880;

/// One alarm of a recording, as one JSON line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    pub alarm: AlarmId,
    pub rule: String,
    /// Highest urgency reached.
    pub priority: Priority,
    /// Urgency when raised.
    pub raised_as: Priority,
    /// What raised it.
    pub kind: AlarmKind,
    pub started_at: Time,
    pub raised_at: Time,
    /// `None`: stood at the end of the recording.
    pub cleared_at: Option<Time>,
    /// The data stopped for so long that the condition was unknown, and that is how it ended.
    pub data_lost: bool,
    pub repeats: u32,
    /// The value farthest beyond the limit, of thresholds.
    pub worst: Option<f64>,
}

/// The alarms of a recording, in the order in which they were raised, and what was counted on the way.
pub fn judge(set: RuleSet, rows: impl IntoIterator<Item = (Time, Vec<Sample>)>) -> (Vec<Judged>, Counters) {
    let mut engine = Engine::new(set);
    let mut alarms: Vec<Judged> = Vec::new();
    let mut out = Vec::new();
    let mut seq = Seq(0);
    let mut before: Option<Time> = None;
    let mut step = |engine: &mut Engine, entry: &Entry, alarms: &mut Vec<Judged>| {
        seq.0 += 1;
        engine.step(seq, entry, &mut out);
        for transition in out.drain(..) {
            note(alarms, &transition);
        }
    };
    for (at, samples) in rows {
        if let Some(before) = before {
            for tick in 1..=(at.since_us(before) / TICK_US).min(TICKS_MAX) {
                step(&mut engine, &Entry::Tick(before.plus_us(tick * TICK_US)), &mut alarms);
            }
            step(&mut engine, &Entry::Tick(at), &mut alarms);
        }
        before = Some(at);
        let frame = frame(at, samples);
        watch(&mut alarms, &frame.samples);
        step(&mut engine, &Entry::Frame(frame.clone()), &mut alarms);
        watch(&mut alarms, &frame.samples);
    }
    (alarms, *engine.counters())
}

fn frame(at: Time, samples: Vec<Sample>) -> Frame {
    Frame {
        gateway: GatewayId(1),
        device: DeviceId(1),
        subject: Subject::Elder(ElderId(1)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: 0,
        received_at: at,
        events: Vec::new(),
        samples,
        extras: model::Extras::default(),
    }
}

fn note(alarms: &mut Vec<Judged>, transition: &Transition) {
    if let Change::Raised { priority, kind, started_at, .. } = transition.change {
        alarms.push(Judged {
            alarm: transition.alarm,
            rule: transition.rule.clone(),
            priority,
            raised_as: priority,
            kind,
            started_at,
            raised_at: transition.at,
            cleared_at: None,
            data_lost: false,
            repeats: 0,
            worst: match kind {
                AlarmKind::Threshold { value, .. } => Some(value),
                _ => None,
            },
        });
        return;
    }
    let Some(alarm) = alarms.iter_mut().rev().find(|alarm| alarm.alarm == transition.alarm) else { return };
    match transition.change {
        Change::Worsened { priority, .. } => alarm.priority = priority,
        Change::Repeated { .. } => alarm.repeats += 1,
        Change::Cleared => {
            alarm.cleared_at = Some(transition.at);
            alarm.data_lost = false;
        }
        Change::DataLost => alarm.data_lost = true,
        Change::StillPresent => alarm.data_lost = false,
        Change::Raised { .. } | Change::Sounded { .. } | Change::Cancelled | Change::RemeasureAsked { .. } => {}
    }
}

/// Keeps the worst value of each alarm that stands.
fn watch(alarms: &mut [Judged], samples: &[Sample]) {
    for alarm in alarms.iter_mut().filter(|alarm| alarm.cleared_at.is_none()) {
        let AlarmKind::Threshold { metric, high, .. } = alarm.kind else { continue };
        for sample in samples.iter().filter(|sample| sample.metric == metric && sample.quality.is_judged()) {
            let Some(value) = sample.value() else { continue };
            alarm.worst = alarm.worst.map(|worst| if high { worst.max(value) } else { worst.min(value) });
        }
    }
}
