//! `serial:hbp9030`, Omron HBP-9030, output format 5. Second hand: document 2873643-0F, page 20.
//!
//! ```text
//! YYYY,MM,DD,HH,mm,ID(20),err(1),SYS(3),DIA(3),PR(3),mov(1) CR LF     exactly 53 bytes before CR
//! ```
//! With an error the three values are blank. `mov` counts the person's movements. The device measures 60-260, 30-215 mmHg and
//! 40-180 /min: a number beyond is kept and not judged.

use model::{Metric, Quality};

use super::{name, part};
use crate::cabin::framing::content;
use crate::cabin::result::{Cuff, put_cuff};
use crate::cabin::text;
use crate::{Decoded, Malformed, Settings, Stamp};

/// What the device can measure.
const MEASURED: [(Metric, std::ops::RangeInclusive<f64>); 3] =
    [(Metric::Systolic, 60.0..=260.0), (Metric::Diastolic, 30.0..=215.0), (Metric::PulseRate, 40.0..=180.0)];
const BYTES: usize = 53;
const WIDTHS: [usize; 11] = [4, 2, 2, 2, 2, 20, 1, 3, 3, 3, 1];

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let line = content(frame);
    let mut fields = line.split(|byte| *byte == b',');
    let fits =
        line.len() == BYTES && WIDTHS.iter().all(|width| fields.next().is_some_and(|field| field.len() == *width));
    if !fits || fields.next().is_some() {
        return Err(Malformed::shape("not a line of an HBP-9030 in format 5"));
    }
    let line = text::decode(line, settings.text);
    let fields: Vec<&str> = line.split(',').collect();
    let [year, month, day, hour, minute, id, error, systolic, diastolic, pulse, moved] = fields[..] else {
        return Err(Malformed::shape("not a line of an HBP-9030 in format 5"));
    };
    let mut out = Decoded::default();
    name(&mut out, id);
    let stamp = Stamp::civil([part(year), part(month), part(day), part(hour), part(minute), 0], settings.offset_min);
    let error = error.parse().map_err(|_| Malformed::shape("an error that is no digit"))?;
    if [systolic, diastolic, pulse].iter().any(|text| !text.bytes().all(|byte| matches!(byte, b' ' | b'0'..=b'9'))) {
        return Err(Malformed::shape("a value that is neither digits nor blank"));
    }
    let moved = match moved.as_bytes() {
        [count @ b'0'..=b'9'] => *count != b'0',
        _ => return Err(Malformed::shape("a count of movements that is no digit")),
    };
    put_cuff(&mut out, &Cuff { systolic, mean: None, diastolic, pulse, error, moved, stamp })?;
    for reading in &mut out.readings {
        let measured = MEASURED.iter().find(|(metric, _)| *metric == reading.metric).map(|(_, range)| range);
        if let (Some(range), Some(value)) = (measured, reading.value)
            && !range.contains(&value)
        {
            *reading = reading.clone().doubted(Quality::OutOfRange);
        }
    }
    Ok(out)
}
