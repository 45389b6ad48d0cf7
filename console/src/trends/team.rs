//! `GET /api/teams/{id}/trends`: one metric of all elders of a team in one request, as sparklines, with what has changed and what is
//! beyond its limits. Arrays in place of objects: two thousand rows travel.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::State;
use model::rule::{RuleSet, Side, Test};
use model::{ElderId, Metric, Priority, Reading, Subject, TeamId, Time, mask};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::{Bucket, Readings, Trend};
use store::records::{Elder, Records, TeamRules};

use super::{DAY_US, check_span, days, number, rounded, stats};
use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params};

const DAYS_DEFAULT: i64 = 7;
const DAYS_MAX: i64 = 90;
/// Elders of one request, and rows of one answer.
const MEMBERS_MAX: usize = 2_000;
/// Points of a sparkline: six hours each of a week.
const BUCKETS: u32 = 28;
/// The part of the range that is "now", when it is asked what has changed.
const RECENT: i64 = 7;
/// Buckets needed before that, for a spread.
const BEFORE_MIN: usize = 4;
const COLUMNS: [&str; 11] = [
    "elder",
    "name_masked",
    "latest",
    "latest_at",
    "mean",
    "change",
    "z",
    "days_silent",
    "beyond",
    "priority",
    "points",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metric: String,
    days: Option<i64>,
    #[serde(default)]
    sort: Sort,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Worst,
    Change,
    Silent,
    Id,
}

/// One elder.
#[derive(Clone, Debug)]
struct Row {
    elder: ElderId,
    name: String,
    latest: Option<f64>,
    latest_at: Option<Time>,
    mean: Option<f64>,
    change: Option<f64>,
    z: Option<f64>,
    days_silent: Option<i64>,
    beyond: Option<(Priority, f64)>,
    points: Vec<Option<f64>>,
}

/// `GET /api/teams/{id}/trends?metric&days&sort&limit&offset`
pub(crate) async fn trends(
    State(app): State<App>,
    signed: Signed,
    Id(team): Id<TeamId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let (metric, days) = (number(&query.metric)?, days(query.days, DAYS_DEFAULT, DAYS_MAX)?);
    let now = app.deps.clock.now();
    let from = now.plus_us(-days * DAY_US);
    check_span(&signed, from, now)?;
    if !signed.has_team(Some(team)) {
        return Err(ApiError::not_allowed());
    }
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let made = app.trend_calls.run("team trends", move || {
        let failed = |error| ApiError::internal("team trends", &error);
        let teams = records.teams().map_err(failed)?;
        let Some(named) = teams.into_iter().find(|one| one.id == team) else { return Err(ApiError::not_found()) };
        let subject = format!("team/{team}");
        records.audit(Some(signed.person.id), "view_team_trends", &subject, metric.slug()).map_err(failed)?;
        let mut answer = make(&records, &readings, team, metric, (from, now), &query)?;
        answer["team"] = json!({ "id": named.id, "name": named.name });
        Ok(answer)
    });
    made.await?.map(Json)
}

fn make(
    records: &Records,
    readings: &Readings,
    team: TeamId,
    metric: Metric,
    (from, now): (Time, Time),
    query: &Query,
) -> Answer<Value> {
    let failed = |error| ApiError::internal("team trends", &error);
    let mut members = records.elders_of_team(team, store::records::ROWS_MAX).map_err(failed)?;
    let total = members.len();
    members.truncate(MEMBERS_MAX);
    let rules = records.team_rules(team).map_err(failed)?;
    let subjects: Vec<Subject> = members.iter().map(|elder| Subject::Elder(elder.id)).collect();
    // What was taken at this very moment is in it; a microsecond more would be wider buckets.
    let drawn = readings.sparklines(&subjects, metric, from.plus_us(1), now.plus_us(1), BUCKETS);
    let drawn = drawn.map_err(|error| ApiError::internal("team trends", &error))?;
    let grid = Grid::new(drawn.first(), (from, now));
    let latest = |subject: &Subject| readings.latest(*subject).into_iter().find(|one| one.sample.metric == metric);
    let limits = Limits::new(rules.as_ref(), metric);
    let rows = members.iter().zip(&subjects).zip(&drawn);
    let mut rows: Vec<Row> =
        rows.map(|((elder, subject), trend)| row(elder, latest(subject), trend, &grid, &limits)).collect();
    rows.sort_by(|one, other| compare(query.sort, one, other));
    let limit = query.limit.unwrap_or(MEMBERS_MAX).clamp(1, MEMBERS_MAX);
    let decimals = metric.info().decimals;
    let shown = rows.iter().skip(query.offset).take(limit).map(|row| row.json(decimals));
    Ok(json!({
        "metric": metric, "from": from, "to": now, "bucket_s": grid.width_us as f64 / 1e6, "start": grid.start.millis(),
        "buckets": grid.buckets, "total": total, "left_out": total - members.len(), "sort": query.sort, "columns": COLUMNS,
        "rows": shown.collect::<Vec<_>>(),
    }))
}

