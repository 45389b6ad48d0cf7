//! The line of ASTM E1381 / LIS1-A: ENQ, numbered and checked frames, EOT; every step is answered.
//!
//! ```text
//! ENQ            -> ACK
//! STX number text ETB|ETX checksum(2) CR LF -> ACK, or NAK when the checksum or the number is wrong
//! EOT            the message is over
//! ```
//! The checksum is over bytes, from the number to ETX or ETB. A frame with the number of the one before is a repeat: our ACK
//! was lost. A message is given on when its terminator record or EOT comes, one frame for each person in it. The terminator's
//! frame is answered after the message was given on, so this ACK does mean "on disk"; the ones before mean "arrived".

use super::records;
use crate::cabin::framing::{ETX, Junk, STX};
use crate::{Framed, Framer};

const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const ETB: u8 = 0x17;

/// Longest frame, bytes. E1381 allows 240 characters of text, LIS1-A2 64,000; both occur.
const FRAME_MAX: usize = 64_000;
/// Longest message, bytes: an analyser's whole tray of results.
const MESSAGE_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct LineFramer {
    place: Place,
    /// Number, text, ETB or ETX, checksum.
    frame: Vec<u8>,
    /// Text of the frames taken so far.
    message: Vec<u8>,
    /// Number of the frame taken last.
    taken: Option<u8>,
    junk: Junk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    Text,
    /// Digits of the checksum still to come.
    Check(u8),
}

impl Framer for LineFramer {
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Framed>) {
        for byte in bytes {
            self.byte(*byte, found);
        }
    }

    fn silent(&mut self, found: &mut Vec<Framed>) {
        self.begin("no end before the line fell silent");
        self.junk.flush(found);
    }
}

impl LineFramer {
    fn byte(&mut self, byte: u8, found: &mut Vec<Framed>) {
        match (self.place, byte) {
            (_, ENQ) => {
                // The other side starts over: it will send again what was not finished.
                self.begin("a new session before the end");
                self.answer(ACK, found);
            }
            (_, EOT) => {
                self.drop_frame("the session ended inside a frame");
                self.give(found);
                self.taken = None;
            }
            (_, STX) => {
                self.drop_frame("no end before the next beginning");
                self.place = Place::Text;
            }
            (Place::Between, b'\r' | b'\n') => {}
            (Place::Between, _) => self.junk.add(1, "outside a frame"),
            (Place::Text, ETX | ETB) => {
                self.frame.push(byte);
                self.place = Place::Check(2);
            }
            (Place::Text, _) if self.frame.len() >= FRAME_MAX => {
                self.drop_frame("a frame that is too long");
                self.answer(NAK, found);
            }
            (Place::Text, _) => self.frame.push(byte),
            (Place::Check(left), _) => {
                self.frame.push(byte);
                self.place = Place::Check(left - 1);
                if left == 1 {
                    self.checked(found);
                }
            }
        }
    }

    fn answer(&mut self, byte: u8, found: &mut Vec<Framed>) {
        self.junk.flush(found);
        found.push(Framed::Answer(vec![byte]));
    }

    fn drop_frame(&mut self, cause: &'static str) {
        self.junk.add(self.frame.len(), cause);
        self.frame.clear();
        self.place = Place::Between;
    }

    fn begin(&mut self, cause: &'static str) {
        self.drop_frame(cause);
        self.junk.add(self.message.len(), cause);
        self.message.clear();
        self.taken = None;
    }

    /// A whole frame with its checksum.
    fn checked(&mut self, found: &mut Vec<Framed>) {
        self.place = Place::Between;
        let (covered, told) = self.frame.split_at(self.frame.len() - 2);
        let good = std::str::from_utf8(told)
            .ok()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .is_some_and(|told| told == sum(covered));
        let number = covered.first().filter(|digit| matches!(digit, b'0'..=b'7')).map(|digit| digit - b'0');
        let (Some(number), true) = (number, good) else {
            self.drop_frame(if good { "a frame without a number" } else { "a wrong checksum" });
            return self.answer(NAK, found);
        };
        match self.taken {
            Some(before) if number == before => {
                self.drop_frame("a repeated frame");
                return self.answer(ACK, found);
            }
            Some(before) if number != (before + 1) % 8 => {
                self.drop_frame("a frame out of turn");
                return self.answer(NAK, found);
            }
            _ => {}
        }
        let (text, last) = (&covered[1..covered.len() - 1], covered.last() == Some(&ETX));
        if self.message.len() + text.len() > MESSAGE_MAX {
            self.begin("a message that is too long");
            return self.answer(NAK, found);
        }
        self.message.extend_from_slice(text);
        self.taken = Some(number);
        self.frame.clear();
        if last {
            if !self.message.ends_with(b"\r") {
                self.message.push(b'\r');
            }
            if records::is_terminated(&self.message) {
                // Before the answer: the link sends it when the message is on disk.
                self.give(found);
            }
        }
        self.answer(ACK, found);
    }

    fn give(&mut self, found: &mut Vec<Framed>) {
        self.junk.flush(found);
        found.extend(records::by_person(&std::mem::take(&mut self.message)).into_iter().map(Framed::Frame));
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
