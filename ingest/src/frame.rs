//! From the payload of one publish to the bytes of one journal entry: decode, guard, attribute. Pure but for the registry's view.

use std::time::Duration;

use bytes::Bytes;
use model::entry::{Entry, Flags, Frame, LinkState};
use model::{
    ClockPair, DeviceId, ElderId, Event, Extras, GatewayId, Lane, Name, Quality, Sample, Subject, Time, Waveform,
};
use mqtt::door::{Identity, Publish};
use mqtt::topic::{SELF, Topic};
use mqtt::{thingsboard, wire};
use store::readings;
use store::records::NewMeasurement;

use crate::ledger::FrameKey;
use crate::stats::{Counters, add};
use crate::view::{Unknown, View};

/// What one publish turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Prepared {
    /// An entry for the journal.
    Entry(Ready),
    /// Nothing to store and nothing wrong (a removed state).
    Nothing,
    /// The registry does not know this device of the gateway yet.
    UnknownDevice(Name),
    /// Does not decode. Goes to quarantine.
    Malformed(Refused),
    /// An entry for the journal; the frame holds more than this version stores, so it goes to quarantine too.
    Partly(Ready, Refused),
    /// As `Entry`, with notes of the gateway, of which the records hear first.
    Notes(Ready, Vec<String>),
    /// A topic that carries no frames.
    WrongTopic,
}

impl Prepared {
    pub(crate) const fn too_many_devices(detail: String) -> Self {
        Self::Malformed(Refused::new("too_many_devices", detail))
    }
}

/// Why a frame goes to quarantine, and its name if it told one.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) key: Option<FrameKey>,
}

impl Refused {
    pub(crate) const fn new(code: &'static str, detail: String) -> Self {
        Self { code, detail, key: None }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Ready {
    pub(crate) bytes: Vec<u8>,
    /// Entries that become durable with it: what the gateway's notes mean.
    pub(crate) more: Vec<Vec<u8>>,
    pub(crate) lane: Lane,
    /// `None` for dialects without numbers.
    pub(crate) key: Option<FrameKey>,
    pub(crate) tally: Tally,
    /// A gateway's birth: it is told the time once this is durable.
    pub(crate) birth: Option<GatewayId>,
    /// What the desk writes down before the entry goes to the journal.
    pub(crate) keep: Option<Box<Keep>>,
}

/// What belongs into the records beside the journal.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Keep {
    /// A measurement of a shared device.
    pub(crate) measurement: Option<NewMeasurement>,
    pub(crate) clock: Option<(DeviceId, ClockPair)>,
}

/// What the entry adds to the counters once it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) readings: u64,
    pub(crate) events: u64,
    pub(crate) unattributed: bool,
    blocks: u64,
    out_of_range: u64,
    clock_suspect: u64,
    clock_suspect_events: u64,
    clock_suspect_blocks: u64,
    unknown_metrics: u64,
}

impl Tally {
    pub(crate) fn count(&self, counters: &Counters) {
        add(&counters.frames, 1);
        add(&counters.readings, self.readings);
        add(&counters.events, self.events);
        add(&counters.unattributed_frames, u64::from(self.unattributed));
        add(&counters.out_of_range_readings, self.out_of_range);
        add(&counters.clock_suspect_readings, self.clock_suspect);
        add(&counters.clock_suspect_events, self.clock_suspect_events);
        add(&counters.waveform_blocks, self.blocks);
        add(&counters.clock_suspect_blocks, self.clock_suspect_blocks);
        add(&counters.unknown_metrics, self.unknown_metrics);
    }
}

