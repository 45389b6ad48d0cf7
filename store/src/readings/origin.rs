//! Where a reading came from, as far as it differs from the reading: the device's own digits and unit, the device's own
//! clock, and how sure the time is. One row beside a reading; it is stored with the reading or not at all.

use model::{Metric, Origin, Subject, Time};

use super::row::{Key, key_of};

/// An origin and the reading it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    pub subject: Subject,
    pub metric: Metric,
    pub at: Time,
    /// Its `index` is not kept.
    pub origin: Origin,
}

impl Original {
    pub(super) fn key(&self) -> Key {
        key_of(self.subject, self.metric)
    }
}
