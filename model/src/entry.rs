//! What the journal holds, as bytes: the one binary form in which a frame travels from the front door to every reader.
//!
//! ```text
//! byte 0      kind (1 frame, 2 tick, 3 rules of older versions, 4 link, 5 aged, 6 frame with extras, 7 sounded, 8 moved,
//!             9 rules, 10 quiet)
//! frame       gateway u32, device u32, subject u32, lane u8, flags u8, epoch u32, seq u64, received i64,
//!             events u16 { kind u8, at i64 }*, samples u16 { metric u16, quality u8, dt varint, [value f64] }*
//! extras      (kind 6, after the samples) see `extra.rs`
//! tick        at i64
//! rules       kind 9: JSON of {elders, at, set}, no elders = default set; kind 3 (read only): elder u32 (0 = default set),
//!             at i64, postcard of the rule set as it was (`rule/v1.rs`)
//! quiet       JSON of Quiet
//! link        gateway u32, state u8, at i64
//! aged        aged u8 (0 or 1), at i64, elder u32*
//! sounded     JSON of Sounded
//! moved       subject it leaves u32, then a whole frame entry (kind 1 or 6) with the subject it goes to
//! ```
//! All little endian. `dt` is the zigzag varint distance in microseconds of `taken_at` from the sample before (the first:
//! from `received`). A value follows only when the quality has one. The journal adds length and checksum; this form has
//! neither. Decoding is strict: left-over or missing bytes are an error, never a panic.

use crate::rule::RuleSet;
use crate::rule::v1::RuleSetV1;
use crate::{
    DeviceId, ElderId, Event, EventKind, Extras, GatewayId, Lane, Metric, Quality, Quiet, Sample, Sounded, Subject,
    Time,
};

/// One journal entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Frame(Frame),
    /// Time passed. Timers of the engine run on these, so a replay of the log is a replay of the alarms.
    Tick(Time),
    /// From here on these rules judge these elders (none named: everybody without rules of their own).
    Rules {
        elders: Vec<ElderId>,
        at: Time,
        set: RuleSet,
    },
    /// Somebody or something is expected to be silent, or not to be judged, for a while.
    Quiet(Quiet),
    /// From here on these elders are (or, after a corrected birth date, are not) of the age from which the default rules
    /// are those of [`RuleSet::for_aged`].
    Aged {
        aged: bool,
        at: Time,
        elders: Vec<ElderId>,
    },
    /// A gateway sounded an alarm at the elder's place.
    Sounded(Sounded),
    /// A person decided whose a stored measurement is. The frame is the measurement as it was told, but for the subject it goes
    /// to, the time of the decision as `received_at`, and its events, which stay where they are.
    Moved {
        from: Subject,
        frame: Frame,
    },
    /// A gateway's connection came, went to sleep, or was lost.
    Link {
        gateway: GatewayId,
        state: LinkState,
        at: Time,
    },
}

/// One frame of one device, decoded, checked and attributed.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub gateway: GatewayId,
    pub device: DeviceId,
    pub subject: Subject,
    pub lane: Lane,
    pub flags: Flags,
    /// Outbox generation of the gateway.
    pub epoch: u32,
    /// Number within (gateway, epoch, lane).
    pub seq: u64,
    pub received_at: Time,
    pub events: Vec<Event>,
    pub samples: Vec<Sample>,
    /// Empty for nearly all frames; then the entry is one of kind 1.
    pub extras: Extras,
}

/// Bits of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Waited in an outbox through an outage.
    pub const HIST: u8 = 1;
    /// A test: stored, never paged.
    pub const TEST: u8 = 2;
    /// The device is under maintenance.
    pub const MAINTENANCE: u8 = 4;
    /// From a device that many people share: a binding of the device says nothing about who was measured.
    pub const SHARED: u8 = 8;

    pub const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LinkState {
    Up = 1,
    Sleeping = 2,
    Lost = 3,
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    #[error("the entry ends too early")]
    Short,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    #[error("unknown {what} {id}")]
    Unknown { what: &'static str, id: u64 },
    #[error("the rules do not decode")]
    Rules,
    #[error("the quiet period does not decode")]
    Quiet,
    #[error("what a gateway sounded does not decode")]
    Sounded,
    #[error("what travels beside the samples does not decode")]
    Extras,
}

/// Samples one frame may hold (facts: wire format).
pub const SAMPLES_MAX: usize = 1_000;
/// Elders one entry of ages may name.
pub const AGED_MAX: usize = 4_096;
/// Events one frame may hold.
pub const EVENTS_MAX: usize = 64;

const FRAME: u8 = 1;
const TICK: u8 = 2;
const RULES: u8 = 3;
const LINK: u8 = 4;
const AGED: u8 = 5;
const FRAME_EXTRAS: u8 = 6;
const SOUNDED: u8 = 7;
const MOVED: u8 = 8;
const RULES_JSON: u8 = 9;
const QUIET: u8 = 10;

/// Most elders one [`Entry::Rules`] names.
pub const RULES_ELDERS_MAX: usize = 10_000;

/// Body of kind 9.
#[derive(serde::Serialize, serde::Deserialize)]
struct RulesBody<'a> {
    elders: std::borrow::Cow<'a, [ElderId]>,
    at: Time,
    set: std::borrow::Cow<'a, RuleSet>,
}

