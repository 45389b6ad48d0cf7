//! What the framers of all watch protocols share: a bounded buffer, and one rule a protocol that finds the next frame.

use crate::{Framed, Framer};

/// Bytes held for one connection. The longest frame of a watch is a voice message in one piece, below 20 KB.
pub(super) const HELD_BYTES_MAX: usize = 32 << 10;

/// What a rule sees at the start of the bytes held.
pub(super) enum Cut {
    /// The first bytes, so many, are one frame.
    Frame(usize),
    /// As `Frame`, but the last byte may also start the next frame.
    FrameShared(usize),
    /// The first bytes, so many (at least one), belong to no frame, and why.
    Skip(usize, &'static str),
    /// The first bytes, so many (at least one), may stand between frames and say nothing.
    Pass(usize),
    /// Cannot be told before more bytes come.
    Wait,
}

/// How one protocol finds its frames. A rule decides at the earliest byte at which it can, so that the frames are the same
/// however the stream is cut; it starts anew after each frame and each skip.
pub(super) trait Rule: Default + Send {
    /// `last`: nothing more will come, or no more can be held. Then [`Cut::Wait`] means that all of it is given up.
    fn cut(&mut self, held: &[u8], last: bool) -> Cut;

    /// The rule for what follows, after something was taken out.
    fn anew(&mut self) {
        *self = Self::default();
    }
}

/// A framer made of a rule.
#[derive(Default)]
pub(super) struct Scanner<R> {
    held: Vec<u8>,
    rule: R,
}

/// The framer of a rule, as the table of codecs wants it.
pub(super) fn framer<R: Rule + 'static>() -> Box<dyn Framer> {
    Box::new(Scanner::<R> { held: Vec::new(), rule: R::default() })
}

impl<R: Rule> Scanner<R> {
    /// Takes out what is decided. With `last` a part that waits is decided too, once (`once`) or until nothing is left.
    fn drain(&mut self, found: &mut Vec<Framed>, last: bool, once: bool) {
        let mut at = 0;
        let mut forced = last;
        while let Some(rest) = self.held.get(at..).filter(|rest| !rest.is_empty()) {
            let length = match self.rule.cut(rest, forced) {
                Cut::Wait if !forced => break,
                Cut::Wait => skip(found, rest.len(), "no end"),
                Cut::Skip(bytes, cause) => skip(found, bytes.clamp(1, rest.len()), cause),
                Cut::Pass(bytes) => bytes.clamp(1, rest.len()),
                Cut::Frame(bytes) => frame(found, rest, bytes),
                Cut::FrameShared(bytes) => frame(found, rest, bytes).saturating_sub(1).max(1),
            };
            at += length;
            self.rule.anew();
            forced = last && !once;
        }
        self.held.drain(..at);
    }
}

fn frame(found: &mut Vec<Framed>, held: &[u8], bytes: usize) -> usize {
    let bytes = bytes.clamp(1, held.len());
    found.push(Framed::Frame(held.iter().copied().take(bytes).collect()));
    bytes
}

/// Skipped bytes that follow each other for one cause are one notice.
fn skip(found: &mut Vec<Framed>, count: usize, why: &'static str) -> usize {
    match found.last_mut() {
        Some(Framed::Skipped { bytes, cause }) if *cause == why => *bytes += count,
        _ => found.push(Framed::Skipped { bytes: count, cause: why }),
    }
    count
}

impl<R: Rule> Framer for Scanner<R> {
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Framed>) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let room = HELD_BYTES_MAX.saturating_sub(self.held.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            self.drain(found, false, false);
            if self.held.len() >= HELD_BYTES_MAX {
                self.drain(found, true, true);
            }
        }
    }

    fn silent(&mut self, found: &mut Vec<Framed>) {
        self.drain(found, true, false);
    }
}

/// What the bytes at some place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    No,
    /// The first bytes of a header; more are needed.
    Perhaps,
    Header,
}

/// Compares bytes with a header of fixed length, one test a byte.
pub(super) fn shaped(bytes: &[u8], tests: &[fn(&u8) -> bool]) -> Start {
    if !bytes.iter().zip(tests).all(|(byte, test)| test(byte)) {
        Start::No
    } else if bytes.len() < tests.len() {
        Start::Perhaps
    } else {
        Start::Header
    }
}

/// Line ends between frames.
pub(super) fn blank(held: &[u8]) -> usize {
    held.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)).count()
}

/// Bytes before the next place where `start` holds; all of them when there is none.
pub(super) fn before(held: &[u8], start: impl Fn(&[u8]) -> bool) -> usize {
    (1..held.len()).find(|at| held.get(*at..).is_some_and(&start)).unwrap_or(held.len())
}
