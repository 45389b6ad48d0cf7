//! What travels beside samples and events: the person, notes, origins, waveforms. The checks both forms share.

use model::extra::{RAW_TEXT_MAX, RAW_UNIT_MAX};
use model::{Metric, Origin, Rate, Waveform};

use super::{Draft, Malformed, NOTE_MAX, NOTES_MAX, PERSON_MAX, WAVEFORMS_MAX, time_of_millis};

/// The only form of waveform data: differences as zigzag varints.
pub(super) const ENCODING: &str = "i16d";

/// One block of `w` as it stood on the wire.
#[derive(Default)]
pub(super) struct Block {
    pub(super) mdc: u32,
    pub(super) lead: u32,
    pub(super) t0: Option<i64>,
    pub(super) hz: (u32, u32),
    pub(super) scale: Option<f64>,
    pub(super) offset: f64,
    pub(super) enc: Option<bool>,
    pub(super) data: Option<Vec<u8>>,
}

impl Draft<'_> {
    pub(super) fn person(&mut self, key: Option<String>) -> Result<(), Malformed> {
        if key.as_ref().is_some_and(|key| key.len() > PERSON_MAX) {
            return Err(Malformed::Text { what: "p", max: PERSON_MAX });
        }
        self.frame.person = key.filter(|key| !key.is_empty());
        Ok(())
    }

    pub(super) fn note(&mut self, text: String) -> Result<(), Malformed> {
        if text.len() > NOTE_MAX {
            return Err(Malformed::Text { what: "a note", max: NOTE_MAX });
        }
        if self.frame.notes.len() == NOTES_MAX {
            return Err(Malformed::Notes);
        }
        self.frame.notes.push(text);
        Ok(())
    }

    pub(super) fn origin(&mut self, origin: Origin) -> Result<(), Malformed> {
        if let Some((text, unit)) = &origin.raw {
            if text.len() > RAW_TEXT_MAX {
                return Err(Malformed::Text { what: "a raw value", max: RAW_TEXT_MAX });
            }
            if unit.len() > RAW_UNIT_MAX {
                return Err(Malformed::Text { what: "a raw unit", max: RAW_UNIT_MAX });
            }
        }
        if self.frame.origins.len() == model::entry::SAMPLES_MAX {
            return Err(Malformed::Origin);
        }
        self.frame.origins.push(origin);
        Ok(())
    }

    /// Origins count rows of `m`; from here on they count samples. `o` may stand before `m`.
    pub(super) fn place_origins(&mut self) -> Result<(), Malformed> {
        if self.frame.origins.is_empty() {
            return Ok(());
        }
        let rows = if self.places.is_empty() { self.frame.samples.len() } else { self.places.len() };
        let mut origins = std::mem::take(&mut self.frame.origins);
        if origins.iter().any(|origin| usize::from(origin.index) >= rows) {
            return Err(Malformed::Origin);
        }
        if !self.places.is_empty() {
            origins.retain_mut(|origin| match self.places.get(usize::from(origin.index)).copied().flatten() {
                Some(place) => {
                    origin.index = place;
                    true
                }
                None => false,
            });
        }
        origins.sort_by_key(|origin| origin.index);
        if origins.windows(2).any(|pair| pair[0].index == pair[1].index) {
            return Err(Malformed::Origin);
        }
        self.frame.origins = origins;
        Ok(())
    }

    /// Takes a block. One that cannot be read is noted and costs nothing else of the frame: an SOS may stand beside it.
    pub(super) fn block(&mut self, block: Result<Block, &'static str>) {
        match block.and_then(|block| self.waveform(block)) {
            Ok(()) => {}
            Err(why) => _ = self.frame.bad_waveform.get_or_insert(why),
        }
    }

    fn waveform(&mut self, block: Block) -> Result<(), &'static str> {
        if self.frame.waveforms.len() == WAVEFORMS_MAX {
            return Err("too many blocks");
        }
        let Some(metric) = Metric::from_mdc(block.mdc) else {
            self.frame.unknown_metrics += 1;
            return Ok(());
        };
        if metric.info().shape != model::metric::Shape::Waveform {
            return Err("its code is not that of a waveform");
        }
        if block.enc == Some(false) {
            return Err("its encoding is not known");
        }
        let start = block.t0.ok_or("t0 is missing")?;
        let rate = Rate::new(block.hz.0, block.hz.1).ok_or("hz is missing or out of range")?;
        let data = block.data.ok_or("data is missing")?;
        let counts = Waveform::unpack(&data).ok_or("its data does not decode")?;
        let scale = block.scale.unwrap_or(1.0);
        if !(scale.is_finite() && block.offset.is_finite()) {
            return Err("scale or offset is not a number");
        }
        let (lead, offset) = (block.lead, block.offset);
        let start = time_of_millis(start).map_err(|_| "t0 lies outside 1900..9999")?;
        self.frame.waveforms.push(Waveform { metric, lead, start, rate, scale, offset, counts });
        Ok(())
    }
}
