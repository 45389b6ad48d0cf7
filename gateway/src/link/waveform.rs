//! The waveform link: plays an ECG recording (WFDB, EDF) once, as blocks, with the moment of its start as time zero.

use std::path::PathBuf;

use model::{Name, Time};
use runtime::{Clock, Stop};
use serde::Deserialize;

use crate::Error;
use crate::outlet::{Outlet, Refused};
use crate::waves::{self, BLOCK_S, BLOCK_S_MAX, Play};

/// Keys of the link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `.hea` (its signal files beside it) or `.edf`.
    pub file: PathBuf,
    pub device: Name,
    /// How many recorded seconds pass in one; 0 = as fast as the outbox takes them, and then the recording ends now.
    #[serde(default = "one")]
    pub speed: f64,
    /// Length of a block, 1..=10 seconds.
    #[serde(default = "five")]
    pub block_s: u32,
}

const fn one() -> f64 {
    1.0
}

const fn five() -> u32 {
    BLOCK_S
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(self.speed >= 0.0 && self.speed.is_finite()) {
            return Err(Error::Key("speed of a waveform link must be 0 or more".to_owned()));
        }
        if !(1..=BLOCK_S_MAX).contains(&self.block_s) {
            return Err(Error::Key(format!("block_s of a waveform link must be 1 to {BLOCK_S_MAX}")));
        }
        Ok(())
    }
}

pub(crate) async fn run(link: Config, outlet: Outlet, clock: Clock, stop: Stop) -> Result<(), Error> {
    let file = link.file.clone();
    let opened = tokio::task::spawn_blocking(move || waves::open(&file)).await;
    let record = opened.map_err(|_| Error::Ended)??;
    // Blocks that come faster than time must not lie in the future.
    let ahead = if link.speed > 0.0 && link.speed <= 1.0 { 0 } else { waves::span_us(&record) };
    let base = Time::from_millis(clock.now().plus_us(-ahead).millis());
    let play = Play { device: link.device, base, speed: link.speed, block_s: link.block_s };
    match waves::feed(&record, &play, &outlet, &clock, &stop).await {
        Ok((blocks, samples)) => {
            tracing::info!(blocks, samples, "the waveform recording has been played");
            Ok(())
        }
        Err(Refused::Closed) => Ok(()),
        Err(Refused::UnknownDevice) => {
            Err(Error::Key(format!("the device {} of a waveform link is not in devices", play.device)))
        }
    }
}
