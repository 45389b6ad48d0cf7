//! What strips begin or end, as events: an electrode that is off, an ECG that cannot be read, a heart that pauses.

use ecg::{PAUSE_S, Reason, Verdict};
use model::{Event, EventKind, Time};

use super::heart::Strip;
use super::{JOIN_US, NEAR_US};

/// An electrode is off, not slipping, after this time; an ECG cannot be read.
const LOST_US: i64 = 30_000_000;
/// Fewer beats of a strip are no heart to miss.
pub(super) const BEATS_MIN: usize = 4;

/// What the strips so far mean for the next one.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Since when the electrode is off, and whether that was told.
    off: Option<(Time, bool)>,
    unread: Option<Unread>,
    /// End of the last strip with beats that could be read.
    beating_until: Option<Time>,
    open: Option<Open>,
}

/// Strips in a row of which none could be read.
#[derive(Clone, Copy, Debug)]
struct Unread {
    since: Time,
    until: Time,
    told: bool,
}

/// A strip ended, and with it the time since its last beat did not.
#[derive(Clone, Copy, Debug)]
struct Open {
    until: Time,
    /// The pause that goes on was told.
    told: bool,
}

impl Signs {
    /// What a strip begins or ends.
    pub(super) fn of(&mut self, strip: &Strip) -> Vec<Event> {
        let pause = self.pauses(strip).then_some(Event { kind: EventKind::HeartPause, at: strip.to });
        self.lost(strip).into_iter().chain(pause).collect()
    }

    /// The clock was set, or something is missing: a pause cannot reach over that.
    pub(super) const fn part(&mut self) {
        self.open = None;
    }

    fn lost(&mut self, strip: &Strip) -> Option<Event> {
        if strip.found.verdict != Verdict::Unusable {
            (self.off, self.unread) = (None, None);
            return None;
        }
        let row = self.unread.filter(|row| strip.from.since_us(row.until) <= NEAR_US);
        let mut row = row.unwrap_or(Unread { since: strip.from, until: strip.to, told: false });
        row.until = strip.to;
        let unread = !row.told && strip.to.since_us(row.since) >= LOST_US;
        let mut event = unread.then_some(Event { kind: EventKind::MeasurementFailed, at: row.since });
        row.told |= unread;
        if matches!(strip.found.reason, Some(Reason::LeadOff | Reason::Flat)) {
            let (since, told) = self.off.unwrap_or((strip.from, false));
            let due = !told && strip.to.since_us(since) >= LOST_US;
            self.off = Some((since, told || due));
            // Why it cannot be read says more than that it cannot.
            event = if due { Some(Event { kind: EventKind::DeviceRemoved, at: since }) } else { event };
            row.told |= due;
        } else {
            self.off = None;
        }
        self.unread = Some(row);
        event
    }

    /// A pause begins, and was not told with the strip before.
    fn pauses(&mut self, strip: &Strip) -> bool {
        let found = &strip.found;
        let open = self.open.take().filter(|open| joins(open.until, strip.from));
        let told = open.is_some_and(|open| open.told);
        let beating = self.beating_until.is_some_and(|until| strip.from.since_us(until).abs() <= NEAR_US);
        let long = |seconds: Option<f64>| seconds.is_some_and(|seconds| seconds >= PAUSE_S);
        if found.verdict == Verdict::Unusable {
            // A line without beats right after some. Without the least movement it must follow them without a gap.
            let stands = match found.reason {
                Some(Reason::NoBeats) => found.pause_s.is_some(),
                Some(Reason::Flat) => open.is_some() && (long(found.quiet.before) || long(found.quiet.after)),
                _ => false,
            };
            let pauses = stands && (beating || told);
            self.open = pauses.then_some(Open { until: strip.to, told: true });
            return pauses && !told;
        }
        // Beats that are alike, here or just before: without them a pause is one of something else.
        let enough = found.heart_rate.is_some() && found.peaks.len() >= BEATS_MIN;
        let clear = found.verdict == Verdict::Usable || found.reason == Some(Reason::Flat);
        let believed = found.heart_rate.is_some() && found.pause_s.is_some() && clear && (enough || beating);
        let quiet = &found.quiet;
        let new = long(Some(quiet.between)) || long(quiet.after) || long(quiet.before) && !told;
        self.open = quiet.after.map(|_| Open { until: strip.to, told: believed && long(quiet.after) });
        if enough {
            self.beating_until = Some(strip.to);
        }
        believed && new || strip.pauses_before && !told
    }
}

/// One strip begins where the other ended.
pub(super) const fn joins(until: Time, from: Time) -> bool {
    from.since_us(until).abs() <= 2 * JOIN_US
}
