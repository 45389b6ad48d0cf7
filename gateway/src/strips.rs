//! The last half minute of every waveform, in memory, so that a call for help takes along the strip that led to it.
//!
//! When a person's alarm passes, the blocks that hold the 30 s before it follow it in lane `evt`, and so do the blocks of
//! the next seconds, instead of waiting in lane `wav` behind everything else. They keep their cut: what the lane `wav`
//! brings later is the same block and is stored once (subject, device, lead, start). A block goes through lane `evt` once,
//! however often somebody presses.
//!
//! Memory is bounded by samples of all devices together, not by devices: when there are too many, the device that has most
//! gives its oldest block, so that no device loses its strip for another's. What is given up is counted and said once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use model::{EventKind, Name, Note, Time, Waveform};

use crate::figures::Figures;
use crate::report::Report;

/// Kept before an alarm, microseconds.
const BEFORE_US: i64 = 30_000_000;
/// Sent at once after an alarm, microseconds: the block in which it happened is still open when it happens.
const AFTER_US: i64 = 10_000_000;
/// Samples kept of one device: 12 leads of 1 kHz for 30 s; 720 kB. The oldest go first.
const COUNTS_MAX: usize = 360_000;
/// Samples kept of all devices: 32 such, or 1,536 patches of one lead of 250 Hz; 23 MB.
const ALL_COUNTS_MAX: usize = 32 * COUNTS_MAX;
/// Devices kept. One more takes the place of a device whose waveform is older than any strip, else it has none.
const DEVICES_MAX: usize = 1_024;
/// Alarms whose seconds after may still come; the oldest go first.
const ALARMS_MAX: usize = 32;

/// The blocks kept.
#[derive(Debug)]
pub(crate) struct Strips {
    inner: Mutex<Inner>,
    figures: Arc<Figures>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Name, Kept>,
    /// Samples of all of them.
    counts: usize,
    /// Alarms whose seconds after may still come.
    alarms: VecDeque<Alarm>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<Waveform>,
    counts: usize,
    newest: Time,
    /// By our clock.
    heard_at: Time,
    /// Beginning of the last block that went through lane `evt`.
    told: Option<Time>,
    person: Option<String>,
    shared: bool,
}

/// A call for help and whose strips belong to it.
#[derive(Clone, Debug)]
struct Alarm {
    at: Time,
    /// Of a device that many people share: its own waveform alone. Of a person's device: all that hang on that person too.
    only: Option<Name>,
}

impl Alarm {
    fn wants(&self, device: &Name, shared: bool) -> bool {
        self.only.as_ref().map_or(!shared, |only| only == device)
    }

    fn has(&self, block: &Waveform) -> bool {
        block.end() > self.at.plus_us(-BEFORE_US) && block.start < self.at.plus_us(AFTER_US)
    }
}

impl Strips {
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        Self { inner: Mutex::default(), figures }
    }

    /// Looks at a report on its way: keeps its blocks, and returns what goes right behind it.
    pub(crate) fn pass(&self, report: Report, now: Time) -> (Report, Vec<Report>) {
        let alarm = alarm(&report);
        if alarm.is_none() && report.waveforms.is_empty() {
            return (report, Vec::new());
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let strip = inner.is_awaited(&report);
        for loser in inner.keep(&report, strip, now) {
            self.lost(&loser);
        }
        let behind = alarm.map(|alarm| inner.behind(alarm)).unwrap_or_default();
        (Report { strip, ..report }, behind)
    }

    /// Counts a block that no alarm will take along, and says so once a device.
    fn lost(&self, device: &Name) {
        let mut first = false;
        self.figures.device(device, |figures| {
            first = figures.unkept_blocks == 0;
            figures.unkept_blocks += 1;
        });
        if first {
            tracing::warn!(%device, "too much waveform for the memory: an alarm takes less than 30 s of this device along");
        }
    }
}

/// The call for help in a report, at the time it happened.
fn alarm(report: &Report) -> Option<Alarm> {
    let events = report.events.iter().filter(|event| wants_strip(event.kind)).map(|event| event.at);
    let sounded = report.notes.iter().filter_map(|note| match note {
        Note::Sounded { started_at, .. } => Some(*started_at),
        _ => None,
    });
    let at = events.chain(sounded).max()?;
    let only = report.shared.then(|| report.device.clone());
    Some(Alarm { at, only })
}

/// Whoever looks at this alarm wants to see the strip.
const fn wants_strip(kind: EventKind) -> bool {
    kind.calls_for_help() || matches!(kind, EventKind::HeartPause)
}

