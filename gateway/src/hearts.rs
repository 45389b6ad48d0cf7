//! The step that listens to hearts: reads the ECG and PPG that pass, so that a noisy strip raises no alarm and a device that sends
//! nothing but a waveform can raise one.
//!
//! - Every ten seconds of a device's ECG are read as a strip (crate `ecg`), the leads in their order until one is usable.
//! - A heart rate that the device tells itself, with or near a strip that cannot be read, is kept and marked `noisy`: rules do
//!   not judge it. One beyond the critical limits of the default rules stays as it is: no other sign of it may come.
//! - When the device tells none, the strip's rate becomes a reading of the device, taken when the strip ends. Its origin says
//!   so: raw value `ecg:LEAD`. From an unusable strip it is absent with its cause: `lead_off` when the electrode is off (also
//!   a line without the least movement), else `measurement_failed`. Never 0.
//! - An electrode off for half a minute is the event `device_removed`, once; an ECG that cannot be read for as long is
//!   `measurement_failed`, once. A pause of three seconds or more in strips that can be read, and a line without beats right
//!   after such a strip, are the event `heart_pause`; its strip follows it.
//! - PPG is read in the same way where the device sends no ECG (`ecg::pulse`): pulse rates beside a strip that cannot be read are
//!   marked, and `pulse_rate` is derived (raw value `ppg`), `noisy` from a doubtful strip. It raises no event: that a pulse wave
//!   stands says more of the finger than of the heart.
//! - What was derived is kept until it is delivered: a device that repeats a refused report gets it out.
//!
//! Limits: a heart that stands and an electrode that fell off in silence draw the same flat line; from one lead both are
//! said, the pause at once and the electrode after half a minute. This is no certified arrhythmia detector (docs/devices.md).

mod heart;
mod lead;
mod signs;
mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ecg::Verdict;
use model::rule::{Side, Test};
use model::{Lane, Metric, Name, Origin, Priority, Sample, Time, lead as leads};

use crate::figures::Figures;
use crate::report::Report;
use heart::{Heart, Strip};
use source::Source;

/// A heart rate so far from a strip is not of it.
const NEAR_US: i64 = 30_000_000;
/// Readings older than this are history.
const LIVE_US: i64 = 60_000_000;
/// Blocks join when they are not farther apart, microseconds: a gateway's clock counts milliseconds.
const JOIN_US: i64 = 50_000;
/// A pulse wave beside an ECG of this age is not read: the ECG says more.
const BESIDE_US: i64 = 60_000_000;
/// Devices followed, of each kind of waveform.
const DEVICES_MAX: usize = 32;
/// A device makes room for another one when it has been silent for longer.
const SILENT_US: i64 = 60_000_000;

/// The hearts of all devices with an ECG or a pulse wave.
#[derive(Debug)]
pub(crate) struct Hearts {
    inner: Mutex<Inner>,
    figures: Arc<Figures>,
}

/// By kind of waveform.
#[derive(Debug, Default)]
struct Inner {
    ecg: BTreeMap<Name, Heart>,
    ppg: BTreeMap<Name, Heart>,
}

impl Inner {
    const fn of(&mut self, source: Source) -> &mut BTreeMap<Name, Heart> {
        match source {
            Source::Ecg => &mut self.ecg,
            Source::Ppg => &mut self.ppg,
        }
    }

    fn is_beside_ecg(&self, device: &Name, now: Time) -> bool {
        self.ecg.get(device).is_some_and(|heart| now.since_us(heart.heard_at) <= BESIDE_US)
    }
}

