//! `serial:bcm-h10`, iBodyinfo BCM-H10 body-composition module. Source: protocol V4.22, second hand; its examples.
//!
//! ```text
//! A5 5A LEN ID CMD DATA SUM       LEN counts ID..SUM; SUM = sum of LEN..DATA mod 256
//! ```
//! Command 37 carries sex, age, height (mm) and weight (0.1 kg) of the person; 35 a height; 38 one computed index, whose
//! scale is not known: it is kept as bytes.

use model::Metric;

use crate::cabin::framing::Junk;
use crate::{Decimal, Decoded, Framed, Framer, Malformed, Settings, hex, unit};

const HEAD: [u8; 2] = [0xA5, 0x5A];
/// ID, CMD and SUM.
const LEN_MIN: u8 = 3;
/// Longest LEN that is believed. The document's longest is 9; a false beginning must not swallow much.
const LEN_MAX: u8 = 64;

pub(super) fn framer() -> Box<dyn Framer> {
    Box::new(ModuleFramer::default())
}

/// Holds at most one frame: 67 bytes.
#[derive(Debug, Default)]
struct ModuleFramer {
    held: Vec<u8>,
    junk: Junk,
}

impl Framer for ModuleFramer {
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Framed>) {
        for byte in bytes {
            self.held.push(*byte);
            self.look(found);
        }
    }

    fn silent(&mut self, found: &mut Vec<Framed>) {
        // What looks like the beginning of a frame may hide a whole one.
        while !self.held.is_empty() {
            self.held.remove(0);
            self.junk.add(1, "no end before the line fell silent");
            self.look(found);
        }
        self.junk.flush(found);
    }
}

impl ModuleFramer {
    fn look(&mut self, found: &mut Vec<Framed>) {
        loop {
            let wrong = match *self.held.as_slice() {
                [] | [0xA5] | [0xA5, 0x5A] => return,
                [a, b, len, ..] => [a, b] != HEAD || !(LEN_MIN..=LEN_MAX).contains(&len),
                _ => true,
            };
            if !wrong {
                let whole = 3 + usize::from(self.held[2]);
                if self.held.len() < whole {
                    return;
                }
                if sum(&self.held) == self.held.last().copied() {
                    self.junk.flush(found);
                    found.push(Framed::Frame(std::mem::take(&mut self.held)));
                    return;
                }
            }
            // Not here: look from the next byte on.
            self.held.remove(0);
            self.junk.add(1, "no frame of the module");
        }
    }
}

/// The checksum that a frame should end with.
fn sum(frame: &[u8]) -> Option<u8> {
    let covered = frame.get(2..frame.len().checked_sub(1)?)?;
    Some(covered.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)))
}

pub(super) fn decode(frame: &[u8], _: &Settings) -> Result<Decoded, Malformed> {
    let rest = frame.strip_prefix(&HEAD).ok_or(Malformed::shape("no A5 5A"))?;
    let (&[len, id, command], rest) = rest.split_first_chunk::<3>().ok_or(Malformed::Short("the command"))?;
    if frame.len() < 3 + usize::from(len) || len < LEN_MIN {
        return Err(Malformed::Short("the checksum"));
    }
    let frame = &frame[..3 + usize::from(len)];
    let (found, computed) = (frame.last().copied().unwrap_or_default(), sum(frame).unwrap_or_default());
    if found != computed {
        return Err(Malformed::Checksum { found: found.into(), computed: computed.into() });
    }
    let data = &rest[..usize::from(len - LEN_MIN)];
    let mut out = Decoded::default();
    let other = &mut out.device.other;
    let word = match (command, id, data) {
        (0x35, ..) => "height".to_owned(),
        (0x37, 1, _) => "two-hand".to_owned(),
        (0x37, 3, _) => "two-foot".to_owned(),
        (0x38, _, [1, ..]) => "read index 01 (body water)".to_owned(),
        (0x38, _, [index, ..]) => format!("read index {index:02}"),
        _ => format!("0x{command:02X}"),
    };
    other.insert("command", word.into());
    other.insert("module", id.into());
    match (command, data) {
        (0x35, &[high, low]) => height(&mut out, [high, low]),
        (0x37, &[sex, age, h1, h0, w1, w0]) => {
            let sex = match sex {
                b'M' => "male".to_owned(),
                b'F' => "female".to_owned(),
                code => format!("0x{code:02X}"),
            };
            other.insert("sex", sex.into());
            other.insert("age", age.into());
            height(&mut out, [h1, h0]);
            let weight = Decimal::new(u16::from_be_bytes([w1, w0]).into(), -1);
            if weight.mantissa > 0 {
                out.readings.push(unit::KG.of(Metric::Weight, weight));
            }
        }
        (_, []) => {}
        _ => {
            other.insert("data", hex(data).into());
        }
    }
    Ok(out)
}

fn height(out: &mut Decoded, millimetres: [u8; 2]) {
    let millimetres = Decimal::whole(u16::from_be_bytes(millimetres).into());
    if millimetres.mantissa > 0 {
        out.readings.push(unit::MILLIMETRE.of(Metric::Height, millimetres));
    }
}
