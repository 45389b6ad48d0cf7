//! Measurements that turn out to be another's: their rows leave one subject and stand at the other.
//!
//! A row that leaves keeps its place under a quality of its own ([`MOVED`](super::row::MOVED)): the same measurement told again by its device does
//! not come back to where it was. Moving it back puts it there again. Moving twice is moving once.

use model::{DeviceId, Sample, Subject, Waveform};

/// One measurement that changes its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    pub from: Subject,
    pub to: Subject,
    pub device: DeviceId,
    pub samples: Vec<Sample>,
    pub waveforms: Vec<Waveform>,
}
