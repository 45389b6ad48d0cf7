//! `vigil backup`: copies of the three databases, of a running server through its control socket, or of a stopped one.

use std::path::Path;

use anyhow::{Context, bail};
use journal::Journal;
use runtime::Clock;
use store::readings::{FILE, Readings};
use store::records::Records;

use crate::server::{lock, say};
use crate::{cli, control, data_dir};

/// Copies a data directory into a new folder and checks the copy.
pub fn backup(args: &cli::Backup) -> anyhow::Result<()> {
    let config = config::server(&args.config)?;
    data_dir::must_be_used(&config.data_dir)?;
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    let target = args.dir.canonicalize()?;
    if std::fs::read_dir(&target)?.next().is_some() {
        bail!("{} is not empty: give a new folder", target.display());
    }
    if control::ask(&config.data_dir, &format!("backup {}", target.display()), say)?.is_none() {
        offline(&config, &target)?;
    }
    check(&target)?;
    say(&format!("{} is complete and sound", target.display()));
    Ok(())
}

fn offline(config: &config::Server, target: &Path) -> anyhow::Result<()> {
    let _lock = lock(&config.data_dir)?;
    alerting::copy_state(&config.data_dir, target).context("cannot copy the engine's state")?;
    Records::open(&config.data_dir, Clock::system())?.backup_to(&target.join("records.db"))?;
    say(control::copy_readings(&Readings::open(&config.data_dir, &config.readings)?, target)?);
    let journal = Journal::open(&config.data_dir, "journal", &config.journal)?;
    journal.backup_to(&target.join("journal.db"))?;
    journal.close();
    say("no server is running there: copied the files of the stopped one");
    Ok(())
}

/// A backup that was never opened is a hope: open each copy, look for damage, and see that the cursors lie inside the journal.
fn check(target: &Path) -> anyhow::Result<()> {
    // Opening makes what is not there.
    data_dir::must_be_used(target)?;
    if !target.join("journal.db").exists() {
        bail!("the copy has no journal.db");
    }
    let records = Records::open(target, Clock::system())?;
    // Readings on a server are not in the copy.
    let is_there = target.join(FILE).exists();
    let readings = is_there.then(|| Readings::open(target, &store::readings::Config::default())).transpose()?;
    let journal = Journal::open(target, "journal", &journal::Config::default())?;
    let mut defects = records.integrity_check()?;
    if let Some(readings) = &readings {
        defects.extend(readings.integrity_check()?);
    }
    let kept = journal.first().0.saturating_sub(1)..=journal.head().0;
    let stored = readings.map(|readings| ("readings", readings.cursor()));
    for (name, seq) in stored.into_iter().chain([("records", records.alerting_cursor()?)]) {
        if !kept.contains(&seq.0) {
            defects.push(format!("{name} stand at entry {seq}, the journal holds {} to {}", kept.start(), kept.end()));
        }
    }
    journal.close();
    if defects.is_empty() { Ok(()) } else { bail!("the copy is damaged: {}", defects.join("; ")) }
}
