//! The figures about alarms, from plain rows: pure, so that a test can say what comes out.
//!
//! - Service numbers: 97.5 % answered within 60 s and 99 % within 180 s (UK TSA/TECQ monitoring practice; no Chinese standard's
//!   value could be read). "Answered" is the first claim or acceptance by a named human.
//! - Load: EEMUA 191 asks for no more than 6 alarms an hour and seat on average; a flood is more than 10 in 10 minutes a seat,
//!   over at fewer than 5.
//! - Predictive value: true outcomes among those labelled true or false. Tests and "nobody answered" are neither.

use std::collections::{BTreeMap, HashMap};

use model::{Handling, Priority, Time};
use serde::Serialize;
use store::records::{AlarmTimes, SeatHour};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
/// The window of a flood, and the count that begins and ends one, for one seat.
const FLOOD_US: i64 = 600 * SECOND_US;
const FLOOD_ABOVE: usize = 10;
const FLOOD_BELOW: usize = 5;
/// The same alarm of the same elder so often within a minute is chattering.
const CHATTER: usize = 3;
const CHATTER_US: i64 = 60 * SECOND_US;
/// Not closed after so long: standing.
const STANDING_US: i64 = 24 * HOUR_US;
/// Rows of each "most frequent" list.
const TOP: usize = 10;

/// One report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) from: Time,
    pub(super) to: Time,
    /// Seats that were at work on average, over the hours in which any was.
    pub(super) seats: f64,
    pub(super) by_priority: Vec<ByPriority>,
    pub(super) by_hour: Vec<ByHour>,
    pub(super) rules: Vec<Value>,
    pub(super) device_kinds: Vec<Value>,
    pub(super) teams: Vec<Value>,
    /// Elders with the most alarms: (number, alarms). Names are for those who may see them.
    pub(super) elders: Vec<(u32, usize)>,
    /// Alarms of the top 10 % of elders among all, 0 to 1.
    pub(super) top_tenth_share: Option<f64>,
    pub(super) chattering: usize,
    pub(super) standing: usize,
    pub(super) floods: Vec<Flood>,
}

#[derive(Debug, Serialize)]
pub(super) struct ByPriority {
    pub(super) priority: Priority,
    pub(super) alarms: usize,
    pub(super) late: usize,
    pub(super) answer: Times,
    pub(super) accept: Times,
    pub(super) arrive: Times,
    pub(super) resolve: Times,
}

/// How long something took after the alarm was raised, of those to which it happened.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Times {
    pub(super) count: usize,
    /// Seconds.
    pub(super) p50_s: Option<i64>,
    pub(super) p95_s: Option<i64>,
    /// Of all alarms of the class, also of those to which it never happened. 0 to 1.
    pub(super) within_60_s: Option<f64>,
    pub(super) within_180_s: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ByHour {
    pub(super) hour: Time,
    pub(super) seats: usize,
    #[serde(rename = "P1")]
    pub(super) p1: usize,
    #[serde(rename = "P2")]
    pub(super) p2: usize,
    #[serde(rename = "P3")]
    pub(super) p3: usize,
    #[serde(rename = "T")]
    pub(super) t: usize,
}

/// How often something raised, and how often it was true.
#[derive(Debug, Default, Serialize)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) zh: String,
    pub(super) en: String,
    pub(super) alarms: usize,
    pub(super) labelled_true: usize,
    pub(super) labelled_false: usize,
    /// Positive predictive value, 0 to 1; `None`: nothing was labelled.
    pub(super) predictive: Option<f64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Flood {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) alarms: usize,
}