impl Entry {
    /// Appends the entry's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Frame(frame) => frame.encode(out),
            Self::Tick(at) => {
                out.push(TICK);
                out.extend_from_slice(&at.0.to_le_bytes());
            }
            Self::Rules { elders, at, set } => {
                out.push(RULES_JSON);
                // Plain data with text keys: writing it to memory cannot fail.
                let body = RulesBody { elders: elders.into(), at: *at, set: std::borrow::Cow::Borrowed(set) };
                out.extend_from_slice(&serde_json::to_vec(&body).unwrap_or_default());
            }
            Self::Quiet(quiet) => {
                out.push(QUIET);
                out.extend_from_slice(&serde_json::to_vec(quiet).unwrap_or_default());
            }
            Self::Aged { aged, at, elders } => {
                out.push(AGED);
                out.push(u8::from(*aged));
                out.extend_from_slice(&at.0.to_le_bytes());
                for elder in elders {
                    out.extend_from_slice(&elder.0.to_le_bytes());
                }
            }
            Self::Sounded(sounded) => {
                out.push(SOUNDED);
                // Plain data with text keys: writing it to memory cannot fail.
                out.extend_from_slice(&serde_json::to_vec(sounded).unwrap_or_default());
            }
            Self::Moved { from, frame } => {
                out.push(MOVED);
                out.extend_from_slice(&from.to_u32().to_le_bytes());
                frame.encode(out);
            }
            Self::Link { gateway, state, at } => {
                out.push(LINK);
                out.extend_from_slice(&gateway.0.to_le_bytes());
                out.push(*state as u8);
                out.extend_from_slice(&at.0.to_le_bytes());
            }
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode(&mut out);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadEntry> {
        let mut cut = Cut(bytes);
        let entry = match cut.u8()? {
            kind @ (FRAME | FRAME_EXTRAS) => Self::Frame(Frame::decode(kind, &mut cut)?),
            MOVED => {
                let from = Subject::from_u32(cut.u32()?);
                let kind = cut.u8()?;
                Self::Moved { from, frame: Frame::decode(kind, &mut cut)? }
            }
            TICK => Self::Tick(Time(cut.i64()?)),
            RULES => {
                let elder = cut.u32()?;
                let at = Time(cut.i64()?);
                let set: RuleSetV1 = postcard::from_bytes(cut.rest()).map_err(|_| BadEntry::Rules)?;
                let elders = if elder == 0 { Vec::new() } else { vec![ElderId(elder)] };
                Self::Rules { elders, at, set: set.into() }
            }
            RULES_JSON => {
                let body: RulesBody<'_> = serde_json::from_slice(cut.rest()).map_err(|_| BadEntry::Rules)?;
                Self::Rules { elders: body.elders.into_owned(), at: body.at, set: body.set.into_owned() }
            }
            QUIET => Self::Quiet(serde_json::from_slice(cut.rest()).map_err(|_| BadEntry::Quiet)?),
            AGED => {
                let aged = match cut.u8()? {
                    0 => false,
                    1 => true,
                    id => return Err(BadEntry::Unknown { what: "age", id: id.into() }),
                };
                let at = Time(cut.i64()?);
                let mut elders = Vec::new();
                while !cut.0.is_empty() {
                    elders.push(ElderId(cut.u32()?));
                }
                Self::Aged { aged, at, elders }
            }
            SOUNDED => Self::Sounded(serde_json::from_slice(cut.rest()).map_err(|_| BadEntry::Sounded)?),
            LINK => {
                let gateway = GatewayId(cut.u32()?);
                let state = match cut.u8()? {
                    1 => LinkState::Up,
                    2 => LinkState::Sleeping,
                    3 => LinkState::Lost,
                    id => return Err(BadEntry::Unknown { what: "link state", id: id.into() }),
                };
                Self::Link { gateway, state, at: Time(cut.i64()?) }
            }
            id => return Err(BadEntry::Unknown { what: "entry kind", id: id.into() }),
        };
        if cut.0.is_empty() { Ok(entry) } else { Err(BadEntry::LeftOver(cut.0.len())) }
    }
}