/// Prepares one publish of a client.
pub(crate) fn prepare(view: &View, from: &Identity, publish: &Publish, future_max: Duration) -> Prepared {
    match Topic::parse(&publish.topic) {
        Ok(Topic::Up { lane, device, .. }) => {
            let mut frame = wire::WireFrame::default();
            let decoded = wire::decode_into(&publish.payload, &mut frame);
            let key = FrameKey { gateway: from.gateway, lane, epoch: frame.epoch, seq: frame.seq };
            if let Err(bad) = decoded {
                // Numbers read before the fault only help whoever looks for the frame.
                let key = (frame.epoch != 0 && frame.seq != 0).then_some(key);
                return Prepared::Malformed(Refused { key, ..Refused::new(bad.code(), bad.to_string()) });
            }
            let bad_block = kept_blocks(&mut frame).map(|why| waveform(key, why));
            if let Some(refused) = bad_block.as_ref()
                && frame.samples.is_empty()
                && frame.events.is_empty()
                && frame.waveforms.is_empty()
            {
                return Prepared::Malformed(Refused { detail: refused.detail.clone(), ..*refused });
            }
            let content = Content {
                lane,
                flags: frame.flags,
                key: Some(key),
                person: frame.person,
                samples: frame.samples,
                events: frame.events,
                extras: Extras { clock: frame.clock, origins: frame.origins, waveforms: frame.waveforms },
                unknown: frame.unknown_metrics + frame.unknown_events,
            };
            match (content.prepare(view, from.gateway, device, publish.received_at, future_max), bad_block) {
                (Prepared::Entry(ready), Some(refused)) => Prepared::Partly(ready, refused),
                (Prepared::Entry(ready), None) if !frame.notes.is_empty() => Prepared::Notes(ready, frame.notes),
                (prepared, _) => prepared,
            }
        }
        Ok(Topic::Telemetry) => match thingsboard::decode(&publish.payload, publish.received_at) {
            Err(bad) => Prepared::Malformed(Refused::new(bad.code(), bad.to_string())),
            Ok(told) => {
                let lane = told.events.iter().map(|event| event.kind.lane()).min().unwrap_or(Lane::Vit);
                let content = Content {
                    lane,
                    flags: Flags::default(),
                    key: None,
                    person: None,
                    samples: told.samples,
                    events: told.events,
                    extras: Extras::default(),
                    unknown: told.unknown_keys,
                };
                content.prepare(view, from.gateway, SELF, publish.received_at, future_max)
            }
        },
        Ok(Topic::State { .. }) => link(from.gateway, publish),
        Ok(Topic::Down { .. }) | Err(_) => Prepared::WrongTopic,
    }
}

/// Leaves the blocks that can be stored. Why another cannot, if there is one.
fn kept_blocks(frame: &mut wire::WireFrame) -> Option<&'static str> {
    let mut why = frame.bad_waveform;
    frame.waveforms.retain(|block| match readings::problem(block) {
        Some(problem) => {
            why.get_or_insert(problem);
            false
        }
        None => true,
    });
    why
}

/// A block of the frame cannot be stored: the frame is kept whole until a version that can replays it.
fn waveform(key: FrameKey, why: &str) -> Refused {
    Refused { key: Some(key), ..Refused::new(WAVEFORM, format!("a block of the waveform cannot be stored: {why}")) }
}

/// Code of a frame whose waveform, or a block of it, could not be stored; the rest of the frame was.
pub(crate) const WAVEFORM: &str = "waveform";

struct Content {
    lane: Lane,
    flags: Flags,
    key: Option<FrameKey>,
    /// Who was measured, as the gateway's session knows it.
    person: Option<String>,
    samples: Vec<Sample>,
    events: Vec<Event>,
    extras: Extras,
    unknown: u32,
}

impl Content {
    fn prepare(
        self,
        view: &View,
        gateway: GatewayId,
        device: &str,
        received_at: Time,
        future_max: Duration,
    ) -> Prepared {
        let mut tally = Tally { unknown_metrics: self.unknown.into(), ..Tally::default() };
        let latest = received_at + future_max;
        let samples: Vec<Sample> =
            self.samples.into_iter().map(|s| guard(s, received_at, latest, &mut tally)).collect();
        let mut events = self.events;
        for event in &mut events {
            // An SOS of a gateway whose clock was never set is an SOS of now, not of 1970.
            if event.at > latest || event.at < EARLIEST {
                event.at = received_at;
                tally.clock_suspect_events += 1;
            }
        }
        let mut extras = self.extras;
        for block in &mut extras.waveforms {
            guard_block(block, received_at, latest, &mut tally);
        }
        let starts = extras.waveforms.iter().map(|block| block.start);
        let times = samples.iter().map(|sample| sample.taken_at).chain(events.iter().map(|event| event.at));
        let at = times.chain(starts).min();
        let at = at.unwrap_or(received_at);
        let Some((device, bound)) = view.attribute(gateway, device, at) else {
            // The topic's parser has checked that this is a name.
            return Name::new(device).map_or(Prepared::WrongTopic, Prepared::UnknownDevice);
        };
        // A device that many people share is nobody's, whoever it may be bound to.
        let shared = self.flags.has(Flags::SHARED) || self.person.is_some();
        let told = shared.then(|| view.person(self.person.as_deref()));
        let subject = match &told {
            None => bound,
            Some(Ok(elder)) => Subject::Elder(*elder),
            Some(Err(_)) => Subject::Unattributed(device),
        };
        tally.readings = samples.len() as u64;
        tally.events = events.len() as u64;
        tally.blocks = extras.waveforms.len() as u64;
        tally.unattributed = matches!(subject, Subject::Unattributed(_));
        let (epoch, seq) = self.key.map_or((0, 0), |key| (key.epoch, key.seq));
        let (lane, flags) = (self.lane, self.flags);
        let frame = Frame { gateway, device, subject, lane, flags, epoch, seq, received_at, events, samples, extras };
        let mut bytes = Vec::with_capacity(48 + 14 * frame.samples.len() + 9 * frame.events.len());
        frame.encode(&mut bytes);
        let keep = keep(&frame, told, at, &bytes);
        Prepared::Entry(Ready { bytes, more: Vec::new(), lane: self.lane, key: self.key, tally, birth: None, keep })
    }
}

