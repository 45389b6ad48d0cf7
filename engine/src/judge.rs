//! A recording through the engine: what would these rules have raised? For `vigil judge` and for previews.
//!
//! One person, rows in time order, judged as if each row had been received when it was taken.

use std::collections::HashMap;

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::rule::RuleSet;
use model::{AlarmId, AlarmKind, DeviceId, ElderId, GatewayId, Lane, Priority, Sample, Seq, Subject, Time};
use serde::Serialize;

use crate::{Counters, Engine, SECOND_US};

/// Ticks between two rows: one a minute ...
const TICK_US: i64 = 60 * SECOND_US;
/// ... but not more than these (a month of them), however long the recording paused; then one at its end, as after a stop.
const TICKS_MAX: i64 = 44_640;

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
    judge_elder(set, ElderId(1), rows.into_iter().map(|(at, samples)| (at, DeviceId(1), samples)))
}

/// As [`judge`], with the elder (whose number is part of an alarm's identity: the same log gives the alarms the names they have in
/// the records) and the device of each row.
pub fn judge_elder(
    set: RuleSet,
    elder: ElderId,
    rows: impl IntoIterator<Item = (Time, DeviceId, Vec<Sample>)>,
) -> (Vec<Judged>, Counters) {
    let mut court = Court::new(set);
    let mut before: Option<Time> = None;
    for (at, device, samples) in rows {
        if let Some(before) = before {
            for tick in 1..=(at.since_us(before) / TICK_US).min(TICKS_MAX) {
                court.step(&Entry::Tick(before.plus_us(tick * TICK_US)));
            }
            court.step(&Entry::Tick(at));
        }
        before = Some(at);
        let entry = Entry::Frame(frame(at, elder, device, samples));
        let samples = if let Entry::Frame(frame) = &entry { frame.samples.as_slice() } else { &[] };
        court.watch(samples);
        court.step(&entry);
        court.watch(samples);
    }
    (court.alarms, *court.engine.counters())
}

fn frame(at: Time, elder: ElderId, device: DeviceId, samples: Vec<Sample>) -> Frame {
    Frame {
        gateway: GatewayId(1),
        device,
        subject: Subject::Elder(elder),
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

/// An engine and what it has said so far.
struct Court {
    engine: Engine,
    seq: Seq,
    out: Vec<Transition>,
    alarms: Vec<Judged>,
    places: HashMap<AlarmId, usize>,
    /// Places of the alarms that stand: few, however long the recording.
    standing: Vec<usize>,
}

impl Court {
    fn new(set: RuleSet) -> Self {
        Self {
            engine: Engine::new(set),
            seq: Seq(0),
            out: Vec::new(),
            alarms: Vec::new(),
            places: HashMap::new(),
            standing: Vec::new(),
        }
    }

    fn step(&mut self, entry: &Entry) {
        self.seq.0 += 1;
        let mut out = std::mem::take(&mut self.out);
        self.engine.step(self.seq, entry, &mut out);
        for transition in out.drain(..) {
            self.note(&transition);
        }
        self.out = out;
    }

    fn note(&mut self, transition: &Transition) {
        if let Change::Raised { priority, kind, started_at, .. } = transition.change {
            self.places.insert(transition.alarm, self.alarms.len());
            self.standing.push(self.alarms.len());
            self.alarms.push(Judged {
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
        let Some(place) = self.places.get(&transition.alarm).copied() else { return };
        let Some(alarm) = self.alarms.get_mut(place) else { return };
        match transition.change {
            Change::Worsened { priority, .. } => alarm.priority = priority,
            Change::Repeated { .. } => alarm.repeats += 1,
            Change::Cleared => {
                alarm.cleared_at = Some(transition.at);
                alarm.data_lost = false;
                self.standing.retain(|standing| *standing != place);
            }
            Change::DataLost => alarm.data_lost = true,
            Change::StillPresent => alarm.data_lost = false,
            Change::Raised { .. } | Change::Sounded { .. } | Change::Cancelled | Change::RemeasureAsked { .. } => {}
        }
    }

    /// Keeps the worst value of each alarm that stands.
    fn watch(&mut self, samples: &[Sample]) {
        for place in &self.standing {
            let Some(alarm) = self.alarms.get_mut(*place) else { continue };
            let AlarmKind::Threshold { metric, high, .. } = alarm.kind else { continue };
            for sample in samples.iter().filter(|sample| sample.metric == metric && sample.quality.is_judged()) {
                let Some(value) = sample.value() else { continue };
                alarm.worst = alarm.worst.map(|worst| if high { worst.max(value) } else { worst.min(value) });
            }
        }
    }
}