impl Frame {
    /// Appends the frame as an entry. Samples beyond [`SAMPLES_MAX`] and events beyond [`EVENTS_MAX`] are a caller's bug.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.samples.len() <= SAMPLES_MAX && self.events.len() <= EVENTS_MAX);
        out.push(if self.extras.is_empty() { FRAME } else { FRAME_EXTRAS });
        out.extend_from_slice(&self.gateway.0.to_le_bytes());
        out.extend_from_slice(&self.device.0.to_le_bytes());
        out.extend_from_slice(&self.subject.to_u32().to_le_bytes());
        out.push(self.lane as u8);
        out.push(self.flags.0);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.received_at.0.to_le_bytes());
        out.extend_from_slice(&(self.events.len() as u16).to_le_bytes());
        for event in &self.events {
            out.push(event.kind.id());
            out.extend_from_slice(&event.at.0.to_le_bytes());
        }
        out.extend_from_slice(&(self.samples.len() as u16).to_le_bytes());
        let mut before = self.received_at;
        for sample in &self.samples {
            out.extend_from_slice(&sample.metric.id().to_le_bytes());
            out.push(sample.quality.id());
            push_varint(out, sample.taken_at.0.wrapping_sub(before.0));
            if let Some(value) = sample.value() {
                out.extend_from_slice(&value.to_le_bytes());
            }
            before = sample.taken_at;
        }
        if !self.extras.is_empty() {
            self.extras.encode(out);
        }
    }

    fn decode(kind: u8, cut: &mut Cut<'_>) -> Result<Self, BadEntry> {
        if !matches!(kind, FRAME | FRAME_EXTRAS) {
            return Err(BadEntry::Unknown { what: "kind of frame", id: kind.into() });
        }
        let gateway = GatewayId(cut.u32()?);
        let device = DeviceId(cut.u32()?);
        let subject = Subject::from_u32(cut.u32()?);
        let lane = cut.u8()?;
        let lane = Lane::from_u8(lane).ok_or(BadEntry::Unknown { what: "lane", id: lane.into() })?;
        let flags = Flags(cut.u8()?);
        let epoch = cut.u32()?;
        let seq = cut.u64()?;
        let received_at = Time(cut.i64()?);
        let count = cut.u16()?;
        let mut events = Vec::with_capacity(usize::from(count).min(EVENTS_MAX));
        for _ in 0..count {
            let kind = cut.u8()?;
            let kind = EventKind::from_id(kind).ok_or(BadEntry::Unknown { what: "event", id: kind.into() })?;
            events.push(Event { kind, at: Time(cut.i64()?) });
        }
        let count = cut.u16()?;
        let mut samples = Vec::with_capacity(usize::from(count).min(SAMPLES_MAX));
        let mut before = received_at;
        for _ in 0..count {
            let sample = cut.sample(before)?;
            before = sample.taken_at;
            samples.push(sample);
        }
        let extras = if kind == FRAME_EXTRAS { Extras::decode(cut)? } else { Extras::default() };
        Ok(Self { gateway, device, subject, lane, flags, epoch, seq, received_at, events, samples, extras })
    }
}

pub(crate) fn push_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The bytes not read yet.
pub(crate) struct Cut<'a>(pub(crate) &'a [u8]);

