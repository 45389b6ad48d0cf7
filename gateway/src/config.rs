//! The gateway's keys.

use std::path::PathBuf;

use model::Name;
use serde::Deserialize;

use crate::care::CareConfig;
use crate::devices::{DeviceConfig, Roster, UnknownDevices};
use crate::edge::EdgeConfig;
use crate::floods::FloodConfig;
use crate::link::{ble, card, csv, http, mqtt, samples, serial, tcp, waveform};
use crate::who::SessionConfig;
use crate::{Error, sim};

/// Longest wait of an ordinary report for company, milliseconds.
const FLUSH_MS_MAX: u64 = 60_000;

/// One gateway: who it is, where the server is, what it listens to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server's front door.
    pub host: String,
    pub port: u16,
    /// PEM file with the authority that signed the server's certificate. Without it: no TLS.
    pub tls_ca_file: Option<PathBuf>,
    pub site: Name,
    /// The gateway's name: its MQTT client id and user name.
    pub name: Name,
    /// As printed once when the gateway was registered. Never logged.
    pub token: String,
    /// Outbox and numbers. Must survive restarts.
    pub data_dir: PathBuf,
    /// Form of the frames.
    pub encoding: Encoding,
    /// Publishes un-acknowledged at most, 2..=200.
    pub window: u16,
    /// Readings that have waited longer, in seconds, are history: after an outage they go out after what is live, newest
    /// first, and marked so.
    pub history_after_s: u32,
    /// Frames of history sent in one second at most, so that live traffic stays as it is; 0 is no limit.
    pub history_per_s: u32,
    /// Limits of the outbox. `bytes_max` is the budget of all its files together.
    pub outbox: journal::Config,
    /// How long an ordinary report waits for others before all of them are written with one fsync, milliseconds. 0: not at
    /// all. SOS and events never wait.
    pub flush_ms: u64,
    /// What happens to a device that is not in `devices`. Without this key: refused once there is a list.
    pub unknown_devices: Option<UnknownDevices>,
    /// When a device sends too much.
    pub floods: FloodConfig,
    /// The site's secret, 64 hexadecimal digits in a file of its own: the same at all its gateways and at the server. Needed when
    /// people present cards or codes.
    pub identity_key_file: Option<PathBuf>,
    /// Who stands at the shared devices.
    pub sessions: SessionConfig,
    /// Seconds between two readings of the gateway's own health (disk, memory, temperature, what waits). 0: none.
    pub health_every_s: u64,
    /// What sounds here when the server cannot be reached.
    pub edge: EdgeConfig,
    /// How the server may care for this gateway.
    pub care: CareConfig,
    /// Who may speak to this gateway.
    pub devices: Vec<DeviceConfig>,
    /// What the gateway listens to.
    pub links: Vec<Link>,
}

/// Form of the frames on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Cbor,
    Json,
}

/// One source of reports.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Link {
    /// Simulated elders.
    Sim(sim::Config),
    /// A recording, played once.
    Csv(csv::Config),
    /// An ECG recording, played once.
    Waveform(waveform::Config),
    /// Bare samples of an ECG or PPG front end over TCP.
    Samples(samples::Config),
    /// One device on a serial port.
    Serial(serial::Config),
    /// Watches and pendants, MLLP, ASTM.
    Tcp(tcp::Config),
    /// Kiosks that POST JSON.
    Http(http::Config),
    /// Devices in the house that speak MQTT.
    Mqtt(mqtt::Config),
    /// Bluetooth LE through BlueZ.
    Ble(ble::Config),
    /// A reader of identity cards or codes on a serial port.
    Card(card::Config),
}

impl Default for Config {
    fn default() -> Self {
        // The names are constants that fit: the fallback is never taken.
        let name = |text: &str| Name::new(text).unwrap_or_else(|_| unreachable!("a valid constant name"));
        Self {
            host: "127.0.0.1".to_owned(),
            port: 1883,
            tls_ca_file: None,
            site: name("demo"),
            name: name("gateway-1"),
            token: String::new(),
            data_dir: PathBuf::from("gateway-data"),
            encoding: Encoding::Cbor,
            window: 48,
            history_after_s: 60,
            history_per_s: 500,
            outbox: journal::Config {
                bytes_max: 1024 * 1024 * 1024,
                // For each file: a gateway has little memory, and reads what waits from the disk.
                queue_bytes_max: 4 * 1024 * 1024,
                tail_bytes_max: 1024 * 1024,
                ..journal::Config::default()
            },
            flush_ms: 1_000,
            unknown_devices: None,
            floods: FloodConfig::default(),
            identity_key_file: None,
            sessions: SessionConfig::default(),
            health_every_s: 60,
            edge: EdgeConfig::default(),
            care: CareConfig::default(),
            devices: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, site, name, links, .. } = self;
        write!(f, "gateway {name} of {site}, {} links, server {host}:{port}", links.len())
    }
}

impl Config {
    /// Refuses what can never work.
    pub fn validate(&self) -> Result<(), Error> {
        self.uplink().check()?;
        if self.flush_ms > FLUSH_MS_MAX {
            return Err(Error::Key(format!("flush_ms must be at most {FLUSH_MS_MAX}")));
        }
        self.floods.validate()?;
        self.sessions.validate()?;
        self.edge.validate()?;
        self.care.validate()?;
        let roster = Roster::new(&self.devices, self.unknown_devices)?;
        self.links.iter().try_for_each(|link| link.validate(&roster))
    }

    pub(crate) fn uplink(&self) -> ::mqtt::uplink::Config {
        ::mqtt::uplink::Config {
            host: self.host.clone(),
            port: self.port,
            client_id: self.name.to_string(),
            username: self.name.to_string(),
            password: self.token.clone(),
            tls_ca_file: self.tls_ca_file.clone(),
            window: self.window,
            window_urgent: (self.window / 6).max(1),
            history_after_s: self.history_after_s,
            history_per_s: self.history_per_s,
            ..::mqtt::uplink::Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_both_links_is_read() {
        let config: Config = toml::from_str(
            r#"
            site = "home-7"
            name = "gw-1"
            token = "secret"
            [[links]]
            kind = "sim"
            elders = 3
            scenarios = [{ at_s = 10, person = 1, kind = "fall" }]
            [[links]]
            kind = "csv"
            file = "a.csv"
            device = "monitor-1"
            map = ["PR=pulse_rate"]
            "#,
        )
        .unwrap();
        config.validate().unwrap();
        assert_eq!(config.links.len(), 2);
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_can_never_work_is_refused_before_it_starts() {
        for text in [
            "host = \"\"",
            "window = 1",
            "window = 201",
            "history_after_s = 0",
            "flush_ms = 60001",
            "[floods]\nframes_per_s = 0",
            "[floods]\nburst = 0",
            "[sessions]\ntimeout_s = 1",
        ] {
            assert!(toml::from_str::<Config>(text).unwrap().validate().is_err(), "{text}");
        }
        Config::default().validate().unwrap();
    }

    #[test]
    fn misspelt_keys_are_refused() {
        for text in [
            "hosst = \"x\"",
            "[[links]]\nkind = \"sim\"\nelder = 3",
            "[[links]]\nkind = \"csv\"\nfile = \"a\"\ndevice = \"d\"\nspeeed = 1.0",
        ] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
