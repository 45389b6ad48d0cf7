//! Trends: some metrics of one elder over a span of time, in buckets, with gaps and the limits in force.
//!
//! These queries may be large, so they have a gate of their own and never take the place of alarm work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::rule::{RuleSet, Test};
use model::{ElderId, Metric, Subject, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::{Readings, Trend};
use store::records::Records;

use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params};

/// Metrics of one query: as many as an elder's page draws at once.
const METRICS_MAX: usize = 16;
/// Longest span, in days.
const RANGE_DAYS_MAX: i64 = 366;
const RANGE_US_MAX: i64 = RANGE_DAYS_MAX * 86_400_000_000;
const BUCKETS_DEFAULT: u32 = 600;
const BUCKETS_MAX: u32 = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metrics: String,
    from: String,
    to: String,
    buckets: Option<u32>,
}

/// A query that makes sense.
#[derive(Debug)]
struct Asked {
    metrics: Vec<Metric>,
    from: Time,
    to: Time,
    buckets: u32,
}

/// `GET /api/elders/{id}/trend?metrics=a,b&from&to&buckets`
pub(crate) async fn trend(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let asked = check(&query)?;
    check_span(&signed, asked.from, asked.to)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let drawn = calls.run("trend", move || {
        elders::in_scope(&records, &signed, id)?;
        app.looks.at_readings(&records, signed.person.id, id, app.deps.clock.now())?;
        draw(&records, &readings, id, &asked)
    });
    drawn.await?.map(Json)
}

/// The row of the role table about time: how much of an elder's history this person may ask for at once.
pub(crate) fn check_span(signed: &Signed, from: Time, to: Time) -> Answer<()> {
    if to.since_us(from) <= signed.trend_us_max() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "not_allowed",
        "座席只能查看 24 小时内的趋势,更长的趋势请由签约医生或护士查看。",
        "Dispatchers see trends of up to 24 hours; ask the elder's doctor or nurse for longer ones.",
    ))
}

fn check(query: &Query) -> Answer<Asked> {
    let slugs: Vec<&str> = query.metrics.split(',').map(str::trim).filter(|slug| !slug.is_empty()).collect();
    if slugs.is_empty() || slugs.len() > METRICS_MAX {
        return Err(ApiError::bad_request(
            format!("metrics 须为 1 至 {METRICS_MAX} 个指标,以逗号分隔。"),
            format!("metrics must name 1 to {METRICS_MAX} metrics, separated by commas."),
        ));
    }
    let mut metrics = Vec::with_capacity(slugs.len());
    for slug in slugs {
        let metric = metric(slug)?;
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let (from, to) = (time("from", &query.from)?, time("to", &query.to)?);
    if from >= to || to.since_us(from) > RANGE_US_MAX {
        return Err(ApiError::bad_request(
            format!("from 须早于 to,且跨度不超过 {RANGE_DAYS_MAX} 天。"),
            format!("from must be before to, and the span at most {RANGE_DAYS_MAX} days."),
        ));
    }
    let buckets = query.buckets.unwrap_or(BUCKETS_DEFAULT);
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(ApiError::bad_request(
            format!("buckets 须为 1 至 {BUCKETS_MAX}。"),
            format!("buckets must be 1 to {BUCKETS_MAX}."),
        ));
    }
    Ok(Asked { metrics, from, to, buckets })
}

/// A metric by its word.
pub(crate) fn metric(slug: &str) -> Answer<Metric> {
    Metric::from_slug(slug).ok_or_else(|| {
        ApiError::bad_request(
            format!("没有名为 {slug:?} 的指标,可用指标见 /api/metrics。"),
            format!("There is no metric {slug:?}; GET /api/metrics lists them."),
        )
    })
}

/// A time of a query.
pub(crate) fn time(name: &str, text: &str) -> Answer<Time> {
    Time::parse(text).ok_or_else(|| {
        ApiError::bad_request(
            format!("{name} 须为 RFC 3339 时间,如 2026-11-22T00:00:00Z。"),
            format!("{name} must be an RFC 3339 time such as 2026-11-22T00:00:00Z."),
        )
    })
}

fn draw(records: &Records, readings: &Readings, id: ElderId, asked: &Asked) -> Answer<Value> {
    // Without any saved rules there are no bands; the curve is still worth drawing.
    let rules = match records.rules_for(id) {
        Ok(stored) => Some(stored.set),
        Err(store::records::Error::NotFound(_)) => None,
        Err(error) => return Err(ApiError::internal("trend", &error)),
    };
    let mut bucket_us = 0;
    let mut series = Vec::with_capacity(asked.metrics.len());
    for metric in asked.metrics.iter().copied() {
        let trend = readings
            .trend(Subject::Elder(id), metric, asked.from, asked.to, asked.buckets)
            .map_err(|error| ApiError::internal("trend", &error))?;
        bucket_us = bucket_us.max(trend.bucket_us);
        series.push(series_json(metric, &trend, rules.as_ref()));
    }
    Ok(json!({ "from": asked.from, "to": asked.to, "bucket_s": bucket_us as f64 / 1e6, "series": series }))
}

fn series_json(metric: Metric, trend: &Trend, rules: Option<&RuleSet>) -> Value {
    let points =
        trend.points.iter().map(|point| json!([point.start.millis(), point.n, point.min, point.mean, point.max]));
    let gaps = trend.gaps.iter().map(|(from, to)| json!([from.millis(), to.millis()]));
    let absent = trend.absent.iter().map(|(at, cause)| json!([at.millis(), cause]));
    json!({
        "metric": metric,
        "points": points.collect::<Vec<_>>(),
        "gaps": gaps.collect::<Vec<_>>(),
        "absent": absent.collect::<Vec<_>>(),
        "bands": rules.map(|rules| bands(rules, metric)).unwrap_or_default(),
    })
}

/// The limits of one metric, to be drawn behind its curve.
fn bands(rules: &RuleSet, metric: Metric) -> Vec<Value> {
    let thresholds = rules.rules.iter().filter_map(|rule| match &rule.test {
        Test::Threshold(threshold) if threshold.metric == metric => Some(threshold),
        _ => None,
    });
    thresholds
        .flat_map(|threshold| threshold.levels.iter().map(move |level| (threshold.side, level)))
        .map(|(side, level)| json!({ "side": side, "priority": level.priority, "limit": level.limit }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(metrics: &str, from: &str, to: &str, buckets: Option<u32>) -> bool {
        let query = Query { metrics: metrics.to_owned(), from: from.to_owned(), to: to.to_owned(), buckets };
        check(&query).is_ok()
    }

    #[test]
    fn a_query_has_limits() {
        let (from, to) = ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00+08:00");
        assert!(ask("systolic, heart_rate,systolic", from, to, None));
        assert!(ask("spo2", from, to, Some(BUCKETS_MAX)));
        assert!(!ask("", from, to, None), "no metric");
        assert!(!ask("mood", from, to, None), "unknown metric");
        let all: Vec<&str> = Metric::ALL.iter().map(|metric| metric.slug()).collect();
        assert!(!ask(&all.join(","), from, to, None), "too many metrics");
        assert!(!ask("spo2", from, from, None), "an empty span");
        assert!(!ask("spo2", to, from, None), "backwards");
        assert!(!ask("spo2", "2025-01-01T00:00:00Z", to, None), "more than a year");
        assert!(!ask("spo2", "yesterday", to, None));
        assert!(!ask("spo2", from, to, Some(0)));
        assert!(!ask("spo2", from, to, Some(BUCKETS_MAX + 1)));
    }
}
