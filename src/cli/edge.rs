//! Words of the commands about gateways.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WithConfig;

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
