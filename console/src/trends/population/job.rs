//! Makes the means of all elders in the background: some elders at a time through the trends' gate, so that a doctor's curve waits
//! for one portion at most.

use std::sync::Arc;
use std::time::Duration;

use model::{ElderId, Subject, Time};
use store::readings::Trend;

use super::super::DAY_US;
use super::cache::{Found, Key, Means, State};
use crate::App;
use crate::error::{Answer, ApiError};

/// Elders of one portion.
const PORTION: usize = 200;
/// Tries of a portion while the gate is full: each waits five seconds for a place.
const TRIES: usize = 24;
/// Rest between portions, and before another try.
const REST: Duration = Duration::from_millis(5);

/// The means, or how far they are; begins to make them when nobody does.
pub(super) fn ask(app: &App, metric: model::Metric, days: i64) -> Answer<State> {
    let key = (metric, days);
    match app.population.ask(key, app.deps.clock.now()) {
        Found::State(state) => Ok(state),
        Found::Wait => Ok(State::Running { done: 0, of: 0 }),
        Found::Failed => Err(ApiError::internal("population", &"the last try failed; asked again it is tried again")),
        Found::Yours => {
            tokio::spawn(run(app.clone(), key));
            Ok(State::Running { done: 0, of: 0 })
        }
    }
}

async fn run(app: App, key: Key) {
    let stopped = app.stop.clone();
    let made = tokio::select! {
        made = make(&app, key) => made.ok(),
        () = stopped.requested() => None,
    };
    app.population.finish(key, made);
}

async fn make(app: &App, (metric, days): Key) -> Answer<Means> {
    let to = app.deps.clock.now();
    let from = to.plus_us(-days * DAY_US);
    let records = app.deps.records.clone();
    let everybody = app.trend_calls.run("population", move || records.cohort()).await?;
    let everybody = everybody.map_err(|error| ApiError::internal("population", &error))?;
    let elders: Vec<ElderId> = everybody.members.iter().map(|member| member.id).collect();
    let mut means: Vec<(ElderId, f64)> = Vec::with_capacity(elders.len());
    for (portion, some) in elders.chunks(PORTION).enumerate() {
        app.population.done((metric, days), portion * PORTION, elders.len());
        means.extend(portion_of(app, metric, (from, to), some).await?);
        tokio::time::sleep(REST).await;
    }
    Ok(Means { from, to, of: means.into(), cohort: Arc::new(everybody) })
}

/// The means of some elders. Alarm work never waits; other trends take turns with it.
async fn portion_of(
    app: &App,
    metric: model::Metric,
    (from, to): (Time, Time),
    some: &[ElderId],
) -> Answer<Vec<(ElderId, f64)>> {
    let mut tried = 0;
    loop {
        let (readings, some) = (app.deps.readings.clone(), some.to_vec());
        let drawn = app.trend_calls.run("population", move || {
            let subjects: Vec<Subject> = some.iter().map(|elder| Subject::Elder(*elder)).collect();
            // One bucket: at most two, since buckets begin at multiples of their width.
            let drawn = readings.sparklines(&subjects, metric, from, to.plus_us(1), 1);
            drawn.map(|trends| some.into_iter().zip(trends).collect::<Vec<_>>())
        });
        tried += 1;
        match drawn.await {
            Ok(Ok(drawn)) => {
                return Ok(drawn.iter().filter_map(|(elder, trend)| Some((*elder, mean(trend)?))).collect());
            }
            Ok(Err(error)) => return Err(ApiError::internal("population", &error)),
            Err(busy) if tried >= TRIES => return Err(busy),
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

fn mean(trend: &Trend) -> Option<f64> {
    let n: u64 = trend.points.iter().map(|bucket| bucket.n).sum();
    (n > 0).then(|| trend.points.iter().map(|bucket| bucket.mean * bucket.n as f64).sum::<f64>() / n as f64)
}