/// The buckets that all rows share.
#[derive(Clone, Copy, Debug)]
struct Grid {
    start: Time,
    width_us: i64,
    buckets: usize,
    /// Begin of the range that was asked for.
    from: Time,
    /// Buckets from here on are "now".
    recent: Time,
    now: Time,
}

impl Grid {
    /// The width is the store's; without any elder there is nothing to draw.
    fn new(first: Option<&Trend>, (from, now): (Time, Time)) -> Self {
        let width_us = first.map_or(DAY_US, |trend| trend.bucket_us.max(1));
        let start = from.0 - from.0.rem_euclid(width_us);
        let buckets = (now.0 - start).div_euclid(width_us) as usize + 1;
        Self { start: Time(start), width_us, buckets, from, recent: now.plus_us(-now.since_us(from) / RECENT), now }
    }
}

fn row(elder: &Elder, latest: Option<Reading>, trend: &Trend, grid: &Grid, limits: &Limits<'_>) -> Row {
    let mut points = vec![None; grid.buckets];
    for bucket in &trend.points {
        let place = bucket.start.since_us(grid.start).div_euclid(grid.width_us);
        if let Some(point) = usize::try_from(place).ok().and_then(|place| points.get_mut(place)) {
            *point = Some(bucket.mean);
        }
    }
    let latest_at = latest.as_ref().map(|reading| reading.sample.taken_at);
    let judged = latest.filter(|reading| reading.sample.quality.is_judged()).and_then(|reading| reading.sample.value());
    // The device may go on saying that there is no value: then the last bucket with one counts.
    let last = trend.points.last().map(|bucket| bucket.start.plus_us(grid.width_us).min(grid.now));
    let heard = if judged.is_some() { latest_at } else { last };
    // What is older than the range is shown with its time and is nobody's "worst now".
    let is_now = latest_at.is_some_and(|at| at >= grid.from);
    let (change, z) = change(&trend.points, grid.recent);
    Row {
        elder: elder.id,
        name: mask::name(&elder.name),
        latest: judged,
        latest_at,
        mean: mean(&trend.points),
        change,
        z,
        days_silent: heard.map(|at| grid.now.since_us(at).max(0) / DAY_US),
        beyond: judged.filter(|_| is_now).and_then(|value| limits.beyond(elder.id, elder.age, value)),
        points,
    }
}

/// Of all values in the range.
fn mean(points: &[Bucket]) -> Option<f64> {
    let n: u64 = points.iter().map(|bucket| bucket.n).sum();
    (n > 0).then(|| points.iter().map(|bucket| bucket.mean * bucket.n as f64).sum::<f64>() / n as f64)
}

/// The mean of the buckets from `recent` on less that of those before, and the same in standard deviations of those before.
fn change(points: &[Bucket], recent: Time) -> (Option<f64>, Option<f64>) {
    let (before, now) = points.split_at(points.partition_point(|bucket| bucket.start < recent));
    let means = |part: &[Bucket]| part.iter().map(|bucket| bucket.mean).collect::<Vec<f64>>();
    let (before, now) = (means(before), means(now));
    let Some(change) = stats::mean(&now).zip(stats::mean(&before)).map(|(now, before)| now - before) else {
        return (None, None);
    };
    let spread = stats::deviation(&before).filter(|spread| before.len() >= BEFORE_MIN && *spread > 0.0);
    (Some(change), spread.map(|spread| change / spread))
}

/// Limits of one metric: the default's and those of elders with rules of their own.
struct Limits<'a> {
    rules: Option<&'a TeamRules>,
    metric: Metric,
}

impl<'a> Limits<'a> {
    fn new(rules: Option<&'a TeamRules>, metric: Metric) -> Self {
        Self { rules, metric }
    }

    /// The most urgent limit that a value breaks, and by which share of it.
    fn beyond(&self, elder: ElderId, age: Option<u32>, value: f64) -> Option<(Priority, f64)> {
        let rules = self.rules?;
        let default = if age.is_some_and(|age| age >= RuleSet::AGED_FROM) { &rules.aged } else { &rules.default };
        let set = rules.of.get(&elder).and_then(|version| rules.sets.get(version)).unwrap_or(default);
        let broken = set.rules.iter().filter_map(|rule| match &rule.test {
            Test::Threshold(test) if test.metric == self.metric => Some(test),
            _ => None,
        });
        let broken = broken.flat_map(|test| test.levels.iter().map(move |level| (test.side, level)));
        let broken = broken.filter(|(side, level)| match side {
            Side::High => value >= level.limit,
            Side::Low => value <= level.limit,
        });
        let by = |limit: f64| if limit == 0.0 { 0.0 } else { ((value - limit) / limit).abs() };
        let broken = broken.map(|(_, level)| (level.priority, by(level.limit)));
        broken.min_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)))
    }
}

