//! One patch on the rules below it.

use super::{Change, Layer, Levels, Patch};
use crate::Priority;
use crate::rule::{Level, Rule, Test};

/// A rule while layers are put upon it, with the place in [`super::Effective::origins`] each part comes from.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) rule: Rule,
    pub(super) origin: usize,
    pub(super) levels: Vec<(Priority, usize)>,
    pub(super) hours: Option<usize>,
    /// What the last patch says of its numbers.
    pub(super) note: String,
    pub(super) off: Option<usize>,
}

/// What does not fit, at which level.
pub(super) type Misfit = (Option<Priority>, &'static str);

impl Work {
    pub(super) fn new(rule: Rule, origin: usize) -> Self {
        let levels = priorities(&rule.test).into_iter().map(|priority| (priority, origin)).collect();
        let hours = rule.hours.map(|_| origin);
        Self { rule, origin, levels, hours, note: String::new(), off: None }
    }

    pub(super) fn is_call(&self) -> bool {
        calls(&self.rule)
    }

    fn levels(&mut self, levels: &Levels, origin: usize) -> Result<(), Misfit> {
        let Test::Threshold(test) = &mut self.rule.test else {
            return Err((None, "levels are of thresholds; this rule is another kind: give its whole `test`"));
        };
        for wanted in &levels.set {
            if let Some(level) = test.levels.iter_mut().find(|level| level.priority == wanted.priority) {
                level.limit = wanted.limit.unwrap_or(level.limit);
                level.hold_s = wanted.hold_s.unwrap_or(level.hold_s);
            } else {
                let limit =
                    wanted.limit.ok_or((Some(wanted.priority), "there is no such level below: give a limit"))?;
                let place = test.levels.iter().position(|other| other.priority > wanted.priority);
                let place = place.unwrap_or(test.levels.len());
                // A level that somebody adds is no hastier than the more urgent one.
                let above =
                    place.checked_sub(1).and_then(|index| test.levels.get(index)).map_or(0, |level| level.hold_s);
                let level = Level { priority: wanted.priority, limit, hold_s: wanted.hold_s.unwrap_or(above) };
                test.levels.insert(place, level);
            }
            self.levels.retain(|(priority, _)| *priority != wanted.priority);
            self.levels.push((wanted.priority, origin));
        }
        for gone in &levels.drop {
            test.levels.retain(|level| level.priority != *gone);
            self.levels.retain(|(priority, _)| priority != gone);
        }
        self.levels.sort_unstable();
        Ok(())
    }

    fn change(&mut self, patch: &Patch, origin: usize) -> Result<(), Misfit> {
        match &patch.change {
            Change::Rule(rule) => {
                let (before, latching) = (self.is_call(), rule.latching);
                if before && !(calls(rule) && latching && rule.hours.is_none()) {
                    return Err((None, "a call for help stays one: P1, latching, at every hour"));
                }
                *self = Self::new(rule.clone(), origin);
            }
            _ if self.is_call() => return Err((None, "a call for help is never switched off or changed")),
            Change::Test(test) => {
                let kept = Rule { test: test.clone(), ..self.rule.clone() };
                let (hours, off) = (self.hours, self.off);
                *self = Self { hours, off, ..Self::new(kept, origin) };
            }
            Change::Levels(levels) => self.levels(levels, origin)?,
            Change::Hours(hours) => {
                self.rule.hours = *hours;
                self.hours = Some(origin);
            }
            Change::Off => self.off = Some(origin),
            Change::Only(_) => {}
        }
        patch.why.clone_into(&mut self.note);
        Ok(())
    }
}

/// The layer's patches, in their order, on `rules`. A patch about a rule that is not there does nothing: another default set
/// has other rules.
pub(super) fn apply(rules: &mut Vec<Work>, layer: &Layer, origin: usize) -> Result<(), super::Refused> {
    for patch in &layer.patches {
        if let Change::Only(kept) = &patch.change {
            for work in rules.iter_mut().filter(|work| !work.is_call() && !kept.contains(&work.rule.slug)) {
                work.off.get_or_insert(origin);
            }
            continue;
        }
        let misfit = if let Some(work) = rules.iter_mut().find(|work| work.rule.slug == patch.rule) {
            work.change(patch, origin).err()
        } else {
            if let Change::Rule(rule) = &patch.change {
                rules.push(Work { note: patch.why.clone(), ..Work::new(rule.clone(), origin) });
            }
            None
        };
        if let Some((level, reason)) = misfit {
            return Err(layer.refuse(&patch.rule, level, reason));
        }
    }
    Ok(())
}

fn calls(rule: &Rule) -> bool {
    matches!(&rule.test, Test::Event(test) if test.event.calls_for_help() && test.priority == Priority::P1)
}

/// The priorities a test can raise with.
fn priorities(test: &Test) -> Vec<Priority> {
    match test {
        Test::Threshold(test) => test.levels.iter().map(|level| level.priority).collect(),
        Test::Event(test) => vec![test.priority],
        Test::Silence(test) => vec![test.priority],
        Test::Trend(test) => vec![test.priority],
        Test::Score(test) => test.levels.iter().map(|level| level.priority).collect(),
        Test::Count(test) => vec![test.priority],
    }
}
