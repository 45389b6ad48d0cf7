//! The frame: 1..N samples and events of one device, as JSON or CBOR of one model, told apart by the first byte.
//!
//! ```text
//! { v:1, e:epoch, s:seq, gt:gateway_ms, f:flags, b:binding|null, ck:{d,g,q},
//!   m:[[mdc, dt_ms, value|null, unit_mdc, quality, n], ..],     dt relative to gt, may be negative
//!   ev:[[slug, dt_ms, n], ..], p:person_key, nt:["{note}", ..],
//!   o:[[i, raw|null, unit|null, device_ms|null, uncertainty_ms|null], ..],     i is the place of the sample in m
//!   w:{mdc, lead, t0, hz:[samples, seconds], scale, offset, enc:"i16d", data} or an array of such,
//!   x:crc32c }                                                   x is the last field, over all bytes before its key
//! ```
//! `ck` is `{d, g, q, u}`: device clock, gateway clock, sync code, uncertainty in ms. `data` holds the differences of the
//! counts as zigzag varints: bytes in CBOR, base64 in JSON. A note is the text of a JSON object in both forms.
//!
//! Of `m` only code and dt are required: a missing (or 0) unit is the metric's own, a missing quality is `ok` beside a
//! value and `absent` without one, a missing `n` is 0. Quality and event are a slug or an id in both forms; we write
//! qualities as slugs in JSON and ids in CBOR. Unknown fields are ignored; an unknown metric or event is skipped and
//! counted, because one new sensor must not cost the other twenty-nine readings of its frame.
//!
//! What is deliberately absent: who the device is and whose the reading is. That is ingest's.

mod cbor;
mod encode;
mod extra;
mod json;
mod rate;
mod unit;

pub use encode::{encode_cbor, encode_json};
pub use rate::{bench_decode_rate, typical_frame};
pub use unit::in_own_unit;

pub use model::ClockPair;
use model::entry::{EVENTS_MAX, Flags, SAMPLES_MAX};
use model::extra::WAVEFORMS_MAX;
use model::note::{NOTE_MAX, NOTES_MAX};
use model::{Event, EventKind, Metric, Origin, Quality, Sample, Time, Waveform};

/// Version of topics and frames.
pub const VERSION: u64 = 1;
/// Longest payload of a frame, bytes.
pub const PAYLOAD_MAX: usize = 64 * 1024;
/// Widest distance between the oldest and the newest time in one frame, microseconds (24 h).
pub const SPAN_MAX_US: i64 = 24 * 3600 * 1_000_000;
/// `n` numbers readings of one metric at one device time; it becomes microseconds, so it stays below one millisecond.
pub const N_MAX: u64 = 999;

/// One decoded frame. Reusable: [`decode_into`] clears it and keeps its buffers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireFrame {
    /// Generation of the gateway's outbox.
    pub epoch: u32,
    /// Number within (gateway, epoch, lane).
    pub seq: u64,
    /// The gateway's clock when it closed the frame, whole milliseconds.
    pub gateway_time: Time,
    pub flags: Flags,
    /// Which binding of an elder to the device the gateway believes in.
    pub binding: Option<u64>,
    /// Device clock and gateway clock read at one moment; sent when it changed.
    pub clock: Option<ClockPair>,
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
    /// Samples whose MDC code is not in the metric table: skipped.
    pub unknown_metrics: u32,
    /// Events whose slug or id is not known: skipped.
    pub unknown_events: u32,
    /// Samples whose value was converted from another known unit.
    pub converted: u32,
    /// Which person was measured, as the gateway's session knows it: `elder:`, `card:` or `qr:` and a key.
    pub person: Option<String>,
    /// Where samples' values and times come from. `index` is the place in [`WireFrame::samples`].
    pub origins: Vec<Origin>,
    pub waveforms: Vec<Waveform>,
    /// Why a block of `w` could not be read; the rest of the frame stands.
    pub bad_waveform: Option<&'static str>,
    /// Texts of gateway notes ([`model::Note`]), not parsed here: one that this version does not know is still kept.
    pub notes: Vec<String>,
}

