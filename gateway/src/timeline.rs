//! One device's clock against the gateway's: what its times are worth, and when a value was really taken.
//!
//! | the device says | a live value | a value it had stored |
//! |---|---|---|
//! | no time | time of reception | time of reception, `clock_suspect` |
//! | a clock that was never set, a date that cannot be, a future time | time of reception | the same, `clock_suspect` |
//! | the same, and its clock in the same frame | reception less the age by its own clock | the same |
//! | a good time | that time and the known offset of its clock | the same |
//!
//! The offset is known from a frame that tells the device's clock, or from several live transfers that are all off by the same
//! time (local time sent as UTC: 8 h). A clock that stays in step is believed to the second. The device's own time is always
//! kept beside the corrected one. No clock and no I/O here.

use std::collections::{HashMap, VecDeque};

use codec::{Decoded, DeviceTime, Measured};
use model::{ClockPair, Metric, Quality, Time};
use serde::{Deserialize, Serialize};

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
/// A live value this old or young may just have been on its way: its clock is in step.
const IN_STEP_US: i64 = 2 * MINUTE_US;
/// A time further ahead than this cannot be (facts: wire format, section 6).
const FUTURE_US: i64 = 5 * MINUTE_US;
/// A live value cannot be older than this: its clock is wrong. 400 days.
const LIVE_AGE_MAX_US: i64 = 400 * 24 * 60 * MINUTE_US;
/// Offsets that differ by less are one offset: the stored record of yesterday keeps its corrected time at every upload.
const SAME_OFFSET_US: i64 = 2 * SECOND_US;
/// A change of the device's clock beyond this begins a new timeline.
const JUMP_US: i64 = MINUTE_US;
/// Live transfers that must agree before a constant offset is believed.
const EVIDENCE: usize = 3;
/// They must be this far apart: records of a memory come faster.
const EVIDENCE_GAP_US: i64 = 30 * SECOND_US;
/// How well they must agree.
const AGREE_US: i64 = MINUTE_US;
/// Wrong zones are off by a multiple of this.
const ZONE_US: i64 = 30 * MINUTE_US;
/// What a clock of whole seconds and a transfer leave open, milliseconds.
const RESOLUTION_MS: u32 = 1_000;
const TRANSFER_MS: u32 = 1_000;
/// A coincident pair told by a live value leaves its delay open, milliseconds.
const LIVE_PAIR_MS: u32 = 120_000;
/// Stored records whose place among equal times is remembered.
const TWINS_MAX: usize = 2_048;

/// What is known of the device's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Known {
    #[default]
    Nothing,
    /// Right to within this time.
    InStep { off_us: i64 },
    /// Add this to the device's time.
    Off { by_us: i64, uncertainty_ms: u32 },
}

/// When one value was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) taken_at: Time,
    pub(crate) quality: Quality,
    /// The device's wall clock read as UTC, milliseconds, when it gave one.
    pub(crate) device_ms: Option<i64>,
    /// `None`: not known.
    pub(crate) uncertainty_ms: Option<u32>,
}

/// What became of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timed {
    /// As the readings of the frame.
    pub(crate) readings: Vec<Placed>,
    /// As the events of the frame.
    pub(crate) events: Vec<Time>,
    /// The clock turned out to be wrong: said once until it is right again.
    pub(crate) suspect: bool,
    /// To be told to the server, because it changed.
    pub(crate) pair: Option<ClockPair>,
}

/// How good the gateway's own clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnClock {
    /// MDC code.
    pub(crate) sync: u32,
    pub(crate) uncertainty_ms: u32,
}

/// One device's clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    known: Known,
    /// Live transfers that were off: (received, offset), oldest first.
    evidence: VecDeque<(Time, i64)>,
    wrong: bool,
    told: Option<ClockPair>,
    /// Last time given to a record without one, so that a batch keeps its order.
    last_unknown: Option<Time>,
    /// Records of one metric and one device time, in the order of their numbers.
    twins: HashMap<(Metric, i64), Vec<u32>>,
    twin_order: VecDeque<(Metric, i64)>,
}

impl Timeline {
    pub(crate) fn new(known: Known) -> Self {
        Self { known, wrong: matches!(known, Known::Off { by_us, .. } if by_us.abs() > IN_STEP_US), ..Self::default() }
    }

    pub(crate) const fn known(&self) -> Known {
        self.known
    }

