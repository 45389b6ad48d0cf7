//! What is wrong with a rota that is about to be saved, where, and whether it is refused for it.

use std::collections::BTreeSet;
use std::fmt;

use model::Time;
use serde::Serialize;

use crate::calendar::Calendar;
use crate::plan::{Kind, Layer, Plan, Rota, Version};
use crate::shifts::{Cause, Hole};
use crate::{DAY_US, WEEK_US, WEEKS_AHEAD, wall};

/// Characters of a name of a layer or post.
const NAME_CHARS_MAX: usize = 64;
/// Holes reported at most; the others are counted by whoever asks for the shifts.
const HOLES_MAX: usize = 16;

/// Something wrong with a rota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub weight: Weight,
    pub place: Place,
    /// What is wrong and what to do.
    pub zh: String,
    pub en: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The rota is not saved.
    Refused,
    /// It is saved, and shown red until it is mended.
    Flagged,
}

/// Where in the rota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Rota,
    Zone,
    Layer(String),
    Post(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rota => write!(f, "rota"),
            Self::Zone => write!(f, "zone"),
            Self::Layer(name) => write!(f, "layer {name:?}"),
            Self::Post(name) => write!(f, "post {name:?}"),
        }
    }
}

impl Rota {
    /// Everything that is wrong with this rota if it came into force at `from` beside the overrides and leave of `plan`. It is
    /// not to be saved when anything is [`Weight::Refused`].
    pub fn check(&self, plan: &Plan, calendar: &Calendar, from: Time) -> Vec<Problem> {
        let mut problems = self.form();
        if problems.is_empty() {
            problems.extend(self.cover_problems(plan, calendar, from));
        }
        problems.sort_by_key(|problem| problem.weight);
        problems
    }

    /// What can be seen without a calendar.
    fn form(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if wall::zone(&self.zone).is_none() {
            let (zh, en) = (format!("没有名为 {:?} 的时区", self.zone), format!("there is no zone {:?}", self.zone));
            let zh = format!("{zh},请写 IANA 名称,例如 Asia/Shanghai");
            let en = format!("{en}: write an IANA name such as Asia/Shanghai");
            problems.push(refused(Place::Zone, &zh, &en));
        }
        if self.layers.is_empty() || self.layers.len() > Self::LAYERS_MAX || self.cover.len() > Self::COVER_MAX {
            let en =
                format!("a rota has 1 to {} layers and at most {} posts to cover", Self::LAYERS_MAX, Self::COVER_MAX);
            let zh = format!("值班表须有 1 至 {} 层,必守岗位最多 {} 个", Self::LAYERS_MAX, Self::COVER_MAX);
            problems.push(refused(Place::Rota, &zh, &en));
        }
        let mut names = BTreeSet::new();
        for layer in &self.layers {
            if !names.insert(&layer.name) {
                let place = Place::Layer(layer.name.clone());
                problems.push(refused(place, "有两层同名,请改名", "two layers have this name: rename one"));
            }
            problems.extend(layer.form());
        }
        problems
    }

    /// What only the coming weeks show.
    fn cover_problems(&self, plan: &Plan, calendar: &Calendar, from: Time) -> Vec<Problem> {
        let version = Version { version: u32::MAX, from, rota: self.clone() };
        let plan = Plan { versions: vec![version], ..plan.clone() };
        let ahead = plan.shifts(calendar, from, from.plus_us(WEEKS_AHEAD * WEEK_US));
        let mut problems: Vec<_> = ahead.missing_years.iter().map(|year| no_calendar(*year)).collect();
        let tonight = from.plus_us(DAY_US);
        let holes = ahead.holes.iter().filter(|hole| !matches!(hole.cause, Cause::NoCalendar { .. }));
        problems.extend(holes.take(HOLES_MAX).map(|hole| hole_problem(hole, hole.from < tonight, &self.zone)));
        problems
    }
}

impl Layer {
    fn form(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut bad = |zh: &str, en: &str| problems.push(refused(Place::Layer(self.name.clone()), zh, en));
        let named = |name: &str| !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX;
        if !named(&self.name) || !named(&self.post) {
            bad("名称和岗位须为 1 至 64 个字符", "its name and post have 1 to 64 characters");
        }
        if self.people.is_empty() || self.people.len() > Self::PEOPLE_MAX {
            bad("须有 1 至 64 人", "it needs 1 to 64 people");
        }
        match (self.kind, self.length_days) {
            (Kind::Custom, Some(days)) if (1..=Self::TURN_DAYS_MAX).contains(&days) => {}
            (Kind::Custom, _) => {
                bad("自定义轮换须写 length_days,1 至 92 天", "a custom rotation needs length_days, 1 to 92");
            }
            (_, Some(_)) => bad("只有 custom 才写 length_days", "length_days is for a custom rotation only"),
            (_, None) => {}
        }
        match self.until {
            None if self.kind == Kind::Fixed => {
                bad("临时固定班须写结束日期 until", "a fixed shift needs a last day, until");
            }
            Some(until) if until < self.start_date => bad("until 早于 start_date", "until is before start_date"),
            _ => {}
        }
        problems
    }
}

fn refused(place: Place, zh: &str, en: &str) -> Problem {
    Problem { weight: Weight::Refused, place, zh: zh.to_owned(), en: en.to_owned() }
}

fn no_calendar(year: i16) -> Problem {
    let zh = format!(
        "没有 {year} 年的节假日数据,而未来 {WEEKS_AHEAD} 周要用到:请先导入(vigil roster import-holidays),或给用到它的层写结束日期 until"
    );
    let en = format!(
        "there are no holidays of {year}, which the next {WEEKS_AHEAD} weeks need: import them first (vigil roster \
         import-holidays), or give the layers that need them a last day, until"
    );
    refused(Place::Rota, &zh, &en)
}

fn hole_problem(hole: &Hole, tonight: bool, zone: &str) -> Problem {
    let local = |at| wall::local(at, zone).unwrap_or_else(|| format!("{at}"));
    let (from, until) = (local(hole.from), local(hole.until));
    let (zh_cause, en_cause) = match &hole.cause {
        Cause::Leave { skipped } => {
            let away: Vec<_> = skipped.iter().map(|one| one.person.to_string()).collect();
            let away = away.join(", ");
            (format!("轮到的人(编号 {away})都在休假"), format!("those whose turn it is (person {away}) are on leave"))
        }
        _ => ("没有任何一层覆盖这段时间".to_owned(), "no layer has this time".to_owned()),
    };
    let zh = format!("{from} 至 {until} 无人值班:{zh_cause},请补人或调整");
    let en = format!("nobody from {from} until {until}: {en_cause}; add somebody");
    let weight = if tonight { Weight::Refused } else { Weight::Flagged };
    Problem { weight, place: Place::Post(hole.post.clone()), zh, en }
}