/// Why bytes are not a frame. The frame is kept and can be replayed after a fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the payload is empty")]
    Empty,
    #[error("the payload has {0} bytes, more than {PAYLOAD_MAX}")]
    TooLong(usize),
    #[error("the payload ends in the middle")]
    Truncated,
    #[error("not a frame: {what} at byte {at}")]
    Shape { what: &'static str, at: usize },
    #[error("frame version {0} is not known here (known: {VERSION})")]
    Version(u64),
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("field {0} stands twice")]
    Twice(&'static str),
    #[error("quality {0} is not known")]
    Quality(Box<str>),
    #[error("n is {0}, more than {N_MAX}")]
    N(u64),
    #[error("more than {SAMPLES_MAX} samples")]
    Samples,
    #[error("more than {EVENTS_MAX} events")]
    Events,
    #[error("a time lies outside 1900..9999")]
    Time,
    #[error("oldest and newest time are more than 24 h apart")]
    Span,
    #[error("{what} is longer than {max} bytes")]
    Text { what: &'static str, max: usize },
    #[error("more than {NOTES_MAX} notes")]
    Notes,
    #[error("an origin names a sample that is not there, or one twice")]
    Origin,
    #[error("the checksum is {found:08x}, the bytes give {computed:08x}")]
    Checksum { found: u32, computed: u32 },
}

impl Malformed {
    /// One word for counters and the quarantine's cause column.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong(_) => "too_long",
            Self::Truncated => "truncated",
            Self::Shape { .. } => "shape",
            Self::Version(_) => "version",
            Self::Missing(_) => "missing_field",
            Self::Twice(_) => "field_twice",
            Self::Quality(_) => "unknown_quality",
            Self::N(_) => "n",
            Self::Samples => "too_many_samples",
            Self::Events => "too_many_events",
            Self::Time => "time",
            Self::Span => "span",
            Self::Text { .. } => "long_text",
            Self::Notes => "too_many_notes",
            Self::Origin => "origin",
            Self::Checksum { .. } => "checksum",
        }
    }
}

/// Decodes a payload.
pub fn decode(payload: &[u8]) -> Result<WireFrame, Malformed> {
    let mut frame = WireFrame::default();
    decode_into(payload, &mut frame)?;
    Ok(frame)
}

/// Decodes into a frame that is used again and again. After an error its content means nothing.
pub fn decode_into(payload: &[u8], frame: &mut WireFrame) -> Result<(), Malformed> {
    if payload.len() > PAYLOAD_MAX {
        return Err(Malformed::TooLong(payload.len()));
    }
    let mut draft = Draft::new(frame);
    match payload.first() {
        None => return Err(Malformed::Empty),
        Some(b'{') => json::decode(payload, &mut draft)?,
        Some(_) => cbor::decode(payload, &mut draft)?,
    }
    draft.finish()
}

/// The fields of the top map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Version,
    Epoch,
    Seq,
    GatewayTime,
    Flags,
    Binding,
    Clock,
    Samples,
    Events,
    Waveform,
    Person,
    Origins,
    Notes,
    Checksum,
    Other,
}

impl Key {
    fn parse(text: &str) -> Self {
        match text {
            "v" => Self::Version,
            "e" => Self::Epoch,
            "s" => Self::Seq,
            "gt" => Self::GatewayTime,
            "f" => Self::Flags,
            "b" => Self::Binding,
            "ck" => Self::Clock,
            "m" => Self::Samples,
            "ev" => Self::Events,
            "w" => Self::Waveform,
            "p" => Self::Person,
            "o" => Self::Origins,
            "nt" => Self::Notes,
            "x" => Self::Checksum,
            _ => Self::Other,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Version => "v",
            Self::Epoch => "e",
            Self::Seq => "s",
            Self::GatewayTime => "gt",
            Self::Flags => "f",
            Self::Binding => "b",
            Self::Clock => "ck",
            Self::Samples => "m",
            Self::Events => "ev",
            Self::Waveform => "w",
            Self::Person => "p",
            Self::Origins => "o",
            Self::Notes => "nt",
            Self::Checksum => "x",
            Self::Other => "",
        }
    }
}

/// One element of `m` as it stood on the wire.
#[derive(Default)]
struct Row {
    mdc: u32,
    dt_ms: i64,
    value: Option<f64>,
    unit: u32,
    quality: Option<Quality>,
    n: u64,
}

/// Longest person key, bytes.
pub const PERSON_MAX: usize = 80;

/// A frame being filled. Times of samples and events are relative to the gateway's until [`Draft::finish`].
struct Draft<'f> {
    frame: &'f mut WireFrame,
    seen: u16,
    /// Where each row of `m` went; empty while all rows are known. Unknown metrics are skipped, and origins count rows.
    places: Vec<Option<u16>>,
}

