//! One or more good frames of every codec: where mutations start, and what the benches measure. One file a family.
//!
//! Shared by the tests, the benches and, through files of the same name, by nobody else: a new codec adds its row here or
//! `every_codec_has_a_sample` fails.

pub(crate) mod advert;
pub(crate) mod ble;
pub(crate) mod cabin;
pub(crate) mod watch;

/// A frame that its codec decodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) codec: &'static str,
    pub(crate) frame: &'static [u8],
    /// Settings as JSON; `{}` for the usual ones.
    pub(crate) settings: &'static str,
}

impl Sample {
    pub(crate) fn settings(&self) -> vigil_codec::Settings {
        serde_json::from_str(self.settings).unwrap()
    }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Sample> {
    [ble::SAMPLES, advert::SAMPLES, watch::SAMPLES, cabin::SAMPLES].into_iter().flatten().copied()
}

/// A frame for a device with the usual settings.
const fn plain(codec: &'static str, frame: &'static [u8]) -> Sample {
    Sample { codec, frame, settings: "{}" }
}
