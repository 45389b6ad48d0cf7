//! Frames of GT06: `7878 len8` or `7979 len16`, type, content, serial, CRC-16/X-25, `0D0A`; len counts type to CRC.
//!
//! Where the length does not lead to `0D0A`, the frame ends at the next `0D0A`. Lists of Wi-Fi networks (17, 69) have their
//! number of networks in place of the length, and neither serial nor CRC.

use crc::{CRC_16_IBM_SDLC, Crc};

use crate::watch::scan::{Cut, Rule, before};

/// Also known as CRC-16/X-25.
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);
pub(super) const END: &[u8] = b"\r\n";
/// Longest frame believed, bytes. Photographs come in pieces of 1 KB.
const FRAME_BYTES_MAX: usize = 2 << 10;
/// Lists of Wi-Fi networks.
pub(super) const WIFI: [u8; 2] = [0x17, 0x69];

/// The parts of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// Length of two bytes (7979).
    pub(super) long: bool,
    pub(super) kind: u8,
    pub(super) content: &'a [u8],
    pub(super) serial: u16,
    /// Length and checksum are right.
    pub(super) sound: bool,
}

pub(super) fn checksum(bytes: &[u8]) -> u16 {
    CRC.checksum(bytes)
}

/// Takes a frame apart. A frame whose length or checksum is wrong is read all the same: TCP has carried it, and some makers
/// count otherwise.
pub(super) fn parts(frame: &[u8]) -> Option<Parts<'_>> {
    let (long, kind, body) = match frame {
        [0x78, 0x78, _, kind, body @ ..] => (false, *kind, body),
        [0x79, 0x79, _, _, kind, body @ ..] => (true, *kind, body),
        _ => return None,
    };
    let body = body.strip_suffix(END).or(body.strip_suffix(b"\r")).unwrap_or(body);
    let (content, tail) = match body.split_last_chunk::<4>() {
        Some((content, tail)) => (content, *tail),
        None => (body, [0; 4]),
    };
    let [serial_high, serial_low, crc_high, crc_low] = tail;
    let counted = declared(frame) == Some(frame.len());
    // With a wrong length nobody knows where serial and checksum stand.
    let content = if counted { content } else { body };
    let covered = frame.get(2..frame.len().saturating_sub(4)).unwrap_or_default();
    let sound = counted && checksum(covered) == u16::from_be_bytes([crc_high, crc_low]);
    Some(Parts { long, kind, content, serial: u16::from_be_bytes([serial_high, serial_low]), sound })
}

/// Length of the whole frame by its length field.
fn declared(held: &[u8]) -> Option<usize> {
    match held {
        [0x78, 0x78, length, ..] => Some(5 + usize::from(*length)),
        [0x79, 0x79, high, low, ..] => Some(6 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// Length of a list of networks: time 6, networks of 7 bytes, number of cells, network code 3, cells of 5 bytes. `Err` with the
/// bytes needed to tell.
fn listed(held: &[u8]) -> Result<usize, usize> {
    let networks = held.get(2).copied().map_or(0, usize::from);
    let at = 4 + 6 + 7 * networks;
    held.get(at).map(|cells| at + 1 + 3 + 5 * usize::from(*cells) + END.len()).ok_or(at + 1)
}

/// Where an unsound frame ends when another one starts within: its length was wrong and has hit the end of a later frame.
fn inner_end(frame: &[u8]) -> Option<usize> {
    if parts(frame).is_some_and(|parts| parts.sound) {
        return None;
    }
    let seam = |four: &[u8]| matches!(four, [b'\r', b'\n', 0x78, 0x78] | [b'\r', b'\n', 0x79, 0x79]);
    frame.windows(4).position(seam).map(|at| at + END.len())
}

/// Where a sound frame begins that ends at `end`: what stands before it has lost its own end.
fn last_sound(held: &[u8], end: usize) -> Option<usize> {
    let sound = |frame: &[u8]| declared(frame) == Some(frame.len()) && parts(frame).is_some_and(|parts| parts.sound);
    (1..end).find(|start| held.get(*start..end).is_some_and(sound))
}

fn starts(rest: &[u8]) -> bool {
    matches!(rest, [0x78 | 0x79] | [0x78, 0x78, ..] | [0x79, 0x79, ..])
}

/// By length, then by the end mark.
#[derive(Default)]
pub(super) struct Counted;

impl Rule for Counted {
    fn cut(&mut self, held: &[u8], last: bool) -> Cut {
        if !starts(held) {
            return Cut::Skip(before(held, starts), "no header");
        }
        let ends_at = |length: usize| held.get(..length).is_some_and(|frame| frame.ends_with(END));
        let Some(length) = declared(held) else {
            return if last { Cut::Skip(held.len(), "no end") } else { Cut::Wait };
        };
        if length > FRAME_BYTES_MAX {
            return Cut::Skip(before(held, starts), "too long");
        }
        if held.len() < length && !last {
            return Cut::Wait;
        }
        if ends_at(length) {
            return Cut::Frame(held.get(..length).and_then(inner_end).unwrap_or(length));
        }
        if held.first() == Some(&0x78) && held.get(3).is_some_and(|kind| WIFI.contains(kind)) {
            match listed(held) {
                Ok(length) if ends_at(length) => return Cut::Frame(length),
                Ok(needed) | Err(needed) if held.len() < needed && !last => return Cut::Wait,
                _ => {}
            }
        }
        let within = held.get(..FRAME_BYTES_MAX).unwrap_or(held);
        match within.windows(END.len()).position(|pair| pair == END) {
            Some(at) => match last_sound(held, at + END.len()) {
                Some(start) => Cut::Skip(start, "no end"),
                None => Cut::Frame(at + END.len()),
            },
            None if held.len() < FRAME_BYTES_MAX && !last => Cut::Wait,
            None => Cut::Skip(before(held, starts), "no end"),
        }
    }
}
