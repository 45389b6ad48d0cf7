//! The gateway's memory of what it has not delivered: two journals (urgent, ordinary) and one for what the server refused.
//!
//! An entry is one publish. It leaves the outbox when the server has custody of it, and for no other reason:
//! ```text
//! u8 version (1), i64 LE queued at (microseconds), u16 LE topic length, topic, payload
//! ```
//! The journal adds length and checksum; this form has neither.

use std::path::Path;

use journal::{AppendError, Journal};
use model::{Seq, Time};

const VERSION: u8 = 1;
/// Bytes before the topic.
const HEAD: usize = 1 + 8 + 2;

/// One publish as it lies in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub queued_at: Time,
    pub topic: &'a str,
    pub payload: &'a [u8],
}

/// Bytes of an entry. A topic beyond 65,535 bytes is a caller's bug (ours have at most 128) and is cut.
pub fn encode(queued_at: Time, topic: &str, payload: &[u8]) -> Vec<u8> {
    let topic = &topic.as_bytes()[..topic.len().min(usize::from(u16::MAX))];
    let mut out = Vec::with_capacity(HEAD + topic.len() + payload.len());
    out.push(VERSION);
    out.extend_from_slice(&queued_at.0.to_le_bytes());
    out.extend_from_slice(&(topic.len() as u16).to_le_bytes());
    out.extend_from_slice(topic);
    out.extend_from_slice(payload);
    out
}

/// `None` when the bytes are not an entry.
pub fn decode(entry: &[u8]) -> Option<Entry<'_>> {
    let (version, rest) = entry.split_first()?;
    let (queued_at, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (topic, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let topic = std::str::from_utf8(topic).ok()?;
    (*version == VERSION).then_some(Entry { queued_at: Time(i64::from_le_bytes(*queued_at)), topic, payload })
}

/// The three files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// SOS and events. Always sent first, and never waits for a slot taken by ordinary traffic.
    pub urgent: Journal,
    /// Readings, live and backfilled.
    pub ordinary: Journal,
    /// What the server will never take (reason 0x99, or larger than its packet limit): kept for a person to look at.
    pub refused: Journal,
}

impl Outbox {
    /// Opens or creates `outbox-urgent.db`, `outbox.db` and `outbox-refused.db` in `dir`.
    pub fn open(dir: &Path, config: &journal::Config) -> Result<Self, journal::Error> {
        Ok(Self {
            urgent: Journal::open(dir, "outbox-urgent", config)?,
            ordinary: Journal::open(dir, "outbox", config)?,
            refused: Journal::open(dir, "outbox-refused", config)?,
        })
    }

    /// Stores one publish; durable when it returns. When full it says so and stores nothing: the caller holds back.
    pub async fn put(&self, urgent: bool, at: Time, topic: &str, payload: &[u8]) -> Result<Seq, AppendError> {
        let journal = if urgent { &self.urgent } else { &self.ordinary };
        journal.append_wait(vec![encode(at, topic, payload)]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_comes_back(at: i64, topic in ".{0,128}", payload: Vec<u8>) {
            let entry = encode(Time(at), &topic, &payload);
            prop_assert_eq!(decode(&entry), Some(Entry { queued_at: Time(at), topic: &topic, payload: &payload }));
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
