//! Words of the commands that try, replay and simulate: nothing of them is about the data of a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct Demo {
    /// Where the console listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// Where the front door listens.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub mqtt: std::net::SocketAddr,
    /// Where the demo's data live. Made anew at every start unless --keep is given.
    #[arg(long, default_value = "vigil-demo")]
    pub data_dir: PathBuf,
    /// Go on with the data of the last demo.
    #[arg(long)]
    pub keep: bool,
    /// Seed of the simulation: the same seed gives the same elders and readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Elders with a simulated band.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=500))]
    pub elders: u32,
}

#[derive(Debug, Args)]
pub struct Decode {
    /// One of `--list`.
    #[arg(required_unless_present = "list")]
    pub codec: Option<String>,
    /// The frame, or a stream with frames in it, as hexadecimal digits.
    #[arg(long, conflicts_with = "file")]
    pub hex: Option<String>,
    /// The frame as a file; `-` is standard input.
    pub file: Option<PathBuf>,
    /// Prints the codecs.
    #[arg(long)]
    pub list: bool,
    /// Key of encrypted advertisements: 32 hexadecimal digits, or 24 of MiBeacon 2 and 3.
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,
    /// Bluetooth address of the device, where its key needs it.
    #[arg(long, value_name = "MAC")]
    pub address: Option<String>,
    /// Where the device stands: minutes east of UTC (China: 480).
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub offset_min: Option<i16>,
    /// What the device's time of day means.
    #[arg(long, value_enum, default_value_t)]
    pub clock: DeviceClock,
    /// Unit of a glucose value that comes without one.
    #[arg(long, value_enum)]
    pub glucose_unit: Option<GlucoseUnit>,
    /// Free text of the device is GB 18030 (GBK), not UTF-8.
    #[arg(long)]
    pub gb18030: bool,
    /// CGM measurements end with an E2E-CRC.
    #[arg(long)]
    pub cgm_crc: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GlucoseUnit {
    #[value(name = "mmol/L")]
    MmolPerL,
    #[value(name = "mg/dL")]
    MgPerDl,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum DeviceClock {
    /// As the protocol says.
    #[default]
    Protocol,
    /// Local time of the place.
    Local,
    Utc,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// A recording with a time column `t_s` (seconds) or `time` (RFC 3339) and a column a metric.
    #[arg(long, required_unless_present = "ecg", conflicts_with = "ecg")]
    pub csv: Option<PathBuf>,
    /// An ECG or PPG recording: a WFDB header (`.hea`, its signal files beside it) or an EDF file.
    #[arg(long, value_name = "FILE")]
    pub ecg: Option<PathBuf>,
    /// Meaning of a column that is not a metric's slug: NAME=slug.
    #[arg(long = "map", value_name = "NAME=SLUG", conflicts_with = "ecg")]
    pub map: Vec<String>,
    /// The server's configuration: the elder is looked up there and a gateway `replay` is registered there.
    #[arg(long)]
    pub config: PathBuf,
    /// The elder whose readings these are.
    #[arg(long)]
    pub elder: u32,
    /// Seconds of the recording a second; 0 is as fast as the server takes them.
    #[arg(long, default_value_t = 0.0)]
    pub speed: f64,
    /// The front door; default: as in the configuration.
    #[arg(long)]
    pub server: Option<std::net::SocketAddr>,
    /// Wait until a running server has seen the replay's gateway in the registry.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub wait_registry: bool,
    /// When the recording begins (RFC 3339). Default: so that it ends now.
    #[arg(long)]
    pub start: Option<String>,
}

#[derive(Debug, Args)]
pub struct Simulate {
    /// The server's configuration: gateways `sim-0001`.. and elders are registered there.
    #[arg(long)]
    pub config: PathBuf,
    /// The front door; default: as in the configuration.
    #[arg(long)]
    pub server: Option<std::net::SocketAddr>,
    /// Simulated elders, one band each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub elders: u32,
    /// Seconds between two frames of one elder.
    #[arg(long, default_value_t = 10.0)]
    pub every_s: f64,
    /// Seconds to run; 0 is until stopped.
    #[arg(long, default_value_t = 0)]
    pub for_s: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
#[group(skip)]
pub struct Judge {
    /// A recording.
    #[arg(long, required_unless_present = "data_dir", conflicts_with = "data_dir")]
    pub csv: Option<PathBuf>,
    #[arg(long = "map", value_name = "NAME=SLUG", requires = "csv")]
    pub map: Vec<String>,
    /// The stored readings of an elder: a backup's folder, or the data directory of a server that does not run (of one that
    /// runs, ask the console). With --rules: one JSON object that compares them with the rules in force.
    #[arg(long, value_name = "DIR", requires = "elder")]
    pub data_dir: Option<PathBuf>,
    #[arg(long, value_name = "NUMBER", requires = "data_dir")]
    pub elder: Option<u32>,
    /// Days before the elder's newest reading.
    #[arg(long, default_value_t = 30, conflicts_with = "csv", value_parser = clap::value_parser!(u16).range(1..=90))]
    pub days: u16,
    /// A rule set as TOML; default: the shipped `cn-basic-v3`.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// The elder's age in years: chooses the age band of the default rules.
    #[arg(long, default_value_t = 60, conflicts_with = "data_dir")]
    pub age: u32,
}

#[derive(Debug, Subcommand)]
pub enum Score {
    /// National Early Warning Score 2. What is left out makes an interval.
    News2 {
        /// Keys: respiratory_rate, spo2, spo2_scale (1 or 2), on_oxygen, systolic, heart_rate (or pulse), consciousness
        /// (A, C, V, P or U), temperature. Each may be left out or null.
        #[arg(long, value_name = "OBJECT")]
        json: String,
    },
}

#[derive(Debug, Args)]
pub struct County {
    /// People from 60 years on.
    #[arg(long, default_value_t = 47_754, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub elders: u32,
    /// Virtual days, from 2026-11-16.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// The same seed gives the same report, byte for byte.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// People who answer, at every hour.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub seats: u32,
    /// Of 100 elders, so many wear a band that speaks every minute.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub wearers: u32,
    /// A rule set as TOML; default: the shipped `cn-basic-v3` with its age bands.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Judges the same readings also by changed rules, to see what each change would bring. Takes some seven times as long.
    #[arg(long)]
    pub levers: bool,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}