impl Report {
    /// `alarms` by the time at which they were raised.
    pub(super) fn new(from: Time, to: Time, now: Time, alarms: &[AlarmTimes], hours: &[SeatHour]) -> Self {
        let mut seats: HashMap<i64, usize> = HashMap::new();
        for hour in hours {
            *seats.entry(hour.hour).or_default() += 1;
        }
        let worked = seats.len().max(1) as f64;
        let elders = by_elder(alarms);
        Self {
            from,
            to,
            seats: hours.len() as f64 / worked,
            by_priority: Priority::ALL.iter().map(|priority| ByPriority::new(*priority, alarms)).collect(),
            by_hour: by_hour(alarms, &seats),
            rules: values(alarms, |alarm| Some((alarm.rule.as_str(), alarm.rule_zh.as_str(), alarm.rule_en.as_str()))),
            device_kinds: values(alarms, |alarm| alarm.device_kind.as_deref().map(|kind| (kind, kind, kind))),
            teams: values(alarms, |alarm| alarm.team.as_deref().map(|team| (team, team, team))),
            top_tenth_share: top_tenth(&elders),
            chattering: chattering(alarms),
            standing: alarms.iter().filter(|alarm| is_standing(alarm, now)).count(),
            floods: floods(alarms, &seats),
            elders: elders.into_iter().take(TOP).collect(),
        }
    }
}

impl ByPriority {
    fn new(priority: Priority, alarms: &[AlarmTimes]) -> Self {
        let of: Vec<&AlarmTimes> = alarms.iter().filter(|alarm| alarm.priority == priority).collect();
        let times = |then: fn(&AlarmTimes) -> Option<Time>| {
            Times::new(of.len(), of.iter().filter_map(|alarm| then(alarm).map(|then| then.since_us(alarm.raised_at))))
        };
        Self {
            priority,
            alarms: of.len(),
            late: of.iter().filter(|alarm| alarm.late).count(),
            answer: times(|alarm| match (alarm.claimed_at, alarm.accepted_at) {
                (Some(claimed), Some(accepted)) => Some(claimed.min(accepted)),
                (claimed, accepted) => claimed.or(accepted),
            }),
            accept: times(|alarm| alarm.accepted_at),
            arrive: times(|alarm| alarm.arrived_at),
            resolve: times(|alarm| alarm.resolved_at),
        }
    }
}

impl Times {
    fn new(all: usize, took_us: impl Iterator<Item = i64>) -> Self {
        let mut took: Vec<i64> = took_us.map(|us| us.max(0)).collect();
        took.sort_unstable();
        // The nearest rank: the value that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let place = (took.len() * percent).div_ceil(100).checked_sub(1)?;
            took.get(place).map(|us| us / SECOND_US)
        };
        let share = |seconds: i64| {
            let within = took.iter().filter(|us| **us <= seconds * SECOND_US).count();
            (all > 0).then(|| within as f64 / all as f64)
        };
        Self { count: took.len(), p50_s: rank(50), p95_s: rank(95), within_60_s: share(60), within_180_s: share(180) }
    }
}

fn by_hour(alarms: &[AlarmTimes], seats: &HashMap<i64, usize>) -> Vec<ByHour> {
    let mut hours: BTreeMap<i64, ByHour> = BTreeMap::new();
    for alarm in alarms {
        let hour = alarm.raised_at.0.div_euclid(HOUR_US);
        let row = hours.entry(hour).or_insert_with(|| ByHour {
            hour: Time(hour * HOUR_US),
            seats: seats.get(&hour).copied().unwrap_or(0),
            p1: 0,
            p2: 0,
            p3: 0,
            t: 0,
        });
        *match alarm.priority {
            Priority::P1 => &mut row.p1,
            Priority::P2 => &mut row.p2,
            Priority::P3 => &mut row.p3,
            Priority::T => &mut row.t,
        } += 1;
    }
    hours.into_values().collect()
}

