//! One device's ECG or PPG: blocks in, strips out, and what a strip says about a heart rate.

use std::collections::VecDeque;

use ecg::{Finding, PAUSE_S, Reason, SAME_BEAT_S, Verdict};
use model::extra::WAVEFORMS_MAX;
use model::{Quality, Sample, Time, Waveform};

use super::lead::Lead;
use super::signs::{BEATS_MIN, Signs, joins};
use super::source::Source;
use super::{JOIN_US, NEAR_US, is_critical};
use crate::report::Report;

/// A shorter beginning of a strip already says something about a heart rate that comes with it.
const PART_US: i64 = 5_000_000;
/// While the device has told a heart rate of its own within this time, none is derived.
const OWN_US: i64 = 60_000_000;
/// Leads of one strip that are read, at most: were the first three no good, the recording is none.
const LEADS_READ_MAX: usize = 3;
/// Blocks remembered, so that one that comes again is not read again: a minute of twelve leads.
pub(super) const KNOWN_MAX: usize = 720;
/// Reports kept until they are delivered: ten minutes. The oldest without an event go first.
pub(super) const OWED_MAX: usize = 60;

/// One device's.
#[derive(Debug)]
pub(super) struct Heart {
    pub(super) source: Source,
    person: Option<String>,
    pub(super) leads: Vec<Lead>,
    /// Samples of the last strip.
    before: Vec<Lead>,
    known: VecDeque<Known>,
    /// By our clock.
    pub(super) heard_at: Time,
    last: Option<Strip>,
    /// When the device last told a heart rate of its own.
    own_at: Option<Time>,
    pub(super) signs: Signs,
    /// What was derived and is not delivered yet.
    pub(super) owed: VecDeque<Report>,
}

/// A block that was heard.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    lead: u32,
    start: Time,
    end: Time,
    sum: u32,
}

/// What was read.
#[derive(Clone, Debug)]
pub(super) struct Strip {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) lead: u32,
    pub(super) found: Finding,
    /// From the last beat of the strip before to its first one is a pause.
    pub(super) pauses_before: bool,
}

impl Heart {
    pub(super) fn of(source: Source) -> Self {
        Self {
            source,
            person: None,
            leads: Vec::new(),
            before: Vec::new(),
            known: VecDeque::new(),
            heard_at: Time::default(),
            last: None,
            own_at: None,
            signs: Signs::default(),
            owed: VecDeque::new(),
        }
    }

    /// Keeps the blocks of a report. Returns the strips that are complete with it.
    pub(super) fn hear(&mut self, report: &Report, now: Time) -> Vec<Strip> {
        if self.person != report.person {
            // Another person at a shared device: nothing of the one before is theirs. What is owed says whose it is.
            let owed = std::mem::take(&mut self.owed);
            *self = Self { person: report.person.clone(), heard_at: self.heard_at, owed, ..Self::of(self.source) };
        }
        let own = report.samples.iter().filter(|sample| {
            self.source.is_rate(sample.metric) && sample.quality.is_judged() && sample.value().is_some()
        });
        self.own_at = self.own_at.max(own.map(|sample| sample.taken_at).max());
        let mut strips = Vec::new();
        let mut blocks: Vec<_> = report.waveforms.iter().filter(|block| block.metric == self.source.metric()).collect();
        if !blocks.is_empty() {
            self.heard_at = self.heard_at.max(now);
        }
        // Side by side, however the device puts its leads in a row.
        blocks.sort_by_key(|block| block.start);
        for block in blocks {
            if self.is_known(block) {
                continue;
            }
            let lead = self.leads.iter().find(|lead| lead.code == block.lead);
            if lead.is_some_and(|lead| !lead.continues(block)) {
                strips.extend(self.cut());
                strips.extend(self.close());
            }
            self.keep(block);
        }
        strips.extend(self.cut());
        strips
    }

    /// The same block once more, or a lead that comes after the others of a strip that was read: a strip has them once.
    fn is_known(&mut self, block: &Waveform) -> bool {
        let bytes: Vec<u8> = block.counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        let Waveform { lead, start, .. } = *block;
        let known = Known { lead, start, end: block.end(), sum: crc32c::crc32c(&bytes) };
        if self.known.contains(&known) {
            return true;
        }
        let reached = self.known.iter().rev().find(|known| known.lead == lead).map(|known| known.end);
        if self.known.len() == KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back(known);
        if reached.is_some_and(|reached| reached.since_us(start) > JOIN_US) {
            // Other samples at a time that was: a clock was set back, or a block comes late. It is an ECG like any other.
            self.last = None;
            self.before.clear();
            self.signs.part();
            return false;
        }
        let until = self.last.as_ref().filter(|_| !self.leads.iter().any(|own| own.code == lead)).map(|strip| strip.to);
        until.is_some_and(|until| until.since_us(start) > JOIN_US && block.end().since_us(until) <= JOIN_US)
    }

    fn keep(&mut self, block: &Waveform) {
        if let Some(lead) = self.leads.iter_mut().find(|lead| lead.code == block.lead) {
            lead.extend(block);
        } else if self.leads.len() < WAVEFORMS_MAX {
            self.leads.push(Lead::new(block));
        }
    }

    /// Reads all strips that are whole. What comes after them begins the next.
    fn cut(&mut self) -> Vec<Strip> {
        let mut strips = Vec::new();
        while let Some(at) = self.leads.iter().filter_map(Lead::whole_at).min() {
            let mut rest: Vec<Lead> = self.leads.iter_mut().map(|lead| lead.split(at)).collect();
            rest.retain(|lead| !lead.counts.is_empty());
            strips.extend(self.close());
            self.leads = rest;
        }
        strips
    }

