//! Quiet periods: who is away, in hospital or under maintenance, from when until when. They come from the log and end by
//! themselves. They never cover a call for help: events ask here only when they are technical.
//!
//! A value is covered by the time it was taken, a silence by log time: it counts anew from the end of the period.

use model::quiet::{Quiet, QuietKind, Whose};
use model::{DeviceId, Subject, Time};
use serde::{Deserialize, Serialize};

use crate::clock::Stop;
use crate::engine::Engine;
use crate::hash::ElderMap;
use crate::state::NEVER;

/// Periods kept for one elder or device; beyond, the one that ends first is forgotten.
pub(crate) const SPANS_MAX: usize = 8;
/// A period that has been over for so long (30 days) is forgotten: data that come so late are judged.
const KEEP_US: i64 = 30 * 86_400_000_000;
/// All are looked through for such ones when their number reaches this, then at each doubling.
const SWEEP: usize = 64;

/// By elder, and by device (as `Subject::to_u32` writes both). In order of their beginning.
pub(crate) type Spans = ElderMap<Vec<Span>>;

/// One period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) id: u32,
    kind: QuietKind,
    from: Time,
    until: Time,
}

/// What is quiet for one report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calm<'a> {
    elder: &'a [Span],
    device: &'a [Span],
    /// Holes in log time, in which nobody could be heard.
    pub(crate) stops: &'a [Stop],
}

impl<'a> Calm<'a> {
    pub(crate) fn of(spans: &'a Spans, stops: &'a [Stop], subject: Subject, device: DeviceId) -> Self {
        if spans.is_empty() {
            return Self { stops, ..Self::default() };
        }
        let of = |key: u32| spans.get(&key).map(Vec::as_slice).unwrap_or_default();
        Self { elder: of(subject.to_u32()), device: of(Subject::Unattributed(device).to_u32()), stops }
    }

    /// Of an elder whose device is not the matter: timers.
    pub(crate) fn of_elder(spans: &'a Spans, stops: &'a [Stop], elder: u32) -> Self {
        Self { elder: spans.get(&elder).map(Vec::as_slice).unwrap_or_default(), device: &[], stops }
    }

    /// Values taken at `at` are not judged.
    pub(crate) fn covers_values(&self, at: Time) -> bool {
        covers(self.elder, QuietKind::Hospital, at) || covers(self.device, QuietKind::Maintenance, at)
    }

    /// What the device says about itself is not judged.
    pub(crate) fn covers_technical(&self, at: Time) -> bool {
        covers(self.device, QuietKind::Maintenance, at)
    }

    /// When a silence of which the last word came at `heard` is too long.
    pub(crate) fn silent_at(&self, heard: Time, after_us: i64) -> Time {
        let mut from = heard;
        for span in self.elder {
            // A silence that was due before the period began is none of its matter.
            if from < span.until && self.missed_at(from, after_us) >= span.from {
                from = span.until;
            }
        }
        self.missed_at(from, after_us)
    }
}

fn covers(spans: &[Span], kind: QuietKind, at: Time) -> bool {
    spans.iter().any(|span| span.kind == kind && (span.from..span.until).contains(&at))
}

impl Engine {
    /// Takes over a quiet period. One that does not pass its check is refused and counted.
    pub(crate) fn quiet(&mut self, quiet: &Quiet) {
        self.advance(quiet.at);
        if quiet.check().is_err() {
            self.counters.quiet_refused += 1;
            return;
        }
        for spans in self.calm.values_mut() {
            spans.retain(|span| span.id != quiet.id);
        }
        let key = match quiet.whose {
            Whose::Elder(elder) => Subject::Elder(elder),
            Whose::Device(device) => Subject::Unattributed(device),
        };
        let Quiet { id, kind, from, until, .. } = *quiet;
        self.forget_old();
        let spans = self.calm.entry(key.to_u32()).or_default();
        if spans.len() == SPANS_MAX
            && let Some(first) = (0..SPANS_MAX).min_by_key(|index| spans[*index].until)
        {
            spans.remove(first);
        }
        let place = spans.partition_point(|span| (span.from, span.id) < (from, id));
        spans.insert(place, Span { id, kind, from, until });
        // Silences count anew.
        self.due.fill(NEVER);
    }

    /// The number alone decides when: a loaded engine forgets at the same entry.
    fn forget_old(&mut self) {
        self.calm.retain(|_, spans| !spans.is_empty());
        if self.calm.len() < SWEEP || !self.calm.len().is_power_of_two() {
            return;
        }
        let now = self.now;
        self.calm.retain(|_, spans| {
            spans.retain(|span| now.since_us(span.until) <= KEEP_US);
            !spans.is_empty()
        });
    }
}
