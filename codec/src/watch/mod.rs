//! Watches and pendants over TCP.

use crate::Codec;

pub(crate) static CODECS: &[Codec] = &[];
