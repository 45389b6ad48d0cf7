//! Waveforms of one elder: where there are any, and the samples of a short window, by lead.
//!
//! Like trends they may be large, so they go through the trends' gate. Samples travel as the device's counts with the factor
//! that makes them values: what is drawn is what was recorded.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use model::extra::NO_SAMPLE;
use model::metric::Shape;
use model::{DeviceId, ElderId, Metric, Rate, Subject, Time, Waveform, lead};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::{Error, Readings, Wave};
use store::records::Records;

use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::heart;
use crate::input::{Id, Params};
use crate::trends::{check_range, metric, time};

/// Stretches one list answers at most; older ones are said to be left out.
const STRETCHES_MAX: usize = 500;
/// Longest list, in days, as for trends.
const LIST_US_MAX: i64 = 366 * 86_400_000_000;
/// Longest strip, in seconds.
const STRIP_S_MAX: i64 = 60;
/// Blocks that follow each other within so many sample periods belong together: a gateway's clock counts milliseconds.
const JOIN_PERIODS: i64 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    metric: String,
    from: String,
    to: String,
}

/// `GET /api/elders/{id}/waveforms?metric&from&to`
pub(crate) async fn list(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let (metric, from, to) = check(&query, LIST_US_MAX)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let found = calls.run("waveforms", move || {
        elders::in_scope(&records, &signed, id)?;
        let now = app.deps.clock.now();
        check_range(&signed, &records, (id, now), (from, to))?;
        app.looks.at_readings(&records, signed.person.id, id, now)?;
        stretches(&records, &readings, id, (metric, from, to))
    });
    found.await?.map(Json)
}

/// `GET /api/elders/{id}/strip?metric&from&to`
pub(crate) async fn strip(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let (metric, from, to) = check(&query, STRIP_S_MAX * 1_000_000)?;
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.trend_calls.clone();
    let drawn = calls.run("strip", move || {
        elders::in_scope(&records, &signed, id)?;
        let now = app.deps.clock.now();
        check_range(&signed, &records, (id, now), (from, to))?;
        app.looks.at_readings(&records, signed.person.id, id, now)?;
        samples(&records, &readings, id, (metric, from, to))
    });
    drawn.await?.map(Json)
}

fn check(query: &Query, us_max: i64) -> Answer<(Metric, Time, Time)> {
    let metric = metric(&query.metric)?;
    if metric.info().shape != Shape::Waveform {
        return Err(ApiError::bad_request(
            format!("{metric} 不是波形,请使用趋势接口。"),
            format!("{metric} is not a waveform; ask for its trend."),
        ));
    }
    let (from, to) = (time("from", &query.from)?, time("to", &query.to)?);
    if from >= to || to.since_us(from) > us_max {
        let seconds = us_max / 1_000_000;
        return Err(ApiError::bad_request(
            format!("from 须早于 to,且跨度不超过 {seconds} 秒。"),
            format!("from must be before to, and the span at most {seconds} seconds."),
        ));
    }
    Ok((metric, from, to))
}

type Asked = (Metric, Time, Time);

fn stretches(records: &Records, readings: &Readings, id: ElderId, (metric, from, to): Asked) -> Answer<Value> {
    let found = readings
        .stretches(Subject::Elder(id), metric, from, to, STRETCHES_MAX)
        .map_err(|error| ApiError::internal("waveforms", &error))?;
    let names = names(records, id)?;
    let rows = found.found.iter().map(|one| {
        json!({
            "device": names.get(&one.device), "lead": one.lead, "label": label(one.lead), "from": one.from, "to": one.to,
        })
    });
    Ok(json!({ "metric": metric, "from": from, "to": to, "stretches": rows.collect::<Vec<_>>(), "cut": found.cut }))
}

fn samples(records: &Records, readings: &Readings, id: ElderId, (metric, from, to): Asked) -> Answer<Value> {
    let waves = readings.waves(Subject::Elder(id), metric, from, to).map_err(|error| match error {
        Error::TooMuch { max } => ApiError::bad_request(
            format!("这段时间超过 {max} 个采样点,请缩短时间。"),
            format!("There are more than {max} samples in this time; ask for less of it."),
        ),
        other => ApiError::internal("strip", &other),
    })?;
    let names = names(records, id)?;
    let leads = leads(waves, from, to);
    let rows = leads.iter().map(|lead| {
        let parts = lead.parts.iter().map(|part| {
            let counts = part.counts.iter().map(|count| (*count != NO_SAMPLE).then_some(*count));
            json!({ "at": part.start.0 as f64 / 1e3, "counts": counts.collect::<Vec<_>>() })
        });
        json!({
            "device": names.get(&lead.device), "lead": lead.code, "label": label(lead.code),
            "rate": [lead.rate.samples, lead.rate.seconds], "scale": lead.scale, "offset": lead.offset,
            "parts": parts.collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "metric": metric, "unit": metric.info().unit, "from": from, "to": to, "leads": rows.collect::<Vec<_>>(),
        "heart": heart::answer(metric, &leads),
    }))
}

fn names(records: &Records, id: ElderId) -> Answer<HashMap<DeviceId, String>> {
    let devices = records.devices_of(id).map_err(|error| ApiError::internal("waveforms", &error))?;
    Ok(devices.into_iter().map(|device| (device.id, device.name.to_string())).collect())
}

/// Word of a lead; a channel that a recording does not name has its number.
pub(crate) fn label(code: u32) -> Option<String> {
    let channel = || lead::channel_index(code).map(|index| format!("ch{}", index + 1));
    lead::label(code).map(str::to_owned).or_else(channel)
}

/// One lead of one device, as long as its rate and scale stay the same.
#[derive(Debug, PartialEq)]
pub(crate) struct Lead {
    pub(crate) device: DeviceId,
    pub(crate) code: u32,
    pub(crate) rate: Rate,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
    pub(crate) parts: Vec<Part>,
}

/// Samples without a gap.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) start: Time,
    pub(crate) counts: Vec<i16>,
}

