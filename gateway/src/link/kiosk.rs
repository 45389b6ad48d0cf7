//! What a kiosk POSTs: a small JSON form, as the codecs' outcome. The form is described in `docs/devices.md`.

use codec::{Decoded, DeviceTime, Happened, Measured};
use model::entry::{EVENTS_MAX, SAMPLES_MAX};
use model::{EventKind, Metric, Name, Quality, Time};
use serde::Deserialize;

use crate::recording;

/// One POST.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    device: Option<Name>,
    person: Option<String>,
    #[serde(default)]
    stored: bool,
    #[serde(default)]
    readings: Vec<Reading>,
    #[serde(default)]
    events: Vec<Happening>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    metric: String,
    value: Option<f64>,
    unit: Option<String>,
    taken_at: Option<String>,
    quality: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Happening {
    kind: String,
    at: Option<String>,
}

/// Longest person's key, bytes.
const PERSON_BYTES_MAX: usize = 80;

/// Reads the form. The error says where and what was expected, and repeats no value.
pub(crate) fn decode(body: &[u8]) -> Result<(Option<Name>, Decoded), String> {
    let form: Form = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if form.readings.is_empty() && form.events.is_empty() {
        return Err("neither readings nor events".to_owned());
    }
    if form.readings.len() > SAMPLES_MAX || form.events.len() > EVENTS_MAX {
        return Err(format!("at most {SAMPLES_MAX} readings and {EVENTS_MAX} events"));
    }
    let mut decoded = Decoded { stored: form.stored, ..Decoded::default() };
    for (index, one) in form.readings.iter().enumerate() {
        decoded.readings.push(reading(one).map_err(|(key, what)| format!("readings[{index}].{key}: {what}"))?);
    }
    for (index, one) in form.events.iter().enumerate() {
        decoded.events.push(happened(one).map_err(|(key, what)| format!("events[{index}].{key}: {what}"))?);
    }
    if form.person.as_ref().is_some_and(|person| person.is_empty() || person.len() > PERSON_BYTES_MAX) {
        return Err(format!("person: 1 to {PERSON_BYTES_MAX} bytes"));
    }
    decoded.device.person = form.person;
    Ok((form.device, decoded))
}

type Fault = (&'static str, &'static str);

fn reading(told: &Reading) -> Result<Measured, Fault> {
    let metric = Metric::from_slug(&told.metric).ok_or(("metric", "a slug like heart_rate is expected"))?;
    let quality = match &told.quality {
        None if told.value.is_some() => Quality::Ok,
        None => Quality::Absent,
        Some(slug) => Quality::parse(slug).ok_or(("quality", "a slug like ok or motion is expected"))?,
    };
    let at = time("taken_at", told.taken_at.as_deref())?;
    let Some(value) = told.value else {
        return Ok(Measured::absent(metric, quality).at(at));
    };
    if !quality.has_value() {
        return Err(("value", "there can be none with this quality"));
    }
    let own = metric.info().unit;
    let measured = match told.unit.as_deref() {
        None => Measured::new(metric, value),
        Some(unit) if unit == own => Measured::new(metric, value),
        Some(unit) => {
            let (code, ucum) = recording::unit(unit).ok_or(("unit", "not known; leave it out for the metric's own"))?;
            let own = ::mqtt::wire::in_own_unit(metric, code, value).ok_or(("unit", "not a unit of this metric"))?;
            Measured::new(metric, own).raw(value, ucum)
        }
    };
    Ok(measured.doubted(quality).at(at))
}

fn happened(told: &Happening) -> Result<Happened, Fault> {
    let kind = EventKind::parse(&told.kind).ok_or(("kind", "a slug like sos or fall is expected"))?;
    Ok(Happened { at: time("at", told.at.as_deref())?, ..Happened::new(kind) })
}

/// RFC 3339 as a device's time.
fn time(key: &'static str, text: Option<&str>) -> Result<Option<DeviceTime>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let at = Time::parse(text).and_then(|at| jiff::Timestamp::from_microsecond(at.0).ok());
    let at = at.ok_or((key, "an RFC 3339 time like 2026-11-22T08:00:00+08:00 is expected"))?;
    Ok(Some(DeviceTime { wall: jiff::tz::Offset::UTC.to_datetime(at), offset_min: 0, suspect: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_with_everything_is_read() {
        let body = br#"{"device":"kiosk-1","person":"elder:7","readings":[
            {"metric":"systolic","value":18.9,"unit":"kPa","taken_at":"2026-11-22T08:00:00+08:00"},
            {"metric":"spo2","quality":"sensor_off"}],"events":[{"kind":"sos"}]}"#;
        let (device, decoded) = decode(body).unwrap();
        assert_eq!(device.unwrap().as_str(), "kiosk-1");
        let systolic = &decoded.readings[0];
        assert_eq!(systolic.value.map(|value| (value * 10.0).round()), Some(1_418.0));
        assert_eq!(systolic.raw.as_ref().map(|raw| (raw.text.as_str(), raw.unit)), Some(("18.9", "kPa")));
        assert_eq!(systolic.at.and_then(DeviceTime::instant), Time::parse("2026-11-22T00:00:00Z"));
        assert_eq!((decoded.readings[1].value, decoded.readings[1].quality), (None, Quality::SensorOff));
        assert_eq!(decoded.events[0].kind, EventKind::Sos);
    }

    #[test]
    fn errors_name_the_place_and_no_value() {
        for (body, says) in [
            (r#"{"readings":[{"metric":"hr","value":1}]}"#, "readings[0].metric"),
            (r#"{"readings":[{"metric":"heart_rate","value":1,"unit":"kg"}]}"#, "readings[0].unit"),
            (r#"{"readings":[{"metric":"heart_rate","value":1,"taken_at":"now"}]}"#, "readings[0].taken_at"),
            (r#"{"readings":[{"metric":"heart_rate","value":1,"quality":"sensor_off"}]}"#, "readings[0].value"),
            (r#"{"events":[{"kind":"x"}]}"#, "events[0].kind"),
            (r#"{"reading":[]}"#, "unknown field"),
            (r"{}", "neither"),
        ] {
            let error = decode(body.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_form_or_an_error(body: Vec<u8>) {
            let _ = decode(&body);
        }
    }
}