fn compare(sort: Sort, one: &Row, other: &Row) -> Ordering {
    let far = |row: &Row| row.z.map_or(-1.0, f64::abs);
    let urgency = |row: &Row| row.beyond.map_or(u8::MAX, |(priority, _)| priority as u8);
    let by_change = far(other).total_cmp(&far(one));
    let order = match sort {
        Sort::Worst => {
            let beyond = |row: &Row| row.beyond.map_or(0.0, |(_, by)| by);
            urgency(one).cmp(&urgency(other)).then(beyond(other).total_cmp(&beyond(one))).then(by_change)
        }
        Sort::Change => by_change,
        // Who never had a value is no news: last.
        Sort::Silent => other.days_silent.cmp(&one.days_silent),
        Sort::Id => Ordering::Equal,
    };
    order.then(one.elder.cmp(&other.elder))
}

impl Row {
    fn json(&self, decimals: u8) -> Value {
        let shown = |value: Option<f64>, decimals: u8| value.map(|value| rounded(value, decimals));
        let points: Vec<Option<f64>> = self.points.iter().map(|point| shown(*point, decimals + 1)).collect();
        json!([
            self.elder,
            self.name,
            self.latest,
            self.latest_at.map(Time::millis),
            shown(self.mean, decimals + 1),
            shown(self.change, decimals + 1),
            shown(self.z, 2),
            self.days_silent,
            shown(self.beyond.map(|(_, by)| by), 4),
            self.beyond.map(|(priority, _)| priority),
            points,
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use model::rule::{Level, Rule, Threshold};

    use super::*;

    fn bucket(hour: i64, n: u64, mean: f64) -> Bucket {
        Bucket { start: Time(hour * 3_600_000_000), n, min: mean, mean, max: mean }
    }

    #[test]
    fn change_by_hand() {
        let points = [
            bucket(0, 1, 10.0),
            bucket(1, 9, 20.0),
            bucket(2, 1, 10.0),
            bucket(3, 1, 20.0),
            bucket(4, 1, 27.0),
            bucket(5, 1, 28.0),
        ];
        // Before: mean 15, deviation of 10, 20, 10, 20 is sqrt(100 / 3) = 5.7735; now: mean 27.5.
        let (change, z) = change(&points, Time(4 * 3_600_000_000));
        assert!((change.unwrap() - 12.5).abs() < 1e-9);
        assert!((z.unwrap() - 12.5 / (100.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        // 10 + 180 + 10 + 20 + 27 + 28 of 14 values.
        assert!((mean(&points).unwrap() - 275.0 / 14.0).abs() < 1e-9);
        assert_eq!(super::change(&points, Time(0)), (None, None), "nothing before");
        let short = super::change(&points[3..], Time(4 * 3_600_000_000));
        assert_eq!(short, (Some(7.5), None), "one bucket has no spread");
    }

    #[test]
    fn the_most_urgent_broken_limit_counts() {
        let level = |priority, limit| Level { priority, limit, hold_s: 0 };
        let threshold =
            |side, levels| Threshold { metric: Metric::Systolic, side, levels, clear_margin: 1.0, confirm: None };
        let rule = |slug: &str, test| Rule {
            slug: slug.into(),
            zh: slug.into(),
            en: slug.into(),
            test: Test::Threshold(test),
            latching: false,
            hours: None,
        };
        let set = |high: f64| RuleSet {
            name: "t".into(),
            version: 1,
            source: "t".into(),
            rules: vec![
                rule("high", threshold(Side::High, vec![level(Priority::P1, 180.0), level(Priority::P3, high)])),
                rule("low", threshold(Side::Low, vec![level(Priority::P2, 100.0)])),
            ],
        };
        let rules = TeamRules {
            default: set(140.0),
            aged: set(150.0),
            sets: HashMap::from([(7, set(130.0))]),
            of: HashMap::from([(ElderId(2), 7)]),
        };
        let limits = Limits::new(Some(&rules), Metric::Systolic);
        let beyond = |elder, age, value| limits.beyond(ElderId(elder), age, value);
        assert_eq!(beyond(1, Some(60), 189.0), Some((Priority::P1, 0.05)));
        assert_eq!(beyond(1, Some(60), 140.0), Some((Priority::P3, 0.0)), "at the limit is beyond it");
        assert_eq!(beyond(1, Some(65), 140.0), None);
        assert_eq!(beyond(2, Some(65), 131.3), Some((Priority::P3, (131.3 - 130.0) / 130.0)), "rules of their own");
        assert_eq!(beyond(1, None, 90.0), Some((Priority::P2, 0.1)));
        assert_eq!(Limits::new(Some(&rules), Metric::Spo2).beyond(ElderId(1), None, 1.0), None);
    }
}
