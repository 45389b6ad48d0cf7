//! What people write down: rotas with their layers, overrides, leave, and all of a team's together.

use jiff::civil::Date;
use model::people::Duty;
use model::{PersonId, TeamId, Time};
use serde::{Deserialize, Serialize};

use crate::wall::{Wall, ZONE};

/// The post of a layer that names none.
pub const MAIN_POST: &str = "main";

/// A team's rota: posts that are filled at the same time, each by its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rota {
    pub team: TeamId,
    /// IANA name of the zone whose wall clock all times of day below are read on.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// Posts that must be filled day and night: nobody there is a hole. Empty: the post of the first layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cover: Vec<String>,
    /// Of layers of one post and rank the first that has somebody counts.
    pub layers: Vec<Layer>,
}

/// People who take turns in one post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Unique in the rota.
    pub name: String,
    /// Which post it fills (`doctor`, `nurse`, `night`): one person at a time is in a post.
    #[serde(default = "default_post")]
    pub post: String,
    pub kind: Kind,
    /// When a day of duty begins.
    pub hand_over: Wall,
    /// When it ends, on the next day when that is not later than `hand_over`. `None`: at the next `hand_over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Wall>,
    /// First day of duty; turns are counted from here. A week begins on this day's weekday.
    pub start_date: Date,
    /// Last day of duty. `None`: without end (a fixed shift must have one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Days of one turn, for `custom` only: 1 to [`Layer::TURN_DAYS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_days: Option<u16>,
    /// In the order of their turns. In a fixed shift the first who is there has it.
    pub people: Vec<Member>,
    /// Only days of duty that begin on these weekdays. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// Only such days by the calendar. A holiday layer that says nothing: `holidays`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
}

/// Somebody in a layer, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub person: PersonId,
    pub duty: Duty,
}

/// How turns change, and the layer's rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A turn is a day.
    Daily,
    /// A turn is seven days from `start_date` on.
    Weekly,
    /// A turn is `length_days` days.
    Custom,
    /// A temporary shift of certain people, before all rotations and holiday layers.
    Fixed,
    /// Takes the place of the rotations on holidays; a turn is a day.
    Holiday,
}

/// Days by the calendar of [`crate::Calendar`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Days on which China works, 调休 weekends among them.
    Workdays,
    /// Weekends and holidays.
    DaysOff,
    /// Days off in a row that holds at least one day of a named holiday: 法定节假日 with the weekend that adjoins it.
    Holidays,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Somebody stands in for somebody else (换班), before everything else. A swap is two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Given by the records, ascending: later ones act on what earlier ones made.
    pub id: u32,
    pub from: Time,
    /// Not part of it.
    pub until: Time,
    /// Whose turns are taken over, in every post. `None`: whoever has `post` then.
    pub out: Option<PersonId>,
    /// Only in this post. `None` with `out`: in all.
    pub post: Option<String>,
    #[serde(rename = "in")]
    pub stand_in: Member,
    pub reason: String,
}

/// Somebody is away and takes no turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// Given by the records; 0: the person's account is disabled.
    pub id: u32,
    pub person: PersonId,
    pub from: Time,
    /// Not part of it.
    pub until: Time,
}

/// A rota with the time from which it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Given by the records, ascending in the order of saving.
    pub version: u32,
    pub from: Time,
    pub rota: Rota,
}

/// Everything that says who is on call in one team, past and future.
///
/// The past does not change because whoever keeps it (the records) adds only: versions, overrides and leave that begin later than
/// they are written, and ends that are later than the writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In any order. At an instant the highest version that has begun is in force: what is saved last wins.
    pub versions: Vec<Version>,
    /// Ascending by id.
    pub overrides: Vec<Override>,
    pub leave: Vec<Leave>,
}

impl Rota {
    /// Layers one rota may have.
    pub const LAYERS_MAX: usize = 32;
    /// Posts that must be filled, at most.
    pub const COVER_MAX: usize = 16;

    /// The posts that must always be filled.
    pub fn covered(&self) -> Vec<&str> {
        match (self.cover.as_slice(), self.layers.first()) {
            ([], Some(first)) => vec![first.post.as_str()],
            (posts, _) => posts.iter().map(String::as_str).collect(),
        }
    }

    /// Every post once, in the order of the layers, then those that have no layer.
    pub fn posts(&self) -> Vec<&str> {
        let mut posts: Vec<&str> = Vec::new();
        let named = self.layers.iter().map(|layer| layer.post.as_str()).chain(self.cover.iter().map(String::as_str));
        for post in named {
            if !posts.contains(&post) {
                posts.push(post);
            }
        }
        posts
    }

    /// Everybody in it, once.
    pub fn people(&self) -> Vec<PersonId> {
        let mut people: Vec<_> =
            self.layers.iter().flat_map(|layer| &layer.people).map(|member| member.person).collect();
        people.sort_unstable();
        people.dedup();
        people
    }
}

impl Layer {
    /// Days one custom turn may last.
    pub const TURN_DAYS_MAX: u16 = 92;
    /// People one layer may have.
    pub const PEOPLE_MAX: usize = 64;

    /// Days by the calendar on which it acts. `None`: it needs no calendar.
    pub fn needs(&self) -> Option<Only> {
        match self.kind {
            Kind::Holiday => Some(self.only.unwrap_or(Only::Holidays)),
            _ => self.only,
        }
    }

    /// Days one turn lasts. A fixed shift is one turn for ever.
    pub(crate) fn turn_days(&self) -> Option<i64> {
        match self.kind {
            Kind::Daily | Kind::Holiday => Some(1),
            Kind::Weekly => Some(7),
            Kind::Custom => Some(i64::from(self.length_days.unwrap_or(1).max(1))),
            Kind::Fixed => None,
        }
    }
}

impl Kind {
    /// Of two layers of one post the one with the higher rank counts.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Fixed => 2,
            Self::Holiday => 1,
            Self::Daily | Self::Weekly | Self::Custom => 0,
        }
    }
}

impl Weekday {
    pub(crate) fn is(self, date: Date) -> bool {
        date.weekday().to_monday_zero_offset() == self as i8
    }
}

impl Plan {
    /// The version in force at `at`.
    pub fn version_at(&self, at: Time) -> Option<&Version> {
        self.versions.iter().filter(|version| version.from <= at).max_by_key(|version| version.version)
    }

    /// The stretches of `from..until` with the version in force in each.
    pub(crate) fn in_force(&self, from: Time, until: Time) -> Vec<(Time, Time, &Version)> {
        let mut edges: Vec<Time> =
            self.versions.iter().map(|version| version.from).filter(|at| from < *at && *at < until).collect();
        edges.extend([from, until]);
        edges.sort_unstable();
        edges.dedup();
        let stretches = edges.windows(2).map(|edge| (edge[0], edge[1]));
        stretches.filter_map(|(from, until)| Some((from, until, self.version_at(from)?))).collect()
    }
}

fn default_zone() -> String {
    ZONE.to_owned()
}

fn default_post() -> String {
    MAIN_POST.to_owned()
}
