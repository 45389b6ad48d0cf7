//! "What would it have raised?": proposed rules over an elder's, or a team's, last days, beside the rules in force.
//!
//! The same engine as the server's judges stored readings as if each had been received when it was taken. Events (SOS, falls) are
//! not stored as readings and do not depend on limits: they are not in the answer.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use engine::compare::{Count, without};
use engine::judge::{Judged, judge_elder};
use model::metric::Shape;
use model::rule::RuleSet;
use model::{AlarmId, DeviceId, ElderId, Metric, Outcome, Sample, Subject, TeamId, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::Readings;
use store::records::{AlarmFilter, Records};

use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Sent};
use crate::rules::bad_rule;

const DAY_US: i64 = 86_400_000_000;
/// Days looked back, without a choice and at most.
const DAYS_DEFAULT: u16 = 30;
const DAYS_MAX: u16 = 90;
/// Readings of one elder and metric that are judged at most: 90 days of one every 8 seconds.
const READINGS_MAX: usize = 1_000_000;
/// Alarms listed one by one, of each kind.
const LISTED_MAX: usize = 200;
/// Elders of a team judged in one request; the answer says where to go on.
const TEAM_ELDERS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    set: RuleSet,
    days: Option<u16>,
    /// Of a team: the elder after whom to go on.
    #[serde(default)]
    after: Option<ElderId>,
}

/// The proposed rules against those in force.
#[derive(Debug, Default)]
struct Comparison {
    readings: usize,
    now: Count,
    proposed: Count,
    gained: Vec<Value>,
    lost: Vec<Value>,
    /// Of the lost ones: people found them to be true.
    lost_true: usize,
}

/// `POST /api/elders/{id}/judge {set, days}`
pub(crate) async fn elder(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Sent(proposal): Sent<Proposal>,
) -> Answer<Json<Value>> {
    let (from, to) = check(&app, &proposal)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let found = calls.run("judging", move || {
        elders::in_scope(&records, &signed, id)?;
        app.looks.at_readings(&records, signed.person.id, id, to)?;
        let mut sum = Comparison::default();
        sum.add(&records, &readings, id, &proposal.set, (from, to))?;
        Ok(sum.json((from, to)))
    });
    found.await?.map(Json)
}

/// `POST /api/teams/{id}/judge {set, days, after}`: elders with rules of their own are left out and counted, since what is
/// proposed would not judge them.
pub(crate) async fn team(
    State(app): State<App>,
    signed: Signed,
    Id(team): Id<TeamId>,
    Sent(proposal): Sent<Proposal>,
) -> Answer<Json<Value>> {
    let (from, to) = check(&app, &proposal)?;
    if !signed.has_team(Some(team)) {
        return Err(ApiError::not_allowed());
    }
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let found = calls.run("judging a team", move || {
        let failed = |error| ApiError::internal("judging a team", &error);
        let mut members = records.elders_of_team(team, store::records::ROWS_MAX).map_err(failed)?;
        members.sort_by_key(|elder| elder.id);
        let all = members.len();
        members.retain(|elder| proposal.after.is_none_or(|after| elder.id > after));
        let next = members.get(TEAM_ELDERS_MAX - 1).filter(|_| members.len() > TEAM_ELDERS_MAX).map(|elder| elder.id);
        members.truncate(TEAM_ELDERS_MAX);
        let mut own = 0;
        let mut sum = Comparison::default();
        for elder in &members {
            if records.rules_for(elder.id).map_err(failed)?.own {
                own += 1;
            } else {
                sum.add(&records, &readings, elder.id, &proposal.set, (from, to))?;
            }
        }
        records.audit(Some(signed.person.id), "judge", &format!("team/{team}"), "").map_err(failed)?;
        let mut answer = sum.json((from, to));
        answer["elders"] = json!({ "team": all, "looked_at": members.len(), "with_own_rules": own, "next": next });
        Ok(answer)
    });
    found.await?.map(Json)
}

