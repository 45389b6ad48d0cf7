//! `vigil forget-elder`: deletes the readings, waveforms and origins of one person for good, also those that the store refused, and shows that nothing is left of them
//! in the store's files.

use std::path::Path;

use anyhow::{Context, bail};
use ingest::writer::{REFUSED_FILE, count_refused, forget_refused};
use journal::Journal;
use model::{ElderId, Subject, Time, mask};
use runtime::Clock;
use store::readings::{Config, Forgotten, Proof, Readings, Series, Store, damaged_copies};
use store::records::Records;

use crate::moving::{Elsewhere, before_changing};
use crate::server::{lock, say};
use crate::{cli, data_dir};

/// What the audit calls a deletion that begins, and one that is done.
const BEGUN: &str = "forget_readings_begun";
const DONE: &str = "forget_readings";
/// Of a date of birth.
const YEAR_DIGITS: usize = 4;

/// False when nothing was deleted for want of `--yes`, when something was found afterwards, or when copies of a damaged file are left.
pub fn forget_elder(args: &cli::ForgetElder) -> anyhow::Result<bool> {
    let config = config::server(&args.at.config)?;
    data_dir::must_be_used(&config.data_dir)?;
    let _lock = lock(&config.data_dir)?;
    let elsewhere = before_changing(&config.data_dir, config.readings.store)?;
    let elder = ElderId(args.elder);
    let records = Records::open(&config.data_dir, Clock::system())?;
    let readings = Readings::open(&config.data_dir, &config.readings)?;
    let unread = unread(&config, &readings)?;
    if unread > 0 {
        bail!(
            "{unread} entries of the journal are not stored yet and may hold readings of this elder: start the server, wait until \
             it has caught up, stop it, and say this again"
        );
    }
    let left = left_behind(&config)?;
    let traces = Traces::count(&config, elder, std::iter::once(&readings).chain(&left))?;
    let who = who(&records, elder, &traces)?;
    if !args.yes {
        say(&format!("{who}: {} would be deleted for good. Nothing was deleted: say --yes", traces.words()));
        return Ok(false);
    }
    // A run that ends in the middle leaves this line: the next one knows that there was somebody of this number.
    records.audit(None, BEGUN, &subject_of(elder), "")?;
    say(&format!("{who}: {} are being deleted", traces.words()));
    let (gone, proof) = delete(Subject::Elder(elder), std::iter::once(&readings).chain(&left))?;
    let aside = forget_refused(&config.data_dir, Subject::Elder(elder)).context(REFUSED_FILE)?;
    let counts = format!(
        "series {} rows {} waves {} origins {} refused {}",
        gone.series, gone.rows, gone.waves, gone.origins, aside.of_subject
    );
    let found = proof.map_or(0, |proof| proof.found_after);
    let copies = damaged_files(&config.data_dir, args.damaged_copies)?;
    records.audit(None, DONE, &subject_of(elder), &format!("{counts} found {found} copies {copies}"))?;
    say(&format!("{who}: deleted: {counts}"));
    if let Some(proof) = proof {
        say(&format!(
            "proof: {} patterns of this elder were looked for at every byte: {} places before, {} after, in {} bytes of readings.db \
             and its write-ahead log",
            proof.patterns, proof.found_before, proof.found_after, proof.bytes
        ));
    }
    say_untouched(&elsewhere, aside.unreadable);
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

fn say_untouched(elsewhere: &Elsewhere, unreadable: u64) {
    say("not touched: records.db (the person, alarms, what was done), the journal, backups, logs of other programs");
    if let Elsewhere::Server(server) = elsewhere {
        say(&format!(
            "not touched: {server}: what was moved to or from there is still there, this person's too; drop the schema"
        ));
    }
    if unreadable > 0 {
        say(&format!("not touched: {unreadable} lines of {REFUSED_FILE} that nobody can read: look at them"));
    }
}

fn subject_of(elder: ElderId) -> String {
    format!("elder/{elder}")
}

/// Whom a number means, masked, so that a wrong number is seen before it is too late. Refuses a number of which there is neither a person nor
/// anything else.
fn who(records: &Records, elder: ElderId, traces: &Traces) -> anyhow::Result<String> {
    let before = records.last_done(DONE, &subject_of(elder))?;
    let begun = records.last_done(BEGUN, &subject_of(elder))?;
    let person = records.elder(elder)?;
    if person.is_none() && traces.is_none() && before.is_none() && begun.is_none() {
        bail!("there is no elder {elder}");
    }
    let words = match person {
        None => format!("elder {elder}, whom the registry does not know"),
        Some(person) => {
            let born = person
                .birth_date
                .as_deref()
                .and_then(|date| date.get(..YEAR_DIGITS))
                .map_or_else(|| "year of birth unknown".to_owned(), |year| format!("born {year}"));
            format!("elder {elder}, {}, {born}", mask::name(&person.name))
        }
    };
    let day = |at: Time| rota::local(at, rota::ZONE).unwrap_or_else(|| at.to_string());
    let past = match (before, begun) {
        (Some(before), begun) if begun.is_none_or(|begun| begun <= before) => {
            format!(", deleted before on {}", day(before))
        }
        (_, Some(begun)) => format!(", a deletion of {} did not come to its end", day(begun)),
        _ => String::new(),
    };
    Ok(words + &past)
}

/// What is stored of one elder.
#[derive(Default)]
struct Traces {
    series: u64,
    rows: u64,
    waves: u64,
    /// Lines of the file of what a store refused.
    aside: u64,
}

impl Traces {
    fn count<'a>(
        config: &config::Server,
        elder: ElderId,
        stores: impl Iterator<Item = &'a Readings>,
    ) -> anyhow::Result<Self> {
        let subject = Subject::Elder(elder);
        let aside = count_refused(&config.data_dir, subject).context(REFUSED_FILE)?.of_subject;
        let mut all = Self { aside, ..Self::default() };
        for store in stores {
            let series = store.series_of(subject)?;
            let rows = |all: &[Series]| -> u64 { all.iter().map(|one| one.rows).sum() };
            all.series += series.len() as u64;
            all.rows += rows(&series);
            all.waves += rows(&store.wave_series_of(subject)?);
        }
        Ok(all)
    }

    const fn is_none(&self) -> bool {
        self.series == 0 && self.rows == 0 && self.waves == 0 && self.aside == 0
    }

    fn words(&self) -> String {
        let Self { series, rows, waves, aside } = self;
        format!("{rows} readings in {series} series, {waves} blocks of waveforms and {aside} lines of {REFUSED_FILE}")
    }
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
