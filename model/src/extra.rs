//! What may travel with a frame's samples: the clocks at the transfer, what the device wrote, blocks of a waveform.
//! The alarm engine never looks at any of it.

use serde::{Deserialize, Serialize};

use crate::entry::{BadEntry, Cut, push_varint};
use crate::{Metric, Time};

/// Waveform blocks one frame may hold (12 leads and some).
pub const WAVEFORMS_MAX: usize = 16;
/// Samples one waveform block may hold: 80 s at 250 Hz.
pub const COUNTS_MAX: usize = 20_000;
/// In the counts of a waveform: no sample here (lead off, marked invalid by the recorder).
pub const NO_SAMPLE: i16 = i16::MIN;
/// Longest raw value kept, bytes of UTF-8.
pub const RAW_TEXT_MAX: usize = 32;
/// Longest raw unit kept, bytes of UTF-8.
pub const RAW_UNIT_MAX: usize = 16;

/// MDC codes for how a clock is synchronised.
pub mod sync {
    /// MDC_TIME_SYNC_NONE.
    pub const NONE: u32 = 532_224;
    /// MDC_TIME_SYNC_NTPV4.
    pub const NTP: u32 = 532_226;
}

/// Everything beside the samples. Empty for nearly all frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    pub clock: Option<ClockPair>,
    /// At most one for each sample.
    pub origins: Vec<Origin>,
    /// At most [`WAVEFORMS_MAX`].
    pub waveforms: Vec<Waveform>,
}

/// A coincident pair of clock readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPair {
    /// The device's clock: milliseconds since 1970 of its wall clock read as if it were UTC, or ticks.
    pub device: i64,
    /// The gateway's clock at the same moment.
    pub gateway: Time,
    /// How the gateway's clock is synchronised (MDC code, see [`sync`]).
    pub sync: u32,
    /// How far apart the two readings may have been, milliseconds; 0 = not said.
    pub uncertainty_ms: u32,
}

/// Where a sample's value and time come from, when that is not plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Which sample of the frame.
    pub index: u16,
    /// What the device wrote, with its unit (UCUM), before conversion.
    pub raw: Option<(String, String)>,
    /// What the device's wall clock said, read as if it were UTC, milliseconds since 1970.
    pub device_ms: Option<i64>,
    /// `taken_at` may be off by so much, milliseconds.
    pub uncertainty_ms: Option<u32>,
}

/// A stretch of one waveform of one lead, evenly sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// A metric whose shape is a waveform.
    pub metric: Metric,
    /// MDC code of the lead (131329 = lead I ..); 0 = not said.
    pub lead: u32,
    /// When the first sample was taken.
    pub start: Time,
    /// Samples and the seconds they take: 360 in 1.
    pub rate: Rate,
    /// Value in the metric's unit = count x `scale` + `offset`.
    pub scale: f64,
    pub offset: f64,
    /// At most [`COUNTS_MAX`]; [`NO_SAMPLE`] where there was none.
    pub counts: Vec<i16>,
}

/// Sampling rate as a fraction, so that 360 Hz is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// 1..=100,000.
    pub samples: u32,
    /// 1..=100,000.
    pub seconds: u32,
}

impl Rate {
    /// `None` for a rate that cannot be.
    pub fn new(samples: u32, seconds: u32) -> Option<Self> {
        let sane = 1..=100_000;
        (sane.contains(&samples) && sane.contains(&seconds)).then_some(Self { samples, seconds })
    }

    /// Microseconds from the first sample to sample `n`, rounded towards the past.
    pub fn offset_us(self, n: usize) -> i64 {
        (n as i64).saturating_mul(1_000_000).saturating_mul(i64::from(self.seconds)) / i64::from(self.samples)
    }
}

impl Waveform {
    /// When the sample after the last would be taken.
    pub fn end(&self) -> Time {
        self.start.plus_us(self.rate.offset_us(self.counts.len()))
    }

    /// The counts as bytes: each one's difference from the one before (the first: from 0), as a zigzag varint.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.counts.len() + self.counts.len() / 4);
        let mut before = 0_i64;
        for count in &self.counts {
            push_varint(&mut out, i64::from(*count) - before);
            before = i64::from(*count);
        }
        out
    }

    /// Counts from bytes of [`Waveform::pack`]. `None` when they are not, or are more than [`COUNTS_MAX`].
    pub fn unpack(bytes: &[u8]) -> Option<Vec<i16>> {
        let mut cut = Cut(bytes);
        let (mut counts, mut before) = (Vec::with_capacity(bytes.len().min(COUNTS_MAX)), 0_i64);
        while !cut.0.is_empty() {
            before = before.checked_add(cut.varint().ok()?)?;
            if counts.len() == COUNTS_MAX {
                return None;
            }
            counts.push(i16::try_from(before).ok()?);
        }
        Some(counts)
    }
}

