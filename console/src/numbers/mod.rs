//! Figures about alarms for those who answer for the service: times to answer, load of the seats, what was true, what is noise.

pub(crate) mod csv;
mod report;
#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::ElderId;
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::Error;

use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::Params;
use crate::trends::time;
use report::Report;

const DAY_US: i64 = 86_400_000_000;
/// Days of a report without a choice, and at most.
const DAYS_DEFAULT: i64 = 7;
const DAYS_MAX: i64 = 92;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    from: Option<String>,
    to: Option<String>,
}

/// `GET /api/numbers?from&to`: by default the last seven days.
pub(crate) async fn report(
    State(app): State<App>,
    signed: Signed,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let report = make(&app, &signed, &query).await?;
    // Whose they are is opened one by one, by who may.
    let elders: Vec<Value> =
        report.elders.iter().map(|(elder, alarms)| json!({ "elder": ElderId(*elder), "alarms": alarms })).collect();
    let mut answer = serde_json::to_value(&report).unwrap_or_default();
    answer["elders"] = elders.into();
    answer["targets"] = json!({ "within_60_s": 0.975, "within_180_s": 0.99, "alarms_per_seat_and_hour": 6 });
    Ok(Json(answer))
}

/// `GET /api/numbers.csv?from&to`: the same as one table: section, name, figure, value.
pub(crate) async fn csv(State(app): State<App>, signed: Signed, Params(query): Params<Query>) -> Answer<Response> {
    let report = make(&app, &signed, &query).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"vigil-numbers.csv\""),
    ];
    Ok((headers, csv::text(&report)).into_response())
}

async fn make(app: &App, signed: &Signed, query: &Query) -> Answer<Report> {
    let now = app.deps.clock.now();
    let to = query.to.as_deref().map(|text| time("to", text)).transpose()?;
    // What was raised at this very moment is in it.
    let to = to.unwrap_or_else(|| now.plus_us(1));
    let from = query.from.as_deref().map(|text| time("from", text)).transpose()?;
    let from = from.unwrap_or_else(|| to.plus_us(-DAYS_DEFAULT * DAY_US));
    if to <= from || to.since_us(from) > DAYS_MAX * DAY_US {
        return Err(ApiError::bad_request(
            format!("统计时段须为 1 至 {DAYS_MAX} 天,且开始早于结束。"),
            format!("A report covers at most {DAYS_MAX} days, and from lies before to."),
        ));
    }
    let (records, person) = (app.deps.records.clone(), signed.person.id);
    let made = app.trend_calls.run("numbers", move || {
        let failed = |error| match error {
            Error::TooMany { limit, .. } => ApiError::bad_request(
                format!("该时段报警超过 {limit} 条,请缩短时段。"),
                format!("There are more than {limit} alarms in this time: ask for a shorter one."),
            ),
            error => ApiError::internal("numbers", &error),
        };
        let alarms = records.alarm_times(from, to).map_err(failed)?;
        let hours = records.seat_hours(from, to).map_err(failed)?;
        records.audit(Some(person), "view_numbers", "numbers", "").map_err(failed)?;
        Ok(Report::new(from, to, now, &alarms, &hours))
    });
    made.await?
}
