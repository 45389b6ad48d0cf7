//! The command line: one binary, one subcommand for each thing a person does with Vigil.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Looks at everything in the data directory of a stopped server; exit status 1 when something is wrong. Changes nothing
    /// without --repair.
    Doctor(Doctor),
    /// Deletes readings, waveforms and origins of one elder for good and searches the files for what may be left. The server must be stopped.
    ForgetElder(ForgetElder),
    /// Writes readings to a CSV or Parquet file. Who took out what is in the audit.
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
#[command(args_conflicts_with_subcommands = true)]
pub struct Gateway {
    #[command(subcommand)]
    pub what: Option<GatewayCommand>,
    /// Runs the gateway of this file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Uplink, links, devices and outbox of a gateway on this machine; of its files when it does not run.
    Status(GatewayStatus),
}

#[derive(Debug, Args)]
pub struct GatewayStatus {
    /// The gateway's configuration, for its data_dir.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data_dir: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

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

#[derive(Debug, Subcommand)]
pub enum PushWhat {
    /// Keys of the gateway's file that may be changed from afar (docs/operations.md names them).
    Config(PushTo),
    /// The list of devices, in the form of [[devices]] of the gateway's file.
    Devices(PushTo),
    /// One JSON line for each gateway and kind: wanted, applied, refused and why. Rules are pushed by themselves.
    Status(WithConfig),
}

#[derive(Debug, Args)]
pub struct PushTo {
    #[command(flatten)]
    pub at: WithConfig,
    #[arg(long)]
    pub gateway: String,
    /// TOML or JSON.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Roster {
    /// Who is on call, why, who is next, and the holes of the next 8 weeks. Exit status 1 when there is a hole at TIME.
    Show {
        #[command(flatten)]
        at: WithConfig,
        /// The team's name.
        #[arg(long)]
        team: String,
        /// RFC 3339 (2026-11-22T20:00:00+08:00), or "2026-11-22 20:00" by the clock of Asia/Shanghai. Default: now.
        #[arg(long = "at", value_name = "TIME")]
        time: Option<String>,
        /// Days of shifts to list.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=92))]
        days: u32,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Checks and saves a rota (TOML; docs/alarms.md shows one). It is in force from --from on, or from now.
    Save {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[arg(long, default_value = "vigil roster save")]
        reason: String,
    },
    /// From now on the team has no rota: its plain order on call counts again.
    End {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        team: String,
        #[arg(long)]
        reason: String,
    },
    /// Somebody stands in for somebody else, or in a post (换班).
    Override {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        team: String,
        #[command(flatten)]
        when: Stretch,
        /// Login of the one who is replaced.
        #[arg(long, required_unless_present = "post")]
        out: Option<String>,
        #[arg(long)]
        post: Option<String>,
        /// Login of the one who stands in.
        #[arg(long = "in", value_name = "LOGIN")]
        stand_in: String,
    },
    /// Somebody is away.
    Leave {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        login: String,
        #[command(flatten)]
        when: Stretch,
    },
    /// Ends an override or a leave now.
    Cancel {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long = "override", value_name = "NUMBER", required_unless_present = "leave", conflicts_with = "leave")]
        override_id: Option<u32>,
        #[arg(long, value_name = "NUMBER")]
        leave: Option<u32>,
    },
    /// Takes in the public holidays of one year, a file in the shape of NateScarlet/holiday-cn.
    ImportHolidays {
        file: PathBuf,
        #[command(flatten)]
        at: WithConfig,
    },
    /// Puts a team under a unit (township hospital, county), to which its holes fall through.
    Unit {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        team: String,
        /// The unit's name; without it the team stands alone.
        #[arg(long)]
        above: Option<String>,
    },
    /// Says as what a person works in the team, or (with --elder) to which elder they can go.
    Person {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        login: String,
        /// doctor, nurse, public_health, village_doctor, grid_worker, group_leader or specialist
        #[arg(long, required_unless_present = "elder")]
        duty: Option<String>,
        /// The elder's number.
        #[arg(long, requires = "relation")]
        elder: Option<u32>,
        /// 网格员, 女儿, 钥匙保管人
        #[arg(long)]
        relation: Option<String>,
        /// Asked in this order, lowest first.
        #[arg(long, default_value_t = 1)]
        rank: u32,
    },
}

