//! `serial:hbp9020`, Omron HBP-9020. Second hand: public descriptions and code with one recorded line; they disagree on the
//! line's end, the stop bits and the last field.
//!
//! ```text
//! bp,ID(20),YYYY/MM/DD,HH:MM,SYS,MAP,DIA,PUL,last CR [LF]
//! STX YYMMDD HHMM SYS DIA PUL ETX          (another mode; indicative)
//! ```
//! `last` is called an error by one source; the recorded line has 3 there beside good values, as the HBP-9030 counts movements.
//! So: with values it is movements, without values it is the error.

use super::{name, part};
use crate::cabin::framing::content;
use crate::cabin::result::{Cuff, put_cuff};
use crate::cabin::text;
use crate::{Decoded, Malformed, Settings, Stamp};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let line = text::decode(content(frame), settings.text);
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let mut out = Decoded::default();
    match fields[..] {
        ["bp" | "BP", id, date, time, systolic, mean, diastolic, pulse, last, ..] => {
            name(&mut out, id);
            let stamp = stamp(date.split('/'), time.split(':'), settings.offset_min);
            let last = number(last)?;
            let measured =
                [systolic, diastolic].iter().all(|text| text.bytes().any(|byte| matches!(byte, b'1'..=b'9')));
            let (error, moved) = if measured { (0, last != 0) } else { (last, false) };
            put_cuff(&mut out, &Cuff { systolic, mean: Some(mean), diastolic, pulse, error, moved, stamp })?;
        }
        [block] => spaced(block, &mut out, settings)?,
        _ => return Err(Malformed::shape("not a line of an HBP-9020")),
    }
    Ok(out)
}

/// `YYMMDD HHMM SYS DIA PUL`.
fn spaced(block: &str, out: &mut Decoded, settings: &Settings) -> Result<(), Malformed> {
    let words: Vec<&str> = block.split_ascii_whitespace().collect();
    let [date, time, systolic, diastolic, pulse] = words[..] else {
        return Err(Malformed::shape("not a line of an HBP-9020"));
    };
    let (date, time) = (pairs::<3>(date)?, pairs::<2>(time)?);
    let stamp = Stamp::civil([2000 + date[0], date[1], date[2], time[0], time[1], 0], settings.offset_min);
    put_cuff(out, &Cuff { systolic, mean: None, diastolic, pulse, error: 0, moved: false, stamp })
}

fn stamp<'a>(date: impl Iterator<Item = &'a str>, time: impl Iterator<Item = &'a str>, offset_min: i16) -> Stamp {
    let mut parts = date.chain(time).map(part).chain(std::iter::repeat(-1));
    let mut next = || parts.next().unwrap_or(-1);
    Stamp::civil([next(), next(), next(), next(), next(), 0], offset_min)
}

/// `N` numbers of two digits.
pub(super) fn pairs<const N: usize>(text: &str) -> Result<[i64; N], Malformed> {
    let bytes = text.as_bytes();
    if bytes.len() != 2 * N || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::shape("a date or time of another length"));
    }
    Ok(std::array::from_fn(|index| {
        let digit = |at: usize| i64::from(bytes[at] - b'0');
        10 * digit(2 * index) + digit(2 * index + 1)
    }))
}

/// The last field: blank or 0 = none, `E2` = 2.
fn number(text: &str) -> Result<u32, Malformed> {
    match text.trim_start_matches(['E', 'e']) {
        "" => Ok(0),
        digits => digits.parse().map_err(|_| Malformed::shape("a last field that is no number")),
    }
}
