//! `GET /api/elders/{id}/trend`: some metrics of one elder over a span of time, as fine as a screen can show, with gaps and why
//! they are there, values that are doubtful, the limits that were in force, and the alarms.

use axum::Json;
use axum::extract::State;
use model::metric::Shape;
use model::{AlarmKind, ElderId, Metric, Subject, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::{Doubtful, Readings, Trend};
use store::records::{self, AlarmFilter, AlarmView, Class, Records};

use super::known::Known;
use super::{DAY_US, bands, causes, check_range, number, time};
use crate::App;
use crate::access::Signed;
use crate::authors::Authors;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params};

/// Metrics of one query: as many as an elder's page draws at once.
const METRICS_MAX: usize = 16;
/// Longest span, in days.
const RANGE_DAYS_MAX: i64 = 366;
const BUCKETS_DEFAULT: u32 = 600;
const BUCKETS_MAX: u32 = 2_000;
/// Gaps of one metric; the newest.
const GAPS_MAX: usize = 2_000;
/// Rows that one request reads to find doubtful values, all its metrics together: in the embedded store finding them means reading
/// all rows, 200 days of one a minute. The curve itself comes from rollups at any length.
const LOOKED_AT_MAX: usize = 300_000;
/// Doubtful values of one metric: more are thinned evenly.
const DOUBTFUL_MAX: usize = 300;
/// Alarms on the axis; the newest.
const ALARMS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metrics: String,
    from: String,
    to: String,
    /// Pixels of the curve: one bucket each at most.
    width: Option<u32>,
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

/// `GET /api/elders/{id}/trend?metrics=a,b&from&to&width`
pub(crate) async fn trend(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let asked = check(&query)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let drawn = calls.run("trend", move || {
        elders::in_scope(&records, &signed, id)?;
        let now = app.deps.clock.now();
        check_range(&signed, &records, (id, now), (asked.from, asked.to))?;
        app.looks.at_readings(&records, signed.person.id, id, now)?;
        draw(&records, &readings, (id, now), &signed, &asked)
    });
    drawn.await?.map(Json)
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
        let metric = number(slug)?;
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let (from, to) = (time("from", &query.from)?, time("to", &query.to)?);
    if from >= to || to.since_us(from) > RANGE_DAYS_MAX * DAY_US {
        return Err(ApiError::bad_request(
            format!("from 须早于 to,且跨度不超过 {RANGE_DAYS_MAX} 天。"),
            format!("from must be before to, and the span at most {RANGE_DAYS_MAX} days."),
        ));
    }
    let buckets = query.width.or(query.buckets).unwrap_or(BUCKETS_DEFAULT);
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(ApiError::bad_request(
            format!("width(或 buckets)须为 1 至 {BUCKETS_MAX}。"),
            format!("width (or buckets) must be 1 to {BUCKETS_MAX}."),
        ));
    }
    Ok(Asked { metrics, from, to, buckets })
}

fn failed(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("trend", error)
}

fn draw(
    records: &Records,
    readings: &Readings,
    (id, now): (ElderId, Time),
    signed: &Signed,
    asked: &Asked,
) -> Answer<Value> {
    let (from, to) = (asked.from, asked.to);
    let rules = records.rules_history(id, from, to).map_err(|error| failed(&error))?;
    let known = Known::load(records, id, from, to.min(now)).map_err(|error| failed(&error))?;
    let newest = readings.latest(Subject::Elder(id));
    let authors = Authors::new(records, id);
    let mut bucket_us = 0;
    let mut left = LOOKED_AT_MAX;
    let mut series = Vec::with_capacity(asked.metrics.len());
    for metric in asked.metrics.iter().copied() {
        let subject = Subject::Elder(id);
        let trend = readings.trend(subject, metric, from, to, asked.buckets).map_err(|error| failed(&error))?;
        let doubtful = doubtful(readings, (subject, metric), &trend, (from, to), &mut left)?;
        bucket_us = bucket_us.max(trend.bucket_us);
        let newest = newest.iter().find(|reading| reading.sample.metric == metric);
        let measured = newest.map(|reading| reading.device);
        let is_stream = metric.info().shape == Shape::Stream && measured.is_some();
        let gaps = if is_stream { causes::with_edges(&trend, from, to.min(now)) } else { trend.gaps.clone() };
        let pieces = causes::explained(&gaps, &trend.absent, &known.of(measured), &known.missing());
        let pieces = pieces.get(pieces.len().saturating_sub(GAPS_MAX)..).unwrap_or_default();
        let mut one = series_json(metric, &trend, pieces, &doubtful);
        one["bands"] = json!(bands::bands(&rules, metric, &authors)?);
        one["bands_from"] = json!(rules.known_from);
        series.push(one);
    }
    let (alarms, cut) = alarms(records, id, (from, to))?;
    Ok(json!({
        "from": from, "to": to, "now": now, "bucket_s": bucket_us as f64 / 1e6, "series": series,
        "alarms": alarms.iter().map(|alarm| alarm_json(alarm, signed)).collect::<Vec<_>>(), "alarms_cut": cut,
    }))
}

