//! Escalation: whom a step of a policy pages. Policies are data in the records; people are resolved anew at each step, so that
//! a new shift inherits the alarms that are open.

use std::sync::LazyLock;

use model::policy::{NextStep, Policy, Step};
use model::{PersonId, Priority, Time};
use serde::Deserialize;
use store::records::{AlarmView, NewPage, Records, StepDue};

use crate::{Config, channel, roster};

/// People one step pages at most.
const PEOPLE_MAX: usize = 32;

const TEXT: &str = include_str!("../policies/default.toml");

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    policy: Vec<Policy>,
}

/// The file is part of the program; a test shows that it reads and passes its check.
static SHIPPED: LazyLock<Vec<Policy>> = LazyLock::new(|| toml::from_str::<Shipped>(TEXT).unwrap_or_default().policy);

/// The policies of a new installation, with the repetitions that the configuration says.
pub fn shipped_policies(config: &Config) -> Vec<Policy> {
    let repeat_s = |policy: &Policy| {
        if policy.priorities.contains(&Priority::P1) { config.repeat_p1_s } else { config.repeat_p2_s }
    };
    SHIPPED.iter().map(|policy| Policy { repeat_s: repeat_s(policy), ..policy.clone() }).collect()
}

/// Pages of the first step, for the transaction that opens the alarm (or reopens it, or makes it more urgent).
pub(crate) fn first(records: &Records, alarm: &AlarmView, at: Time) -> Vec<NewPage> {
    if !matches!(alarm.priority, Priority::P1 | Priority::P2) {
        return Vec::new();
    }
    match policy_of(records, alarm) {
        Some(policy) if !policy.steps.is_empty() => plan(records, &policy.steps[0], alarm, at, &[], 0),
        // Never so after a start; a page to the first on call is then the least.
        _ => roster::line(records, alarm, at)
            .into_iter()
            .take(1)
            .map(|person| NewPage::to(person, channel::FIRST))
            .collect(),
    }
}

/// Pages of the step that is due. Who declined the alarm is left out until the last step, which leaves out nobody.
pub(crate) fn pages(records: &Records, policy: &Policy, due: &StepDue, at: Time) -> Vec<NewPage> {
    let place = (due.alarm.next_step as usize).min(policy.last_step());
    let Some(step) = policy.steps.get(place) else { return Vec::new() };
    let left_out = if place == policy.last_step() { &[] } else { due.declined.as_slice() };
    plan(records, step, &due.alarm, at, left_out, due.runs)
}

fn plan(records: &Records, step: &Step, alarm: &AlarmView, at: Time, left_out: &[PersonId], runs: u32) -> Vec<NewPage> {
    let people = people(records, step, alarm, at, left_out);
    let mut reserve = roster::line(records, alarm, at);
    reserve.retain(|person| !people.contains(person) && !left_out.contains(person));
    // A repetition begins with another channel: one number may be called only so often in an hour.
    let mut channels = step.channels.clone();
    let turn = runs as usize % channels.len().max(1);
    channels.rotate_left(turn);
    let Some((first, chain)) = channels.split_first() else { return Vec::new() };
    let page = |person| NewPage { chain: chain.to_vec(), reserve: reserve.clone(), ..NewPage::to(person, first) };
    people.into_iter().map(page).collect()
}

fn people(records: &Records, step: &Step, alarm: &AlarmView, at: Time, left_out: &[PersonId]) -> Vec<PersonId> {
    let mut people: Vec<PersonId> = Vec::new();
    for target in &step.targets {
        for person in roster::people(records, target, alarm, at) {
            if !people.contains(&person) && !left_out.contains(&person) {
                people.push(person);
            }
        }
    }
    people.truncate(PEOPLE_MAX);
    people
}

/// The policy that the alarm opened under; for one that is older than policies, the one in force for it now.
pub(crate) fn policy_of(records: &Records, alarm: &AlarmView) -> Option<Policy> {
    let found = match alarm.policy_version {
        Some(version) => records.policy(version),
        None => Ok(None),
    };
    let found = match found {
        Ok(None) => records.policy_for(alarm.priority),
        found => found,
    };
    found.unwrap_or_else(|error| {
        tracing::error!(%error, alarm = %alarm.id, "cannot read the alarm's escalation policy");
        None
    })
}

/// The step that is due next. `None`: a person has the alarm, or it pages nobody.
pub fn next_step(records: &Records, alarm: &AlarmView) -> Option<NextStep> {
    let due = alarm.page_due_at?;
    let policy = policy_of(records, alarm)?;
    let place = (alarm.next_step as usize).min(policy.last_step());
    let step = policy.steps.get(place)?;
    Some(NextStep {
        policy: policy.name.clone(),
        policy_version: policy.version,
        step: place as u32 + 1,
        steps: policy.steps.len() as u32,
        due,
        people: people(records, step, alarm, due, &[]),
        channels: step.channels.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policies_read_and_page_somebody_for_both_priorities() {
        let policies = shipped_policies(&Config { repeat_p1_s: 60, ..Config::default() });
        for policy in &policies {
            policy.check(|name| name == "webhook").unwrap();
        }
        let waits = |name: &str| {
            let policy = policies.iter().find(|policy| policy.name == name).unwrap();
            let times: Vec<u32> = policy
                .steps
                .iter()
                .scan(0, |at, step| {
                    *at += step.wait_s;
                    Some(*at)
                })
                .collect();
            (times, policy.repeat_s, policy.priorities.clone())
        };
        assert_eq!(waits("p1"), (vec![0, 30, 60, 180, 300, 600], 60, vec![Priority::P1]));
        assert_eq!(waits("p2"), (vec![0, 180, 900, 1_800], 900, vec![Priority::P2]));
    }
}