impl Hearts {
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        Self { inner: Mutex::default(), figures }
    }

    /// Looks at a report on its way: marks its heart rates, and returns what its waveforms say beside it, with what was said
    /// before and is not delivered yet ([`Hearts::delivered`]).
    pub(crate) fn pass(&self, mut report: Report, now: Time) -> (Report, Vec<Report>) {
        let mut owed = Vec::new();
        for source in Source::ALL {
            let wave = report.waveforms.iter().any(|block| block.metric == source.metric());
            let rate = report.samples.iter().any(|sample| source.is_of(sample.metric));
            if wave || rate {
                owed.extend(self.listen(source, &mut report, wave, now));
            }
        }
        (report, owed)
    }

    fn listen(&self, source: Source, report: &mut Report, has_wave: bool, now: Time) -> Vec<Report> {
        let mut hearts = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = source == Source::Ppg && hearts.is_beside_ecg(&report.device, now);
        let hearts = hearts.of(source);
        if has_wave && !beside && !hearts.contains_key(&report.device) {
            if has_room(hearts, now) {
                hearts.insert(report.device.clone(), Heart::of(source));
            } else {
                self.unheard(&report.device);
            }
        }
        let Some(heart) = hearts.get_mut(&report.device) else { return Vec::new() };
        if !beside {
            let strips = heart.hear(report, now);
            let marked = heart.mark(&mut report.samples);
            if marked > 0 {
                self.figures.device(&report.device, |figures| figures.noisy_rates += marked);
            }
            if let Some(derived) = self.derive(heart, report, strips, now) {
                heart.owe(derived);
            }
        }
        heart.owed.iter().cloned().collect()
    }

    /// What [`Hearts::pass`] returned beside a report is on its way for good.
    pub(crate) fn delivered(&self, report: &Report) {
        let mut hearts = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for source in Source::ALL {
            let Some(heart) = hearts.of(source).get_mut(&report.device) else { continue };
            if let Some(at) = heart.owed.iter().position(|owed| owed == report) {
                heart.owed.remove(at);
                return;
            }
        }
    }

    /// Counts a report whose waveform is not read, and says so once.
    fn unheard(&self, device: &Name) {
        let mut first = false;
        self.figures.device(device, |figures| {
            first = figures.unheard_ecg == 0;
            figures.unheard_ecg += 1;
        });
        if first {
            tracing::warn!(%device, at_most = DEVICES_MAX, "more devices with an ECG or a pulse wave than are read: this one is not");
        }
    }

    /// What strips say, as a report of their device.
    fn derive(&self, heart: &mut Heart, report: &Report, strips: Vec<Strip>, now: Time) -> Option<Report> {
        let mut derived = Report {
            device: report.device.clone(),
            person: report.person.clone(),
            shared: report.shared,
            ..Report::default()
        };
        for strip in strips {
            let unreadable = u64::from(strip.found.verdict == Verdict::Unusable);
            let sample = heart.rate(&strip);
            if let Some(sample) = sample {
                let index = derived.samples.len() as u16;
                let raw = Some(heart.source.origin(leads::label(strip.lead)));
                derived.origins.push(Origin { index, raw, ..Origin::default() });
                derived.samples.push(sample);
            }
            if heart.source == Source::Ecg {
                derived.events.extend(heart.signs.of(&strip));
            }
            self.figures.device(&report.device, |figures| {
                figures.strips += 1;
                figures.unreadable_strips += unreadable;
                figures.derived_rates += u64::from(sample.is_some_and(|sample| sample.value().is_some()));
            });
            if now.since_us(strip.to) > LIVE_US {
                derived.lane = Lane::Hist;
            }
        }
        (!derived.samples.is_empty() || !derived.events.is_empty()).then_some(derived)
    }
}

/// One more device can be followed; for it the one that has been silent longest is forgotten, if it may be.
fn has_room(hearts: &mut BTreeMap<Name, Heart>, now: Time) -> bool {
    if hearts.len() < DEVICES_MAX {
        return true;
    }
    let is_silent = |heart: &Heart| now.since_us(heart.heard_at) > SILENT_US && heart.owed.is_empty();
    let silent = hearts.iter().filter(|(_, heart)| is_silent(heart)).min_by_key(|(_, heart)| heart.heard_at);
    let silent = silent.map(|(name, _)| name.clone());
    silent.and_then(|name| hearts.remove(&name)).is_some()
}

/// A heart rate that the device does not doubt, beyond a P1 limit of the default rules (40 and 131 /min, the red scores of
/// NEWS2). Fibrillation looks like noise: the device's own number may be the only sign of it.
fn is_critical(sample: &Sample) -> bool {
    static LIMITS: LazyLock<Vec<(Metric, Side, f64)>> = LazyLock::new(|| {
        let tests = engine::default_rules().rules.into_iter().filter_map(|rule| match rule.test {
            Test::Threshold(test) if matches!(test.metric, Metric::HeartRate | Metric::PulseRate) => Some(test),
            _ => None,
        });
        let levels = tests.flat_map(|test| test.levels.into_iter().map(move |level| (test.metric, test.side, level)));
        let critical = levels.filter(|(.., level)| level.priority == Priority::P1);
        critical.map(|(metric, side, level)| (metric, side, level.limit)).collect()
    });
    let Some(value) = sample.value().filter(|_| sample.quality.is_judged()) else { return false };
    LIMITS.iter().filter(|(metric, ..)| *metric == sample.metric).any(|(_, side, limit)| match side {
        Side::High => value >= *limit,
        Side::Low => value <= *limit,
    })
}

#[cfg(test)]
#[path = "hearts_ppg_tests.rs"]
mod ppg_tests;
#[cfg(test)]
#[path = "hearts_tests.rs"]
mod tests;
