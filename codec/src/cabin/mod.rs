//! Machines of a health cabin and a laboratory: serial lines, ASTM, HL7, SenML.

use crate::Codec;

pub(crate) static CODECS: &[Codec] = &[];
