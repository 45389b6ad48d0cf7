//! Waveforms as the store sees them: blocks of samples as the gateway cut them, never readings.

use model::extra::COUNTS_MAX;
use model::{DeviceId, Subject, Time, Waveform};

/// Longest block stored, microseconds. Reading looks this far back for the block that holds the beginning of a window.
pub const BLOCK_US_MAX: i64 = 3_600_000_000;

/// A block with its owner and its device.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    pub subject: Subject,
    pub device: DeviceId,
    pub block: Waveform,
}

/// Where a block stands in its series: blocks are ordered by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WavePlace {
    pub device: DeviceId,
    pub lead: u32,
    pub start: Time,
}

impl Wave {
    /// Its place.
    pub fn place(&self) -> WavePlace {
        WavePlace { device: self.device, lead: self.block.lead, start: self.block.start }
    }
}

/// Time without a gap in which one lead of one device was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub device: DeviceId,
    /// Lead code (`model::lead`); 0 = not said.
    pub lead: u32,
    pub from: Time,
    pub to: Time,
}

/// What a search for stretches found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretches {
    /// Latest first, by their last blocks.
    pub found: Vec<Stretch>,
    /// There is more, of earlier times: ask for less time.
    pub cut: bool,
}

/// Why a block cannot be stored: it says nothing, or cannot be placed in time.
pub fn problem(block: &Waveform) -> Option<&'static str> {
    if block.counts.is_empty() || block.counts.len() > COUNTS_MAX {
        Some("a block has 1 to 20,000 samples")
    } else if block.end().since_us(block.start) > BLOCK_US_MAX {
        Some("a block lasts at most an hour")
    } else if !block.scale.is_finite() || !block.offset.is_finite() || block.scale == 0.0 {
        Some("scale and offset of a block are finite, and scale is not 0")
    } else {
        None
    }
}

/// What became of the blocks of one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WavesWritten {
    pub stored: u64,
    /// Samples in the stored ones.
    pub samples: u64,
    /// Blocks stored before.
    pub duplicate: u64,
    /// Blocks that [`problem`] names: left out.
    pub refused: u64,
    /// Blocks older than their retention: left out.
    pub expired: u64,
}

#[cfg(test)]
mod tests {
    use model::Metric;
    use model::extra::Rate;

    use super::*;

    #[test]
    fn an_odd_rate_ends_where_its_samples_end() {
        let block = Waveform {
            metric: Metric::Ecg,
            lead: 0,
            start: Time(0),
            rate: Rate { samples: 257, seconds: 2 },
            scale: 1.0,
            offset: 0.0,
            counts: vec![0; 257],
        };
        assert_eq!(block.end(), Time(2_000_000));
        assert_eq!(problem(&block), None);
        for bad in [
            Waveform { rate: Rate { samples: 1, seconds: 100 }, ..block.clone() },
            Waveform { scale: f64::NAN, ..block.clone() },
            Waveform { counts: vec![], ..block.clone() },
        ] {
            assert!(problem(&bad).is_some(), "{bad:?}");
        }
    }
}
