//! Words of `vigil bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// A week of one metric of all elders of a team in one call.
    Team,
    /// Strips of ten seconds out of months of one ECG lead.
    Strips,
}

impl Profile {
    /// It is about a store alone.
    pub const fn is_of_store(self) -> bool {
        matches!(self, Self::Fill | Self::Elders | Self::Outage | Self::Trend | Self::Team | Self::Strips)
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
    /// Elders of `fill`, `outage` and `team`.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub elders: u64,
    /// Readings a second of `outage`.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(30..=1_000_000))]
    pub rate: u64,
    /// Seconds that the store is away in `outage`.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=7_200))]
    pub outage_s: u64,
    /// The readings of the outage come as quickly as the journal takes them, not in their own time: an hour's backlog in a minute.
    #[arg(long)]
    pub hurried: bool,
    /// Days of ECG of `strips`.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
    /// Where the server's data go; of the profiles of a store: where their temporary folder is made. Default: a temporary folder.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

impl Bench {
    /// Why this cannot be measured as it is asked for: nothing that was said is passed over in silence.
    pub fn problem(&self) -> Option<&'static str> {
        let of_server = self.store == store::readings::Store::Timescale;
        if self.hurried && self.profile != Profile::Outage {
            return Some("--hurried is of outage");
        }
        if !self.profile.is_of_store() {
            let is_said = of_server || self.dsn.is_some();
            return is_said.then_some(
                "--store and --dsn are of fill, elders, outage, trend, team and strips; this profile keeps its readings in the embedded store",
            );
        }
        match (of_server, &self.dsn) {
            (true, None) => Some("--store timescale needs --dsn"),
            (false, Some(_)) => Some("--dsn is of --store timescale"),
            _ if !self.load_cpus.is_empty() => {
                Some("--load-cpus: a profile of a store has no load generator; --server-cpus pins it")
            }
            _ => None,
        }
    }
}

#[derive(Debug, Args)]
pub struct BenchLoad {
    /// Instructions as a JSON file.
    pub plan: PathBuf,
}