    /// Gives times to what a frame says that was received at `at`.
    pub(crate) fn hear(&mut self, decoded: &Decoded, at: Time, own: OwnClock) -> Timed {
        // The wire has milliseconds.
        let at = Time::from_millis(at.millis());
        let was_wrong = self.wrong;
        let own_pair = self.observe(decoded, at);
        let mut readings: Vec<Placed> = Vec::with_capacity(decoded.readings.len());
        for measured in &decoded.readings {
            let impossible = measured.at.is_none() && measured.quality == Quality::ClockSuspect;
            let mut placed = self.place(measured.at, impossible, decoded.stored, own_pair, at);
            placed.quality = quality(measured.quality, placed.quality);
            let twins = decoded.readings.iter().zip(&readings).filter(|(other, before)| {
                other.metric == measured.metric && before.taken_at.millis() == placed.taken_at.millis()
            });
            let before = twins.count() as i64;
            placed.taken_at = placed.taken_at.plus_us(self.nth(measured, &placed, decoded.stored).unwrap_or(before));
            readings.push(placed);
        }
        let event = |said: Option<DeviceTime>| {
            let good = said.filter(|said| !said.suspect).and_then(DeviceTime::instant).map(|time| self.corrected(time));
            good.filter(|time| {
                time.since_us(at) <= FUTURE_US && (decoded.stored || at.since_us(*time) <= LIVE_AGE_MAX_US)
            })
            .unwrap_or(at)
        };
        let events = decoded.events.iter().map(|happened| event(happened.at)).collect();
        Timed { readings, events, suspect: self.wrong && !was_wrong, pair: self.pair(decoded, at, own) }
    }

    /// Learns from the frame. Returns the offset by the device's own clock in this frame, when that clock was never set.
    fn observe(&mut self, decoded: &Decoded, at: Time) -> Option<i64> {
        if let Some(clock) = decoded.device.clock {
            let delta = at.since_us(clock.instant()?);
            if clock.suspect || delta.abs() > LIVE_AGE_MAX_US {
                self.wrong = true;
                return Some(delta);
            }
            self.learn(delta);
            return None;
        }
        if decoded.stored {
            return None;
        }
        let newest = decoded.readings.iter().filter_map(|measured| measured.at).filter(|said| !said.suspect);
        let newest = newest.filter_map(DeviceTime::instant).max()?;
        let delta = at.since_us(newest);
        let off_by = match self.known {
            Known::Off { by_us, .. } => (delta - by_us).abs(),
            _ => i64::MAX,
        };
        if off_by <= IN_STEP_US {
            return None;
        }
        if delta.abs() <= IN_STEP_US {
            self.evidence.clear();
            (self.known, self.wrong) = (Known::InStep { off_us: delta }, false);
            return None;
        }
        if delta.abs() <= LIVE_AGE_MAX_US {
            self.suspicion(at, delta);
        }
        None
    }

    /// The frame told the device's clock: this is the offset.
    fn learn(&mut self, delta: i64) {
        let before = match self.known {
            Known::Off { by_us, .. } => Some(by_us),
            Known::InStep { .. } => Some(0),
            Known::Nothing => None,
        };
        if before.is_some_and(|before| (delta - before).abs() > JUMP_US) {
            // The clock was set: what is remembered belongs to the old timeline.
            self.evidence.clear();
            self.twins.clear();
            self.twin_order.clear();
        }
        self.wrong = delta.abs() > IN_STEP_US;
        if delta.abs() <= SAME_OFFSET_US {
            self.known = Known::InStep { off_us: delta };
        } else if !matches!(self.known, Known::Off { by_us, .. } if (delta - by_us).abs() <= SAME_OFFSET_US) {
            self.known = Known::Off { by_us: delta, uncertainty_ms: TRANSFER_MS };
        }
    }

    /// A live value that is off. Several of them, all off by the same, are a clock that is off.
    fn suspicion(&mut self, at: Time, delta: i64) {
        if self.evidence.back().is_some_and(|(last, _)| at.since_us(*last).abs() < EVIDENCE_GAP_US) {
            return;
        }
        self.evidence.push_back((at, delta));
        if self.evidence.len() > EVIDENCE {
            self.evidence.pop_front();
        }
        let deltas = self.evidence.iter().map(|(_, delta)| *delta);
        let (Some(least), Some(most)) = (deltas.clone().min(), deltas.max()) else { return };
        if self.evidence.len() < EVIDENCE || most - least > AGREE_US {
            return;
        }
        // Beyond a whole number of half hours only the way to us is left.
        let zone = (least + ZONE_US / 2).div_euclid(ZONE_US) * ZONE_US;
        let near = zone != 0 && (least - zone).abs() <= IN_STEP_US && (most - zone).abs() <= IN_STEP_US;
        let by_us = if near { zone } else { least };
        let open_us = (most - by_us).abs().max((least - by_us).abs());
        let uncertainty_ms = millis(open_us).saturating_add(TRANSFER_MS);
        self.evidence.clear();
        (self.known, self.wrong) = (Known::Off { by_us, uncertainty_ms }, true);
    }

    const fn corrected(&self, time: Time) -> Time {
        match self.known {
            Known::Off { by_us, .. } => time.plus_us(by_us),
            Known::Nothing | Known::InStep { .. } => time,
        }
    }

