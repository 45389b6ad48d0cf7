//! One TOML file configures a process. Every crate brings its own `Config` with its defaults; here they are put together.
//!
//! A key that nobody knows is refused with its place: in a system that watches over people a misspelt key must not be a
//! silent default. The shipped files (`server.toml`, `gateway.toml` beside this folder's `Cargo.toml`) are complete,
//! commented, and equal to the defaults; tests keep them so.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The server's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where journal, records and readings live. Must exist and be writable.
    pub data_dir: PathBuf,
    #[serde(default)]
    pub journal: journal::Config,
    #[serde(default)]
    pub mqtt: mqtt::door::Config,
    #[serde(default)]
    pub ingest: ingest::Config,
    #[serde(default)]
    pub readings: store::readings::Config,
    #[serde(default)]
    pub alerting: alerting::Config,
    #[serde(default)]
    pub console: console::Config,
}

impl Server {
    /// All defaults, with this data directory.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            journal: journal::Config::default(),
            mqtt: mqtt::door::Config::default(),
            ingest: ingest::Config::default(),
            readings: store::readings::Config::default(),
            alerting: alerting::Config::default(),
            console: console::Config::default(),
        }
    }
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// The text has line, column, the offending line with a mark, and what was expected.
    #[error("{}: {text}", file.display())]
    Syntax { file: PathBuf, text: String },
    #[error("{}: {text}", file.display())]
    Value { file: PathBuf, text: String },
}

/// Reads the server's file and checks what types cannot.
pub fn server(file: &Path) -> Result<Server, Error> {
    let config: Server = read(file)?;
    match problem(&config) {
        None => Ok(config),
        Some(text) => Err(Error::Value { file: file.to_owned(), text }),
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|error| Error::Syntax { file: file.to_owned(), text: error.to_string().trim_end().to_owned() })
}

/// The first value that makes no sense, as a sentence that says what to do.
fn problem(config: &Server) -> Option<String> {
    if let Err(error) = config.journal.validate() {
        return Some(error.to_string());
    }
    if let Some(text) = config.readings.problem() {
        return Some(format!("[readings] {text}"));
    }
    if config.ingest.tick_s == 0 || config.ingest.tick_s > 60 {
        return Some("[ingest] tick_s must be 1 to 60: the engine's timers run on it".into());
    }
    config.alerting.validate().err().map(|error| error.to_string())
}
