//! Bluetooth LE characteristics: the value of one read, notification or indication.

use crate::Codec;

pub(crate) static CODECS: &[Codec] = &[];
