//! Trends for those who treat: one elder over time (`elder.rs`), an elder's profile (`profile.rs` and the figures beside it), a
//! team at a glance (`team.rs`), and figures of groups without persons (`population/`).
//!
//! These queries may be large, so they have a gate of their own and never take the place of alarm work. What is worked out is
//! pure and in files of its own, each with the source of its numbers; only `elder.rs`, `known.rs`, `series.rs`, `profile.rs`,
//! `team.rs` and `population/` ask the stores.

mod bands;
mod baseline;
mod causes;
mod day_night;
mod elder;
mod glucose;
mod hours;
mod known;
mod population;
mod pressure;
mod profile;
mod series;
mod stats;
mod team;
mod wall;
mod weeks;

use axum::http::StatusCode;
use model::{ElderId, Metric, Time};
use store::records::{AlarmFilter, Records};

use crate::access::Signed;
use crate::error::{Answer, ApiError};

pub(crate) use elder::trend;
pub(crate) use population::{Population, csv as population_csv, figures as population_figures};
pub(crate) use profile::profile;
pub(crate) use team::trends as team_trends;

const DAY_US: i64 = 86_400_000_000;

/// A day as a seat sees it, in microseconds: an hour longer, for clients that round outwards.
const SEAT_DAY_US: i64 = DAY_US + DAY_US / 24;
/// Longest history that anybody asks for at once, in microseconds.
const HISTORY_US: i64 = 366 * DAY_US;
/// Open alarms of one elder around which a seat may look; the newest.
const OPEN_ALARMS_MAX: usize = 500;

/// The row of the role table about time: how much of an elder's history this person may ask for at once.
pub(crate) fn check_span(signed: &Signed, from: Time, to: Time) -> Answer<()> {
    let us_max = if signed.is_seat() { SEAT_DAY_US } else { HISTORY_US };
    if to.since_us(from) <= us_max { Ok(()) } else { Err(beyond_the_seats()) }
}

/// As [`check_span`], and which time it may be: the seats' day lies around now or around an open alarm of this elder. Blocks.
pub(crate) fn check_range(
    signed: &Signed,
    records: &Records,
    (elder, now): (ElderId, Time),
    (from, to): (Time, Time),
) -> Answer<()> {
    check_span(signed, from, to)?;
    let around = |first: Time, last: Time| from >= first.plus_us(-SEAT_DAY_US) && to <= last.plus_us(SEAT_DAY_US);
    if !signed.is_seat() || around(now, now) {
        return Ok(());
    }
    let open = AlarmFilter { elder: Some(elder), open: true, ..AlarmFilter::default() };
    let open = records.alarms(open, OPEN_ALARMS_MAX).map_err(|error| ApiError::internal("trend", &error))?;
    let near = open.iter().any(|alarm| around(alarm.started_at, alarm.raised_at.max(alarm.started_at)));
    if near { Ok(()) } else { Err(beyond_the_seats()) }
}

fn beyond_the_seats() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "not_allowed",
        "座席只能查看当前或未结警情前后各 24 小时的趋势和波形,其他时间请由签约医生或护士查看。",
        "The seats see 24 hours around now or around an open alarm of this elder; ask the elder's doctor or nurse for other times.",
    )
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

/// A metric that is a number: waveforms have no trend.
fn number(slug: &str) -> Answer<Metric> {
    let metric = metric(slug)?;
    if metric.info().shape == model::metric::Shape::Waveform {
        return Err(ApiError::bad_request(
            format!("{metric} 是波形,没有趋势;请查看波形。"),
            format!("{metric} is a waveform and has no trend; ask for its waveforms."),
        ));
    }
    Ok(metric)
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

/// A whole number of days of a query.
fn days(asked: Option<i64>, usual: i64, most: i64) -> Answer<i64> {
    let days = asked.unwrap_or(usual);
    if (1..=most).contains(&days) {
        return Ok(days);
    }
    Err(ApiError::bad_request(format!("days 须为 1 至 {most}。"), format!("days must be 1 to {most}.")))
}

/// As many decimals as make sense on a screen: answers are read by people and sent by the thousand.
fn rounded(value: f64, decimals: u8) -> f64 {
    let factor = 10_f64.powi(i32::from(decimals));
    let rounded = (value * factor).round() / factor;
    // Not "-0".
    if rounded == 0.0 { 0.0 } else { rounded }
}
