//! Serial devices of a health cabin, one file each. Their documents are second hand: what each was tested with stands in
//! docs/devices.md.

mod bcm_h10;
mod bp500;
mod gtech;
mod hbp9020;
mod hbp9030;
mod scale;
mod tm2657;
mod uriscan;

use super::framing::{Form, TextFramer};
use crate::{Codec, Decoded, Framer, Framing};

/// Longest line or block of a device that prints one measurement, bytes.
const LINE_MAX: usize = 256;
/// Longest printout of a strip reader, bytes.
const PRINTOUT_MAX: usize = 8_192;

fn lines() -> Box<dyn Framer> {
    TextFramer::boxed(Form { lines: true, check: 0, max: LINE_MAX })
}

fn blocks() -> Box<dyn Framer> {
    TextFramer::boxed(Form { lines: false, check: 0, max: LINE_MAX })
}

fn checked_blocks() -> Box<dyn Framer> {
    TextFramer::boxed(Form { lines: false, check: 1, max: LINE_MAX })
}

fn printouts() -> Box<dyn Framer> {
    TextFramer::boxed(Form { lines: false, check: 0, max: PRINTOUT_MAX })
}

pub(crate) static CODECS: &[Codec] = &[
    Codec {
        name: "serial:hbp9020",
        about: "Omron HBP-9020 blood-pressure monitor",
        framing: Framing::Stream(lines),
        decode: hbp9020::decode,
    },
    Codec {
        name: "serial:hbp9030",
        about: "Omron HBP-9030 blood-pressure monitor, format 5",
        framing: Framing::Stream(lines),
        decode: hbp9030::decode,
    },
    Codec {
        name: "serial:bp500",
        about: "Terumo BP-500 blood-pressure monitor",
        framing: Framing::Stream(checked_blocks),
        decode: bp500::decode,
    },
    Codec {
        name: "serial:tm2657",
        about: "A&D TM-2657P blood-pressure monitor",
        framing: Framing::Stream(blocks),
        decode: tm2657::decode,
    },
    Codec {
        name: "serial:scale",
        about: "weighing scale that prints ST,GS,+0072.500 kg",
        framing: Framing::Stream(lines),
        decode: scale::decode,
    },
    Codec {
        name: "serial:gtech",
        about: "G-Tech GL-150/GL-310 height and weight scale",
        framing: Framing::Stream(lines),
        decode: gtech::decode,
    },
    Codec {
        name: "serial:bcm-h10",
        about: "BCM-H10 body-composition module",
        framing: Framing::Stream(bcm_h10::framer),
        decode: bcm_h10::decode,
    },
    Codec {
        name: "serial:uriscan",
        about: "URiSCAN Pro II urine strip reader",
        framing: Framing::Stream(printouts),
        decode: uriscan::decode,
    },
];

/// The person's id that a device prints, which is all zeros or blank where nobody typed one.
fn name(out: &mut Decoded, id: &str) {
    let id = id.trim();
    if !id.is_empty() && id.bytes().any(|byte| byte != b'0') {
        out.device.person = Some(id.to_owned());
    }
}

/// Digits to a part of a date; what is no number cannot be a date.
fn part(text: &str) -> i64 {
    let text = text.trim();
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().unwrap_or(-1) } else { -1 }
}
