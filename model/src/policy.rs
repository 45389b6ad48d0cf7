//! Escalation policies as data: ordered steps of waiting and paging, frozen by version when an alarm opens (docs/alarms.md).
//!
//! A policy never ends by itself for a P1: after its last step, that step repeats every [`Policy::repeat_s`] until a person has
//! the alarm. Whom a target means is resolved at each step, so that a new shift inherits open alarms.

use serde::{Deserialize, Serialize};

use crate::people::Duty;
use crate::rule::Hours;
use crate::{Handling, PersonId, Priority, TeamId, Time};

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Stable word: `default`.
    pub name: String,
    /// Counts up with every change; stored with each alarm that it opened under.
    pub version: u32,
    /// The alarms it is for.
    pub priorities: Vec<Priority>,
    pub steps: Vec<Step>,
    /// The last step again after so many seconds. 30 to 86400.
    pub repeat_s: u32,
}

/// Wait, then page these people by these channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds after the step before began (the first: after the alarm opened). At most a day.
    pub wait_s: u32,
    /// All of them, each once a step.
    pub targets: Vec<Target>,
    /// Names of channels in the order in which they are tried for one person.
    pub channels: Vec<String>,
    /// What makes this step unnecessary, when it has happened before its time.
    #[serde(default)]
    pub stop_on: StopOn,
    /// Only for these priorities. Empty: for all of the policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_priorities: Vec<Priority>,
    /// Only at this time of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_hours: Option<Hours>,
    /// A step without anybody to page is passed over at once; false: its time is waited for all the same.
    #[serde(default = "yes")]
    pub skip_if_empty: bool,
}

/// Whom a step pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// Who is on call in the elder's team by its rota; of one duty only, when named. `backup`: the one after.
    OnCall {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duty: Option<Duty>,
        #[serde(default)]
        backup: bool,
    },
    /// Who is on call in a team, whoever the elder's is: the county's duty.
    Team {
        team: TeamId,
    },
    Person {
        person: PersonId,
    },
    /// The supervisors of the call centre.
    Supervisors,
    /// Those who can go there: the elder's key holders, grid worker, family, by the elder's contacts.
    Responders,
}

/// What has to happen for the steps to stop. A claim always pauses them; when it lapses they go on at the same step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// A dispatcher has it.
    Claim,
    /// A named person accepted, or there is an outcome.
    #[default]
    Accept,
    /// Only an outcome: also people who accepted are reminded.
    Outcome,
}

/// Who will be paged next for an alarm, and when, as things are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    pub policy: String,
    pub policy_version: u32,
    /// From 1.
    pub step: u32,
    pub steps: u32,
    pub due: Time,
    pub people: Vec<PersonId>,
    pub channels: Vec<String>,
}

/// Why a policy is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy:?}, {place}: {reason}")]
pub struct BadPolicy {
    pub policy: String,
    /// `step 2`, `repeat_s`.
    pub place: String,
    pub reason: String,
}

const fn yes() -> bool {
    true
}

impl Policy {
    /// Steps one policy may have.
    pub const STEPS_MAX: usize = 20;
    /// Targets and channels one step may name.
    pub const NAMES_MAX: usize = 16;

    /// Checks what the type system cannot: above all that somebody is paged, and that it goes on until a person has the alarm.
    /// `is_channel` says whether a channel of this name exists.
    pub fn check(&self, is_channel: impl Fn(&str) -> bool) -> Result<(), BadPolicy> {
        let bad = |place: String, reason: String| Err(BadPolicy { policy: self.name.clone(), place, reason });
        if self.name.is_empty() || self.name.len() > 64 {
            return bad("name".into(), "it must have 1 to 64 characters".into());
        }
        if self.priorities.is_empty() {
            return bad("priorities".into(), "it is for no alarm".into());
        }
        if !self.priorities.iter().all(|priority| matches!(priority, Priority::P1 | Priority::P2)) {
            return bad("priorities".into(), "only P1 and P2 page people".into());
        }
        if !(30..=86_400).contains(&self.repeat_s) {
            return bad("repeat_s".into(), "it must be 30 to 86400".into());
        }
        if self.steps.is_empty() {
            return bad("steps".into(), "without a step nobody would ever be paged".into());
        }
        if self.steps.len() > Self::STEPS_MAX {
            return bad("steps".into(), format!("at most {} steps", Self::STEPS_MAX));
        }
        for (number, step) in (1..).zip(&self.steps) {
            if let Err(reason) = step.check(&is_channel) {
                return bad(format!("step {number}"), reason);
            }
        }
        for priority in &self.priorities {
            // A condition that may not hold must not be all there is.
            let sure = |step: &&Step| step.only_hours.is_none() && step.is_for(*priority);
            if !self.steps.iter().any(|step| sure(&step)) {
                return bad(
                    "steps".into(),
                    format!(
                        "for {} at every hour there must be a step: it could end without paging anyone",
                        priority.slug()
                    ),
                );
            }
        }
        if self.steps.last().is_some_and(|step| step.only_hours.is_some() || !step.only_priorities.is_empty()) {
            return bad("the last step".into(), "it is the one that repeats: it can have no condition".into());
        }
        Ok(())
    }

    /// When the first step of an alarm that opens at `opened` is due.
    pub fn first_due(&self, opened: Time) -> Time {
        self.steps.first().map_or(opened, |step| step.wait(opened))
    }

