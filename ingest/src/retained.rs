//! Retained `st` messages: in memory for the door, written through to the records store by the desk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt::door::{Identity, Retained, RetainedStore};

use crate::Ingest;
use crate::intake::{Job, to_desk};

/// Topic -> payload.
pub(crate) type Map = Mutex<BTreeMap<String, Bytes>>;

impl RetainedStore for Ingest {
    fn put(&self, from: &Arc<Identity>, topic: &str, payload: &Bytes) {
        self.lock().insert(topic.to_owned(), payload.clone());
        self.persist(from, topic, payload.to_vec());
    }

    fn remove(&self, from: &Arc<Identity>, topic: &str) {
        self.lock().remove(topic);
        self.persist(from, topic, Vec::new());
    }

    fn matching(&self, filter: &str, limit: usize) -> Vec<Retained> {
        let map = self.lock();
        let hits = map.iter().filter(|(topic, _)| matches(filter, topic)).take(limit);
        hits.map(|(topic, payload)| Retained { topic: topic.clone(), payload: payload.clone() }).collect()
    }
}

impl Ingest {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.shared.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn persist(&self, from: &Arc<Identity>, topic: &str, payload: Vec<u8>) {
        to_desk(&self.desk, &self.shared, Job::Retain { from: Arc::clone(from), topic: topic.to_owned(), payload });
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
