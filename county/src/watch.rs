//! One engine with one set of rules, listening to the county, and a ledger of what it raised.

use std::collections::HashMap;

use engine::Engine;
use model::alarm::{Change, Transition};
use model::entry::Entry;
use model::rule::RuleSet;
use model::{AlarmId, AlarmKind, ElderId, Metric, Priority, Seq, Time};

use crate::crisis::{Crises, Crisis, Found};
use crate::people::Truth;

/// One alarm.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    pub(crate) elder: u32,
    /// Index in `Watch::rules`.
    pub(crate) rule: u16,
    pub(crate) priority: Priority,
    pub(crate) kind: AlarmKind,
    /// Log time.
    pub(crate) raised_at: Time,
    pub(crate) late: bool,
    /// By the truth of the scenario. `None`: not a question (technical, late).
    pub(crate) real: Option<bool>,
    pub(crate) told_again: u32,
    pub(crate) stands: bool,
}

/// Something that asks for a person at a seat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) at: Time,
    /// Index in `Watch::alarms`.
    pub(crate) alarm: u32,
    pub(crate) priority: Priority,
}

/// What happened to the list, for the counts by hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Raised,
    Worsened,
    Again,
}

#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) name: String,
    pub(crate) set: RuleSet,
    pub(crate) engine: Engine,
    seq: Seq,
    out: Vec<Transition>,
    pub(crate) alarms: Vec<Alarm>,
    by_id: HashMap<AlarmId, u32>,
    pub(crate) rules: Vec<String>,
    /// P1 and P2 only.
    pub(crate) work: Vec<Work>,
    /// Log time, priority and why, in order.
    pub(crate) told: Vec<(Time, Priority, Told)>,
    /// By crisis.
    pub(crate) found: Vec<Option<Found>>,
    /// Elders asked to measure again since the last look.
    pub(crate) asked: Vec<(ElderId, Metric)>,
    pub(crate) remeasures: u64,
    standing: HashMap<u32, Vec<u32>>,
}

impl Watch {
    pub(crate) fn new(name: &str, set: RuleSet) -> Self {
        Self {
            name: name.to_owned(),
            engine: Engine::new(set.clone()),
            set,
            seq: Seq(0),
            out: Vec::new(),
            alarms: Vec::new(),
            by_id: HashMap::new(),
            rules: Vec::new(),
            work: Vec::new(),
            told: Vec::new(),
            found: Vec::new(),
            asked: Vec::new(),
            remeasures: 0,
            standing: HashMap::new(),
        }
    }

    pub(crate) fn step(&mut self, entry: &Entry, now: Time, truth: &Truth, crises: &Crises) {
        self.seq.0 += 1;
        self.engine.step(self.seq, entry, &mut self.out);
        if self.out.is_empty() {
            return;
        }
        for transition in std::mem::take(&mut self.out) {
            self.note(&transition, now, truth, crises);
        }
    }

    /// A crisis begins: an alarm about the same thing that stands already is how it is known.
    pub(crate) fn begins(&mut self, index: usize, crisis: &Crisis) {
        self.found.resize(self.found.len().max(index + 1), None);
        let of = self.standing.get(&crisis.elder.0).map_or(&[][..], Vec::as_slice);
        let standing = of.iter().filter_map(|alarm| self.alarms.get(*alarm as usize));
        let about = standing.filter(|alarm| alarm.stands && crisis.kind.suits(&alarm.kind) && !alarm.late);
        let found = about.map(|alarm| alarm.priority).min().filter(|priority| *priority <= Priority::P2);
        self.found[index] = found.map(|priority| Found { at: crisis.begin, priority, late: false });
    }