    /// The step after `step`, which was due at `due` and was run at `now`, and when that is due. A step that was passed over
    /// hands its turn on at once. Times count from when a step was due, so that a late look delays nothing; what was missed
    /// runs one after the other. The last step comes again without end, counted from `now`: repetitions missed are not made up.
    pub fn after(&self, step: usize, due: Time, now: Time, passed_over: bool) -> (usize, Time) {
        match self.steps.get(step + 1) {
            Some(_) if passed_over => (step + 1, due),
            Some(next) => (step + 1, next.wait(due)),
            None => (self.last_step(), now.plus_us(i64::from(self.repeat_s) * 1_000_000)),
        }
    }

    /// Place of the step that repeats.
    pub fn last_step(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// From `step` on there is one that goes on although a person has accepted.
    pub fn reminds_from(&self, step: usize) -> bool {
        self.steps.iter().skip(step.min(self.last_step())).any(|step| step.stop_on == StopOn::Outcome)
    }
}

impl Step {
    fn wait(&self, from: Time) -> Time {
        from.plus_us(i64::from(self.wait_s) * 1_000_000)
    }

    /// Its conditions hold for an alarm of this priority at this time.
    pub fn holds(&self, priority: Priority, at: Time) -> bool {
        self.is_for(priority) && self.only_hours.is_none_or(|hours| hours.contains(at))
    }

    /// What happened meanwhile makes it unnecessary.
    pub const fn is_stopped(&self, handling: Handling) -> bool {
        match handling {
            Handling::Open | Handling::Parked => false,
            Handling::Claimed => matches!(self.stop_on, StopOn::Claim),
            Handling::Engaged => matches!(self.stop_on, StopOn::Claim | StopOn::Accept),
            Handling::Resolved | Handling::Closed | Handling::Void => true,
        }
    }

    /// It is for alarms of this priority.
    pub fn is_for(&self, priority: Priority) -> bool {
        self.only_priorities.is_empty() || self.only_priorities.contains(&priority)
    }

    fn check(&self, is_channel: impl Fn(&str) -> bool) -> Result<(), String> {
        if self.wait_s > 86_400 {
            return Err("wait_s is at most 86400 (a day)".into());
        }
        if self.targets.is_empty() || self.targets.len() > Policy::NAMES_MAX {
            return Err(format!("it needs 1 to {} targets", Policy::NAMES_MAX));
        }
        if self.channels.is_empty() || self.channels.len() > Policy::NAMES_MAX {
            return Err(format!("it needs 1 to {} channels", Policy::NAMES_MAX));
        }
        match self.channels.iter().find(|name| !is_channel(name)) {
            Some(name) => Err(format!("there is no channel {name:?}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let step = Step {
            wait_s: 0,
            targets: vec![Target::OnCall { duty: None, backup: false }],
            channels: vec!["webhook".into()],
            stop_on: StopOn::Accept,
            only_priorities: vec![],
            only_hours: None,
            skip_if_empty: true,
        };
        Policy { name: "default".into(), version: 1, priorities: vec![Priority::P1], steps: vec![step], repeat_s: 120 }
    }

    #[test]
    fn steps_follow_their_times_and_the_last_repeats() {
        let mut policy = policy();
        let second = Step { wait_s: 30, ..policy.steps[0].clone() };
        policy.steps.push(second);
        let at = Time::from_secs;
        assert_eq!(policy.first_due(at(5)), at(5));
        assert_eq!(policy.after(0, at(0), at(0), false), (1, at(30)));
        assert_eq!(policy.after(0, at(0), at(7_200), false), (1, at(30)), "a late one does not delay those behind it");
        assert_eq!(policy.after(0, at(0), at(0), true), (1, at(0)), "passed over: the next at once");
        assert_eq!(policy.after(1, at(30), at(7_200), false), (1, at(7_320)), "repetitions missed are not made up");
        assert_eq!(policy.after(1, at(30), at(30), true), (1, at(150)), "nobody there: tried again, not at once");
    }

    #[test]
    fn a_step_knows_what_makes_it_unnecessary() {
        let mut policy = policy();
        for (stop_on, claimed, engaged) in
            [(StopOn::Claim, true, true), (StopOn::Accept, false, true), (StopOn::Outcome, false, false)]
        {
            policy.steps[0].stop_on = stop_on;
            let step = &policy.steps[0];
            assert_eq!((step.is_stopped(Handling::Claimed), step.is_stopped(Handling::Engaged)), (claimed, engaged));
            assert!(!step.is_stopped(Handling::Open) && step.is_stopped(Handling::Resolved));
            assert_eq!(policy.reminds_from(0), stop_on == StopOn::Outcome);
        }
    }

    #[test]
    fn one_that_could_page_nobody_is_refused() {
        let is_channel = |name: &str| name == "webhook";
        assert_eq!(policy().check(is_channel), Ok(()));
        let refused = |change: fn(&mut Policy)| {
            let mut policy = policy();
            change(&mut policy);
            policy.check(is_channel).unwrap_err()
        };
        assert_eq!(refused(|policy| policy.steps.clear()).place, "steps");
        assert_eq!(refused(|policy| policy.steps[0].targets.clear()).place, "step 1");
        assert_eq!(refused(|policy| policy.priorities.push(Priority::P3)).place, "priorities");
        assert!(refused(|policy| policy.steps[0].channels[0] = "pigeon".into()).reason.contains("pigeon"));
        assert_eq!(refused(|policy| policy.steps[0].only_hours = Hours::parse("08:00-18:00").ok()).place, "steps");
        assert_eq!(refused(|policy| policy.steps[0].only_priorities = vec![Priority::P2]).place, "steps");
        let conditional_end = refused(|policy| {
            let mut last = policy.steps[0].clone();
            last.only_hours = Hours::parse("08:00-18:00").ok();
            policy.steps.push(last);
        });
        assert_eq!(conditional_end.place, "the last step");
    }
}
