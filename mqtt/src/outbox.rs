//! What one outbox entry holds: the topic and the payload of one publish.
//!
//! ```text
//! u8 version (1), u16 LE topic length, topic, payload
//! ```
//! The journal adds length and checksum; this form has neither.

const VERSION: u8 = 1;

/// Bytes of an entry. A topic beyond 65,535 bytes is a caller's bug (ours have at most 128) and is cut.
pub fn encode(topic: &str, payload: &[u8]) -> Vec<u8> {
    let topic = &topic.as_bytes()[..topic.len().min(usize::from(u16::MAX))];
    let mut out = Vec::with_capacity(3 + topic.len() + payload.len());
    out.push(VERSION);
    out.extend_from_slice(&(topic.len() as u16).to_le_bytes());
    out.extend_from_slice(topic);
    out.extend_from_slice(payload);
    out
}

/// Topic and payload of an entry; `None` when the bytes are not one.
pub fn decode(entry: &[u8]) -> Option<(&str, &[u8])> {
    let [VERSION, low, high, rest @ ..] = entry else { return None };
    let (topic, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    Some((std::str::from_utf8(topic).ok()?, payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_comes_back(topic in ".{0,128}", payload: Vec<u8>) {
            let entry = super::encode(&topic, &payload);
            prop_assert_eq!(super::decode(&entry), Some((topic.as_str(), payload.as_slice())));
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes: Vec<u8>) {
            let _ = super::decode(&bytes);
        }
    }
}
