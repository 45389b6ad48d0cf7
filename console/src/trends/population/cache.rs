//! The means of all elders, by metric and days: kept for a while, a few of them, one made at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{ElderId, Metric, Time};
use store::records::Cohort;

/// How long means are used, in µs. Also what keeps two answers from being compared for the one elder who came between them.
const KEPT_US: i64 = 3_600_000_000;
/// Sets of means kept: 50,000 elders are about two megabytes.
const KEPT_MAX: usize = 8;

/// What was asked for.
pub(super) type Key = (Metric, i64);

/// One value an elder, by number.
#[derive(Clone, Debug)]
pub(super) struct Means {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) of: Arc<[(ElderId, f64)]>,
    /// Everybody as they were then: who moves to another team is not found by asking before and after.
    pub(super) cohort: Arc<Cohort>,
}

/// Where it stands.
#[derive(Clone, Debug)]
pub(super) enum State {
    Ready(Means),
    Running { done: usize, of: usize },
}

#[derive(Debug, Default)]
struct Shelf {
    ready: HashMap<Key, Means>,
    running: Option<(Key, usize, usize)>,
    /// Failed since it was last asked for.
    failed: Option<Key>,
}

/// All means at hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population(Arc<Mutex<Shelf>>);

/// What a question finds.
#[derive(Debug)]
pub(super) enum Found {
    State(State),
    /// Nobody makes them: the asker does, from now on.
    Yours,
    /// Another one is being made.
    Wait,
    /// The last try failed; asked again it is tried again.
    Failed,
}

impl Population {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask(&self, key: Key, now: Time) -> Found {
        let mut shelf = self.shelf();
        shelf.ready.retain(|_, means| now.since_us(means.to) < KEPT_US);
        if let Some(means) = shelf.ready.get(&key) {
            return Found::State(State::Ready(means.clone()));
        }
        if shelf.failed == Some(key) {
            shelf.failed = None;
            return Found::Failed;
        }
        match shelf.running {
            Some((running, done, of)) if running == key => Found::State(State::Running { done, of }),
            Some(_) => Found::Wait,
            None => {
                shelf.running = Some((key, 0, 0));
                Found::Yours
            }
        }
    }

    pub(super) fn done(&self, key: Key, done: usize, of: usize) {
        self.shelf().running = Some((key, done, of));
    }

    /// The end of a try; `None`: it failed.
    pub(super) fn finish(&self, key: Key, means: Option<Means>) {
        let mut shelf = self.shelf();
        shelf.running = None;
        let Some(means) = means else {
            shelf.failed = Some(key);
            return;
        };
        if shelf.ready.len() >= KEPT_MAX
            && let Some(oldest) = shelf.ready.iter().min_by_key(|(_, means)| means.to).map(|(key, _)| *key)
        {
            shelf.ready.remove(&oldest);
        }
        shelf.ready.insert(key, means);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_at_a_time_kept_an_hour_and_tried_again() {
        let shelf = Population::default();
        let (one, other) = ((Metric::Spo2, 7), (Metric::HeartRate, 7));
        let means = |to| Means { from: Time(0), to: Time(to), of: Arc::new([]), cohort: Arc::default() };
        assert!(matches!(shelf.ask(one, Time(0)), Found::Yours));
        shelf.done(one, 5, 9);
        assert!(matches!(shelf.ask(one, Time(0)), Found::State(State::Running { done: 5, of: 9 })));
        assert!(matches!(shelf.ask(other, Time(0)), Found::Wait));
        shelf.finish(one, None);
        assert!(matches!(shelf.ask(one, Time(0)), Found::Failed), "said once");
        assert!(matches!(shelf.ask(one, Time(0)), Found::Yours));
        shelf.finish(one, Some(means(1)));
        assert!(matches!(shelf.ask(one, Time(KEPT_US)), Found::State(State::Ready(_))));
        assert!(matches!(shelf.ask(one, Time(KEPT_US + 1)), Found::Yours), "an hour later");
        for days in 0..20 {
            shelf.finish((Metric::Spo2, days), Some(means(days)));
        }
        assert_eq!(shelf.shelf().ready.len(), KEPT_MAX);
    }
}
