//! The step that listens to hearts: reads the ECG that passes, so that a noisy strip raises no alarm and a device that sends
//! nothing but ECG can raise one.
//!
//! - Every ten seconds of a device's ECG are read as a strip (crate `ecg`), the leads in their order until one is usable.
//! - A heart rate that the device tells itself, with or near a strip that cannot be read, is kept and marked `noisy`: rules do
//!   not judge it.
//! - When the device tells none, the strip's rate becomes a reading of the device, taken when the strip ends. Its origin says
//!   so: raw value `ecg:LEAD`. From an unusable strip it is absent with its cause: `lead_off` when the electrode is off (also
//!   a line without the least movement), else `measurement_failed`. Never 0.
//! - An electrode off for half a minute is the event `device_removed`, once. A pause of three seconds or more in a strip that
//!   can be read, and a living line without beats right after such a strip, are the event `heart_pause`; its strip follows it.
//!
//! Limits: a heart that stands and an electrode that fell off in silence draw the same flat line; from one lead the second is
//! assumed, and said as technical. This is no certified arrhythmia detector (docs/devices.md).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ecg::{Finding, Reason, Verdict};
use model::extra::WAVEFORMS_MAX;
use model::{Event, EventKind, Lane, Metric, Name, Origin, Quality, Rate, Sample, Time, Waveform, lead};

use crate::figures::Figures;
use crate::report::Report;

/// A strip, microseconds.
const STRIP_US: i64 = 10_000_000;
/// A shorter beginning of one already says something about a heart rate that comes with it.
const PART_US: i64 = 5_000_000;
/// A heart rate so far from a strip is not of it.
const NEAR_US: i64 = 30_000_000;
/// While the device has told a heart rate of its own within this time, none is derived.
const OWN_US: i64 = 60_000_000;
/// Readings older than this are history.
const LIVE_US: i64 = 60_000_000;
/// An electrode is off, not slipping, after this time.
const OFF_US: i64 = 30_000_000;
/// Blocks join when they are not farther apart, microseconds: a gateway's clock counts milliseconds.
const JOIN_US: i64 = 50_000;
/// A block that begins so much before the end of what was read, at most, is one of those.
const KNOWN_US: i64 = 60_000_000;
/// Samples of one lead kept for a strip: ten seconds at 8 kHz and a block. Beyond it the strip is read as it is.
const COUNTS_MAX: usize = 100_000;
/// Leads of one strip that are read, at most: were the first three no good, the recording is none.
const LEADS_READ_MAX: usize = 3;
/// Fewer beats of a strip are no heart to miss.
const BEATS_MIN: usize = 4;
/// Devices followed; the one that has been silent longest is forgotten.
const DEVICES_MAX: usize = 32;

/// The hearts of all devices with an ECG.
#[derive(Debug)]
pub(crate) struct Hearts {
    inner: Mutex<BTreeMap<Name, Heart>>,
    figures: Arc<Figures>,
}

#[derive(Debug, Default)]
struct Heart {
    person: Option<String>,
    leads: Vec<Lead>,
    newest: Time,
    last: Option<Strip>,
    /// When the device last told a heart rate of its own.
    own_at: Option<Time>,
    /// Since when the electrode is off, and whether that was told.
    off: Option<(Time, bool)>,
    /// End of the last strip with beats that could be read.
    beating_until: Option<Time>,
}

/// What was read.
#[derive(Clone, Debug)]
struct Strip {
    from: Time,
    to: Time,
    lead: u32,
    found: Finding,
}

/// Samples of one lead since the last strip.
#[derive(Debug)]
struct Lead {
    code: u32,
    rate: Rate,
    scale: f64,
    start: Time,
    counts: Vec<i16>,
}

impl Lead {
    fn end(&self) -> Time {
        self.start.plus_us(self.rate.offset_us(self.counts.len()))
    }

    fn length_us(&self) -> i64 {
        self.end().since_us(self.start)
    }
}

