//! One publish as it lies in the outbox.
//!
//! ```text
//! u8 version (2), i64 LE queued at (microseconds), u8 marks (1 = thinned), u32 LE epoch, u64 LE seq,
//! u16 LE topic length, topic, payload
//! ```
//! The journal adds length and checksum; this form has neither. Version 1, which older gateways left behind, has no marks,
//! epoch and seq: those are in its payload.

use model::Time;

const VERSION: u8 = 2;
const VERSION_1: u8 = 1;
/// This entry's frame is what the disk budget left of others: it is not thinned again.
const THINNED: u8 = 1;
/// Bytes before the topic.
const HEAD: usize = 1 + 8 + 1 + 4 + 8 + 2;

/// One publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub queued_at: Time,
    /// (epoch, seq) of the frame in its lane; `None` in entries of older gateways.
    pub number: Option<(u32, u64)>,
    /// What the disk budget left of other frames.
    pub thinned: bool,
    pub topic: &'a str,
    pub payload: &'a [u8],
}

impl Entry<'_> {
    /// Bytes of the entry. A topic beyond 65,535 bytes is a caller's bug (ours have at most 128) and is cut.
    pub fn encode(&self) -> Vec<u8> {
        let topic = &self.topic.as_bytes()[..self.topic.len().min(usize::from(u16::MAX))];
        let (epoch, seq) = self.number.unwrap_or_default();
        let mut out = Vec::with_capacity(HEAD + topic.len() + self.payload.len());
        out.push(VERSION);
        out.extend_from_slice(&self.queued_at.0.to_le_bytes());
        out.push(if self.thinned { THINNED } else { 0 });
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(&(topic.len() as u16).to_le_bytes());
        out.extend_from_slice(topic);
        out.extend_from_slice(self.payload);
        out
    }
}

/// Bytes of a publish that is not a numbered frame.
pub fn encode(queued_at: Time, topic: &str, payload: &[u8]) -> Vec<u8> {
    Entry { queued_at, number: None, thinned: false, topic, payload }.encode()
}

/// `None` when the bytes are not an entry.
pub fn decode(entry: &[u8]) -> Option<Entry<'_>> {
    let (version, rest) = entry.split_first()?;
    let (queued_at, rest) = rest.split_first_chunk()?;
    let queued_at = Time(i64::from_le_bytes(*queued_at));
    let (number, thinned, rest) = match *version {
        VERSION_1 => (None, false, rest),
        VERSION => {
            let (marks, rest) = rest.split_first()?;
            let (epoch, rest) = rest.split_first_chunk()?;
            let (seq, rest) = rest.split_first_chunk()?;
            let number = (u32::from_le_bytes(*epoch), u64::from_le_bytes(*seq));
            ((number.0 != 0).then_some(number), marks & THINNED != 0, rest)
        }
        _ => return None,
    };
    let (length, rest) = rest.split_first_chunk()?;
    let (topic, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some(Entry { queued_at, number, thinned, topic: std::str::from_utf8(topic).ok()?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_comes_back(at: i64, epoch: u32, seq: u64, thinned: bool, topic in ".{0,128}", payload: Vec<u8>) {
            let number = (epoch != 0).then_some((epoch, seq));
            let entry = Entry { queued_at: Time(at), number, thinned, topic: &topic, payload: &payload };
            let bytes = entry.encode();
            prop_assert_eq!(decode(&bytes), Some(entry));
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn entries_of_older_gateways_are_read() {
        let mut old = vec![1];
        old.extend_from_slice(&7_i64.to_le_bytes());
        old.extend_from_slice(&3_u16.to_le_bytes());
        old.extend_from_slice(b"a/bxyz");
        let entry = Entry { queued_at: Time(7), number: None, thinned: false, topic: "a/b", payload: b"xyz" };
        assert_eq!(decode(&old), Some(entry));
    }
}