/// What the desk has to write down. Nothing for what is urgent: an SOS waits for no database.
fn keep(frame: &Frame, told: Option<Result<ElderId, Unknown>>, taken_at: Time, bytes: &[u8]) -> Option<Box<Keep>> {
    if matches!(frame.lane, Lane::Sos | Lane::Evt) || frame.epoch == 0 {
        return None;
    }
    // The waveform of somebody who is known needs no line of its own: it is beside their values.
    let counts = !frame.samples.is_empty() || (matches!(told, Some(Err(_))) && !frame.extras.waveforms.is_empty());
    let measurement = told.filter(|_| counts).map(|told| {
        let (elder, unknown) = match told {
            Ok(elder) => (Some(elder), None),
            Err(unknown) => (None, Some(unknown)),
        };
        NewMeasurement {
            gateway: frame.gateway,
            lane: frame.lane,
            epoch: frame.epoch,
            seq: frame.seq,
            device: frame.device,
            taken_at,
            received_at: frame.received_at,
            elder,
            cause: unknown.as_ref().map(|unknown| unknown.why.slug()),
            unknown_key: unknown.and_then(|unknown| unknown.key),
            frame: bytes.to_vec(),
        }
    });
    let clock = frame.extras.clock.map(|pair| (frame.device, pair));
    (measurement.is_some() || clock.is_some()).then(|| Box::new(Keep { measurement, clock }))
}

/// 2001-01-01: before it, a clock that was never set.
pub(crate) const EARLIEST: Time = Time::from_secs(978_307_200);

/// A time that cannot be (year 1970, the future) is replaced by the time of arrival and said to be suspect; a value that
/// cannot be is kept and marked.
fn guard(sample: Sample, received_at: Time, latest: Time, tally: &mut Tally) -> Sample {
    let mut sample = sample.guarded();
    tally.out_of_range += u64::from(sample.quality == Quality::OutOfRange);
    if sample.taken_at > latest || sample.taken_at < EARLIEST {
        sample.taken_at = received_at;
        tally.clock_suspect += 1;
        if sample.quality.is_judged() {
            sample.quality = Quality::ClockSuspect;
        }
    }
    sample
}

/// A block of an impossible time is taken to end at its arrival.
fn guard_block(block: &mut Waveform, received_at: Time, latest: Time, tally: &mut Tally) {
    if block.end() > latest || block.start < EARLIEST {
        block.start = received_at.plus_us(-block.rate.offset_us(block.counts.len()));
        tally.clock_suspect_blocks += 1;
    }
}

/// A birth, a planned sleep or a will: `{"state":"up|sleeping|lost", ..}`.
fn link(gateway: GatewayId, publish: &Publish) -> Prepared {
    #[derive(serde::Deserialize)]
    struct State {
        state: String,
    }
    if publish.payload.is_empty() {
        return Prepared::Nothing;
    }
    let state = match serde_json::from_slice::<State>(&publish.payload) {
        Ok(state) => state.state,
        Err(error) => return Prepared::Malformed(Refused::new("state", format!("the state is not JSON: {error}"))),
    };
    let state = match state.as_str() {
        "up" => LinkState::Up,
        "sleeping" => LinkState::Sleeping,
        "lost" => LinkState::Lost,
        _ => return Prepared::Malformed(Refused::new("state", "state must be up, sleeping or lost".into())),
    };
    let bytes = Entry::Link { gateway, state, at: publish.received_at }.to_bytes();
    let birth = (state == LinkState::Up).then_some(gateway);
    // Not the lane of events: a state may not use what the journal keeps free for alarms.
    Prepared::Entry(Ready {
        bytes,
        more: Vec::new(),
        lane: Lane::Vit,
        key: None,
        tally: Tally::default(),
        birth,
        keep: None,
    })
}

/// A publish made of a quarantined frame, to try it again.
pub(crate) fn again(topic: String, payload: Vec<u8>, received_at: Time) -> Publish {
    Publish { topic, payload: Bytes::from(payload), qos: 1, retain: false, dup: false, received_at, will: None }
}
