//! What a frame says, once decoded.

use std::collections::BTreeMap;
use std::fmt;

use model::{EventKind, Metric, Quality};
use serde_json::{Value, json};

use crate::{DeviceTime, Stamp};

/// Everything one frame says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub readings: Vec<Measured>,
    pub events: Vec<Happened>,
    pub device: Facts,
    /// Bytes the device waits for. Sent only after what the frame said is durable.
    pub reply: Option<Vec<u8>>,
    /// The device kept this through a time without connection: history, not now.
    pub stored: bool,
}

/// One measured value, or its coded absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub metric: Metric,
    /// In the metric's unit. `None` when the quality says so.
    pub value: Option<f64>,
    pub quality: Quality,
    /// `None`: the device gave no time, or one that cannot be.
    pub at: Option<DeviceTime>,
    pub raw: Option<Raw>,
    /// The value is a bound: "below 0.5".
    pub bound: Option<Bound>,
    /// Where on the body, when it matters for judging.
    pub site: Option<Site>,
    /// The device's own number of this record: order and identity of stored records.
    pub sequence: Option<u32>,
}

/// A value as the device wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Its digits or word.
    pub text: String,
    /// UCUM unit (`kPa`, `kg/L`, `[lb_av]`, `1/1024.s`); empty when the device gave none.
    pub unit: &'static str,
}

/// The true value lies beyond the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// Body sites that change how a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    Wrist,
    Finger,
    Ear,
    Armpit,
    Mouth,
    Rectum,
    Forehead,
}

/// Something that happened at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    pub kind: EventKind,
    pub at: Option<DeviceTime>,
    /// The device's own code (error number, alarm bit).
    pub code: Option<u32>,
}

/// Where a device was. Personal data: never logged.
#[derive(Clone, Copy, PartialEq)]
pub struct Position {
    /// Degrees, WGS 84, north and east positive.
    pub lat: f64,
    pub lon: f64,
    /// The device had a satellite fix.
    pub fix: bool,
    pub at: Option<DeviceTime>,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Position").field("fix", &self.fix).finish_non_exhaustive()
    }
}

/// Facts about the device, as far as the frame tells.
#[derive(Clone, Default, PartialEq)]
pub struct Facts {
    /// The id it gives itself: an opaque text of its protocol.
    pub id: Option<String>,
    /// The person the device says it measured (sample or patient id, user index): a hint for attribution, never a default.
    pub person: Option<String>,
    pub position: Option<Position>,
    /// The device's own clock at the moment of sending, where the frame tells it.
    pub clock: Option<DeviceTime>,
    /// Counter that makes repeats of one advertisement recognisable.
    pub counter: Option<u32>,
    /// Everything else, under the protocol's own words: `command`, `model`, `sensor_contact`, `voltage`.
    pub other: BTreeMap<&'static str, Value>,
}

impl fmt::Debug for Facts {
    /// Without ids and places: facts may be about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Measured {
    /// A value in the metric's unit.
    pub fn new(metric: Metric, value: f64) -> Self {
        let (value, quality) =
            if value.is_finite() { (Some(value), Quality::Ok) } else { (None, Quality::SpecialValue) };
        Self { metric, value, quality, at: None, raw: None, bound: None, site: None, sequence: None }
    }

    /// A measurement without a value, and why. A cause that has a value counts as "absent".
    pub fn absent(metric: Metric, cause: Quality) -> Self {
        let quality = if cause.has_value() { Quality::Absent } else { cause };
        Self { value: None, quality, ..Self::new(metric, 0.0) }
    }

    #[must_use]
    pub fn at(self, at: Option<DeviceTime>) -> Self {
        Self { at, ..self }
    }

    /// With the time the frame says. A date that cannot be, or a clock that was never set, makes the value doubtful.
    #[must_use]
    pub fn stamped(self, stamp: Stamp) -> Self {
        match stamp {
            Stamp::Silent => self,
            Stamp::At(at) if !at.suspect => self.at(Some(at)),
            doubtful => self.at(doubtful.time()).doubted(Quality::ClockSuspect),
        }
    }