impl Inner {
    /// An alarm waits for the blocks of this report.
    fn is_awaited(&mut self, report: &Report) -> bool {
        let Some(newest) = report.waveforms.iter().map(|block| block.start).max() else { return false };
        let wanted = |alarm: &Alarm| {
            alarm.wants(&report.device, report.shared) && report.waveforms.iter().any(|block| alarm.has(block))
        };
        let found = self.alarms.iter().any(wanted);
        self.alarms.retain(|alarm| newest < alarm.at.plus_us(2 * BEFORE_US));
        found
    }

    /// Keeps the blocks of a report. Gives the devices that lost one for it, a name for each block.
    fn keep(&mut self, report: &Report, told: bool, now: Time) -> Vec<Name> {
        if report.waveforms.is_empty() {
            return Vec::new();
        }
        if !self.kept.contains_key(&report.device) && !self.has_room(now) {
            return vec![report.device.clone(); report.waveforms.len()];
        }
        let kept = self.kept.entry(report.device.clone()).or_default();
        let before = kept.counts;
        let mut lost = kept.take(report, told, now);
        self.counts = self.counts - before + kept.counts;
        while self.counts > ALL_COUNTS_MAX {
            // Silent ones first: what they have is of no alarm any more.
            let key = |kept: &Kept| (kept.is_silent(now), kept.counts);
            let Some((device, most)) = self.kept.iter_mut().max_by_key(|(_, kept)| key(kept)) else { break };
            if !most.is_silent(now) {
                lost.push(device.clone());
            }
            self.counts -= most.give();
        }
        lost
    }

    /// One more device can be kept; for it the one that has been silent longest is forgotten, if its blocks are old.
    fn has_room(&mut self, now: Time) -> bool {
        if self.kept.len() < DEVICES_MAX {
            return true;
        }
        let silent = self.kept.iter().filter(|(_, kept)| kept.is_silent(now)).min_by_key(|(_, kept)| kept.heard_at);
        let silent = silent.map(|(device, _)| device.clone());
        let gone = silent.and_then(|device| self.kept.remove(&device));
        self.counts -= gone.as_ref().map_or(0, |gone| gone.counts);
        gone.is_some()
    }

    /// The strips that led to an alarm, one report a device.
    fn behind(&mut self, alarm: Alarm) -> Vec<Report> {
        let wanted = self.kept.iter_mut().filter(|(device, kept)| alarm.wants(device, kept.shared));
        let strips = wanted.filter_map(|(device, kept)| {
            let is_new = |block: &&Waveform| kept.told.is_none_or(|told| block.start > told);
            let new = kept.blocks.iter().filter(|block| alarm.has(block)).filter(is_new);
            let waveforms: Vec<_> = new.cloned().collect();
            kept.told = kept.told.max(waveforms.iter().map(|block| block.start).max());
            (!waveforms.is_empty()).then(|| Report {
                device: device.clone(),
                person: kept.person.clone(),
                shared: kept.shared,
                strip: true,
                waveforms,
                ..Report::default()
            })
        });
        let strips = strips.collect();
        if self.alarms.len() == ALARMS_MAX {
            self.alarms.pop_front();
        }
        self.alarms.push_back(alarm);
        strips
    }
}

impl Kept {
    /// Nothing has come for so long that an alarm of now would want nothing of it.
    fn is_silent(&self, now: Time) -> bool {
        now.since_us(self.heard_at) > BEFORE_US
    }

    /// Takes the blocks in and lets go what is older than a strip. Gives the device's name for each block that is not.
    fn take(&mut self, report: &Report, told: bool, now: Time) -> Vec<Name> {
        if self.person != report.person {
            // Another person at a shared device: what was kept is not theirs.
            *self = Self::default();
        }
        (self.person, self.shared) = (report.person.clone(), report.shared);
        self.heard_at = self.heard_at.max(now);
        if told {
            self.told = self.told.max(report.waveforms.iter().map(|block| block.start).max());
        }
        for block in &report.waveforms {
            self.newest = self.newest.max(block.end());
            self.counts += block.counts.len();
            self.blocks.push_back(block.clone());
        }
        let from = self.newest.plus_us(-BEFORE_US);
        let mut lost = Vec::new();
        while let Some(block) = self.blocks.front() {
            let old = block.end() <= from;
            if !old && self.counts <= COUNTS_MAX {
                break;
            }
            if !old {
                lost.push(report.device.clone());
            }
            self.give();
        }
        lost
    }

    /// Lets the oldest block go. Samples of it.
    fn give(&mut self) -> usize {
        let gone = self.blocks.pop_front().map_or(0, |block| block.counts.len());
        self.counts -= gone;
        gone
    }
}

#[cfg(test)]
#[path = "strips_tests.rs"]
mod tests;
