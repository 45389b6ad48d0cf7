//! `GET /api/elders/{id}/profile`: what an elder's days, mornings, nights and weeks are like in one metric, and whether now is usual.
//!
//! Reads the range, and for the baseline nine weeks; what is made of it is in the files beside this one.

use axum::Json;
use axum::extract::State;
use model::rule::{RuleSet, Side, Test, Threshold};
use model::{ElderId, Metric, Priority, Subject, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::Readings;
use store::records::{self, Records};

use super::series::Series;
use super::wall::{Wall, ZONE};
use super::weeks::Limits;
use super::{baseline, check_span, day_night, days, glucose, hours, number, pressure, series, weeks};
use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params};

const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 90;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metric: String,
    days: Option<i64>,
}

/// Whose profile of what: the last `days` days of the wall clock, today among them.
struct Asked {
    elder: ElderId,
    age: Option<u32>,
    metric: Metric,
    days: i64,
    now: Time,
}

/// `GET /api/elders/{id}/profile?metric&days`
pub(crate) async fn profile(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let (metric, days) = (number(&query.metric)?, days(query.days, DAYS_DEFAULT, DAYS_MAX)?);
    let now = app.deps.clock.now();
    check_span(&signed, now.plus_us(-days * super::DAY_US), now)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let made = calls.run("profile", move || {
        let elder = elders::in_scope(&records, &signed, id)?;
        app.looks.at_readings(&records, signed.person.id, id, now)?;
        make(&records, &readings, &Asked { elder: id, age: elder.age, metric, days, now })
    });
    made.await?.map(Json)
}

fn failed(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("profile", error)
}

fn make(records: &Records, readings: &Readings, asked: &Asked) -> Answer<Value> {
    let wall = Wall::new();
    let today = wall.at(asked.now).date;
    let first = Wall::days_before(today, asked.days - 1);
    let from = wall.midnight(first);
    let back = asked.days.max(baseline::WEEKS * 7 + baseline::NOW_DAYS).max(glucose::DAYS + 1);
    let far = wall.midnight(Wall::days_before(today, back - 1));
    // What was taken at this very moment is in it.
    let until = asked.now.plus_us(1);
    let read = |metric, from| {
        let found = series::read(readings, (Subject::Elder(asked.elder), metric), (from, until), &wall);
        found.map_err(|error| failed(&error))
    };
    let all = read(asked.metric, far)?;
    let points = all.since(from);
    let (limits, band) = limits(records, asked)?;
    let blood_pressure = match asked.metric {
        Metric::Systolic => pressure::home(points, read(Metric::Diastolic, from)?.since(from)),
        Metric::Diastolic => pressure::home(read(Metric::Systolic, from)?.since(from), points),
        _ => None,
    };
    let info = asked.metric.info();
    Ok(json!({
        "metric": asked.metric, "from": from, "to": asked.now, "zone": ZONE, "unit": info.unit_shown, "decimals": info.decimals,
        "basis": all.basis, "hours": hours::profile(points, info.decimals),
        "day_night": day_night::day_night(points, is_pressure(asked.metric), info.decimals),
        "blood_pressure": blood_pressure, "glucose": sugar(asked, &all, from),
        "weeks": weeks::weeks(points, (first, today), limits, info.decimals), "band": band,
        "baseline": baseline::compare(&all.points, today, info.decimals),
    }))
}

const fn is_pressure(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Systolic
            | Metric::Diastolic
            | Metric::MeanArterialPressure
            | Metric::ArterialSystolic
            | Metric::ArterialDiastolic
            | Metric::ArterialMean
    )
}

fn sugar(asked: &Asked, all: &Series, from: Time) -> Option<Value> {
    match asked.metric {
        Metric::GlucoseInterstitial => {
            let fortnight = all.since(asked.now.plus_us(-glucose::DAYS * super::DAY_US));
            Some(glucose::time_in_range(fortnight, asked.now, asked.age))
        }
        Metric::Glucose => Some(glucose::of_measurements(all.since(from), asked.days)),
        _ => None,
    }
}

/// The nearest limits that judge this elder now. Without any saved rules there are none.
fn limits(records: &Records, asked: &Asked) -> Answer<(Limits, Value)> {
    let set = match records.rules_for(asked.elder) {
        Ok(stored) => stored.set,
        Err(records::Error::NotFound(_)) => return Ok((Limits::default(), Value::Null)),
        Err(error) => return Err(failed(&error)),
    };
    let (low, high) = (nearest(&set, asked.metric, Side::Low), nearest(&set, asked.metric, Side::High));
    let limits = Limits { low: low.map(|(limit, _)| limit), high: high.map(|(limit, _)| limit) };
    let (low_priority, high_priority) = (low.map(|(_, priority)| priority), high.map(|(_, priority)| priority));
    let band = json!({
        "low": limits.low, "high": limits.high, "low_priority": low_priority, "high_priority": high_priority,
    });
    Ok((limits, band))
}

/// The limit of one side that a value reaches first.
pub(super) fn nearest(set: &RuleSet, metric: Metric, side: Side) -> Option<(f64, Priority)> {
    let of_side = |threshold: &&Threshold| threshold.metric == metric && threshold.side == side;
    let thresholds = set.rules.iter().filter_map(|rule| match &rule.test {
        Test::Threshold(threshold) => Some(threshold),
        _ => None,
    });
    let outer =
        thresholds.filter(of_side).filter_map(|test| test.levels.last().map(|level| (level.limit, level.priority)));
    match side {
        Side::High => outer.min_by(|one, other| one.0.total_cmp(&other.0)),
        Side::Low => outer.max_by(|one, other| one.0.total_cmp(&other.0)),
    }
}