#[derive(Debug, Args)]
pub struct Stretch {
    /// As --at of `vigil roster show`.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Not part of it.
    #[arg(long, value_name = "TIME")]
    pub until: String,
    #[arg(long)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum Add {
    /// A person who signs in. The password is read from standard input (one line).
    User {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        login: String,
        #[arg(long)]
        name: String,
        /// dispatcher, supervisor, doctor, nurse, responder or administrator
        #[arg(long)]
        role: String,
        #[arg(long)]
        team: Option<String>,
        #[arg(long)]
        phone: Option<String>,
    },
    /// A family-doctor team.
    Team {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        name: String,
    },
    /// An elder.
    Elder {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        name: String,
        /// male, female or unknown
        #[arg(long, default_value = "unknown")]
        sex: String,
        /// YYYY-MM-DD
        #[arg(long)]
        born: Option<String>,
        #[arg(long)]
        team: Option<String>,
        #[arg(long, default_value = "")]
        phone: String,
        #[arg(long, default_value = "")]
        address: String,
    },
    /// A gateway (or a direct MQTT device). Prints its token once; only a hash of it is kept.
    Gateway {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        site: String,
        /// 1 to 32 of a-z 0-9 _ -; also its MQTT client id.
        #[arg(long)]
        name: String,
        /// vigil, or thingsboard for devices that speak v1/devices/me/telemetry
        #[arg(long, default_value = "vigil")]
        dialect: String,
    },
    /// A card or code by which an elder is known at shared devices. Its number or text is read from standard input (one line) and
    /// hashed at once; only the hash is kept.
    Key {
        #[command(flatten)]
        at: WithConfig,
        /// The elder's number, as `vigil add elder` printed it.
        #[arg(long)]
        elder: u32,
        /// An identity card (居民身份证) with 18 places.
        #[arg(long, required_unless_present = "qr", conflicts_with = "qr")]
        card: bool,
        /// The text of a QR code.
        #[arg(long)]
        qr: bool,
    },
    /// Binds a device of a gateway to an elder.
    Binding {
        #[command(flatten)]
        at: WithConfig,
        #[arg(long)]
        gateway: String,
        /// `_` is the gateway itself (a direct device).
        #[arg(long, default_value = "_")]
        device: String,
        /// The elder's number, as `vigil add elder` printed it.
        #[arg(long)]
        elder: u32,
    },
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
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=90))]
    pub days: u16,
    /// A rule set as TOML; default: the shipped `cn-basic-v3`.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// The elder's age in years: chooses the age band of the default rules.
    #[arg(long, default_value_t = 60)]
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
    /// Not part of it. Default: now.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Frames of 30 readings.
    Frames30,
    /// One reading a publish.
    Single,
    /// Three quarters of the publishes single, one quarter frames of 30, an SOS now and then.
    Mixed,
    /// A journal into the store, without the front door; of a server with its bare limit.
    Fill,
    /// The same for 1 to 50,000 elders.
    Elders,
    /// The store is away for a while under a steady load.
    Outage,
    /// 30 days of three metrics of one elder.
    Trend,
}

impl Profile {
    /// It is about a store alone.
    pub const fn is_of_store(self) -> bool {
        matches!(self, Self::Fill | Self::Elders | Self::Outage | Self::Trend)
    }
}

fn store_word(text: &str) -> Result<store::readings::Store, String> {
    match text {
        "embedded" => Ok(store::readings::Store::Embedded),
        "timescale" => Ok(store::readings::Store::Timescale),
        _ => Err("embedded or timescale".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct Bench {
    /// Prints one JSON object and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    #[arg(long, value_enum, default_value_t = Profile::Mixed)]
    pub profile: Profile,
    /// CPUs of the server, e.g. `0` or `0,1`.
    #[arg(long, value_delimiter = ',')]
    pub server_cpus: Vec<usize>,
    /// CPUs of the load generator.
    #[arg(long, value_delimiter = ',')]
    pub load_cpus: Vec<usize>,
    /// Seconds of load at full speed; the latency part takes as long again, half of it.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(2..=120))]
    pub seconds: u64,
    /// Of the profiles of a store: `embedded`, or `timescale` with --dsn.
    #[arg(long, value_name = "STORE", default_value = "embedded", value_parser = store_word)]
    pub store: store::readings::Store,
    /// The PostgreSQL server of the profiles of a store. A schema of its own is made there and removed.
    #[arg(long, value_name = "DSN")]
    pub dsn: Option<String>,
    /// Readings that `fill` and `elders` store.
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Elders of `fill` and `outage`.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub elders: u64,
    /// Readings a second of `outage`.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(30..=1_000_000))]
    pub rate: u64,
    /// Seconds that the store is away in `outage`.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=7_200))]
    pub outage_s: u64,
    /// Where the server's data go; default: a temporary folder.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BenchLoad {
    /// Instructions as a JSON file.
    pub plan: PathBuf,
}