impl<'a> Cut<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], BadEntry> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(BadEntry::Short)?;
        self.0 = rest;
        Ok(*head)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, BadEntry> {
        self.take::<1>().map(|[byte]| byte)
    }
    pub(crate) fn u16(&mut self) -> Result<u16, BadEntry> {
        self.take().map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self) -> Result<u32, BadEntry> {
        self.take().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64, BadEntry> {
        self.take().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Result<i64, BadEntry> {
        self.take().map(i64::from_le_bytes)
    }
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], BadEntry> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(BadEntry::Short)?;
        self.0 = rest;
        Ok(head)
    }
    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
    pub(crate) fn varint(&mut self) -> Result<i64, BadEntry> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        Err(BadEntry::Unknown { what: "varint", id: raw })
    }
    fn sample(&mut self, before: Time) -> Result<Sample, BadEntry> {
        let metric = self.u16()?;
        let metric = Metric::from_id(metric).ok_or(BadEntry::Unknown { what: "metric", id: metric.into() })?;
        let quality = self.u8()?;
        let quality = Quality::from_id(quality).ok_or(BadEntry::Unknown { what: "quality", id: quality.into() })?;
        let taken_at = Time(before.0.wrapping_add(self.varint()?));
        Ok(if quality.has_value() {
            Sample::new(metric, taken_at, f64::from_le_bytes(self.take()?), quality)
        } else {
            Sample::absent(metric, taken_at, quality)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClockPair, Origin, Rate, Waveform};
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let one =
            (0..Metric::ALL.len(), 0..Quality::ALL.len(), -1_000_000_000_000_i64..4_000_000_000_000_000, -1e6..1e6_f64)
                .prop_map(|(m, q, at, v)| Sample::new(Metric::ALL[m], Time(at), v, Quality::ALL[q]));
        proptest::collection::vec(one, 0..40)
    }

    fn extras(at: i64) -> Extras {
        let clock = ClockPair { device: 5, gateway: Time(at), sync: 532_224, uncertainty_ms: 1_000 };
        let raw = Some(("18.9".to_owned(), "kPa".to_owned()));
        let origin = Origin { index: 0, raw, device_ms: Some(-5), uncertainty_ms: None };
        let rate = Rate { samples: 250, seconds: 1 };
        let counts = vec![1, -1, i16::MAX, i16::MIN];
        let wave = Waveform { metric: Metric::Ecg, lead: 0, start: Time(at), rate, scale: 0.005, offset: 1.0, counts };
        Extras { clock: Some(clock), origins: vec![origin], waveforms: vec![wave] }
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_was(samples in samples(), seq: u64, epoch: u32, received in 0..2_000_000_000_000_000_i64) {
            let frame = Frame {
                gateway: GatewayId(3), device: DeviceId(9), subject: Subject::Elder(ElderId(7)), lane: Lane::Vit,
                flags: Flags(1), epoch, seq, received_at: Time(received),
                events: vec![Event { kind: EventKind::Sos, at: Time(received) }], samples, extras: Extras::default(),
            };
            let entry = Entry::Frame(frame.clone());
            prop_assert_eq!(Entry::decode(&entry.to_bytes()).unwrap(), entry);
            let entry = Entry::Frame(Frame { extras: extras(received), ..frame });
            let bytes = entry.to_bytes();
            prop_assert_eq!(&Entry::decode(&bytes).unwrap(), &entry);
            prop_assert!(Entry::decode(&bytes[..bytes.len() - 1]).is_err());
            let Entry::Frame(frame) = entry else { unreachable!() };
            let moved = Entry::Moved { from: Subject::Unattributed(DeviceId(9)), frame };
            prop_assert_eq!(Entry::decode(&moved.to_bytes()).unwrap(), moved);
        }

        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }
    }

    #[test]
    fn the_small_kinds_come_back() {
        let set = RuleSet { name: "x".into(), version: 2, source: String::new(), rules: vec![] };
        for entry in [
            Entry::Tick(Time(5)),
            Entry::Rules { elders: vec![ElderId(4)], at: Time(1), set },
            Entry::Link { gateway: GatewayId(1), state: LinkState::Lost, at: Time(2) },
            Entry::Sounded(Sounded {
                gateway: GatewayId(1),
                device: DeviceId(2),
                subject: Subject::Unattributed(DeviceId(2)),
                rule: "sos".into(),
                priority: crate::Priority::P1,
                kind: crate::AlarmKind::Event { kind: EventKind::Sos },
                started_at: Time(1_800_000_000_123_456),
                sounded_at: Time(4),
                by: "gpio".into(),
                ok: true,
                at: Time(5),
            }),
        ] {
            let bytes = entry.to_bytes();
            assert_eq!(Entry::decode(&bytes).unwrap(), entry);
            for cut in 0..bytes.len() {
                assert!(Entry::decode(&bytes[..cut]).is_err(), "{entry:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn ages_come_back() {
        for elders in [vec![], vec![ElderId(4)], vec![ElderId(4), ElderId(70_000)]] {
            let bytes = Entry::Aged { aged: true, at: Time(3), elders: elders.clone() }.to_bytes();
            assert_eq!(Entry::decode(&bytes), Ok(Entry::Aged { aged: true, at: Time(3), elders }));
            assert!(Entry::decode(&bytes[..9]).is_err());
        }
    }
}
