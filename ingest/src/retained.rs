//! Retained `st` messages: in memory for the door. On disk they are before their publish is acknowledged: the desk writes
//! them into the records store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt::door::{Identity, Publish, Retained, RetainedStore};
use mqtt::topic::Topic;

use crate::Ingest;

/// Topic -> payload.
pub(crate) type Map = Mutex<BTreeMap<String, Bytes>>;

/// A publish that must be among the retained ones before it is acknowledged.
pub(crate) fn is_state(publish: &Publish) -> bool {
    publish.retain && matches!(Topic::parse(&publish.topic), Ok(Topic::State { .. }))
}

impl RetainedStore for Ingest {
    fn put(&self, _: &Arc<Identity>, topic: &str, payload: &Bytes) {
        self.lock().insert(topic.to_owned(), payload.clone());
    }

    fn remove(&self, _: &Arc<Identity>, topic: &str) {
        self.lock().remove(topic);
    }

    fn matching(&self, filter: &str, limit: usize) -> Vec<Retained> {
        // Only what begins like the filter is looked at: a client may ask with thousands of filters in one packet.
        let start = filter.split(['+', '#']).next().unwrap_or_default();
        // `a/#` also means `a`.
        let start = if filter.len() == start.len() { start } else { start.trim_end_matches('/') };
        let map = self.lock();
        let near = map.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        let near = near.take_while(|(topic, _)| topic.starts_with(start));
        let hits = near.filter(|(topic, _)| matches(filter, topic)).take(limit);
        hits.map(|(topic, payload)| Retained { topic: topic.clone(), payload: payload.clone() }).collect()
    }
}

impl Ingest {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.shared.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// MQTT filter matching, levels by level: `+` is one level, a last `#` is all the rest and the parent too.
fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn filters_match_by_level() {
        for (filter, topic, hit) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("a/b", "a/b/c", false),
            ("+/+", "a", false),
        ] {
            assert_eq!(matches(filter, topic), hit, "{filter} {topic}");
        }
    }
}
