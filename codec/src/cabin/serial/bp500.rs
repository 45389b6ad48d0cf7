//! `serial:bp500`, Terumo BP-500. Second hand: public code with one recorded block. The rule of the check byte is not known
//! (of that block it was not printable, which rules out a plain XOR), so it is not checked.
//!
//! ```text
//! STX R1,id,yymmdd,hhmmss,SYS,MAP,DIA,PUL,.. ETX BCC
//! ```

use super::hbp9020::pairs;
use super::name;
use crate::cabin::framing::content;
use crate::cabin::result::{Cuff, put_cuff};
use crate::cabin::text;
use crate::{Decoded, Malformed, Settings, Stamp};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let block = text::decode(content(frame), settings.text);
    let fields: Vec<&str> = block.split(',').map(str::trim).collect();
    let ["R1", id, date, time, systolic, mean, diastolic, pulse, ..] = fields[..] else {
        return Err(Malformed::shape("not a measurement of a BP-500"));
    };
    let ([year, month, day], [hour, minute, second]) = (pairs::<3>(date)?, pairs::<3>(time)?);
    let stamp = Stamp::civil([2000 + year, month, day, hour, minute, second], settings.offset_min);
    let mut out = Decoded::default();
    name(&mut out, id);
    let cuff = Cuff { systolic, mean: Some(mean), diastolic, pulse, error: 0, moved: false, stamp };
    put_cuff(&mut out, &cuff)?;
    Ok(out)
}
