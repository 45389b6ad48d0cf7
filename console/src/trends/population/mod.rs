//! `GET /api/population`: figures of all elders by group, in which nobody can be found. For those who plan.
//!
//! Every elder counts once, with the mean of their own judged values: who measures often does not outweigh the others. The means of
//! a metric are made in the background (`job.rs`), kept for an hour with who
//! was where then, and grouped (`groups.rs`) and guarded (`guard.rs`) per answer.

mod cache;
mod figures;
mod groups;
mod guard;
mod job;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Metric;
use serde::Deserialize;
use serde_json::{Value, json};

use super::number;
use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::Params;
use crate::numbers::csv::Table;
pub(crate) use cache::Population;
use cache::{Means, State as Progress};
use figures::{Figures, Range};
use groups::By;

/// Spans that may be asked for: few, so that answers of nearly the same span cannot be taken from each other.
const DAYS: [i64; 3] = [7, 30, 90];
const DAYS_DEFAULT: i64 = 30;
/// When to ask again while the means are made.
const RETRY_S: u64 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metric: String,
    #[serde(default)]
    by: By,
    days: Option<i64>,
}

/// What an answer is made of.
struct Made {
    metric: Metric,
    by: By,
    means: Means,
    range: Range,
    table: figures::Population,
}

/// `GET /api/population?metric&by&days`
pub(crate) async fn figures(State(app): State<App>, signed: Signed, Params(query): Params<Query>) -> Answer<Response> {
    let (metric, days) = check(&query)?;
    let means = match job::ask(&app, metric, days)? {
        Progress::Ready(means) => means,
        Progress::Running { done, of } => {
            let waiting = json!({
                "state": "running", "metric": metric, "days": days, "done": done, "of": of, "retry_s": RETRY_S,
            });
            return Ok((StatusCode::ACCEPTED, Json(waiting)).into_response());
        }
    };
    let made = make(&app, &signed, metric, query.by, means).await?;
    Ok(Json(made.json(days)).into_response())
}

/// `GET /api/population.csv?metric&by&days`: the same as a table.
pub(crate) async fn csv(State(app): State<App>, signed: Signed, Params(query): Params<Query>) -> Answer<Response> {
    let (metric, days) = check(&query)?;
    let Progress::Ready(means) = job::ask(&app, metric, days)? else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "not_ready",
            "统计尚未完成,请几秒后重试。",
            "The figures are being made; try again in a few seconds.",
        ));
    };
    let made = make(&app, &signed, metric, query.by, means).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"vigil-population.csv\""),
    ];
    Ok((headers, made.csv()).into_response())
}

fn check(query: &Query) -> Answer<(Metric, i64)> {
    let metric = number(&query.metric)?;
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    if !DAYS.contains(&days) {
        return Err(ApiError::bad_request("days 须为 7、30 或 90。", "days must be 7, 30 or 90."));
    }
    Ok((metric, days))
}

async fn make(app: &App, signed: &Signed, metric: Metric, by: By, means: Means) -> Answer<Made> {
    let (records, person) = (app.deps.records.clone(), signed.person.id);
    let made = app.trend_calls.run("population", move || {
        let failed = |error| ApiError::internal("population", &error);
        let subject = format!("population/{}", by.slug());
        records.audit(Some(person), "view_population", &subject, metric.slug()).map_err(failed)?;
        let default = records.default_rules().map_err(failed)?;
        let range = default.map_or_else(Range::default, |stored| Range::new(&stored.set, metric));
        let groups = groups::group(by, &means, &range);
        let table = figures::Population::new(&groups, by);
        Ok(Made { metric, by, means, range, table })
    });
    made.await?
}

impl Made {
    fn json(&self, days: i64) -> Value {
        let decimals = self.metric.info().decimals;
        let groups = self.table.groups.iter().map(|group| group.json(decimals));
        json!({
            "state": "ready", "metric": self.metric, "by": self.by, "days": days, "from": self.means.from, "to": self.means.to,
            "made_at": self.means.to, "decimals": decimals, "range": self.range, "total": self.table.total.json(decimals),
            "groups": groups.collect::<Vec<_>>(),
            "hidden_groups": self.table.groups.iter().filter(|group| group.hidden.is_some()).count(),
            "rule": {
                "k": guard::K, "source": guard::SOURCE,
                "zh": format!("不足 {} 人的组不显示;为防止由合计推算,另隐藏至少一组。", guard::K),
                "en": format!("Groups of fewer than {} are hidden, and others beside them so that they cannot be worked out.", guard::K),
            },
        })
    }

    fn csv(&self) -> String {
        let mut table = Table::new();
        let decimals = self.metric.info().decimals;
        table.line([
            "metric", "by", "key", "name_zh", "name_en", "elders", "measured", "mean", "p10", "p25", "p50", "p75",
            "p90", "below", "above", "hidden",
        ]);
        for group in self.table.groups.iter().chain([&self.table.total]) {
            self.line(&mut table, group, decimals);
        }
        table.into_text()
    }

    fn line(&self, table: &mut Table, group: &Figures, decimals: u8) {
        let row = group.json(decimals);
        let cell = |name: &str| match &row[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let names = [
            "key", "zh", "en", "elders", "measured", "mean", "p10", "p25", "p50", "p75", "p90", "below", "above",
            "hidden",
        ];
        let [key, zh, en, elders, measured, mean, p10, p25, p50, p75, p90, below, above, hidden] = names.map(cell);
        table.line([
            self.metric.slug(),
            self.by.slug(),
            &key,
            &zh,
            &en,
            &elders,
            &measured,
            &mean,
            &p10,
            &p25,
            &p50,
            &p75,
            &p90,
            &below,
            &above,
            &hidden,
        ]);
    }
}