fn check(app: &App, proposal: &Proposal) -> Answer<(Time, Time)> {
    proposal.set.check().map_err(bad_rule)?;
    let days = proposal.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(ApiError::bad_request(
            format!("回看天数须为 1 至 {DAYS_MAX}。"),
            format!("days must be 1 to {DAYS_MAX}."),
        ));
    }
    let to = app.deps.clock.now();
    Ok((to.plus_us(-i64::from(days) * DAY_US), to))
}

impl Comparison {
    fn add(
        &mut self,
        records: &Records,
        readings: &Readings,
        elder: ElderId,
        proposed: &RuleSet,
        (from, to): (Time, Time),
    ) -> Answer<()> {
        let failed = |error| ApiError::internal("judging", &error);
        let in_force = match records.rules_for(elder) {
            Ok(stored) => stored.set,
            Err(store::records::Error::NotFound(_)) => return Err(ApiError::not_found()),
            Err(error) => return Err(failed(error)),
        };
        let rows = rows(readings, elder, (from, to))?;
        self.readings += rows.iter().map(|(.., samples)| samples.len()).sum::<usize>();
        let (now, _) = judge_elder(in_force, elder, rows.iter().cloned());
        let (then, _) = judge_elder(proposed.clone(), elder, rows);
        self.now.add(&now);
        self.proposed.add(&then);
        let filter = AlarmFilter { elder: Some(elder), from: Some(from), ..AlarmFilter::default() };
        let known = records.alarms(filter, store::records::ROWS_MAX).map_err(failed)?;
        let labels: HashMap<AlarmId, Outcome> =
            known.iter().filter_map(|alarm| Some((alarm.id, alarm.outcome?))).collect();
        let room = |list: &Vec<Value>| LISTED_MAX.saturating_sub(list.len());
        for alarm in without(&then, &now).take(room(&self.gained)) {
            self.gained.push(line(elder, alarm, None));
        }
        for alarm in without(&now, &then) {
            let outcome = labels.get(&alarm.alarm).copied();
            self.lost_true += usize::from(outcome.and_then(Outcome::was_true) == Some(true));
            if room(&self.lost) > 0 {
                self.lost.push(line(elder, alarm, outcome));
            }
        }
        Ok(())
    }

    fn json(mut self, (from, to): (Time, Time)) -> Value {
        let days = to.since_us(from) as f64 / DAY_US as f64;
        for count in [&mut self.now, &mut self.proposed] {
            count.per_day = count.alarms as f64 / days;
        }
        json!({
            "from": from, "to": to, "readings": self.readings, "now": self.now, "proposed": self.proposed,
            "gained": self.gained, "lost": self.lost, "lost_true": self.lost_true, "listed_max": LISTED_MAX,
        })
    }
}

fn line(elder: ElderId, alarm: &Judged, outcome: Option<Outcome>) -> Value {
    json!({
        "elder": elder, "rule": alarm.rule, "priority": alarm.priority, "kind": alarm.kind, "started_at": alarm.started_at,
        "raised_at": alarm.raised_at, "cleared_at": alarm.cleared_at, "worst": alarm.worst, "outcome": outcome,
    })
}

/// What the elder's devices told, in time order, the samples of one device and moment together.
fn rows(readings: &Readings, elder: ElderId, (from, to): (Time, Time)) -> Answer<Vec<(Time, DeviceId, Vec<Sample>)>> {
    let mut all = Vec::new();
    for metric in Metric::ALL.iter().filter(|metric| metric.info().shape != Shape::Waveform) {
        let found = readings.raw(Subject::Elder(elder), *metric, from, to, READINGS_MAX);
        all.extend(found.map_err(|error| ApiError::internal("judging", &error))?);
    }
    all.sort_by_key(|reading| (reading.sample.taken_at, reading.device));
    let mut rows: Vec<(Time, DeviceId, Vec<Sample>)> = Vec::new();
    for reading in all {
        let (at, device) = (reading.sample.taken_at, reading.device);
        match rows.last_mut() {
            Some((last, from, samples)) if *last == at && *from == device => samples.push(reading.sample),
            _ => rows.push((at, device, vec![reading.sample])),
        }
    }
    Ok(rows)
}
