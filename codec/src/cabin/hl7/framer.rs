//! MLLP: 0B, message, 1C 0D. Tolerant: bytes between messages, a missing 0D, control bytes inside, a message that never ends.
//!
//! A batch (FHS, BHS) is given on message by message, so that each is answered by itself.

use crate::cabin::framing::Junk;
use crate::{Framed, Framer};

pub(super) const VT: u8 = 0x0B;
pub(super) const FS: u8 = 0x1C;

/// Longest message or batch, bytes.
const MESSAGE_MAX: usize = 1 << 20;
/// How every message begins; a VT before anything else is dirt inside a message.
const HEADS: [&[u8; 3]; 3] = [b"MSH", b"FHS", b"BHS"];

#[derive(Debug, Default)]
pub(super) struct BlockFramer {
    inside: bool,
    /// Bytes since VT; dirt inside is kept, the reader of the message skips it.
    held: Vec<u8>,
    /// Where the last VT inside the message was: perhaps the beginning of the next.
    restart: Option<usize>,
    junk: Junk,
}

impl Framer for BlockFramer {
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Framed>) {
        for byte in bytes {
            self.byte(*byte, found);
        }
    }

    fn silent(&mut self, found: &mut Vec<Framed>) {
        self.give_up("no end before the line fell silent");
        self.junk.flush(found);
    }
}

impl BlockFramer {
    fn byte(&mut self, byte: u8, found: &mut Vec<Framed>) {
        match byte {
            VT if !self.inside => {
                self.inside = true;
            }
            // The 0D after 1C, line ends between messages.
            b'\r' | b'\n' if !self.inside => {}
            _ if !self.inside => self.junk.add(1, "outside a message"),
            FS => {
                self.inside = false;
                self.restart = None;
                let message = std::mem::take(&mut self.held);
                self.junk.flush(found);
                found.extend(messages(&message).into_iter().map(|message| Framed::Frame(message.to_vec())));
            }
            byte => {
                self.held.push(byte);
                if byte == VT {
                    self.restart = Some(self.held.len());
                }
                self.begun_again();
                if self.held.len() > MESSAGE_MAX {
                    self.give_up("a message that is too long");
                }
            }
        }
    }

    /// VT and the head of a message inside a message: the one before never ended. Its sender gets no answer and sends again.
    fn begun_again(&mut self) {
        let Some(at) = self.restart else { return };
        let after = &self.held[at..];
        if after.len() == 3 {
            self.restart = None;
            if HEADS.iter().any(|head| after == *head) {
                let next = after.to_vec();
                self.junk.add(at, "a message without an end");
                self.held = next;
            }
        }
    }

    fn give_up(&mut self, cause: &'static str) {
        self.junk.add(self.held.len(), cause);
        self.held.clear();
        self.restart = None;
        self.inside = false;
    }
}

/// The messages of a block: the block itself, or those of a batch. A batch without any is given on to be refused.
fn messages(block: &[u8]) -> Vec<&[u8]> {
    let is_batch = block.starts_with(b"FHS") || block.starts_with(b"BHS");
    let at_line = |at: usize| at == 0 || matches!(block[at - 1], b'\r' | b'\n');
    let begins = |name: &[u8; 3]| -> Vec<usize> {
        (0..block.len()).filter(|at| at_line(*at) && block[*at..].starts_with(name)).collect()
    };
    let starts = begins(b"MSH");
    if !is_batch || starts.is_empty() {
        return vec![block];
    }
    let end = begins(b"BTS").into_iter().chain(begins(b"FTS")).min().unwrap_or(block.len());
    let ends = starts.iter().copied().skip(1).chain([end.max(starts[starts.len() - 1])]);
    starts.iter().zip(ends).map(|(start, end)| &block[*start..end]).collect()
}
