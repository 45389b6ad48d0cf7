//! `serial:scale`, weighing and counting scales that print what they show, many times a second. Second hand (vendor page).
//!
//! ```text
//! ST|US|OL,GS|NT,<sign and weight> <unit> CR LF
//! ```
//! US moves still: no reading. OL: more than the scale carries. A stable value at or below zero is an empty scale.

use model::{Metric, Quality};

use crate::cabin::framing::content;
use crate::cabin::result::{Told, put};
use crate::cabin::text;
use crate::{Decimal, Decoded, Malformed, Measured, Settings, Stamp};

const NOT_A_SCALE: Malformed = Malformed::shape("not a line of a scale");

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let line = text::decode(content(frame), settings.text);
    let mut fields = line.splitn(3, ',').map(str::trim);
    let (Some(state), Some("GS" | "NT"), Some(shown)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(NOT_A_SCALE);
    };
    let end = shown.find(|c: char| !matches!(c, '+' | '-' | '.' | '0'..='9' | ' ')).unwrap_or(shown.len());
    let (digits, unit) = (shown[..end].replace(' ', ""), shown[end..].trim());
    let mut out = Decoded::default();
    out.device.other.insert("stable", (state == "ST").into());
    match state {
        "OL" => out.readings.push(Measured::absent(Metric::Weight, Quality::OverRange)),
        "US" => {}
        "ST" => {
            let weight = Decimal::parse(&digits).ok_or(NOT_A_SCALE)?;
            if weight.mantissa > 0 {
                let told = Told {
                    metric: Some(Metric::Weight),
                    code: "",
                    name: "weight",
                    value: &digits,
                    unit,
                    stamp: Stamp::Silent,
                };
                put(&mut out, &told, settings)?;
            } else {
                out.device.other.insert("empty", true.into());
            }
        }
        _ => return Err(NOT_A_SCALE),
    }
    Ok(out)
}
