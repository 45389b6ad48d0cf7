//! Which group an elder belongs to. Pure.

use std::collections::{BTreeMap, HashMap};

use model::people::Sex;
use model::rule::RuleSet;
use model::{ElderId, TeamId};
use serde::{Deserialize, Serialize};
use store::records::{Member, Unit};

use super::cache::Means;
use super::figures::Range;

/// Units above a team that are looked through: the records allow no circle, but a bound costs nothing.
const UNITS_UP_MAX: usize = 16;
/// Age bands of five years between these.
const YOUNGEST: u32 = 60;
const OLDEST: u32 = 90;

/// What elders are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    #[default]
    All,
    Sex,
    AgeBand,
    /// The unit above the team: the township hospital.
    Township,
    Team,
}

impl By {
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Sex => "sex",
            Self::AgeBand => "age_band",
            Self::Township => "township",
            Self::Team => "team",
        }
    }
}

/// One group before anything of it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) zh: String,
    pub(super) en: String,
    /// The place of a team's township in the table of townships: what is hidden there must not come out here.
    pub(super) within: usize,
    pub(super) elders: usize,
    /// One value an elder who was measured.
    pub(super) values: Vec<f64>,
    /// `None`: there is no such limit.
    pub(super) below: Option<usize>,
    pub(super) above: Option<usize>,
}

impl Group {
    /// Those measured who are neither below nor above.
    pub(super) fn middle(&self) -> usize {
        self.values.len().saturating_sub(self.below.unwrap_or(0) + self.above.unwrap_or(0))
    }
}

/// Key and names.
type Name = (String, String, String);

/// All groups, by key; those without elders are not there.
pub(super) fn group(by: By, means: &Means, range: &Range) -> Vec<Group> {
    let cohort = &means.cohort;
    let units: HashMap<TeamId, &Unit> = cohort.units.iter().map(|unit| (unit.id, unit)).collect();
    let values: HashMap<ElderId, f64> = means.of.iter().copied().collect();
    let mut groups: BTreeMap<(usize, String), Group> = BTreeMap::new();
    for member in &cohort.members {
        let (order, (key, zh, en)) = name(by, member, &units);
        let within = place(township(member, &units));
        let group =
            groups.entry((order, key.clone())).or_insert_with(|| Group { key, zh, en, within, ..Group::default() });
        group.elders += 1;
        let Some(value) = values.get(&member.id) else { continue };
        group.values.push(*value);
        let is_aged = member.age.is_some_and(|age| age >= RuleSet::AGED_FROM);
        let (has_low, has_high) = range.has();
        let count =
            |count: Option<usize>, has: bool, beyond: bool| has.then(|| count.unwrap_or(0) + usize::from(beyond));
        group.below = count(group.below, has_low, range.is_below(*value, is_aged));
        group.above = count(group.above, has_high, range.is_above(*value, is_aged));
    }
    groups.into_values().collect()
}

/// The place in the list, and the names.
fn name(by: By, member: &Member, units: &HashMap<TeamId, &Unit>) -> (usize, Name) {
    let plain = |key: &str, zh: &str, en: &str| (key.to_owned(), zh.to_owned(), en.to_owned());
    match by {
        By::All => (0, plain("all", "全部", "All")),
        By::Sex => match member.sex {
            Sex::Female => (0, plain("female", "女", "Female")),
            Sex::Male => (1, plain("male", "男", "Male")),
            Sex::Unknown => (2, plain("unknown", "未知", "Not known")),
        },
        By::AgeBand => age_band(member.age),
        By::Township => unit(township(member, units)),
        By::Team => unit(member.team.and_then(|team| units.get(&team).copied())),
    }
}

fn age_band(age: Option<u32>) -> (usize, Name) {
    let named = |key: String, zh: String, en: String| (key, zh, en);
    match age {
        None => (usize::MAX, named("unknown".into(), "年龄未知".into(), "Age not known".into())),
        Some(age) if age < YOUNGEST => {
            (0, named(format!("0-{}", YOUNGEST - 1), format!("{YOUNGEST} 岁以下"), format!("Under {YOUNGEST}")))
        }
        Some(age) if age >= OLDEST => {
            (OLDEST as usize, named(format!("{OLDEST}+"), format!("{OLDEST} 岁及以上"), format!("{OLDEST} and over")))
        }
        Some(age) => {
            let from = age - age % 5;
            let band = format!("{from}-{}", from + 4);
            (from as usize, named(band.clone(), format!("{band} 岁"), band))
        }
    }
}

fn unit(unit: Option<&Unit>) -> (usize, Name) {
    let name = match unit {
        Some(unit) => (unit.id.to_string(), unit.name.clone(), unit.name.clone()),
        None => ("none".into(), "未签约团队".into(), "No team".into()),
    };
    (place(unit), name)
}