    fn note(&mut self, transition: &Transition, now: Time, truth: &Truth, crises: &Crises) {
        if let Change::Raised { priority, kind, late, .. } = transition.change {
            return self.raised(transition, (priority, kind, late), now, truth, crises);
        }
        let Some(index) = self.by_id.get(&transition.alarm).copied() else { return };
        let Some(alarm) = self.alarms.get_mut(index as usize) else { return };
        match transition.change {
            Change::Worsened { priority, kind } => {
                alarm.priority = alarm.priority.min(priority);
                alarm.kind = kind;
                let real = is_real(alarm.elder, &kind, transition.at, truth, crises);
                alarm.real = alarm.real.max(real);
                self.stand(transition.subject, index);
                self.tell(index, priority, now, Told::Worsened);
                self.find(transition, &kind, (priority, false), now, crises);
            }
            Change::Repeated { kind } => {
                alarm.told_again += 1;
                let priority = alarm.priority;
                self.tell(index, priority, now, Told::Again);
                self.find(transition, &kind, (priority, false), now, crises);
            }
            Change::Cleared => {
                alarm.stands = false;
                if let Some(of) = self.standing.get_mut(&transition.subject) {
                    of.retain(|standing| *standing != index);
                }
            }
            Change::RemeasureAsked { kind, .. } => self.ask(transition, kind),
            _ => {}
        }
    }

    fn ask(&mut self, transition: &Transition, kind: AlarmKind) {
        self.remeasures += 1;
        if let (Some(elder), AlarmKind::Threshold { metric, .. }) = (transition.elder(), kind) {
            self.asked.push((elder, metric));
        }
    }

    fn raised(
        &mut self,
        transition: &Transition,
        (priority, kind, late): (Priority, AlarmKind, bool),
        now: Time,
        truth: &Truth,
        crises: &Crises,
    ) {
        let rule = self.rules.iter().position(|rule| *rule == transition.rule).unwrap_or_else(|| {
            self.rules.push(transition.rule.clone());
            self.rules.len() - 1
        });
        let elder = transition.subject;
        let review = late && priority > Priority::P2;
        let real = if review { None } else { is_real(elder, &kind, transition.at, truth, crises) };
        let index = self.alarms.len() as u32;
        self.alarms.push(Alarm {
            elder,
            rule: rule as u16,
            priority,
            kind,
            raised_at: now,
            late: review,
            real,
            told_again: 0,
            stands: true,
        });
        self.by_id.insert(transition.alarm, index);
        if priority <= Priority::P2 {
            self.stand(elder, index);
        }
        self.tell(index, priority, now, Told::Raised);
        self.find(transition, &kind, (priority, review), now, crises);
    }

    fn stand(&mut self, elder: u32, index: u32) {
        let of = self.standing.entry(elder).or_default();
        if !of.contains(&index) {
            of.push(index);
        }
    }

    fn tell(&mut self, alarm: u32, priority: Priority, now: Time, told: Told) {
        self.told.push((now, priority, told));
        if priority <= Priority::P2 {
            self.work.push(Work { at: now, alarm, priority });
        }
    }

    fn find(
        &mut self,
        transition: &Transition,
        kind: &AlarmKind,
        (priority, late): (Priority, bool),
        now: Time,
        crises: &Crises,
    ) {
        if priority > Priority::P2 && !late {
            return;
        }
        for (index, _) in crises.about(transition.subject, kind, transition.at) {
            self.found.resize(self.found.len().max(index + 1), None);
            let Some(found) = self.found.get_mut(index) else { continue };
            match found {
                // What was found late first and live then was known when it was found.
                Some(before) => before.priority = before.priority.min(priority),
                None => *found = Some(Found { at: now, priority, late }),
            }
        }
    }
}

/// The alarm is about something that is so: a crisis of the scenario, or a body that is beyond the limit.
fn is_real(elder: u32, kind: &AlarmKind, at: Time, truth: &Truth, crises: &Crises) -> Option<bool> {
    let beyond = truth.is_beyond(ElderId(elder), kind);
    let mut about = crises.about(elder, kind, at).peekable();
    let scripted = about.peek().is_some();
    let needed = about.any(|(_, crisis)| crisis.real);
    match kind {
        AlarmKind::Event { kind } if kind.calls_for_help() => Some(needed),
        AlarmKind::Threshold { metric: Metric::Battery, .. }
        | AlarmKind::Silence { .. }
        | AlarmKind::Event { .. }
        | AlarmKind::Score { .. } => None,
        _ => Some((scripted && needed) || beyond == Some(true)),
    }
}
