//! `vigil forget-elder`: deletes the readings, waveforms and origins of one person for good, also those that the store refused, and shows that nothing is left of them
//! in the store's files.

use std::path::Path;

use anyhow::{Context, bail};
use ingest::writer::{REFUSED_FILE, count_refused, forget_refused};
use journal::Journal;
use model::{ElderId, Subject};
use runtime::Clock;
use store::readings::{Config, Forgotten, Proof, Readings, Series, Store, damaged_copies};
use store::records::Records;

use crate::cli;
use crate::moving::{Elsewhere, before_changing};
use crate::server::{lock, say};

/// False when nothing was deleted for want of `--yes`, when something was found afterwards, or when copies of a damaged file are left.
pub fn forget_elder(args: &cli::ForgetElder) -> anyhow::Result<bool> {
    let config = config::server(&args.at.config)?;
    let _lock = lock(&config.data_dir)?;
    let elsewhere = before_changing(&config.data_dir, config.readings.store)?;
    let subject = Subject::Elder(ElderId(args.elder));
    let readings = Readings::open(&config.data_dir, &config.readings)?;
    let unread = unread(&config, &readings)?;
    if unread > 0 {
        bail!(
            "{unread} entries of the journal are not stored yet and may hold readings of this elder: start the server, wait until \
             it has caught up, stop it, and say this again"
        );
    }
    let left = left_behind(&config)?;
    let (mut series, mut rows, mut waves) = stored(&readings, subject)?;
    if let Some(left) = &left {
        let more = stored(left, subject)?;
        (series, rows, waves) = (series + more.0, rows + more.1, waves + more.2);
    }
    let aside = count_refused(&config.data_dir, subject).context(REFUSED_FILE)?;
    if !args.yes {
        say(&format!(
            "elder {}: {rows} readings in {series} series, {waves} blocks of waveforms and {} lines of {REFUSED_FILE} would be \
             deleted for good. Nothing was deleted: say --yes",
            args.elder, aside.of_subject
        ));
        return Ok(false);
    }
    let (gone, proof) = delete(subject, std::iter::once(&readings).chain(&left))?;
    let aside = forget_refused(&config.data_dir, subject).context(REFUSED_FILE)?;
    let counts = format!(
        "series {} rows {} waves {} origins {} refused {}",
        gone.series, gone.rows, gone.waves, gone.origins, aside.of_subject
    );
    let found = proof.map_or(0, |proof| proof.found_after);
    let copies = damaged_files(&config.data_dir, args.damaged_copies)?;
    let records = Records::open(&config.data_dir, Clock::system())?;
    records.audit(
        None,
        "forget_readings",
        &format!("elder/{}", args.elder),
        &format!("{counts} found {found} copies {copies}"),
    )?;
    say(&format!("elder {}: deleted: {counts}", args.elder));
    if let Some(proof) = proof {
        say(&format!(
            "proof: {} patterns of this elder were looked for at every byte: {} places before, {} after, in {} bytes of readings.db \
             and its write-ahead log",
            proof.patterns, proof.found_before, proof.found_after, proof.bytes
        ));
    }
    say("not touched: records.db (the person, alarms, what was done), the journal, backups, logs of other programs");
    if let Elsewhere::Server(server) = &elsewhere {
        say(&format!(
            "not touched: {server}: what was moved to or from there is still there, this person's too; drop the schema"
        ));
    }
    if aside.unreadable > 0 {
        say(&format!("not touched: {} lines of {REFUSED_FILE} that nobody can read: look at them", aside.unreadable));
    }
    if found > 0 {
        say("something is left: say `vigil doctor`, then this command again");
    }
    Ok(found == 0 && copies == 0)
}

/// Files that a repair left, which hold this person too: deleted when that was asked for, else named. How many are left.
fn damaged_files(dir: &Path, delete: bool) -> anyhow::Result<usize> {
    let copies = damaged_copies(dir)?;
    for copy in &copies {
        if delete {
            std::fs::remove_file(copy).with_context(|| copy.display().to_string())?;
        }
        let what = if delete {
            "deleted, with everybody in it"
        } else {
            "not touched: it holds this person too; --damaged-copies deletes it"
        };
        say(&format!("{}: {what}", copy.display()));
    }
    Ok(if delete { 0 } else { copies.len() })
}

/// Deletes in all stores, and searches the file of the embedded one.
fn delete<'a>(
    subject: Subject,
    stores: impl Iterator<Item = &'a Readings>,
) -> anyhow::Result<(Forgotten, Option<Proof>)> {
    let mut gone = Forgotten::default();
    let mut proof = None;
    for store in stores {
        let (less, shown) = match store.store() {
            Store::Embedded => store.forget_with_proof(subject).map(|(gone, proof)| (gone, Some(proof)))?,
            // A server's files are its own.
            Store::Timescale => (store.forget(subject)?, None),
        };
        gone = Forgotten {
            series: gone.series + less.series,
            rows: gone.rows + less.rows,
            waves: gone.waves + less.waves,
            origins: gone.origins + less.origins,
        };
        proof = proof.or(shown);
    }
    Ok((gone, proof))
}

/// The file that a move to a server left in the data directory.
fn left_behind(config: &config::Server) -> anyhow::Result<Option<Readings>> {
    let is_left = config.readings.store == Store::Timescale && config.data_dir.join(store::readings::FILE).exists();
    let left = Config { store: Store::Embedded, ..config.readings.clone() };
    let open = || Readings::open(&config.data_dir, &left).context("cannot use the readings.db that a move left behind");
    is_left.then(open).transpose()
}

/// Entries of the journal that the readings store has not taken.
fn unread(config: &config::Server, readings: &Readings) -> anyhow::Result<u64> {
    let stored = readings.progress()?;
    let journal = Journal::open(&config.data_dir, "journal", &config.journal)?;
    let head = journal.head();
    journal.close();
    Ok(head.0.saturating_sub(stored.done().0))
}

/// Series, rows and blocks of waveforms of one subject.
fn stored(readings: &Readings, subject: Subject) -> anyhow::Result<(u64, u64, u64)> {
    let (series, waves) = (readings.series_of(subject)?, readings.wave_series_of(subject)?);
    let rows = |all: &[Series]| all.iter().map(|one| one.rows).sum();
    Ok((series.len() as u64, rows(&series), rows(&waves)))
}
