//! The recording link: plays a CSV file once, with the moment of its start as time zero.

use std::path::PathBuf;

use model::{Lane, Name};
use runtime::{Clock, Stop};
use serde::Deserialize;

use crate::outlet::Outlet;
use crate::{Error, recording, replay};

/// Keys of the recording link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub file: PathBuf,
    pub device: Name,
    /// `NAME=metric`, for columns the built-in table does not know.
    #[serde(default)]
    pub map: Vec<String>,
    /// How many recorded seconds pass in one; 0 = as fast as the outbox takes them.
    #[serde(default = "one")]
    pub speed: f64,
}

const fn one() -> f64 {
    1.0
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.speed >= 0.0 && self.speed.is_finite() {
            return Ok(());
        }
        Err(Error::Key("speed of a csv link must be 0 or more".to_owned()))
    }

    /// Reads the recording. Blocking.
    fn read(&self) -> Result<recording::Recording, Error> {
        let mapping = self.map.iter().map(|text| recording::mapping(text)).collect::<Result<Vec<_>, _>>()?;
        let file = std::fs::File::open(&self.file).map_err(|source| Error::Dir { path: self.file.clone(), source })?;
        Ok(recording::read(file, &mapping)?)
    }
}

pub(crate) async fn run(link: Config, outlet: Outlet, clock: Clock, stop: Stop) -> Result<(), Error> {
    let (device, speed) = (link.device.clone(), link.speed);
    let read = tokio::task::spawn_blocking(move || link.read()).await;
    let recording = read.map_err(|_| Error::Ended)??;
    let base = clock.now();
    replay::feed(&recording, base, speed, &device, Lane::Vit, &outlet, &stop).await;
    Ok(())
}