    /// Keeps what the device wrote.
    #[must_use]
    pub fn raw(self, text: impl fmt::Display, unit: &'static str) -> Self {
        Self { raw: Some(Raw { text: text.to_string(), unit }), ..self }
    }

    /// Doubt about a value that is present; absence stays absence, and the first doubt stands.
    #[must_use]
    pub fn doubted(self, quality: Quality) -> Self {
        if self.quality == Quality::Ok && quality.has_value() { Self { quality, ..self } } else { self }
    }

    /// The device itself says that its number means nothing: the value goes, its digits stay in `raw`.
    #[must_use]
    pub fn withheld(self, cause: Quality) -> Self {
        let absent = Self::absent(self.metric, cause);
        if self.value.is_none() { self } else { Self { value: None, quality: absent.quality, ..self } }
    }

    /// Doubts a value that no living person shows. Comes after other doubts about the value: a wrong unit explains more.
    #[must_use]
    pub fn plausible(self) -> Self {
        let possible = self.value.is_none_or(|value| self.metric.is_plausible(value));
        if possible { self } else { self.doubted(Quality::OutOfRange) }
    }
}

impl Happened {
    pub const fn new(kind: EventKind) -> Self {
        Self { kind, at: None, code: None }
    }
}

impl Bound {
    /// As laboratories write it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Site {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Wrist => "wrist",
            Self::Finger => "finger",
            Self::Ear => "ear",
            Self::Armpit => "armpit",
            Self::Mouth => "mouth",
            Self::Rectum => "rectum",
            Self::Forehead => "forehead",
        }
    }
}

impl Decoded {
    /// The JSON object that `vigil decode` prints. A time that the codec doubts stands in `device_time` alone.
    pub fn to_json(&self) -> Value {
        let readings: Vec<Value> = self.readings.iter().map(Measured::to_json).collect();
        let events: Vec<Value> = self.events.iter().copied().map(Happened::to_json).collect();
        let reply = self.reply.as_deref().map(hex);
        json!({ "readings": readings, "events": events, "device": self.device.to_json(), "stored": self.stored, "reply_hex": reply })
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        text + String::from_iter([digit(byte >> 4), digit(byte & 15)]).as_str()
    })
}

fn trusted(at: Option<DeviceTime>) -> Option<String> {
    at.filter(|at| !at.suspect && at.instant().is_some()).map(DeviceTime::rfc3339)
}

impl Measured {
    fn to_json(&self) -> Value {
        let mut out = json!({
            "metric": self.metric, "value": self.value, "unit": self.metric.info().unit,
            "taken_at": trusted(self.at), "quality": self.quality.slug(),
            "raw_unit": self.raw.as_ref().map(|raw| raw.unit), "raw_value": self.raw.as_ref().map(|raw| &raw.text),
        });
        put(&mut out, "device_time", self.at.map(DeviceTime::rfc3339));
        put(&mut out, "bound", self.bound.map(Bound::symbol));
        put(&mut out, "site", self.site.map(Site::slug));
        put(&mut out, "sequence", self.sequence);
        out
    }
}

impl Happened {
    fn to_json(self) -> Value {
        let mut out = json!({ "kind": self.kind.slug(), "at": trusted(self.at) });
        put(&mut out, "code", self.code);
        out
    }
}

impl Facts {
    fn to_json(&self) -> Value {
        let mut out = json!({});
        put(&mut out, "id", self.id.as_deref());
        put(&mut out, "person", self.person.as_deref());
        put(&mut out, "counter", self.counter);
        put(&mut out, "clock", self.clock.map(DeviceTime::rfc3339));
        put(
            &mut out,
            "position",
            self.position.map(|p| json!({ "lat": p.lat, "lon": p.lon, "fix": p.fix, "at": trusted(p.at) })),
        );
        for (name, value) in &self.other {
            put(&mut out, name, Some(value.clone()));
        }
        out
    }
}

fn put(out: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(value), Some(map)) = (value, out.as_object_mut()) {
        map.insert(name.to_owned(), value.into());
    }
}