impl Extras {
    pub fn is_empty(&self) -> bool {
        self.clock.is_none() && self.origins.is_empty() && self.waveforms.is_empty()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.clock.is_some()));
        if let Some(clock) = self.clock {
            out.extend_from_slice(&clock.device.to_le_bytes());
            out.extend_from_slice(&clock.gateway.0.to_le_bytes());
            out.extend_from_slice(&clock.sync.to_le_bytes());
            out.extend_from_slice(&clock.uncertainty_ms.to_le_bytes());
        }
        // Plain data: writing it to memory cannot fail.
        let origins = postcard::to_allocvec(&self.origins).unwrap_or_default();
        out.extend_from_slice(&(origins.len() as u32).to_le_bytes());
        out.extend_from_slice(&origins);
        out.push(self.waveforms.len().min(WAVEFORMS_MAX) as u8);
        for wave in self.waveforms.iter().take(WAVEFORMS_MAX) {
            wave.encode(out);
        }
    }

    pub(crate) fn decode(cut: &mut Cut<'_>) -> Result<Self, BadEntry> {
        let clock = match cut.u8()? {
            0 => None,
            1 => Some(ClockPair {
                device: cut.i64()?,
                gateway: Time(cut.i64()?),
                sync: cut.u32()?,
                uncertainty_ms: cut.u32()?,
            }),
            id => return Err(BadEntry::Unknown { what: "clock", id: id.into() }),
        };
        let length = cut.u32()? as usize;
        let origins = postcard::from_bytes(cut.bytes(length)?).map_err(|_| BadEntry::Extras)?;
        let blocks = usize::from(cut.u8()?);
        if blocks > WAVEFORMS_MAX {
            return Err(BadEntry::Extras);
        }
        let waveforms = (0..blocks).map(|_| Waveform::decode(cut)).collect::<Result<_, _>>()?;
        Ok(Self { clock, origins, waveforms })
    }
}

impl Waveform {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.metric.id().to_le_bytes());
        out.extend_from_slice(&self.lead.to_le_bytes());
        out.extend_from_slice(&self.start.0.to_le_bytes());
        out.extend_from_slice(&self.rate.samples.to_le_bytes());
        out.extend_from_slice(&self.rate.seconds.to_le_bytes());
        out.extend_from_slice(&self.scale.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        let packed = self.pack();
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&packed);
    }

    fn decode(cut: &mut Cut<'_>) -> Result<Self, BadEntry> {
        let metric = cut.u16()?;
        let metric = Metric::from_id(metric).ok_or(BadEntry::Unknown { what: "metric", id: metric.into() })?;
        let (lead, start) = (cut.u32()?, Time(cut.i64()?));
        let rate = Rate::new(cut.u32()?, cut.u32()?).ok_or(BadEntry::Extras)?;
        let (scale, offset) = (f64::from_le_bytes(cut.take()?), f64::from_le_bytes(cut.take()?));
        let length = cut.u32()? as usize;
        let counts = Self::unpack(cut.bytes(length)?).ok_or(BadEntry::Extras)?;
        Ok(Self { metric, lead, start, rate, scale, offset, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_come_back(counts in proptest::collection::vec(any::<i16>(), 0..300)) {
            let wave = Waveform {
                metric: Metric::Ecg, lead: 131_329, start: Time(0), rate: Rate { samples: 360, seconds: 1 },
                scale: 0.005, offset: 0.0, counts,
            };
            prop_assert_eq!(Waveform::unpack(&wave.pack()), Some(wave.counts));
        }

        #[test]
        fn any_bytes_are_counts_or_none(bytes: Vec<u8>) {
            let _ = Waveform::unpack(&bytes);
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let rate = Rate::new(360, 1).unwrap();
        assert_eq!(rate.offset_us(360 * 3_600), 3_600_000_000);
        assert_eq!(rate.offset_us(1), 2_777);
        assert_eq!((Rate::new(0, 1), Rate::new(1, 0)), (None, None));
    }
}