/// Where a unit is in its table; nobody's are last.
fn place(unit: Option<&Unit>) -> usize {
    unit.map_or(usize::MAX, |unit| unit.id.0 as usize)
}

fn township<'a>(member: &Member, units: &HashMap<TeamId, &'a Unit>) -> Option<&'a Unit> {
    member.team.and_then(|team| units.get(&top(team, units)).copied())
}

/// The unit directly above the team's own; the team itself when there is none.
fn top(team: TeamId, units: &HashMap<TeamId, &Unit>) -> TeamId {
    let mut at = team;
    // County duty stands above the townships: the last but one of the chain.
    let mut chain = vec![at];
    while let Some(parent) = units.get(&at).and_then(|unit| unit.parent)
        && chain.len() < UNITS_UP_MAX
    {
        chain.push(parent);
        at = parent;
    }
    chain.get(1).copied().unwrap_or(team)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Time;
    use store::records::Cohort;

    use super::super::figures::Population;
    use super::*;

    #[test]
    fn everybody_is_in_one_group() {
        let unit =
            |id, parent: Option<u32>| Unit { id: TeamId(id), name: format!("队{id}"), parent: parent.map(TeamId) };
        let member = |id, sex, age, team: Option<u32>| Member { id: ElderId(id), sex, age, team: team.map(TeamId) };
        let cohort = Cohort {
            units: vec![unit(1, None), unit(2, Some(1)), unit(3, Some(2)), unit(4, Some(2)), unit(5, None)],
            members: vec![
                member(1, Sex::Female, Some(59), Some(3)),
                member(2, Sex::Female, Some(60), Some(3)),
                member(3, Sex::Male, Some(64), Some(4)),
                member(4, Sex::Male, Some(93), Some(5)),
                member(5, Sex::Male, None, None),
            ],
        };
        let of = [(1, 120.0), (2, 145.0), (3, 100.0), (4, 155.0)].map(|(id, value)| (ElderId(id), value));
        let means = Means { from: Time(0), to: Time(1), of: of.into(), cohort: Arc::new(cohort) };
        let found = |by| -> Vec<(String, usize, usize)> {
            let groups = group(by, &means, &Range::default());
            groups.iter().map(|group| (group.key.clone(), group.elders, group.values.len())).collect()
        };
        let rows = |rows: &[(&str, usize, usize)]| -> Vec<(String, usize, usize)> {
            rows.iter().map(|(key, elders, n)| ((*key).to_owned(), *elders, *n)).collect()
        };
        assert_eq!(found(By::All), rows(&[("all", 5, 4)]));
        assert_eq!(found(By::Sex), rows(&[("female", 2, 2), ("male", 3, 2)]));
        assert_eq!(found(By::AgeBand), rows(&[("0-59", 1, 1), ("60-64", 2, 2), ("90+", 1, 1), ("unknown", 1, 0)]));
        assert_eq!(found(By::Team), rows(&[("3", 2, 2), ("4", 1, 1), ("5", 1, 1), ("none", 1, 0)]));
        // Team 3 and 4 are of township 2, which is under county duty 1; team 5 has nothing above it.
        assert_eq!(found(By::Township), rows(&[("2", 3, 3), ("5", 1, 1), ("none", 1, 0)]));
        assert_eq!(group(By::Team, &means, &Range::default())[0].within, 2);
    }
    /// Townships 9 and 10 are of one size: whichever is hidden beside the small one, its team is hidden too.
    #[test]
    fn townships_of_one_size_are_hidden_in_both_tables() {
        let sizes = [(8, 5), (9, 20), (10, 20), (11, 100)];
        let unit = |id, parent: Option<u32>| Unit { id: TeamId(id), name: String::new(), parent: parent.map(TeamId) };
        let units = sizes.iter().flat_map(|(id, _)| [unit(*id, None), unit(*id + 100, Some(*id))]).collect();
        let teams = sizes.iter().flat_map(|(id, n)| vec![TeamId(*id + 100); *n]);
        let members = (1..).zip(teams).map(|(id, team)| Member {
            id: ElderId(id),
            sex: Sex::Female,
            age: None,
            team: Some(team),
        });
        let cohort = Cohort { units, members: members.collect() };
        let of = cohort.members.iter().map(|member| (member.id, 120.0)).collect();
        let means = Means { from: Time(0), to: Time(1), of, cohort: Arc::new(cohort) };
        let hidden = |by| -> Vec<bool> {
            let made = Population::new(&group(by, &means, &Range::default()), by);
            made.groups.iter().map(|one| one.hidden.is_some()).collect()
        };
        assert_eq!(hidden(By::Township), [true, true, false, false]);
        assert_eq!(hidden(By::Team), [true, true, false, false]);
    }
}
