//! `serial:tm2657`, A&D TM-2657P. Second hand: public code that reads it; no recorded block.
//!
//! ```text
//! STX five fields, S<systolic>, M<mean>, D<diastolic>, P<pulse>, .. ETX      fields split by RS (1E)
//! ```
//! What the five fields in front say is not known: there is no time and no id.

use crate::cabin::framing::content;
use crate::cabin::result::{Cuff, put_cuff};
use crate::cabin::text;
use crate::{Decoded, Malformed, Settings, Stamp};

/// Record separator.
const RS: char = '\u{1e}';
/// Fields in front of the systolic pressure.
const BEFORE: usize = 5;

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let block = text::decode(content(frame), settings.text);
    let mut fields = block.split(RS).skip(BEFORE);
    let mut field = |letter: char| {
        let field = fields.next().and_then(|field| field.trim().strip_prefix(letter));
        field.map(str::trim).ok_or(Malformed::shape("not a measurement of a TM-2657"))
    };
    let (systolic, mean, diastolic, pulse) = (field('S')?, field('M')?, field('D')?, field('P')?);
    let mut out = Decoded::default();
    let stamp = Stamp::Silent;
    put_cuff(&mut out, &Cuff { systolic, mean: Some(mean), diastolic, pulse, error: 0, moved: false, stamp })?;
    Ok(out)
}
