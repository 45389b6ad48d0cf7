//! The last half minute of every waveform, in memory, so that a call for help takes along the strip that led to it.
//!
//! When a person's alarm passes, the blocks that hold the 30 s before it follow it in lane `evt`, and so do the blocks of
//! the next seconds, instead of waiting in lane `wav` behind everything else. They keep their cut: what the lane `wav`
//! brings later is the same block and is stored once (subject, device, lead, start). A block goes through lane `evt` once,
//! however often somebody presses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use model::{EventKind, Name, Note, Time, Waveform};

use crate::report::Report;

/// Kept before an alarm, microseconds.
const BEFORE_US: i64 = 30_000_000;
/// Sent at once after an alarm, microseconds: the block in which it happened is still open when it happens.
const AFTER_US: i64 = 10_000_000;
/// Samples kept of one device (12 leads of 1 kHz for 30 s; 720 kB), and devices kept. The oldest go first.
const COUNTS_MAX: usize = 360_000;
const DEVICES_MAX: usize = 32;

/// The blocks kept.
#[derive(Debug, Default)]
pub(crate) struct Strips(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Name, Kept>,
    /// Alarms whose seconds after may still come.
    alarms: VecDeque<Alarm>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<Waveform>,
    counts: usize,
    newest: Time,
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
    /// Looks at a report on its way: keeps its blocks, and returns what goes right behind it.
    pub(crate) fn pass(&self, report: Report) -> (Report, Vec<Report>) {
        let alarm = alarm(&report);
        if alarm.is_none() && report.waveforms.is_empty() {
            return (report, Vec::new());
        }
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let strip = inner.is_awaited(&report);
        inner.keep(&report, strip);
        let behind = alarm.map(|alarm| inner.behind(alarm)).unwrap_or_default();
        (Report { strip, ..report }, behind)
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

    fn keep(&mut self, report: &Report, told: bool) {
        if report.waveforms.is_empty() {
            return;
        }
        if !self.kept.contains_key(&report.device) && self.kept.len() == DEVICES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.newest).map(|(device, _)| device.clone());
            oldest.and_then(|device| self.kept.remove(&device));
        }
        let kept = self.kept.entry(report.device.clone()).or_default();
        if kept.person != report.person {
            // Another person at a shared device: what was kept is not theirs.
            *kept = Kept::default();
        }
        (kept.person, kept.shared) = (report.person.clone(), report.shared);
        if told {
            kept.told = kept.told.max(report.waveforms.iter().map(|block| block.start).max());
        }
        for block in &report.waveforms {
            kept.newest = kept.newest.max(block.end());
            kept.counts += block.counts.len();
            kept.blocks.push_back(block.clone());
        }
        let from = kept.newest.plus_us(-BEFORE_US);
        while kept.blocks.front().is_some_and(|block| block.end() <= from || kept.counts > COUNTS_MAX) {
            kept.counts -= kept.blocks.pop_front().map_or(0, |block| block.counts.len());
        }
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
        if self.alarms.len() == DEVICES_MAX {
            self.alarms.pop_front();
        }
        self.alarms.push_back(alarm);
        strips
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Event, Lane, Metric, Rate};

    const SECOND: i64 = 1_000_000;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Five seconds of a device's waveform.
    fn wave(device: &str, second: i64) -> Report {
        let block = Waveform {
            metric: Metric::Ecg,
            lead: 1,
            start: Time(second * SECOND),
            rate: Rate { samples: 10, seconds: 1 },
            scale: 1.0,
            offset: 0.0,
            counts: vec![second as i16; 50],
        };
        Report { device: name(device), waveforms: vec![block], ..Report::default() }
    }

    fn event(device: &str, kind: EventKind, second: i64) -> Report {
        Report { device: name(device), events: vec![Event { kind, at: Time(second * SECOND) }], ..Report::default() }
    }

    fn seconds(reports: &[Report]) -> Vec<(String, Vec<i64>)> {
        let starts = |report: &Report| report.waveforms.iter().map(|block| block.start.0 / SECOND).collect();
        reports.iter().map(|report| (report.device.to_string(), starts(report))).collect()
    }

    #[test]
    fn an_sos_takes_the_half_minute_before_it_and_the_seconds_after() {
        let strips = Strips::default();
        for second in (0..100).step_by(5) {
            let (report, behind) = strips.pass(wave("patch", second));
            assert!(!report.strip && behind.is_empty());
        }
        let (sos, behind) = strips.pass(event("pendant", EventKind::Sos, 103));
        assert_eq!(sos.parts()[0].0, Lane::Sos);
        assert_eq!(seconds(&behind), [("patch".to_owned(), vec![70, 75, 80, 85, 90, 95])]);
        assert!(behind.into_iter().all(|strip| strip.parts()[0].0 == Lane::Evt), "right behind the SOS");
        // The block in which it was pressed, and the ones after it for ten seconds, do not wait in lane wav.
        let lanes = [100, 105, 110, 115].map(|second| strips.pass(wave("patch", second)).0.parts()[0].0);
        assert_eq!(lanes, [Lane::Evt, Lane::Evt, Lane::Evt, Lane::Wav]);
        // Pressed again: only what was not told yet.
        let (_, behind) = strips.pass(event("pendant", EventKind::Sos, 119));
        assert_eq!(seconds(&behind), [("patch".to_owned(), vec![115])]);
        assert!(strips.pass(event("pendant", EventKind::Sos, 119)).1.is_empty());
    }

    #[test]
    fn what_is_old_or_of_somebody_else_stays() {
        let strips = Strips::default();
        strips.pass(wave("patch", 0));
        let shared = |report: Report, person: &str| Report { shared: true, person: Some(person.to_owned()), ..report };
        strips.pass(shared(wave("cabin-ecg", 95), "card:a"));
        // Nobody calls: a battery that runs low, and a cancelled call.
        for kind in [EventKind::LowBattery, EventKind::Cancelled] {
            assert!(strips.pass(event("pendant", kind, 100)).1.is_empty());
        }
        // The patch was taken off long ago, and the cabin's ECG is not the pendant's wearer's.
        assert!(strips.pass(event("pendant", EventKind::Fall, 100)).1.is_empty());
        let (_, behind) = strips.pass(shared(event("cabin-ecg", EventKind::UnspecifiedAlarm, 100), "card:a"));
        assert_eq!(seconds(&behind), [("cabin-ecg".to_owned(), vec![95])]);
        // The next person's strip has nothing of the first one's.
        strips.pass(shared(wave("cabin-ecg", 115), "card:b"));
        let (_, behind) = strips.pass(shared(event("cabin-ecg", EventKind::Sos, 121), "card:b"));
        assert_eq!(seconds(&behind), [("cabin-ecg".to_owned(), vec![115])]);
        assert_eq!(behind[0].person.as_deref(), Some("card:b"));
    }

    #[test]
    fn memory_is_bounded() {
        let strips = Strips::default();
        for device in 0..100 {
            let mut report = wave(&format!("d{device}"), 0);
            let block = report.waveforms[0].clone();
            let long = Waveform { rate: Rate { samples: 20_000, seconds: 1 }, counts: vec![0; 20_000], ..block };
            report.waveforms = (0..40).map(|i| Waveform { start: Time(i * SECOND / 2), ..long.clone() }).collect();
            strips.pass(report);
        }
        let inner = strips.0.lock().unwrap();
        assert_eq!(inner.kept.len(), DEVICES_MAX);
        assert!(inner.kept.values().all(|kept| kept.counts <= COUNTS_MAX && kept.counts > 0));
    }
}
