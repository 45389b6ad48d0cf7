//! Words of the commands that fill the registry and the rotas.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WithConfig;

#[derive(Debug, Subcommand)]
pub enum Roster {
    /// Who is on call, why, who is next, and the holes of the next 8 weeks. Exit status 1 when there is a hole at TIME, or no rota and nobody
    /// in the team's order on call.
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
        /// YYYY-MM-DD, not in the future.
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