    /// Reads what there is and begins anew. Nothing for less than a part of a strip.
    fn close(&mut self) -> Option<Strip> {
        let mut strip = self.read();
        if let Some(strip) = &mut strip {
            strip.pauses_before = self.pauses_before(strip);
            self.last = Some(strip.clone());
        }
        self.before = std::mem::take(&mut self.leads);
        strip
    }

    /// The leads one after the other until one is usable; else the best.
    fn read(&self) -> Option<Strip> {
        let mut best: Option<Strip> = None;
        let long = self.leads.iter().filter(|lead| lead.length_us() >= PART_US);
        for lead in long.take(LEADS_READ_MAX) {
            let found = self.source.read(lead, &lead.counts);
            if found.reason == Some(Reason::Rate) {
                continue;
            }
            let strip = Strip { from: lead.start, to: lead.end(), lead: lead.code, found, pauses_before: false };
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

    /// A pause lies across the beginning of a strip. Both are read as one then: a beat at the very end of a strip may be missed.
    fn pauses_before(&self, strip: &Strip) -> bool {
        let Some(last) = self.last.as_ref().filter(|last| joins(last.to, strip.from)) else { return false };
        let (Some(after), Some(before)) = (last.found.quiet.after, strip.found.quiet.before) else { return false };
        let readable = last.found.heart_rate.is_some() && strip.found.heart_rate.is_some();
        if !readable || after + before < PAUSE_S {
            return false;
        }
        let of = |leads: &'_ [Lead]| leads.iter().position(|lead| lead.code == strip.lead);
        let (Some(head), Some(tail)) = (of(&self.before), of(&self.leads)) else { return false };
        let (head, tail) = (&self.before[head], &self.leads[tail]);
        if !joins(head.end(), tail.start) || (head.rate, head.scale.to_bits()) != (tail.rate, tail.scale.to_bits()) {
            return false;
        }
        let whole = self.source.read(tail, &[&head.counts[..], &tail.counts].concat());
        let middle = head.counts.len() as f64;
        let span = middle - (after - SAME_BEAT_S) * tail.hz()..middle + (before - SAME_BEAT_S) * tail.hz();
        let clear = whole.verdict == Verdict::Usable || whole.reason == Some(Reason::Flat);
        let beats = whole.heart_rate.is_some() && whole.peaks.len() >= BEATS_MIN;
        clear && beats && !whole.peaks.iter().any(|peak| span.contains(&(*peak as f64)))
    }

    /// Marks heart rates whose strip cannot be read. Returns how many.
    pub(super) fn mark(&self, samples: &mut [Sample]) -> u64 {
        let part = self.read();
        let mut marked = 0;
        for sample in samples.iter_mut().filter(|sample| self.source.is_of(sample.metric) && sample.quality.is_judged())
        {
            let strips = [part.as_ref(), self.last.as_ref()];
            let near = strips.into_iter().flatten().find(|strip| strip.is_near(sample.taken_at));
            if let (Some(strip), Some(value)) = (near, sample.value())
                && strip.is_noise()
                && !is_critical(sample)
            {
                *sample = Sample::new(sample.metric, sample.taken_at, value, Quality::Noisy);
                marked += 1;
            }
        }
        marked
    }

    /// The heart rate of a strip, if the device tells none.
    pub(super) fn rate(&self, strip: &Strip) -> Option<Sample> {
        if self.own_at.is_some_and(|at| strip.to.since_us(at).abs() <= OWN_US) {
            return None;
        }
        let metric = self.source.derives();
        let absent = |cause| Some(Sample::absent(metric, strip.to, cause));
        match (strip.found.heart_rate, strip.found.reason) {
            // A tenth of a beat is finer than ten seconds can tell.
            (Some(rate), _) => Some(Sample::new(metric, strip.to, (rate * 10.0).round() / 10.0, self.worth(strip))),
            (None, Some(Reason::LeadOff | Reason::Flat)) => absent(self.source.off()),
            (None, Some(Reason::Short | Reason::Rate)) => None,
            (None, _) => absent(Quality::MeasurementFailed),
        }
    }

    /// A jerk of the finger is easily one beat more or less: the rate of a doubtful pulse wave is kept and not judged.
    fn worth(&self, strip: &Strip) -> Quality {
        let doubted = self.source == Source::Ppg && strip.found.verdict == Verdict::Doubtful;
        if doubted { Quality::Noisy } else { Quality::Ok }
    }

    /// Keeps a report until it is delivered.
    pub(super) fn owe(&mut self, report: Report) {
        if self.owed.len() == OWED_MAX {
            let first = self.owed.iter().position(|report| report.events.is_empty()).unwrap_or_default();
            self.owed.remove(first);
        }
        self.owed.push_back(report);
    }
}

impl Strip {
    fn is_near(&self, at: Time) -> bool {
        at >= self.from.plus_us(-NEAR_US) && at <= self.to.plus_us(NEAR_US)
    }

    /// A heart rate beside it is not one. A strip without beats does not say so: the device may see what we do not.
    fn is_noise(&self) -> bool {
        let reasons = [Reason::Noise, Reason::Clipped, Reason::LeadOff, Reason::Flat, Reason::Weak];
        self.found.verdict == Verdict::Unusable && self.found.reason.is_some_and(|reason| reasons.contains(&reason))
    }
}
