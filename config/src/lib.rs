//! One TOML file configures a process. Every crate brings its own `Config` with its defaults; here they are put together.
//!
//! A key that nobody knows is refused with its place: in a system that watches over people a misspelt key must not be a
//! silent default. The shipped files (`server.toml`, `gateway.toml` beside this folder's `Cargo.toml`) are complete,
//! commented, and equal to the defaults; `gateway-home.toml` and `gateway-cabin.toml` are two whole gateways. Tests keep them so.

use std::path::{Path, PathBuf};

use model::identity::IdentityKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The server's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where journal, records and readings live. Must exist and be writable.
    pub data_dir: PathBuf,
    /// The site's secret for cards and codes of elders: the same file as its gateways have. Without it none can be registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_key_file: Option<PathBuf>,
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
            identity_key_file: None,
            journal: journal::Config::default(),
            mqtt: mqtt::door::Config::default(),
            ingest: ingest::Config::default(),
            readings: store::readings::Config::default(),
            alerting: alerting::Config::default(),
            console: console::Config::default(),
        }
    }

    /// The site's secret, when there is one.
    pub fn identity_key(&self) -> Result<Option<IdentityKey>, Error> {
        let Some(file) = &self.identity_key_file else { return Ok(None) };
        let text = std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.clone(), source })?;
        let text = IdentityKey::parse(&text)
            .ok_or_else(|| Error::Value { file: file.clone(), text: "must hold 64 hexadecimal digits".into() })?;
        Ok(Some(text))
    }
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration {}", file.display())]
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

/// Reads the gateway's file.
pub fn gateway(file: &Path) -> Result<gateway::Config, Error> {
    let config: gateway::Config = read(file)?;
    match config.validate() {
        Ok(()) => Ok(config),
        Err(error) => Err(Error::Value { file: file.to_owned(), text: error.to_string() }),
    }
}

/// A file of either kind.
#[derive(Debug)]
pub enum Any {
    Server(Box<Server>),
    Gateway(Box<gateway::Config>),
}

/// Reads a file of either kind: only a gateway's has a `token`.
pub fn any(file: &Path) -> Result<Any, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    let is_gateway = text.lines().any(|line| line.trim_start().starts_with("token"));
    if is_gateway { gateway(file).map(Box::new).map(Any::Gateway) } else { server(file).map(Box::new).map(Any::Server) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn shipped(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    /// `table.key` of every key in a file, written out or in a comment of the form `# key = value`.
    fn keys(value: &toml::Table, at: &str, out: &mut BTreeSet<String>) {
        for (key, value) in value {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match value {
                toml::Value::Table(table) => keys(table, &path, out),
                _ => {
                    out.insert(path);
                }
            }
        }
    }

    #[test]
    fn the_shipped_server_file_is_complete_and_equal_to_the_defaults() {
        let file = shipped("server.toml");
        let read = server(&file).unwrap();
        assert_eq!(read, Server::in_dir("/var/lib/vigil"));
        let (mut written, mut known) = (BTreeSet::new(), BTreeSet::new());
        keys(&std::fs::read_to_string(file).unwrap().parse().unwrap(), "", &mut written);
        keys(&toml::Table::try_from(&read).unwrap(), "", &mut known);
        assert_eq!(written, known, "server.toml must name every key");
    }

    #[test]
    fn the_shipped_gateway_file_is_good() {
        assert!(matches!(any(&shipped("gateway.toml")).unwrap(), Any::Gateway(_)));
        assert!(matches!(any(&shipped("server.toml")).unwrap(), Any::Server(_)));
    }

    #[test]
    fn the_files_of_a_home_and_a_cabin_are_good_and_use_every_link() {
        let mut kinds = BTreeSet::new();
        for name in ["gateway-home.toml", "gateway-cabin.toml"] {
            let Any::Gateway(config) = any(&shipped(name)).unwrap() else { panic!("{name} is a gateway's") };
            kinds.extend(config.links.iter().map(gateway::Link::kind));
            let text = std::fs::read_to_string(shipped(name)).unwrap();
            // What the plain file names, these name too: nothing is left to a silent default.
            let (mut written, mut plain) = (BTreeSet::new(), BTreeSet::new());
            keys(&text.parse().unwrap(), "", &mut written);
            keys(&std::fs::read_to_string(shipped("gateway.toml")).unwrap().parse().unwrap(), "", &mut plain);
            assert_eq!(plain.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
        }
        assert_eq!(kinds, BTreeSet::from(["ble", "card", "http", "mqtt", "serial", "tcp"]));
    }

    #[test]
    fn a_link_that_can_never_work_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.toml");
        for (links, says) in [
            ("[[links]]\nkind = \"serial\"\ndevice = \"x\"\npath = \"/dev/x\"", "no such device"),
            ("[[links]]\nkind = \"tcp\"\ncodec = \"hl7\"", "either listen or connect"),
            ("[[links]]\nkind = \"tcp\"\nlisten = \"0.0.0.0:1\"\ncodec = \"x\"", "no such codec"),
            ("[[links]]\nkind = \"tcp\"\nlisten = \"0.0.0.0:1\"\ncodec = \"ble:2a35\"", "stream of bytes"),
            ("[[links]]\nkind = \"http\"\nlisten = \"0.0.0.0:1\"\nkiosks = []", "kiosks must not be empty"),
            (
                "[[links]]\nkind = \"mqtt\"\nlisten = \"0.0.0.0:1\"\nclients = [{ name = \"x\", token = \"short\" }]",
                "token",
            ),
            ("[[links]]\nkind = \"tcp\"\nlisten = \"0.0.0.0:1\"\ncodec = \"hl7\"\nidel_s = 1", "idel_s"),
        ] {
            std::fs::write(&file, format!("token = \"t\"\n{links}\n")).unwrap();
            let text = gateway(&file).unwrap_err().to_string();
            assert!(text.contains(says), "{says} is not in: {text}");
        }
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vigil.toml");
        std::fs::write(&file, "data_dir = \"/tmp\"\n[mqtt]\nlisten = \"127.0.0.1:1\"\nreceive_maxx = 3\n").unwrap();
        let text = server(&file).unwrap_err().to_string();
        for part in ["vigil.toml", "line 4", "receive_maxx", "receive_max"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }

    #[test]
    fn a_channel_is_named_right_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vigil.toml");
        for (table, says) in [
            ("[alerting.webhook]\nurl = \"https://x.example/\"", "write [alerting.channels.webhook]"),
            ("[alerting.channels.pigeon]\nurl = \"x\"", "unknown field `pigeon`, expected"),
            ("[alerting.quota.pigeon]\nper_day = 1", "unknown variant `pigeon`, expected"),
            ("[alerting.quota.tencent_sms]\nper_day = 0", "quota: a limit of 0"),
        ] {
            std::fs::write(&file, format!("data_dir = \"/tmp\"\n{table}\n")).unwrap();
            let text = server(&file).unwrap_err().to_string();
            assert!(text.contains(says), "{says} is not in: {text}");
        }
        std::fs::write(&file, "data_dir = \"/tmp\"\n[alerting.quota.tencent_sms]\nper_day = 10\n").unwrap();
        assert_eq!(server(&file).unwrap().alerting.quota[&alerting::Channel::TencentSms].per_day, Some(10));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vigil.toml");
        std::fs::write(&file, "data_dir = \"/tmp\"\n[ingest]\ntick_s = 0\n").unwrap();
        assert!(server(&file).unwrap_err().to_string().contains("tick_s"));
    }
}
