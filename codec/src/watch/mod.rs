//! Watches and pendants over TCP.

mod gt06;
mod h02;
mod iw;
mod jt808;
mod now;
mod place;
mod scan;
mod vitals;
mod watch3g;

use crate::Codec;

pub(crate) static CODECS: &[Codec] = &[watch3g::CODEC, iw::CODEC, jt808::CODEC, gt06::CODEC, h02::CODEC];
