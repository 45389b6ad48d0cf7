//! What the server pushed, on disk, and the configuration that comes of it: the gateway's own file with the pushed values over
//! it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, Encoding, Link};
use crate::devices::{DeviceConfig, UnknownDevices};
use crate::floods::FloodConfig;
use crate::whole;

const FILE: &str = "pushed.json";

/// One version of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: u64,
    pub(crate) body: Value,
}

/// The file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(skip)]
    path: PathBuf,
    pub(crate) devices: Option<Version>,
    pub(crate) config: Option<Version>,
    /// The configuration in force is new: it has to connect.
    #[serde(default)]
    pub(crate) trial: bool,
    /// What was in force before it.
    #[serde(default)]
    pub(crate) before: Option<Version>,
    /// The last version that did not work, and why. It is not tried again.
    #[serde(default)]
    pub(crate) failed: Option<(u64, String)>,
    /// The server was told so.
    #[serde(default)]
    pub(crate) told: bool,
}

/// The keys that may be pushed. Not among them: who the gateway is, its token, where its data lie, and programs to run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    host: Option<String>,
    port: Option<u16>,
    encoding: Option<Encoding>,
    window: Option<u16>,
    history_after_s: Option<u32>,
    history_per_s: Option<u32>,
    flush_ms: Option<u64>,
    health_every_s: Option<u64>,
    grace_s: Option<u64>,
    unknown_devices: Option<UnknownDevices>,
    floods: Option<FloodConfig>,
    links: Option<Vec<Link>>,
}

impl Kept {
    /// Blocking.
    pub(crate) fn load(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let kept = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                tracing::error!(
                    "{FILE} cannot be read: the gateway's own file alone counts until the server pushes again"
                );
                Self::default()
            }),
            Err(_) => Self::default(),
        };
        Self { path, ..kept }
    }

    /// Blocking.
    pub(crate) fn save(&self) -> io::Result<()> {
        whole::replace(&self.path, &serde_json::to_vec(self)?)
    }

    /// Version of the configuration that has to connect.
    pub(crate) fn on_trial(&self) -> Option<u64> {
        self.config.as_ref().filter(|_| self.trial).map(|config| config.version)
    }

    /// The gateway's own configuration with what was pushed over it. The error is for people and holds no value.
    pub(crate) fn over(&self, own: &Config) -> Result<Config, String> {
        let mut config = own.clone();
        if let Some(Version { body, .. }) = &self.config {
            let changes: Changes = read(body)?;
            changes.over(&mut config);
        }
        if let Some(Version { body, .. }) = &self.devices {
            config.devices = read::<Vec<DeviceConfig>>(body)?;
            // A pushed list is a list, also an empty one: it does not open the gateway to everybody.
            config.unknown_devices.get_or_insert(UnknownDevices::Refuse);
        }
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// Back to what worked.
    pub(crate) fn fall_back(&mut self, reason: &str) {
        if let Some(failed) = self.config.take() {
            tracing::error!(
                version = failed.version,
                reason,
                "a pushed configuration does not work; the one before is back"
            );
            self.failed = Some((failed.version, reason.to_owned()));
            self.told = false;
        }
        self.config = self.before.take();
        self.trial = false;
    }
}

impl Changes {
    fn over(self, config: &mut Config) {
        fn set<T>(key: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *key = value;
            }
        }
        set(&mut config.host, self.host);
        set(&mut config.port, self.port);
        set(&mut config.encoding, self.encoding);
        set(&mut config.window, self.window);
        set(&mut config.history_after_s, self.history_after_s);
        set(&mut config.history_per_s, self.history_per_s);
        set(&mut config.flush_ms, self.flush_ms);
        set(&mut config.health_every_s, self.health_every_s);
        set(&mut config.edge.grace_s, self.grace_s);
        set(&mut config.floods, self.floods);
        set(&mut config.links, self.links);
        config.unknown_devices = self.unknown_devices.or(config.unknown_devices);
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &Value) -> Result<T, String> {
    T::deserialize(body).map_err(|error| without_values(&error))
}

/// What a parser says may quote what it read, and that may be a key or a password: only names of fields are passed on.
pub(super) fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let of_names = ["unknown field", "missing field", "duplicate field"].iter().any(|kind| text.starts_with(kind));
    if of_names { text } else { "a value is not of the form that its key asks for".to_owned() }
}
