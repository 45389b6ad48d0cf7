//! Words of `vigil readings`.

use clap::{Args, Subcommand};

use super::WithConfig;

#[derive(Debug, Subcommand)]
pub enum OfReadings {
    /// Readings that the store refused for good and that were set aside: how many entries, why, since when.
    Refused(Refused),
}

#[derive(Debug, Args)]
pub struct Refused {
    #[command(flatten)]
    pub at: WithConfig,
    /// Puts them through the store again; what it takes leaves the file. The server must be stopped.
    #[arg(long)]
    pub retry: bool,
}
