//! New rules from the log: who is judged by what from here on, and what that means for running conditions.

use std::sync::Arc;

use model::alarm::{Change, Transition};
use model::rule::{Level, RuleSet, Threshold};
use model::{ElderId, Subject, Time};

use crate::calm::Calm;
use crate::confirm::Asked;
use crate::engine::{Engine, Sink};
use crate::limit::LEVELS_MAX;
use crate::plan::Plan;
use crate::state::{NEVER, Person, State};
use crate::track::Track;

impl Engine {
    /// Sets the default (no elder named) or some elders' own rules. A set that does not pass its check is refused and
    /// counted: the rules in force stay.
    pub(crate) fn rules(&mut self, elders: &[ElderId], at: Time, set: &RuleSet, out: &mut Vec<Transition>) {
        self.advance(at);
        if set.check().is_err() {
            self.counters.rules_refused += 1;
            return;
        }
        let plan = self.intern(set.clone());
        for elder in elders {
            self.own.insert(elder.0, Arc::clone(&plan));
            if let Some(slot) = self.person(elder.0) {
                self.adopt(slot, &plan, at, out);
            }
        }
        if !elders.is_empty() {
            return;
        }
        self.default_aged = Arc::new(Plan::new(set.for_aged()));
        self.default = plan;
        for slot in 0..self.people.len() {
            self.follow(slot, at, out);
        }
    }

    /// These elders are, or are not, judged by the default of the aged.
    pub(crate) fn ages(&mut self, aged: bool, at: Time, elders: &[ElderId], out: &mut Vec<Transition>) {
        self.advance(at);
        for elder in elders {
            if aged {
                self.aged.insert(elder.0);
            } else {
                self.aged.remove(&elder.0);
            }
            if let Some(slot) = self.person(elder.0) {
                self.follow(slot, at, out);
            }
        }
    }

    /// Has the person judged by the plan that is theirs by now.
    fn follow(&mut self, slot: usize, at: Time, out: &mut Vec<Transition>) {
        let Some(person) = self.people.get(slot) else { return };
        let plan = Arc::clone(self.plan_of(person.elder));
        self.adopt(slot, &plan, at, out);
    }

    fn adopt(&mut self, slot: usize, plan: &Arc<Plan>, at: Time, out: &mut Vec<Transition>) {
        let (Some(person), Some(due)) = (self.people.get_mut(slot), self.due.get_mut(slot)) else { return };
        if Arc::ptr_eq(&person.plan, plan) {
            return;
        }
        let Person { elder, plan: old, state } = person;
        let subject = Subject::from_u32(*elder);
        let (counters, now) = (&mut self.counters, self.now);
        let calm = Calm::of_elder(&self.calm, &self.stops, *elder);
        let mut sink = Sink::new(out, counters, subject, (at, now), calm);
        state.adopt(old, plan, at, &mut sink);
        person.plan = Arc::clone(plan);
        *due = person.state.deadline(plan, calm, now);
    }
}

impl State {
    /// A condition follows its rule by slug, as long as the rule looks at the same side of the same metric; otherwise it is
    /// cleared. Hold times of levels that changed start anew, unless a question is open about them; a present condition is judged
    /// by the new limits from the next value on.
    fn adopt(&mut self, old: &Plan, new: &Plan, at: Time, sink: &mut Sink<'_>) {
        self.ask_no_more(old, new, sink);
        let same_test = |rule: u8| Ladder::of(old, new, rule);
        let asked = |track: &Track| {
            let all = self.more.iter().flat_map(|more| &more.asked);
            all.filter(|asked| asked.is_about(track))
                .find_map(|asked| Some((asked, same_test(asked.rule)?.level_of(asked)?)))
        };
        for tracks in [&mut self.tracks, &mut self.late] {
            tracks.retain_mut(|track| {
                let Some(mut ladder) = same_test(track.rule) else {
                    if let Some(present) = track.present {
                        sink.put(old, track.rule, present.alarm, at, Change::Cleared);
                    }
                    return false;
                };
                if let Some((asked, level)) = asked(track) {
                    ladder.levels[level] = Some(usize::from(asked.level));
                }
                track.rule = ladder.rule;
                track.since =
                    ladder.levels.map(|from| from.and_then(|from| track.since.get(from).copied()).unwrap_or(NEVER));
                !track.is_pending() || track.since.iter().any(|since| *since != NEVER)
            });
        }
        self.episodes.retain_mut(|episode| same_test(episode.rule).map(|ladder| episode.rule = ladder.rule).is_some());
        self.silent.retain_mut(|silent| {
            let index = new.index_of(old.slug(silent.rule));
            let Some(index) = index.filter(|index| new.silences().iter().any(|(rule, _)| rule == index)) else {
                sink.put(old, silent.rule, silent.alarm, at, Change::Cleared);
                return false;
            };
            silent.rule = index;
            true
        });
        self.happenings.retain_mut(|happening| {
            new.index_of(old.slug(happening.rule)).map(|index| happening.rule = index).is_some()
        });
        // A metric without a rule is no longer followed; it starts anew when a rule comes back.
        self.series.retain(|series| new.looks_at(series.metric));
        if let Some(more) = &mut self.more {
            more.adopt(old, new, at, sink);
            if more.is_empty() {
                self.more = None;
            }
        }
    }

    /// Where a value inside the ladder would ask nobody from now on, nobody will answer either: whoever was asked has missed it.
    fn ask_no_more(&mut self, old: &Plan, new: &Plan, sink: &mut Sink<'_>) {
        let asks = |plan: &Plan, rule: u8| plan.limit_of(rule).is_some_and(|limit| limit.test.confirm.is_some());
        let mut missed = false;
        for asked in self.more.iter_mut().flat_map(|more| &mut more.asked) {
            if asks(old, asked.rule) && Ladder::of(old, new, asked.rule).is_some_and(|ladder| !asks(new, ladder.rule)) {
                asked.due = sink.now;
                missed = true;
            }
        }
        if missed {
            self.unanswered(old, sink);
        }
    }
}

/// What a ladder of levels becomes under new rules.
pub(crate) struct Ladder<'a> {
    /// Its index there.
    pub(crate) rule: u8,
    test: &'a Threshold,
    /// Per level of the new ladder: the old one with the same limit and hold time.
    levels: [Option<usize>; LEVELS_MAX],
}

impl<'a> Ladder<'a> {
    /// `None`: the rule is gone, or looks at something else.
    pub(crate) fn of(old: &Plan, new: &'a Plan, rule: u8) -> Option<Self> {
        let (index, before) = (new.index_of(old.slug(rule))?, old.limit_of(rule)?);
        let after = new.limit_of(index)?;
        let same = after.score.is_some() == before.score.is_some()
            && after.test.metric == before.test.metric
            && after.test.side == before.test.side;
        let mut levels = [None; LEVELS_MAX];
        if after.score == before.score {
            for (from, level) in levels.iter_mut().zip(&after.test.levels) {
                *from = before.test.levels.iter().position(|known| known == level);
            }
        }
        same.then_some(Self { rule: index, test: &after.test, levels })
    }

    /// The level that a question is about: the same, or else the most urgent one that the value reaches and that waits for a
    /// second one. `None`: the value asks nothing any more.
    pub(crate) fn level_of(&self, asked: &Asked) -> Option<usize> {
        let same = self.levels.iter().position(|from| *from == Some(usize::from(asked.level)));
        let reached = |level: &Level| level.hold_s > 0 && self.test.side.is_beyond(asked.value, level.limit);
        same.or_else(|| self.test.levels.iter().take(LEVELS_MAX).position(reached))
    }
}
