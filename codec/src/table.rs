//! The table of codecs: one row each. To add a device, add a file and a row.

use crate::{Decoded, Framer, Malformed, Settings};
use crate::{advert, ble, cabin, watch};

/// One codec.
#[derive(Clone, Copy)]
pub struct Codec {
    /// As in configuration files and on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    pub framing: Framing,
    pub decode: fn(&[u8], &Settings) -> Result<Decoded, Malformed>,
}

/// How frames come out of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// The link gives whole frames (a notification, an advertisement, a request's body).
    Whole,
    /// The link gives bytes.
    Stream(fn() -> Box<dyn Framer>),
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All codecs by family, in the order of `vigil decode --list`.
pub static CODECS: &[&[Codec]] = &[ble::CODECS, advert::CODECS, watch::CODECS, cabin::CODECS, cabin::SERIAL];

/// The codec of a name.
pub fn find(name: &str) -> Option<&'static Codec> {
    CODECS.iter().copied().flatten().find(|codec| codec.name == name)
}
