//! Frames of JT/T 808: between two delimiters (7E, of some makers E7), escaped, with an XOR over header and body; of some
//! makers also a text in parentheses.

use crate::watch::scan::{Cut, Rule, before, blank};

const USUAL: u8 = 0x7E;
const OTHER: u8 = 0xE7;
/// Longest frame believed, bytes: 1,023 of body, header, and every byte escaped.
const FRAME_BYTES_MAX: usize = 2 * 1_100;
/// Longest text in parentheses, bytes.
const TEXT_BYTES_MAX: usize = 256;

const SUB_PACKET: u16 = 1 << 13;
const VERSION_2019: u16 = 1 << 14;
/// Places of certain locks: their serial is one byte.
const SHORT_SERIAL: [u16; 2] = [0x5501, 0x5502];

/// The parts of a frame, unescaped.
#[derive(Debug)]
pub(super) struct Parts {
    delimiter: u8,
    pub(super) kind: u16,
    attributes: u16,
    version: Option<u8>,
    /// Binary-coded decimal in most devices.
    pub(super) id: Vec<u8>,
    pub(super) serial: u16,
    /// How many parts the message has and which one this is.
    pub(super) part: Option<(u16, u16)>,
    pub(super) body: Vec<u8>,
    /// XOR of the bytes.
    pub(super) sound: bool,
}

impl Parts {
    /// As its header says.
    pub(super) fn declared(&self) -> usize {
        usize::from(self.attributes & 0x3FF)
    }

    pub(super) const fn is_2019(&self) -> bool {
        self.version.is_some()
    }
}

fn unescape(delimiter: u8, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let escaped = match (delimiter, rest) {
            (USUAL, [0x7D, 1, ..]) => Some(0x7D),
            (USUAL, [0x7D, 2, ..]) => Some(0x7E),
            (OTHER, [0xE6, 1, ..]) => Some(0xE6),
            (OTHER, [0xE6, 2, ..]) => Some(0xE7),
            (OTHER, [0x3E, 1, ..]) => Some(0x3E),
            (OTHER, [0x3E, 2, ..]) => Some(0x3D),
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(1..).unwrap_or_default() } else { tail };
    }
    plain
}

fn escape(delimiter: u8, bytes: &[u8]) -> Vec<u8> {
    let pair = |byte: u8| match (delimiter, byte) {
        (USUAL, 0x7D) => Some([0x7D, 1]),
        (USUAL, 0x7E) => Some([0x7D, 2]),
        (OTHER, 0xE6) => Some([0xE6, 1]),
        (OTHER, 0xE7) => Some([0xE6, 2]),
        (OTHER, 0x3E) => Some([0x3E, 1]),
        (OTHER, 0x3D) => Some([0x3E, 2]),
        _ => None,
    };
    bytes.iter().flat_map(|byte| pair(*byte).map_or_else(|| vec![*byte], |pair| pair.to_vec())).collect()
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// Takes a frame apart; `None` when the header is not whole. A frame from a log, already unescaped, is read as it stands.
pub(super) fn parts(frame: &[u8]) -> Option<Parts> {
    let (delimiter, inner) = match frame {
        [first @ (USUAL | OTHER), inner @ .., last] if first == last => (*first, inner),
        _ => return None,
    };
    let plain = unescape(delimiter, inner);
    // The XOR of all bytes with their check byte is 0.
    let plain = if xor(&plain) != 0 && xor(inner) == 0 { inner.to_vec() } else { plain };
    let (_, counted) = plain.split_last()?;
    let sound = xor(&plain) == 0;
    let (kind, rest) = word(counted)?;
    let (attributes, rest) = word(rest)?;
    let (version, rest) = if attributes & VERSION_2019 != 0 {
        rest.split_first().map(|(version, rest)| (Some(*version), rest))?
    } else {
        (None, rest)
    };
    let id_bytes = if version.is_some() { 10 } else { 6 + usize::from(delimiter == OTHER) };
    let (id, rest) = rest.split_at_checked(id_bytes)?;
    let (serial, rest) = if SHORT_SERIAL.contains(&kind) {
        rest.split_first().map(|(serial, rest)| (u16::from(*serial), rest))?
    } else {
        word(rest)?
    };
    let (part, rest) = if attributes & SUB_PACKET != 0 {
        let (total, rest) = word(rest)?;
        let (index, rest) = word(rest)?;
        (Some((index, total)), rest)
    } else {
        (None, rest)
    };
    Some(Parts { delimiter, kind, attributes, version, id: id.to_vec(), serial, part, body: rest.to_vec(), sound })
}

/// A number of two bytes and what follows it.
pub(super) fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk::<2>().map(|(two, rest)| (u16::from_be_bytes(*two), rest))
}

/// A frame of the server to the device that sent `to`. Serial 0: the server numbers nothing.
pub(super) fn compose(to: &Parts, kind: u16, body: &[u8]) -> Vec<u8> {
    let mut plain = kind.to_be_bytes().to_vec();
    let attributes = (body.len() as u16 & 0x3FF) | if to.version.is_some() { VERSION_2019 } else { 0 };
    plain.extend(attributes.to_be_bytes());
    plain.extend(to.version);
    plain.extend_from_slice(&to.id);
    plain.extend([0, 0]);
    plain.extend_from_slice(body);
    plain.push(xor(&plain));
    let mut frame = vec![to.delimiter];
    frame.extend(escape(to.delimiter, &plain));
    frame.push(to.delimiter);
    frame
}

/// Between two delimiters. When sync is lost a delimiter that ends a frame may have been taken for one that starts it: a
/// frame whose XOR is wrong leaves its last delimiter for the next.
#[derive(Default)]
pub(super) struct Delimited;

fn starts(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(&(USUAL | OTHER | b'(')))
}

impl Rule for Delimited {
    fn cut(&mut self, held: &[u8], last: bool) -> Cut {
        let (delimiter, longest) = match held.first() {
            Some(delimiter @ (&USUAL | &OTHER)) => (*delimiter, FRAME_BYTES_MAX),
            Some(b'(') => (b')', TEXT_BYTES_MAX),
            _ if blank(held) > 0 => return Cut::Pass(blank(held)),
            _ => return Cut::Skip(before(held, starts), "no delimiter"),
        };
        let within = held.get(..longest).unwrap_or(held);
        let end = within.iter().skip(1).position(|byte| *byte == delimiter).map(|at| at + 1);
        // Text holds no delimiters of binary frames.
        let crossed =
            delimiter == b')' && within.get(..end.unwrap_or(within.len())).is_some_and(|text| text.contains(&USUAL));
        match end {
            // The end of a broken frame and the start of the next.
            Some(1) => Cut::Skip(1, "no frame"),
            _ if crossed => Cut::Skip(before(held, starts), "no end"),
            Some(at) if delimiter == b')' => Cut::Frame(at + 1),
            Some(at) if within.get(..=at).and_then(parts).is_some_and(|parts| parts.sound) => Cut::Frame(at + 1),
            Some(at) => Cut::FrameShared(at + 1),
            None if held.len() < longest && !last => Cut::Wait,
            None => Cut::Skip(before(held, starts), "no end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_there_and_back() {
        assert_eq!(unescape(USUAL, &[0x30, 0x7D, 2, 8, 0x7D, 1, 0x55]), [0x30, 0x7E, 8, 0x7D, 0x55]);
        for delimiter in [USUAL, OTHER] {
            let every: Vec<u8> = (0..=255).collect();
            let escaped = escape(delimiter, &every);
            assert!(!escaped.contains(&delimiter));
            assert_eq!(unescape(delimiter, &escaped), every);
        }
    }
}
