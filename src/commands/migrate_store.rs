//! `vigil migrate-store`: all readings to the other store. The work itself: [`crate::moving`].

use std::path::absolute;

use anyhow::Context;

use crate::cli;
use crate::moving::{Move, Spec};
use crate::stores::Request;

/// Has everything copied, by the running server or here.
pub fn migrate_store(args: &cli::MigrateStore) -> anyhow::Result<()> {
    let config = config::server(&args.at.config)?;
    if args.give_up {
        return Request::MigrateStore(Spec::GiveUp).carry_out(&config);
    }
    let (from, to) = args.from.zip(args.to).context("say --from and --to")?;
    let spec = Move {
        from,
        to,
        config: absolute(&args.at.config)?,
        dsn_file: args.dsn_file.as_deref().map(absolute).transpose()?,
        sample: args.sample as usize,
        onto_existing: args.onto_existing,
    };
    Request::MigrateStore(Spec::Move(spec)).carry_out(&config)
}