impl Hearts {
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        Self { inner: Mutex::default(), figures }
    }

    /// Looks at a report on its way: marks its heart rates, and returns what its ECG says beside it.
    pub(crate) fn pass(&self, mut report: Report, now: Time) -> (Report, Option<Report>) {
        let has_ecg = report.waveforms.iter().any(|block| block.metric == Metric::Ecg);
        let has_rate = report.samples.iter().any(is_rate);
        if !has_ecg && !has_rate {
            return (report, None);
        }
        let mut hearts = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if has_ecg && !hearts.contains_key(&report.device) && hearts.len() == DEVICES_MAX {
            let silent = hearts.iter().min_by_key(|(_, heart)| heart.newest).map(|(name, _)| name.clone());
            silent.and_then(|name| hearts.remove(&name));
        }
        let heart = match hearts.get_mut(&report.device) {
            Some(heart) => heart,
            None if has_ecg => hearts.entry(report.device.clone()).or_default(),
            None => return (report, None),
        };
        let strips = heart.hear(&report);
        heart.last = strips.last().cloned().or(heart.last.take());
        if has_rate {
            let marked = heart.mark(&mut report.samples);
            self.figures.device(&report.device, |figures| figures.noisy_rates += marked);
        }
        let derived = self.derive(heart, &report, strips, now);
        (report, derived)
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
                let word = lead::label(strip.lead).unwrap_or("?");
                let raw = Some((format!("ecg:{word}"), "mV".to_owned()));
                derived.origins.push(Origin { index, raw, ..Origin::default() });
                derived.samples.push(sample);
            }
            derived.events.extend(heart.events(&strip));
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

/// A reading that an ECG would be the source of.
fn is_rate(sample: &Sample) -> bool {
    matches!(sample.metric, Metric::HeartRate | Metric::RrInterval)
}

impl Heart {
    /// Keeps the blocks of a report. Returns the strips that are complete with it.
    fn hear(&mut self, report: &Report) -> Vec<Strip> {
        if self.person != report.person {
            // Another person at a shared device: nothing of the one before is theirs.
            *self = Self { person: report.person.clone(), ..Self::default() };
        }
        let own = report.samples.iter().filter(|sample| sample.metric == Metric::HeartRate);
        self.own_at = self.own_at.max(own.map(|sample| sample.taken_at).max());
        let mut strips = Vec::new();
        for block in report.waveforms.iter().filter(|block| block.metric == Metric::Ecg) {
            if self.is_known(block) {
                continue;
            }
            if self.lead(block).is_some_and(|lead| !continues(lead, block)) {
                strips.extend(self.close());
            }
            self.keep(block);
        }
        let full = |lead: &Lead| lead.length_us() >= STRIP_US || lead.counts.len() >= COUNTS_MAX;
        if self.leads.iter().any(full) {
            strips.extend(self.close());
        }
        strips
    }

    fn lead(&self, block: &Waveform) -> Option<&Lead> {
        self.leads.iter().find(|lead| lead.code == block.lead)
    }

    /// The same samples once more, or late: a strip has them once. What is much older says that a clock was set back.
    fn is_known(&self, block: &Waveform) -> bool {
        let until = self.lead(block).map(Lead::end).or(self.last.as_ref().map(|strip| strip.to));
        until.is_some_and(|until| (JOIN_US..KNOWN_US).contains(&until.since_us(block.start)))
    }

    fn keep(&mut self, block: &Waveform) {
        self.newest = self.newest.max(block.end());
        if let Some(lead) = self.leads.iter_mut().find(|lead| lead.code == block.lead) {
            lead.counts.extend_from_slice(&block.counts);
        } else if self.leads.len() < WAVEFORMS_MAX {
            let Waveform { lead: code, rate, scale, start, ref counts, .. } = *block;
            self.leads.push(Lead { code, rate, scale, start, counts: counts.clone() });
        }
    }

    /// Reads what there is and begins anew. Nothing for less than a part of a strip.
    fn close(&mut self) -> Option<Strip> {
        let strip = self.read();
        self.leads.clear();
        strip
    }

    /// The leads one after the other until one is usable; else the best.
    fn read(&self) -> Option<Strip> {
        let mut best: Option<Strip> = None;
        let long = self.leads.iter().filter(|lead| lead.length_us() >= PART_US);
        for lead in long.take(LEADS_READ_MAX) {
            let found = ecg::read(lead.rate, lead.scale, &lead.counts);
            if found.reason == Some(Reason::Rate) {
                continue;
            }
            let strip = Strip { from: lead.start, to: lead.end(), lead: lead.code, found };
            let is_usable = strip.found.verdict == Verdict::Usable;
            if best.as_ref().is_none_or(|best| strip.found.verdict < best.found.verdict) {
                best = Some(strip);
            }
            if is_usable {
                break;
            }
        }
        best
    }