fn values<'a>(
    alarms: &'a [AlarmTimes],
    name: impl Fn(&'a AlarmTimes) -> Option<(&'a str, &'a str, &'a str)>,
) -> Vec<Value> {
    let mut found: HashMap<&str, Value> = HashMap::new();
    for alarm in alarms {
        let Some((slug, zh, en)) = name(alarm) else { continue };
        let value = found.entry(slug).or_insert_with(|| Value {
            name: slug.to_owned(),
            zh: zh.to_owned(),
            en: en.to_owned(),
            ..Value::default()
        });
        value.alarms += 1;
        match alarm.outcome.and_then(model::Outcome::was_true) {
            Some(true) => value.labelled_true += 1,
            Some(false) => value.labelled_false += 1,
            None => {}
        }
    }
    let mut values: Vec<Value> = found.into_values().collect();
    for value in &mut values {
        let labelled = value.labelled_true + value.labelled_false;
        value.predictive = (labelled > 0).then(|| value.labelled_true as f64 / labelled as f64);
    }
    values.sort_by(|a, b| b.alarms.cmp(&a.alarms).then_with(|| a.name.cmp(&b.name)));
    values
}

/// Most alarms first.
fn by_elder(alarms: &[AlarmTimes]) -> Vec<(u32, usize)> {
    let mut found: HashMap<u32, usize> = HashMap::new();
    for elder in alarms.iter().filter_map(|alarm| alarm.elder) {
        *found.entry(elder).or_default() += 1;
    }
    let mut elders: Vec<(u32, usize)> = found.into_iter().collect();
    elders.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    elders
}

fn top_tenth(elders: &[(u32, usize)]) -> Option<f64> {
    let all: usize = elders.iter().map(|(_, alarms)| alarms).sum();
    let top: usize = elders.iter().take(elders.len().div_ceil(10)).map(|(_, alarms)| alarms).sum();
    (all > 0).then(|| top as f64 / all as f64)
}

/// Pairs of elder and rule that raised [`CHATTER`] times within a minute.
fn chattering(alarms: &[AlarmTimes]) -> usize {
    let mut times: HashMap<(u32, &str), Vec<Time>> = HashMap::new();
    for alarm in alarms {
        if let Some(elder) = alarm.elder {
            times.entry((elder, &alarm.rule)).or_default().push(alarm.raised_at);
        }
    }
    let chatters = |times: &Vec<Time>| {
        times.windows(CHATTER).any(|run| matches!(run, [first, .., last] if last.since_us(*first) <= CHATTER_US))
    };
    times.values().filter(|times| chatters(times)).count()
}

fn is_standing(alarm: &AlarmTimes, now: Time) -> bool {
    let done = matches!(alarm.handling, Handling::Closed | Handling::Void);
    !done && now.since_us(alarm.raised_at) > STANDING_US
}

/// Stretches with more alarms in 10 minutes than the seats at work can take. Technical alarms have a queue of their own.
fn floods(alarms: &[AlarmTimes], seats: &HashMap<i64, usize>) -> Vec<Flood> {
    let raised: Vec<Time> =
        alarms.iter().filter(|alarm| alarm.priority != Priority::T).map(|alarm| alarm.raised_at).collect();
    let mut floods: Vec<Flood> = Vec::new();
    let mut flood: Option<Flood> = None;
    let mut first = 0;
    for (index, at) in raised.iter().enumerate() {
        while raised.get(first).is_some_and(|oldest| at.since_us(*oldest) >= FLOOD_US) {
            first += 1;
        }
        let count = index + 1 - first;
        let at_work = seats.get(&at.0.div_euclid(HOUR_US)).copied().unwrap_or(1).max(1);
        match &mut flood {
            Some(open) if count < FLOOD_BELOW * at_work => {
                floods.extend(flood.take().map(|open| Flood { to: *at, ..open }));
            }
            Some(open) => {
                open.alarms += 1;
                open.to = *at;
            }
            None if count > FLOOD_ABOVE * at_work => {
                let from = raised.get(first).copied().unwrap_or(*at);
                flood = Some(Flood { from, to: *at, alarms: count });
            }
            None => {}
        }
    }
    floods.extend(flood);
    floods
}
