//! Words of `vigil migrate-store`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use store::readings::Store;

use super::WithConfig;

/// A store by the word that `[readings] store` has for it.
fn store_name(word: &str) -> Result<Store, serde::de::value::Error> {
    Store::deserialize(word.into_deserializer())
}

#[derive(Debug, Args)]
pub struct MigrateStore {
    /// The store in use, as `[readings] store` names it: embedded or timescale.
    #[arg(long, value_name = "STORE", value_parser = store_name, required_unless_present = "give_up")]
    pub from: Option<Store>,
    /// The other one.
    #[arg(long, value_name = "STORE", value_parser = store_name, required_unless_present = "give_up")]
    pub to: Option<Store>,
    #[command(flatten)]
    pub at: WithConfig,
    /// A file with the data source name of the PostgreSQL server to move to, where `[readings.timescale]` does not name it yet.
    #[arg(long, value_name = "FILE")]
    pub dsn_file: Option<PathBuf>,
    /// Series compared row by row at the end, besides counting all.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub sample: u32,
    /// Also into a schema that holds readings which no move of this data directory brought there. They must be this installation's.
    /// What is there besides stays: other values of the same instants, and elders of whom the store in use has nothing.
    #[arg(long)]
    pub onto_existing: bool,
    /// Ends a move that is under way: the journal is not held any more, and the server stays where it stores now.
    #[arg(long, conflicts_with_all = ["from", "to", "dsn_file", "onto_existing"])]
    pub give_up: bool,
}
