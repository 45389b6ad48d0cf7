//! Framers of serial text: lines, and blocks between STX and ETX.

use crate::{Framed, Framer};

pub(super) const NUL: u8 = 0x00;
pub(super) const STX: u8 = 0x02;
pub(super) const ETX: u8 = 0x03;
pub(super) const ESC: u8 = 0x1B;

/// Bytes that belong to no frame, counted until something says where they ended: so the count does not depend on how the
/// stream was cut.
#[derive(Debug, Default)]
pub(super) struct Junk {
    bytes: usize,
    cause: &'static str,
}

impl Junk {
    pub(super) fn add(&mut self, bytes: usize, cause: &'static str) {
        if self.bytes == 0 {
            self.cause = cause;
        }
        self.bytes += bytes;
    }

    pub(super) fn flush(&mut self, found: &mut Vec<Framed>) {
        if self.bytes > 0 {
            found.push(Framed::Skipped { bytes: self.bytes, cause: self.cause });
            self.bytes = 0;
        }
    }
}

/// What a serial device sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Text outside blocks that ends with CR, LF or both is a frame.
    pub(super) lines: bool,
    /// Bytes after ETX that belong to the block.
    pub(super) check: usize,
    /// Longest frame, bytes. What is longer is skipped up to the next beginning.
    pub(super) max: usize,
}

/// Lines and blocks. A frame is the line without its end, or the block from STX to its last byte.
#[derive(Debug)]
pub(super) struct TextFramer {
    form: Form,
    place: Place,
    held: Vec<u8>,
    junk: Junk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Line,
    Block,
    /// So many bytes of the block's check are still to come.
    Check(usize),
    /// Too long: waits for the next beginning.
    Lost,
}

impl TextFramer {
    pub(super) fn boxed(form: Form) -> Box<dyn Framer> {
        Box::new(Self { form, place: Place::Line, held: Vec::new(), junk: Junk::default() })
    }

    fn give_up(&mut self, cause: &'static str) {
        self.junk.add(self.held.len(), cause);
        self.held.clear();
        self.place = Place::Line;
    }

    fn whole(&mut self, found: &mut Vec<Framed>) {
        self.junk.flush(found);
        found.push(Framed::Frame(std::mem::take(&mut self.held)));
        self.place = Place::Line;
    }

    fn hold(&mut self, byte: u8) {
        self.held.push(byte);
        if self.held.len() > self.form.max {
            self.give_up("too long for this device");
            self.place = Place::Lost;
        }
    }

    fn end_of_line(&mut self, found: &mut Vec<Framed>) {
        match self.place {
            Place::Lost => {
                self.place = Place::Line;
                self.junk.flush(found);
            }
            _ if self.held.iter().all(u8::is_ascii_whitespace) => self.held.clear(),
            _ if self.form.lines => self.whole(found),
            _ => self.give_up("text outside a block"),
        }
    }

    fn byte(&mut self, byte: u8, found: &mut Vec<Framed>) {
        match (self.place, byte) {
            (Place::Check(left), byte) => {
                self.held.push(byte);
                self.place = Place::Check(left - 1);
                if left == 1 {
                    self.whole(found);
                }
            }
            (_, STX) => {
                self.give_up("no end before the next beginning");
                self.held.push(STX);
                self.place = Place::Block;
            }
            (Place::Block, ETX) => {
                self.held.push(ETX);
                if self.form.check == 0 { self.whole(found) } else { self.place = Place::Check(self.form.check) }
            }
            (Place::Block, byte) => self.hold(byte),
            (_, b'\r' | b'\n') => self.end_of_line(found),
            // Printer text is full of them.
            (Place::Line | Place::Lost, NUL | ESC) => {}
            (Place::Line, byte) => self.hold(byte),
            (Place::Lost, _) => self.junk.add(1, "too long for this device"),
        }
    }
}

impl Framer for TextFramer {
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

/// The text of a block or line without STX, ETX, what follows ETX, and line ends.
pub(super) fn content(frame: &[u8]) -> &[u8] {
    let frame = frame.strip_prefix(&[STX]).unwrap_or(frame);
    let end = frame.iter().position(|byte| *byte == ETX).unwrap_or(frame.len());
    frame[..end].trim_ascii()
}
