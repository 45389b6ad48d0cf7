//! The command line: one binary, one subcommand for each thing a person does with Vigil.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod bench;
mod edge;
mod migrate;
mod people;
mod readings;
mod trial;

pub use bench::{Bench, BenchLoad, Profile};
pub use edge::{Gateway, GatewayCommand, GatewayStatus, PushTo, PushWhat};
pub use migrate::MigrateStore;
pub use people::{Add, Roster, Stretch};
pub use readings::{OfReadings, Refused};
pub use trial::{County, Decode, Demo, DeviceClock, GlucoseUnit, Judge, Replay, Score, Simulate};

/// Vigil 守望: IoT gateway and real-time telemetry server for the care of elders (医养结合).
#[derive(Debug, Parser)]
#[command(name = "vigil", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on this machine with simulated elders: server, gateways, a phone page. Nothing to install.
    Demo(Demo),
    /// The server: front door, ingest, alerting, console.
    Serve(WithConfig),
    /// The edge: links to devices, outbox, uplink.
    Gateway(Gateway),
    /// Reads a configuration file, says what is wrong with it, and prints the addresses it would use.
    CheckConfig { file: PathBuf },
    /// Adds people, teams, elders, gateways and devices to a server's registry.
    #[command(subcommand)]
    Add(Add),
    /// Who is on call: rotas of teams, overrides, leave, public holidays.
    #[command(subcommand)]
    Roster(Roster),
    /// What gateways are to have: saved here, sent by the server, answered by the gateway.
    #[command(subcommand)]
    Push(PushWhat),
    /// Decodes one frame of a device: JSON readings, or the reason why it is refused (exit status 1).
    Decode(Decode),
    /// Sends a recording through a real front door.
    Replay(Replay),
    /// A fleet of simulated devices over MQTT.
    Simulate(Simulate),
    /// Runs a recording through the alarm engine; one JSON line an alarm.
    Judge(Judge),
    /// Computes a clinical score from measurements: one JSON object, or the reason why not (exit status 1).
    #[command(subcommand)]
    Score(Score),
    /// A simulated county over virtual days through the alarm engine: what its seats get, and whether a crisis was missed.
    County(County),
    /// Copies a data directory while the server runs.
    Backup(Backup),
    /// Looks at everything in the data directory of a stopped server; exit status 1 when something is wrong, or when no server
    /// was ever there. Changes nothing without --repair.
    Doctor(Doctor),
    /// Deletes readings, waveforms and origins of one elder for good and searches the files for what may be left. Names the person
    /// (masked) before and after; refuses a number that nobody has. The server must be stopped.
    ForgetElder(ForgetElder),
    /// Copies all readings to the other store while the server runs, counts and compares; the configuration is changed afterwards.
    /// Killed at any point, the same words go on.
    MigrateStore(MigrateStore),
    /// What was set aside of readings.
    #[command(subcommand)]
    Readings(OfReadings),
    /// Writes readings to a CSV or Parquet file, and says when some wait in the journal still. Who took out what is in the audit.
    Export(Export),
    /// Takes in measurements from a CSV file through a map of its columns. They are history: nobody is paged for them.
    Import(Import),
    /// Measures a server and a load generator, end to end.
    Bench(Bench),
    /// The load generator of `bench`; started by it.
    #[command(hide = true)]
    BenchLoad(BenchLoad),
}

#[derive(Debug, Args)]
pub struct WithConfig {
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    pub at: WithConfig,
    /// Mends what can be mended and sets aside what cannot; nothing is thrown away.
    #[arg(long)]
    pub repair: bool,
}

#[derive(Debug, Args)]
pub struct ForgetElder {
    /// The elder's number, as `vigil add elder` printed it.
    pub elder: u32,
    #[command(flatten)]
    pub at: WithConfig,
    /// Really delete. Without it the command only says what would go.
    #[arg(long)]
    pub yes: bool,
    /// Also delete the files that `vigil doctor --repair` left beside the readings (readings.db.damaged-N), with everybody in them.
    #[arg(long, requires = "yes")]
    pub damaged_copies: bool,
}

#[derive(Debug, Args)]
pub struct Backup {
    #[arg(long)]
    pub config: PathBuf,
    /// A folder that does not exist yet or is empty.
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("who").required(true))]
pub struct Export {
    #[command(flatten)]
    pub at: WithConfig,
    /// The elder's number.
    #[arg(long, group = "who", value_name = "NUMBER")]
    pub elder: Option<u32>,
    /// The team's name.
    #[arg(long, group = "who")]
    pub team: Option<String>,
    /// All elders.
    #[arg(long, group = "who")]
    pub all: bool,
    /// Words of metrics, with commas: heart_rate,spo2. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// RFC 3339, or "2026-11-22 20:00" by the clock of Asia/Shanghai. Default: from the beginning.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Not part of it; later than --from. Default: now.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    #[arg(long, value_enum, default_value = "csv")]
    pub format: crate::export::Format,
    /// A file that does not exist yet.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A file with 64 hexadecimal digits. Elders and devices then have names that only the owner of this file can make again.
    #[arg(long, value_name = "KEYFILE")]
    pub pseudonym: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub at: WithConfig,
    #[arg(long, value_name = "FILE")]
    pub csv: PathBuf,
    /// What the columns mean (TOML; docs/storage.md, an example is config/import-map.toml).
    #[arg(long, value_name = "FILE")]
    pub map: PathBuf,
    /// Whose measurements these are, when no column says so.
    #[arg(long, value_name = "NUMBER")]
    pub elder: Option<u32>,
    /// Reads and reports everything, stores nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Lines that are not taken, and why (CSV). Default: the CSV file's name and `.refused.csv`.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Have the alarm engine look at them as at everything late: a dangerous value becomes an item to review (P3). Nobody is paged.
    #[arg(long)]
    pub review: bool,
}
