//! From a stream of bytes to whole frames: bounded, resynchronising, the same however the stream is cut.

/// What a framer found in the stream, in order. A link does one after the other: an answer that follows a frame goes out when
/// that frame is durable, and not at all when it could not be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// One whole frame, for the codec.
    Frame(Vec<u8>),
    /// Bytes the other side waits for, on the level of the line (ASTM's ACK and NAK).
    Answer(Vec<u8>),
    /// Bytes that belong to no frame, and why. Counted.
    Skipped { bytes: usize, cause: &'static str },
}

/// One connection's framer.
pub trait Framer: Send {
    /// Takes what was read and appends what it finds. Holds at most its named limit of bytes.
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Framed>);
    /// The line has been silent for a while: whatever is half is given up.
    fn silent(&mut self, found: &mut Vec<Framed>);
}