    /// Marks heart rates whose strip cannot be read. Returns how many.
    fn mark(&self, samples: &mut [Sample]) -> u64 {
        let part = self.read();
        let mut marked = 0;
        for sample in samples.iter_mut().filter(|sample| is_rate(sample) && sample.quality.is_judged()) {
            let strips = [part.as_ref(), self.last.as_ref()];
            let near = strips.into_iter().flatten().find(|strip| strip.is_near(sample.taken_at));
            if let (Some(strip), Some(value)) = (near, sample.value())
                && strip.is_noise()
            {
                *sample = Sample::new(sample.metric, sample.taken_at, value, Quality::Noisy);
                marked += 1;
            }
        }
        marked
    }

    /// The heart rate of a strip, if the device tells none.
    fn rate(&self, strip: &Strip) -> Option<Sample> {
        if self.own_at.is_some_and(|at| strip.to.since_us(at).abs() <= OWN_US) {
            return None;
        }
        let absent = |cause| Some(Sample::absent(Metric::HeartRate, strip.to, cause));
        match (strip.found.heart_rate, strip.found.reason) {
            // A tenth of a beat is finer than ten seconds can tell.
            (Some(rate), _) => {
                Some(Sample::new(Metric::HeartRate, strip.to, (rate * 10.0).round() / 10.0, Quality::Ok))
            }
            (None, Some(Reason::LeadOff | Reason::Flat)) => absent(Quality::LeadOff),
            (None, Some(Reason::Short | Reason::Rate)) => None,
            (None, _) => absent(Quality::MeasurementFailed),
        }
    }

    /// What a strip begins or ends.
    fn events(&mut self, strip: &Strip) -> Vec<Event> {
        let mut events = Vec::new();
        if matches!(strip.found.reason, Some(Reason::LeadOff | Reason::Flat))
            && strip.found.verdict == Verdict::Unusable
        {
            let (since, told) = self.off.unwrap_or((strip.from, false));
            let due = !told && strip.to.since_us(since) >= OFF_US;
            self.off = Some((since, told || due));
            events.extend(due.then_some(Event { kind: EventKind::DeviceRemoved, at: since }));
        } else {
            self.off = None;
        }
        let beating = self.beating_until.is_some_and(|until| strip.from.since_us(until).abs() <= NEAR_US);
        let found = &strip.found;
        let stands = found.reason == Some(Reason::NoBeats) && beating;
        // Beats that are alike, here or just before: without them a pause is one of something else.
        let enough = found.heart_rate.is_some() && found.peaks.len() >= BEATS_MIN;
        let clear = found.verdict == Verdict::Usable || found.reason == Some(Reason::Flat);
        if found.pause_s.is_some() && (stands || found.heart_rate.is_some() && clear && (enough || beating)) {
            events.push(Event { kind: EventKind::HeartPause, at: strip.to });
        }
        if enough {
            self.beating_until = Some(strip.to);
        }
        events
    }
}

impl Strip {
    fn is_near(&self, at: Time) -> bool {
        at >= self.from.plus_us(-NEAR_US) && at <= self.to.plus_us(NEAR_US)
    }

    /// A heart rate beside it is not one. A strip without beats does not say so: the device may see what we do not.
    fn is_noise(&self) -> bool {
        let reasons = [Reason::Noise, Reason::Clipped, Reason::LeadOff, Reason::Flat];
        self.found.verdict == Verdict::Unusable && self.found.reason.is_some_and(|reason| reasons.contains(&reason))
    }
}

/// The block begins where the lead's samples end.
fn continues(lead: &Lead, block: &Waveform) -> bool {
    let apart = block.start.since_us(lead.end()).abs();
    apart <= JOIN_US && (lead.rate, lead.scale.to_bits()) == (block.rate, block.scale.to_bits())
}

#[cfg(test)]
#[path = "hearts_tests.rs"]
mod tests;