/// `left`: rows that may still be read. Where all rows have to be read, a range that cannot be read to its end is not begun, as far as
/// its judged values tell.
fn doubtful(
    readings: &Readings,
    (subject, metric): (Subject, Metric),
    trend: &Trend,
    (from, to): (Time, Time),
    left: &mut usize,
) -> Answer<Doubtful> {
    let judged: u64 = trend.points.iter().map(|point| point.n).sum();
    if readings.scans_for_doubtful() && judged > *left as u64 {
        return Ok(Doubtful { until: Some(from), ..Doubtful::default() });
    }
    let found = readings.doubtful(subject, metric, from, to, *left).map_err(|error| failed(&error))?;
    *left = left.saturating_sub(found.scanned);
    Ok(found)
}

fn series_json(metric: Metric, trend: &Trend, gaps: &[causes::Piece], doubtful: &Doubtful) -> Value {
    let points =
        trend.points.iter().map(|point| json!([point.start.millis(), point.n, point.min, point.mean, point.max]));
    let gaps = gaps.iter().map(|gap| json!([gap.from.millis(), gap.to.millis(), gap.cause.slug()]));
    let absent = trend.absent.iter().map(|(at, cause)| json!([at.millis(), cause]));
    let thin = causes::thinned(&doubtful.rows, DOUBTFUL_MAX);
    let shown = thin.map(|row| json!([row.sample.taken_at.millis(), row.sample.value(), row.sample.quality]));
    json!({
        "metric": metric,
        "points": points.collect::<Vec<_>>(),
        "gaps": gaps.collect::<Vec<_>>(),
        "absent": absent.collect::<Vec<_>>(),
        "doubtful": shown.collect::<Vec<_>>(),
        "doubtful_n": doubtful.rows.len(),
        "doubtful_until": doubtful.until,
    })
}

fn alarms(records: &Records, id: ElderId, (from, to): (Time, Time)) -> Answer<(Vec<AlarmView>, bool)> {
    let filter = AlarmFilter {
        elder: Some(id),
        from: Some(from),
        to: Some(to),
        class: Class::Clinical,
        ..AlarmFilter::default()
    };
    let mut found: Vec<AlarmView> =
        records.alarms(filter, ALARMS_MAX + 1).map_err(|error: records::Error| failed(&error))?;
    let cut = found.len() > ALARMS_MAX;
    found.truncate(ALARMS_MAX);
    found.reverse();
    Ok((found, cut))
}

fn alarm_json(alarm: &AlarmView, signed: &Signed) -> Value {
    let metric = match &alarm.kind {
        AlarmKind::Threshold { metric, .. } | AlarmKind::Trend { metric, .. } | AlarmKind::Count { metric, .. } => {
            Some(*metric)
        }
        AlarmKind::Event { .. } | AlarmKind::Silence { .. } | AlarmKind::Score { .. } => None,
    };
    let (rule, zh, en) = alarm.named_to(signed.person.role);
    json!({
        "id": alarm.id, "priority": alarm.priority, "at": alarm.started_at.millis(), "metric": metric, "rule": rule,
        "rule_zh": zh, "rule_en": en, "condition": alarm.condition, "handling": alarm.handling,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(metrics: &str, from: &str, to: &str, buckets: Option<u32>) -> bool {
        let (from, to) = (from.to_owned(), to.to_owned());
        check(&Query { metrics: metrics.to_owned(), from, to, width: None, buckets }).is_ok()
    }

    /// The rows that all metrics of a request may cost, whatever their quality.
    #[test]
    fn doubtful_values_are_looked_for_within_one_budget() {
        use model::{DeviceId, Quality, Reading, Sample, Seq};
        let dir = tempfile::tempdir().unwrap();
        let readings = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let subject = Subject::Elder(ElderId(1));
        let at = |second: i64| Time(1_700_000_000_000_000 + second * 1_000_000);
        let row = |second: i64| {
            let sample = match second % 4 {
                0 => Sample::new(Metric::HeartRate, at(second), 70.0, Quality::Ok),
                1 => Sample::new(Metric::HeartRate, at(second), 70.0, Quality::Motion),
                _ => Sample::absent(Metric::HeartRate, at(second), Quality::SensorOff),
            };
            Reading { subject, device: DeviceId(1), sample }
        };
        readings.write(&(0..100).map(row).collect::<Vec<_>>(), Seq(1)).unwrap();
        let (range, of) = ((at(0), at(100)), (subject, Metric::HeartRate));
        let trend = readings.trend(subject, Metric::HeartRate, range.0, range.1, 10).unwrap();
        let mut left = 180;
        let mut look = || {
            let found = doubtful(&readings, of, &trend, range, &mut left).unwrap();
            (found.rows.len(), found.until, found.scanned, left)
        };
        assert_eq!(look(), (25, None, 100, 80), "absent rows cost as much as values");
        assert_eq!(look(), (20, Some(at(79).plus_us(1)), 80, 0), "as far as it goes");
        assert_eq!(look(), (0, Some(at(0)), 0, 0), "nothing left");
    }

    #[test]
    fn a_query_has_limits() {
        let (from, to) = ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00+08:00");
        assert!(ask("systolic, heart_rate,systolic", from, to, None));
        assert!(ask("spo2", from, to, Some(BUCKETS_MAX)));
        assert!(!ask("", from, to, None), "no metric");
        assert!(!ask("mood", from, to, None), "unknown metric");
        assert!(!ask("ecg", from, to, None), "no number");
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
