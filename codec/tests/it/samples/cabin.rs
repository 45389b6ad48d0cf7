//! Good frames.

use super::Sample;

pub(crate) const SAMPLES: &[Sample] = &[];