impl<'f> Draft<'f> {
    fn new(frame: &'f mut WireFrame) -> Self {
        let (mut samples, mut events) = (std::mem::take(&mut frame.samples), std::mem::take(&mut frame.events));
        samples.clear();
        events.clear();
        *frame = WireFrame { samples, events, ..WireFrame::default() };
        Self { frame, seen: 0, places: Vec::new() }
    }

    fn enter(&mut self, key: Key) -> Result<(), Malformed> {
        let bit = 1 << key as u16;
        if key != Key::Other && self.seen & bit != 0 {
            return Err(Malformed::Twice(key.text()));
        }
        self.seen |= bit;
        Ok(())
    }

    fn push(&mut self, row: &Row) -> Result<(), Malformed> {
        let Some(metric) = Metric::from_mdc(row.mdc) else {
            if self.places.is_empty() {
                self.places = (0..self.frame.samples.len()).map(|place| Some(place as u16)).collect();
            }
            self.places.push(None);
            self.frame.unknown_metrics += 1;
            // Rows nobody knows are bounded by the payload's length.
            return Ok(());
        };
        if !self.places.is_empty() {
            self.places.push(Some(self.frame.samples.len() as u16));
        }
        if self.frame.samples.len() == SAMPLES_MAX {
            return Err(Malformed::Samples);
        }
        let taken_at = relative(row.dt_ms, row.n)?;
        let sample = match row.value {
            None => Sample::absent(metric, taken_at, row.quality.unwrap_or(Quality::Absent)),
            Some(value) => {
                let mut quality = row.quality.unwrap_or(Quality::Ok);
                let value = match unit::to_own(metric, row.unit, value) {
                    unit::Fit::Own => value,
                    unit::Fit::Converted(value) => {
                        self.frame.converted += 1;
                        value
                    }
                    unit::Fit::Unknown => {
                        if quality.is_judged() {
                            quality = Quality::UnitSuspect;
                        }
                        value
                    }
                };
                Sample::new(metric, taken_at, value, quality)
            }
        };
        self.frame.samples.push(sample);
        Ok(())
    }

    fn push_event(&mut self, kind: Option<EventKind>, dt_ms: i64, n: u64) -> Result<(), Malformed> {
        let Some(kind) = kind else {
            self.frame.unknown_events += 1;
            return Ok(());
        };
        if self.frame.events.len() == EVENTS_MAX {
            return Err(Malformed::Events);
        }
        self.frame.events.push(Event { kind, at: relative(dt_ms, n)? });
        Ok(())
    }

    /// Required fields, absolute times, limits.
    fn finish(mut self) -> Result<(), Malformed> {
        for key in [Key::Version, Key::Epoch, Key::Seq, Key::GatewayTime] {
            if self.seen & (1 << key as u16) == 0 {
                return Err(Malformed::Missing(key.text()));
            }
        }
        self.place_origins()?;
        let gt = self.frame.gateway_time.0;
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        let samples = self.frame.samples.iter_mut().map(|sample| &mut sample.taken_at);
        for at in samples.chain(self.frame.events.iter_mut().map(|event| &mut event.at)) {
            at.0 = gt.checked_add(at.0).ok_or(Malformed::Time)?;
            oldest = oldest.min(at.0);
            newest = newest.max(at.0);
        }
        for wave in &self.frame.waveforms {
            oldest = oldest.min(wave.start.0);
            newest = newest.max(wave.end().0);
        }
        if oldest > newest {
            return Ok(());
        }
        if oldest < Time::MIN.0 || newest > Time::MAX.0 {
            return Err(Malformed::Time);
        }
        if newest - oldest > SPAN_MAX_US {
            return Err(Malformed::Span);
        }
        Ok(())
    }
}

fn relative(dt_ms: i64, n: u64) -> Result<Time, Malformed> {
    if n > N_MAX {
        return Err(Malformed::N(n));
    }
    dt_ms.checked_mul(1_000).and_then(|us| us.checked_add(n as i64)).map(Time).ok_or(Malformed::Time)
}

fn time_of_millis(ms: i64) -> Result<Time, Malformed> {
    let time = Time::from_millis(ms);
    if (Time::MIN..=Time::MAX).contains(&time) { Ok(time) } else { Err(Malformed::Time) }
}

fn check_sum(payload: &[u8], key_at: usize, found: u32) -> Result<(), Malformed> {
    let computed = crc32c::crc32c(&payload[..key_at]);
    if computed == found { Ok(()) } else { Err(Malformed::Checksum { found, computed }) }
}

#[cfg(test)]
mod tests;