    fn place(
        &mut self,
        said: Option<DeviceTime>,
        impossible: bool,
        stored: bool,
        own_pair: Option<i64>,
        at: Time,
    ) -> Placed {
        let device_ms = said.and_then(DeviceTime::wall_millis);
        let instant = said.and_then(DeviceTime::instant);
        let known = |taken: Time, uncertainty_ms: Option<u32>| Placed {
            taken_at: Time::from_millis(taken.millis()),
            quality: Quality::Ok,
            device_ms,
            uncertainty_ms,
        };
        if let (Some(instant), Some(offset)) = (instant, own_pair) {
            let taken = instant.plus_us(offset);
            if taken <= at && at.since_us(taken) <= LIVE_AGE_MAX_US {
                return known(taken, Some(RESOLUTION_MS + TRANSFER_MS));
            }
        }
        let good = instant.filter(|_| said.is_some_and(|said| !said.suspect)).map(|instant| self.corrected(instant));
        let believable =
            |taken: &Time| taken.since_us(at) <= FUTURE_US && (stored || at.since_us(*taken) <= LIVE_AGE_MAX_US);
        if let Some(taken) = good.filter(believable) {
            let uncertainty_ms = match self.known {
                Known::Nothing => None,
                Known::InStep { off_us } => Some(millis(off_us.abs()).saturating_add(RESOLUTION_MS)),
                Known::Off { uncertainty_ms, .. } => Some(uncertainty_ms.saturating_add(RESOLUTION_MS)),
            };
            return known(taken, uncertainty_ms);
        }
        self.wrong |= said.is_some() || impossible;
        if !stored {
            return Placed { taken_at: at, quality: Quality::Ok, device_ms, uncertainty_ms: None };
        }
        let taken_at = self.last_unknown.map_or(at, |last| at.max(last.plus_us(1)));
        self.last_unknown = Some(taken_at);
        Placed { taken_at, quality: Quality::ClockSuspect, device_ms, uncertainty_ms: None }
    }

    /// Place of a numbered record among those of the same metric and the same device time, in microseconds. The same record
    /// gets the same place at every upload. `None`: its place in the frame decides.
    fn nth(&mut self, measured: &Measured, placed: &Placed, stored: bool) -> Option<i64> {
        if stored && placed.quality == Quality::ClockSuspect && placed.taken_at == self.last_unknown? {
            return Some(0);
        }
        let (number, device_ms) = (measured.sequence.filter(|_| stored)?, placed.device_ms?);
        let key = (measured.metric, device_ms);
        if !self.twins.contains_key(&key) {
            self.twin_order.push_back(key);
            if self.twin_order.len() > TWINS_MAX
                && let Some(oldest) = self.twin_order.pop_front()
            {
                self.twins.remove(&oldest);
            }
        }
        let numbers = self.twins.entry(key).or_default();
        let place = numbers.iter().position(|known| *known == number).unwrap_or_else(|| {
            if numbers.len() < mqtt::wire::N_MAX as usize {
                numbers.push(number);
            }
            numbers.len() - 1
        });
        Some(place as i64)
    }

    /// The coincident pair of this transfer, if it differs from the one last told.
    fn pair(&mut self, decoded: &Decoded, at: Time, own: OwnClock) -> Option<ClockPair> {
        let live = || decoded.readings.iter().filter_map(|measured| measured.at?.wall_millis()).max();
        let (device, open_ms) = match decoded.device.clock.and_then(DeviceTime::wall_millis) {
            Some(device) => (device, RESOLUTION_MS + TRANSFER_MS),
            None if decoded.stored => return None,
            None => (live()?, LIVE_PAIR_MS),
        };
        let uncertainty_ms = open_ms.saturating_add(own.uncertainty_ms);
        let pair = ClockPair { device, gateway: at, sync: own.sync, uncertainty_ms };
        let apart = |pair: &ClockPair| pair.gateway.millis().saturating_sub(pair.device);
        let same = self.told.as_ref().is_some_and(|told| {
            let moved = apart(told).abs_diff(apart(&pair));
            told.sync == pair.sync && moved <= u64::from(told.uncertainty_ms.max(uncertainty_ms))
        });
        if same {
            return None;
        }
        self.told = Some(pair);
        Some(pair)
    }
}

/// The codec doubted a value for its time alone; when the time is known by another way it is as good as any.
const fn quality(said: Quality, time: Quality) -> Quality {
    match (said, time) {
        (Quality::Ok | Quality::ClockSuspect, time) => time,
        // Judged although the battery was low: not without a time.
        (Quality::LowBattery, Quality::ClockSuspect) => Quality::ClockSuspect,
        (said, _) => said,
    }
}

fn millis(us: i64) -> u32 {
    u32::try_from(us / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
