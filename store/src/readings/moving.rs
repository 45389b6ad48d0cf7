//! Measurements that turn out to be another's: their rows leave one subject and stand at the other.
//!
//! A row that leaves keeps its place under a quality of its own ([`MOVED`](super::row::MOVED)), without its value, which is the other's now:
//! the same measurement told again by its device does not come back to where it was. Moving it back puts it there again. Moving twice is moving once.

use model::{DeviceId, Reading, Sample, Subject, Waveform};

/// One measurement that changes its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    pub from: Subject,
    pub to: Subject,
    pub device: DeviceId,
    pub samples: Vec<Sample>,
    pub waveforms: Vec<Waveform>,
}

/// A row as another store has it, for moving house: the same measurement stands here afterwards as it does there, moved away or
/// not, whatever it was here. Another value of that instant stays as it is and is a conflict, as with ordinary rows; so does the
/// measurement of another device, where the row that was moved away has no value to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    pub reading: Reading,
    /// Its subject is another now: it keeps its place and is in no answer. The value told of it is not looked at.
    pub moved: bool,
}
