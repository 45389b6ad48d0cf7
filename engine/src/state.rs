//! What the engine remembers of one elder. All of it is bounded by constants and by the number of rules.

use std::sync::Arc;

use model::{AlarmId, Metric, Time};
use serde::{Deserialize, Serialize};

use crate::more::More;
use crate::plan::Plan;
use crate::track::Track;
use crate::worn::Worn;

/// Episodes remembered per elder, so that a second upload of old data is recognised.
pub(crate) const EPISODES_MAX: usize = 16;
/// Metrics times devices followed per elder; beyond, the one unheard for longest is forgotten.
pub(crate) const SERIES_MAX: usize = 64;
/// Events remembered per elder for exact duplicates.
pub(crate) const EVENTS_RECENT_MAX: usize = 16;
/// "Never", as a time.
pub(crate) const NEVER: Time = Time(i64::MIN);

/// One elder (or a device of nobody, as `Subject::to_u32` writes it): the plan in force and the state.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) elder: u32,
    pub(crate) plan: Arc<Plan>,
    pub(crate) state: State,
}

/// The saved part. Most elders have no track, no episode and no event: their vectors stay empty and take no memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Log time of the last frame in a live lane.
    pub(crate) heard: Time,
    pub(crate) worn: Worn,
    /// One per metric that a rule judges, and source.
    pub(crate) series: Vec<Series>,
    /// Live conditions pending or present, at most one per rule and source.
    pub(crate) tracks: Vec<Track>,
    /// The same in late data, apart from the live ones.
    pub(crate) late: Vec<Track>,
    /// Newest last.
    pub(crate) episodes: Vec<Episode>,
    pub(crate) silent: Vec<Silent>,
    pub(crate) happenings: Vec<Happening>,
    /// Newest last.
    pub(crate) recent: Vec<(u32, u8, Time)>,
    /// Only with rules of further kinds.
    pub(crate) more: Option<Box<More>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) metric: Metric,
    /// As in a track.
    pub(crate) source: u32,
    /// Event time of the newest value judged live.
    pub(crate) last_at: Time,
    /// Of the stretch that goes on, and the last time at which it was one of wearing ([`crate::worn`]). Event time.
    pub(crate) from: Time,
    pub(crate) worn_at: Time,
}

/// A stretch of a threshold condition that is over, and known to the records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) rule: u8,
    pub(crate) alarm: AlarmId,
    pub(crate) from: Time,
    pub(crate) to: Time,
}

/// A silence alarm that stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Silent {
    pub(crate) rule: u8,
    pub(crate) alarm: AlarmId,
}

/// The last alarms of one event rule: the live one and the one found in late data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) rule: u8,
    pub(crate) live: Option<EventAlarm>,
    pub(crate) late: Option<EventAlarm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventAlarm {
    pub(crate) alarm: AlarmId,
    pub(crate) first_at: Time,
    pub(crate) last_at: Time,
}

/// Adds without room to spare: most elders have one or two of a thing, for good, and there are many elders.
pub(crate) fn add<T>(all: &mut Vec<T>, one: T) -> &mut T {
    all.reserve_exact(1);
    all.push_mut(one)
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            heard: NEVER,
            worn: Worn::never(),
            series: Vec::new(),
            tracks: Vec::new(),
            late: Vec::new(),
            episodes: Vec::new(),
            silent: Vec::new(),
            happenings: Vec::new(),
            recent: Vec::new(),
            more: None,
        }
    }

    /// The rule's condition at `at` is part of an episode that is over.
    pub(crate) fn is_past(&self, rule: u8, at: Time) -> bool {
        self.episodes.iter().any(|known| known.rule == rule && (known.from..=known.to).contains(&at))
    }

    /// The same, or part of the one that stands.
    pub(crate) fn is_known(&self, rule: u8, at: Time) -> bool {
        let stands = |track: &Track| track.present.is_some_and(|present| at >= present.started_at);
        self.is_past(rule, at) || self.tracks.iter().any(|track| track.rule == rule && stands(track))
    }

    /// Heap and self, bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.series.capacity() * size_of::<Series>()
            + (self.tracks.capacity() + self.late.capacity()) * size_of::<Track>()
            + self.episodes.capacity() * size_of::<Episode>()
            + self.silent.capacity() * size_of::<Silent>()
            + self.happenings.capacity() * size_of::<Happening>()
            + self.recent.capacity() * size_of::<(u32, u8, Time)>()
            + self.more.as_ref().map_or(0, |more| more.bytes())
    }

    pub(crate) fn remember(&mut self, episode: Episode) {
        if self.episodes.len() == EPISODES_MAX {
            self.episodes.remove(0);
        }
        add(&mut self.episodes, episode);
    }
}
