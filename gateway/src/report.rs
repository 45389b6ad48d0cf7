//! What a link hands over: samples and events of one device at one moment. The framer makes frames of them.

use model::{Event, Lane, Name, Sample};

/// Reports waiting between the links and the framer, at most. A full queue holds the links back.
pub(crate) const QUEUE_MAX: usize = 1_024;

/// Samples and events of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub device: Name,
    /// Lane of the samples: `vit`, or `hist` for what was recorded earlier. Events go by their own lane.
    pub lane: Lane,
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
}
