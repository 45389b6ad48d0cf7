//! Frames of H02: text `*HQ,..#`, or binary from `$` (24) on, 32 to 48 bytes without a length.
//!
//! What is read of a binary frame stands in its first 32 bytes, so the frame ends there: a call for help need not wait for
//! the next frame. What makers put behind it (cells, networks) is passed over.

use crate::watch::place::bcd;
use crate::watch::scan::{Cut, Rule, Start, before, blank, shaped};

/// Bytes of a binary frame that are read.
pub(super) const BINARY_BYTES: usize = 32;
/// Bytes behind them in the longest form seen (48).
const BEHIND_BYTES_MAX: usize = 16;
/// Longest text, bytes. Lists of cells stay below 300.
const TEXT_BYTES_MAX: usize = 1 << 10;

const LETTER: fn(&u8) -> bool = u8::is_ascii_alphabetic;
/// `*HQ,` and the first digit of the id.
const TEXT: &[fn(&u8) -> bool] = &[|b| *b == b'*', LETTER, LETTER, |b| *b == b',', u8::is_ascii_digit];

/// Where the time stands: behind an id of 5 bytes or of 8.
pub(super) fn time_at(frame: &[u8]) -> Option<usize> {
    [6, 9].into_iter().find(|at| clock(frame, *at) == Digits::Good)
}

/// What some bytes are as digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Digits {
    Bad,
    /// Not there yet.
    Missing,
    Good,
}

/// `hhmmssddmmyy` in binary-coded decimals. A date of zeros is a clock that was never set.
fn clock(frame: &[u8], at: usize) -> Digits {
    const LAST: [i16; 6] = [23, 59, 59, 31, 12, 99];
    let parts = LAST.iter().enumerate().map(|(nth, last)| match frame.get(at + nth).map(|byte| bcd(*byte)) {
        None => Digits::Missing,
        Some(Some(part)) if part <= *last => Digits::Good,
        Some(_) => Digits::Bad,
    });
    parts.min().unwrap_or(Digits::Bad)
}

fn start(rest: &[u8]) -> Start {
    if rest.first() != Some(&b'$') {
        return shaped(rest, TEXT);
    }
    match clock(rest, 6).max(clock(rest, 9)) {
        Digits::Bad => Start::No,
        Digits::Missing => Start::Perhaps,
        Digits::Good => Start::Header,
    }
}

#[derive(Default)]
pub(super) struct Mixed {
    /// Bytes that may still stand behind the last binary frame.
    behind: usize,
}

impl Rule for Mixed {
    fn cut(&mut self, held: &[u8], last: bool) -> Cut {
        let behind = std::mem::take(&mut self.behind);
        match start(held) {
            Start::Header => {}
            Start::Perhaps if !last => {
                self.behind = behind;
                return Cut::Wait;
            }
            _ if behind > 0 => {
                let passed = before(held, |rest| start(rest) != Start::No).min(behind);
                self.behind = behind - passed;
                return Cut::Pass(passed);
            }
            _ if blank(held) > 0 => return Cut::Pass(blank(held)),
            _ => return Cut::Skip(before(held, |rest| start(rest) != Start::No), "no header"),
        }
        if held.first() == Some(&b'$') {
            if held.len() < BINARY_BYTES {
                return if last { Cut::Skip(held.len(), "no end") } else { Cut::Wait };
            }
            self.behind = BEHIND_BYTES_MAX;
            return Cut::Frame(BINARY_BYTES);
        }
        let within = held.get(..TEXT_BYTES_MAX).unwrap_or(held);
        let end = within.iter().position(|byte| *byte == b'#');
        // Another start on the way: the end of the first was lost.
        let text = within.get(..end.unwrap_or(within.len())).unwrap_or_default();
        let next = before(text, |rest| shaped(rest, TEXT) == Start::Header);
        match end {
            _ if next < text.len() => Cut::Skip(next, "no end"),
            Some(at) => Cut::Frame(at + 1),
            None if held.len() < TEXT_BYTES_MAX && !last => Cut::Wait,
            None => Cut::Skip(before(held, |rest| start(rest) != Start::No), "no end"),
        }
    }

    /// The cut has left what the next one needs.
    fn anew(&mut self) {}
}
