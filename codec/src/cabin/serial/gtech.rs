//! `serial:gtech`, G-Tech GL-150 and GL-310 height and weight scales. Second hand: public code
//! with one recorded printout.
//!
//! ```text
//! STX height,weight,?,?,bmi ETX         cm, kg
//! HEIGHT   ---- 188.6 cm CR LF ...      printer text with NUL and ESC in it (output F4 = 1); each line is a frame
//! ```
//! STANDARD and FATNESS of the printout are compared with a table, not measured: they are kept as they were written.

use model::Metric;

use crate::cabin::framing::{NUL, content};
use crate::cabin::result::{Told, put};
use crate::cabin::{analyte, text};
use crate::{Decoded, Malformed, Settings, Stamp};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let plain: Vec<u8> = content(frame).iter().copied().filter(|byte| *byte != NUL).collect();
    let text = text::decode(&plain, settings.text);
    let mut out = Decoded::default();
    for line in text::lines(&text) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if let [height, weight, _, _, bmi] = fields[..] {
            for (metric, value, unit) in
                [(Metric::Height, height, "cm"), (Metric::Weight, weight, "kg"), (Metric::Bmi, bmi, "kg/m2")]
            {
                tell(&mut out, Some(metric), "", value, unit, settings)?;
            }
        } else if let Some((label, shown)) = line.split_once("----").or_else(|| line.split_once([':', '：', '='])) {
            let shown = shown.trim();
            let end = shown.find(|c: char| !matches!(c, '+' | '-' | '.' | '0'..='9')).unwrap_or(shown.len());
            let (value, unit) = if end == 0 { (shown, "") } else { shown.split_at(end) };
            tell(&mut out, analyte::name(label), label.trim(), value, unit.trim(), settings)?;
        }
    }
    if out.readings.is_empty() && out.device.other.is_empty() {
        return Err(Malformed::shape("not a line or block of a height and weight scale"));
    }
    Ok(out)
}

/// Zero is what the scale prints for what it did not measure.
fn tell(
    out: &mut Decoded,
    metric: Option<Metric>,
    name: &str,
    value: &str,
    unit: &str,
    settings: &Settings,
) -> Result<(), Malformed> {
    if value.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        return Ok(());
    }
    put(out, &Told { metric, code: "", name, value, unit, stamp: Stamp::Silent }, settings)
}
