//! Machines of a health cabin and a laboratory: serial lines, ASTM, HL7, SenML.
//!
//! What the devices print is text; units are found through one table ([`spelling`]), tests named through another
//! ([`analyte`]), and what is no number of a metric is kept in `device.other` as it was written.

mod analyte;
mod astm;
mod clock;
mod framing;
mod hl7;
mod result;
mod senml;
mod serial;
mod spelling;
mod text;

use crate::{Codec, Framing};

pub use astm::astm_records;
pub(crate) use serial::CODECS as SERIAL;
pub use spelling::measured;

pub(crate) static CODECS: &[Codec] = &[
    Codec {
        name: "astm",
        about: "laboratory analysers: ASTM E1381/E1394, CLSI LIS1-A and LIS2-A2",
        framing: Framing::Stream(astm::framer),
        decode: astm::decode,
    },
    Codec {
        name: "hl7",
        about: "HL7 v2 ORU^R01 over MLLP, answered with ACK",
        framing: Framing::Stream(hl7::framer),
        decode: hl7::decode,
    },
    Codec {
        name: "senml",
        about: "SenML packs, JSON or CBOR (RFC 8428), names matched to metrics",
        framing: Framing::Whole,
        decode: senml::decode,
    },
];
