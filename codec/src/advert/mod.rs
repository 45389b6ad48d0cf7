//! Bluetooth LE advertisements: service data of one UUID, without a connection.

use crate::Codec;

pub(crate) static CODECS: &[Codec] = &[];
