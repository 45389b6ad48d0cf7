//! `serial:uriscan`, YD Diagnostics URiSCAN Pro II urine strip reader. Second hand: 9600 8N1, no checksum, no handshake.
//!
//! STX, lines, CR LF ETX. A line is `Date :..`, `ID_NO:..` or a test with its result. The results are words of the strip
//! (`neg`, `+-`, `+++`, `>=1.030`, often with a concentration in brackets): they are kept as they were written and never
//! become numbers.

use serde_json::{Value, json};

use super::name;
use crate::cabin::framing::content;
use crate::cabin::result::RESULTS_MAX;
use crate::cabin::text;
use crate::{Decoded, Malformed, Settings};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let text = text::decode(content(frame), settings.text);
    let mut out = Decoded::default();
    let mut results = Vec::new();
    for line in text::lines(&text) {
        if let Some((label, value)) = line.split_once(':').filter(|(label, _)| label.trim().len() <= 8) {
            header(&mut out, label.trim(), value.trim());
        } else if let Some((test, value)) = line.split_once(char::is_whitespace) {
            results.push(json!({ "name": test, "value": words(value) }));
        }
    }
    if results.is_empty() || results.len() > RESULTS_MAX {
        return Err(Malformed::shape("no results of a strip"));
    }
    out.device.other.insert("results", Value::Array(results));
    Ok(out)
}

fn header(out: &mut Decoded, label: &str, value: &str) {
    match label.to_ascii_lowercase().as_str() {
        "date" => {
            // When the strip was read, perhaps days ago: not the clock of now.
            out.device.other.insert("date", value.into());
        }
        // The sequence number of the strip, a dash, and what was typed.
        "id_no" | "id" => name(out, value.split_once('-').map_or(value, |(_, typed)| typed)),
        _ => {}
    }
}

/// One space between words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