impl Lead {
    fn has(&self, device: DeviceId, block: &Waveform) -> bool {
        (self.device, self.code, self.rate) == (device, block.lead, block.rate)
            && (self.scale.to_bits(), self.offset.to_bits()) == (block.scale.to_bits(), block.offset.to_bits())
    }

    /// Adds samples that begin at `start`. What another block told already is left out.
    fn add(&mut self, start: Time, counts: &[i16]) {
        let period = self.rate.offset_us(1).max(1);
        let Some(last) = self.parts.last_mut() else {
            return self.parts.push(Part { start, counts: counts.to_vec() });
        };
        let end = last.start.plus_us(self.rate.offset_us(last.counts.len()));
        let behind = start.since_us(end);
        if behind > JOIN_PERIODS * period {
            self.parts.push(Part { start, counts: counts.to_vec() });
        } else {
            let known = if behind < 0 { (-behind + period / 2) / period } else { 0 };
            last.counts.extend_from_slice(counts.get(known as usize..).unwrap_or_default());
        }
    }
}

/// Blocks, by start, put together and cut to the window.
fn leads(waves: Vec<Wave>, from: Time, to: Time) -> Vec<Lead> {
    let mut leads: Vec<Lead> = Vec::new();
    for Wave { device, block, .. } in waves {
        let inside = |i: &usize| (from..to).contains(&block.start.plus_us(block.rate.offset_us(*i)));
        let first = (0..block.counts.len()).find(inside);
        let Some(first) = first else { continue };
        let count = (first..block.counts.len()).take_while(inside).count();
        let start = block.start.plus_us(block.rate.offset_us(first));
        let known = leads.iter().position(|lead| lead.has(device, &block));
        let place = known.unwrap_or_else(|| {
            let (code, rate, scale, offset) = (block.lead, block.rate, block.scale, block.offset);
            leads.push(Lead { device, code, rate, scale, offset, parts: Vec::new() });
            leads.len() - 1
        });
        if let (Some(lead), Some(counts)) = (leads.get_mut(place), block.counts.get(first..first + count)) {
            lead.add(start, counts);
        }
    }
    // As a paper recording has them: by device, limb leads first.
    leads.sort_by_key(|lead| (lead.device, lead::place(lead.code)));
    leads
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn block(lead: u32, start_us: i64, counts: std::ops::Range<i16>) -> Wave {
        let block = Waveform {
            metric: Metric::Ecg,
            lead,
            start: Time(start_us),
            rate: Rate { samples: 10, seconds: 1 },
            scale: 1.0,
            offset: 0.0,
            counts: counts.collect(),
        };
        Wave { subject: Subject::Elder(ElderId(1)), device: DeviceId(1), block }
    }

    fn parts(waves: Vec<Wave>, from: i64, to: i64) -> Vec<(i64, Vec<i16>)> {
        let leads = leads(waves, Time(from), Time(to));
        assert!(leads.len() <= 1);
        leads.into_iter().flat_map(|lead| lead.parts).map(|part| (part.start.0, part.counts)).collect()
    }

    #[test]
    fn blocks_are_joined_and_gaps_stay() {
        let waves = vec![block(1, 0, 0..10), block(1, SECOND + 1_000, 10..20), block(1, 5 * SECOND, 50..60)];
        assert_eq!(
            parts(waves.clone(), 0, 10 * SECOND),
            [(0, (0..20).collect::<Vec<i16>>()), (5 * SECOND, (50..60).collect())]
        );
        // A window inside one block; and one in the gap.
        assert_eq!(parts(waves.clone(), 450_000, 800_000), [(500_000, vec![5, 6, 7])]);
        assert_eq!(parts(waves, 3 * SECOND, 4 * SECOND), []);
    }

    #[test]
    fn samples_told_twice_are_drawn_once() {
        // The strip of an alarm was cut elsewhere than the stream.
        let waves =
            vec![block(1, 0, 0..10), block(1, 500_000, 5..15), block(1, 700_000, 7..9), block(1, SECOND, 10..20)];
        assert_eq!(parts(waves, 0, 10 * SECOND), [(0, (0..20).collect::<Vec<i16>>())]);
    }

    #[test]
    fn leads_stand_in_the_order_of_the_paper() {
        let of = |word: &str| lead::from_label(word).unwrap();
        let waves =
            vec![block(of("V5"), 0, 0..2), block(of("aVR"), 0, 0..2), block(of("II"), 0, 0..2), block(0, 0, 0..2)];
        let order: Vec<u32> = leads(waves, Time(0), Time(SECOND)).iter().map(|lead| lead.code).collect();
        assert_eq!(order, [of("II"), of("aVR"), of("V5"), 0]);
    }

    #[test]
    fn a_window_has_a_limit_and_a_metric_a_shape() {
        let ask = |metric: &str, to: &str| {
            let query = Query { metric: metric.into(), from: "2026-11-22T00:00:00Z".into(), to: to.into() };
            check(&query, STRIP_S_MAX * 1_000_000).is_ok()
        };
        assert!(ask("ecg", "2026-11-22T00:01:00Z"));
        assert!(!ask("ecg", "2026-11-22T00:01:00.001Z"), "more than a minute");
        assert!(!ask("ecg", "2026-11-22T00:00:00Z"), "empty");
        assert!(!ask("heart_rate", "2026-11-22T00:01:00Z"), "no waveform");
    }
}
