//! What a benchmark runs on: a data directory with gateways, devices and elders, a configuration, and the load's orders.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use model::Name;
use runtime::Clock;
use serde::{Deserialize, Serialize};
use store::records::Records;

use super::phone::Phone;
use crate::cli::{Bench, Profile};
use crate::seed::{self, Gateway};

/// Connections that publish.
const GATEWAYS: usize = 50;
/// Devices, and so elders, of each.
const DEVICES: usize = 20;
/// Buttons, each of another elder, so that every press is an alarm of its own: most for the presses under load, the last for
/// those on a quiet server.
const BUTTONS: usize = LOADED_PRESSES + QUIET_PRESSES;
pub const LOADED_PRESSES: usize = 400;
pub const QUIET_PRESSES: usize = 100;
const LOGIN: &str = "bench";
/// Of a server on loopback that lives for a minute.
const PASSWORD: &str = "Bench-only-1";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Shape {
    Frames30,
    Single,
    Mixed,
}

/// The load generator's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    pub mqtt: SocketAddr,
    pub console: SocketAddr,
    pub login: String,
    pub password: String,
    pub shape: Shape,
    pub seconds: u64,
    pub gateways: Vec<Gateway>,
    pub sos: Gateway,
}

#[derive(Debug)]
pub struct Plan {
    pub config_file: PathBuf,
    pub load: Load,
    profile: Profile,
}

impl Plan {
    /// Fills the data directory's registry and writes the configuration.
    pub fn prepare(data_dir: &Path, scratch: &Path, args: &Bench, phone: &Phone) -> anyhow::Result<Self> {
        let records = Records::open(data_dir, Clock::system())?;
        seed::person(&records, LOGIN, PASSWORD, "压测", model::people::Role::Dispatcher, None)?;
        seed::person(&records, "bench-doctor", PASSWORD, "压测医生", model::people::Role::Doctor, None)?;
        let site = Name::new("bench")?;
        let mut gateways = Vec::new();
        for i in 0..GATEWAYS {
            gateways.push(seed::gateway_with_devices(&records, &site, &format!("bench-{i:02}"), DEVICES, None)?);
        }
        let sos = seed::gateway_with_devices(&records, &site, "bench-sos", BUTTONS, None)?;
        let config_file = scratch.join("bench.toml");
        let text = format!(
            "data_dir = {:?}\n[mqtt]\nlisten = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n\
             [alerting.channels.webhook]\n{}",
            data_dir.display().to_string(),
            phone.config()
        );
        std::fs::write(&config_file, text).with_context(|| format!("cannot write {}", config_file.display()))?;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let shape = match args.profile {
            Profile::Frames30 => Shape::Frames30,
            Profile::Single => Shape::Single,
            Profile::Mixed => Shape::Mixed,
            other => anyhow::bail!("{other:?} is a profile of a store"),
        };
        let (login, password) = (LOGIN.to_owned(), PASSWORD.to_owned());
        let load =
            Load { mqtt: anywhere, console: anywhere, login, password, shape, seconds: args.seconds, gateways, sos };
        Ok(Self { config_file, load, profile: args.profile })
    }

    /// Takes the addresses from the server's line `console=.. mqtt=..`.
    pub fn set_addresses(&mut self, listening: &str) -> anyhow::Result<()> {
        let part = |key: &str| {
            let found = listening.split_whitespace().find_map(|word| word.strip_prefix(key));
            found.with_context(|| format!("the server did not say {key}"))
        };
        self.load.console = part("console=")?.parse()?;
        self.load.mqtt = part("mqtt=")?.parse()?;
        Ok(())
    }

    pub fn write(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let file = dir.join("load.json");
        std::fs::write(&file, serde_json::to_vec(&self.load)?)?;
        Ok(file)
    }

    pub const fn profile_name(&self) -> &'static str {
        match self.profile {
            Profile::Frames30 => "frames30",
            Profile::Single => "single",
            _ => "mixed",
        }
    }
}
