//! `vigil doctor`: looks at everything in the data directory of a stopped server, part by part, and repairs the readings if asked.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use journal::Journal;
use model::Seq;
use runtime::Clock;
use store::readings::{self, Examination, Store};
use store::records::Records;

use crate::server::{lock, say};
use crate::{cli, data_dir};

/// Width of the progress bar.
const BAR: u64 = 30;
/// Bytes of the journal read at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// The journal's file.
const JOURNAL_FILE: &str = "journal.db";

/// True when nothing is wrong, or all of it was repaired without losing rows with a page.
pub fn doctor(args: &cli::Doctor) -> anyhow::Result<bool> {
    let config = config::server(&args.at.config)?;
    let dir = &config.data_dir;
    data_dir::must_be_used(dir)?;
    let _lock = lock(dir)?;
    let mut wrong = 0;
    let is_there = |file: &str| dir.join(file).exists();
    let alerting = part("records", &mut wrong, || look_at_records(dir));
    // Records that stand at an entry had a journal and readings once; before the first start there are none. Opening would make them.
    let started = alerting.is_none_or(|seq| seq.0 > 0);
    let journal = if is_there(JOURNAL_FILE) {
        part("journal", &mut wrong, || look_at_journal(&config))
    } else {
        missing("journal", JOURNAL_FILE, started, &mut wrong);
        None
    };
    let cursor = match config.readings.store {
        Store::Embedded if !is_there(readings::FILE) => {
            missing("readings", readings::FILE, started, &mut wrong);
            None
        }
        Store::Embedded => look_at_readings(&config, args.repair.then(|| before(journal)), &mut wrong),
        Store::Timescale => {
            say("readings: on a server; this looks at files only");
            None
        }
    };
    for (name, seq) in [("readings", cursor), ("records", alerting)] {
        let Some((seq, (first, head))) = seq.zip(journal) else { continue };
        if seq > head || seq.0 + 1 < first.0 {
            say(&format!(
                "bad  {name} stand at entry {seq}, the journal holds {first} to {head}: files of different times"
            ));
            wrong += 1;
        }
    }
    say(&if wrong == 0 { "all sound".to_owned() } else { format!("{wrong} things are wrong") });
    Ok(wrong == 0)
}

/// What a file that is not there means.
fn missing(name: &str, file: &str, started: bool, wrong: &mut usize) {
    if started {
        say(&format!("bad  {name}: no {file}, and a server has run here"));
        *wrong += 1;
    } else {
        say(&format!("ok   {name}: none yet, no server has run here"));
    }
}

/// The entry before the oldest one that the journal holds.
fn before(journal: Option<(Seq, Seq)>) -> Seq {
    // Without a journal there is nothing to read again: no cursor moves back.
    journal.map_or(Seq(u64::MAX >> 1), |(first, _)| Seq(first.0.saturating_sub(1)))
}

/// What one part is to say: its ends, what is wrong, what was seen.
type Seen<T> = (T, Vec<String>, String);

fn part<T>(name: &str, wrong: &mut usize, look: impl FnOnce() -> anyhow::Result<Seen<T>>) -> Option<T> {
    match look() {
        Ok((seen, defects, words)) => {
            for defect in &defects {
                say(&format!("bad  {name}: {defect}"));
            }
            *wrong += defects.len();
            if defects.is_empty() {
                say(&format!("ok   {name}: {words}"));
            }
            Some(seen)
        }
        Err(error) => {
            say(&format!("bad  {name}: {error:#}"));
            *wrong += 1;
            None
        }
    }
}

/// Every entry is read once; checksums are checked as they are read.
fn look_at_journal(config: &config::Server) -> anyhow::Result<Seen<(Seq, Seq)>> {
    let journal = Journal::open(&config.data_dir, "journal", &config.journal)?;
    let (first, head) = (journal.first(), journal.head());
    let mut reader = journal.reader(Seq(first.0.saturating_sub(1)));
    let (mut entries, mut bad, mut defects) = (0_u64, 0_usize, Vec::new());
    loop {
        match reader.read(READ_BYTES_MAX, Duration::ZERO) {
            Ok(read) if read.is_empty() => break,
            Ok(read) => {
                for (seq, bytes) in read.iter() {
                    entries += 1;
                    if model::entry::Entry::decode(bytes).is_err() {
                        bad += 1;
                        tracing::debug!(journal.seq = seq.0, "an entry does not decode");
                    }
                }
                bar("journal", entries, head.0 + 1 - first.0.min(head.0 + 1));
            }
            Err(journal::Error::Corrupt { seq, last }) => {
                defects.push(format!("entries {seq} to {last} are damaged; the server passes over them"));
                reader = journal.reader(last);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if bad > 0 {
        defects.push(format!("{bad} entries do not decode; the server leaves them out"));
    }
    journal.close();
    Ok(((first, head), defects, format!("{entries} entries, {first} to {head}")))
}

fn look_at_records(dir: &Path) -> anyhow::Result<Seen<Seq>> {
    let records = Records::open(dir, Clock::system())?;
    let defects = records.integrity_check()?;
    Ok((records.alerting_cursor()?, defects, "pages and references".to_owned()))
}

fn look_at_readings(config: &config::Server, repair_from: Option<Seq>, wrong: &mut usize) -> Option<Seq> {
    let examined = readings::examine(&config.data_dir, &config.readings, repair_from, &mut |what, done, of| {
        bar(&format!("readings, {what}"), done, of);
    });
    let found = match examined {
        Ok(found) => found,
        Err(error) => {
            say(&format!("bad  readings: {error}; restore them from the latest backup"));
            *wrong += 1;
            return None;
        }
    };
    for finding in &found.findings {
        match &finding.done {
            Some(done) => say(&format!("mend readings: {}: {done}", finding.what)),
            None => say(&format!("bad  readings: {}", finding.what)),
        }
    }
    *wrong += found.findings.iter().filter(|finding| finding.done.is_none()).count();
    say(&told(&found));
    Some(found.cursor)
}

fn told(found: &Examination) -> String {
    let Examination { blocks, rows, logged, waves, lost_rows, cursor, .. } = found;
    let start = if found.findings.is_empty() { "ok  " } else { "    " };
    let seen =
        format!("{start} readings: {blocks} blocks with {rows} rows, {logged} rows in the log, {waves} waveforms");
    if *lost_rows == 0 {
        return seen;
    }
    format!(
        "{seen}; {lost_rows} rows lost or set aside: the next start reads the journal again from entry {cursor} and stores what it still has"
    )
}

/// A bar on a terminal; nothing in a file or a pipe.
#[expect(clippy::print_stderr, reason = "progress for whoever waits; the answer goes to standard output")]
fn bar(what: &str, done: u64, of: u64) {
    let mut out = std::io::stderr();
    if !out.is_terminal() {
        return;
    }
    let of = of.max(1);
    let full = (done.min(of) * BAR / of) as usize;
    let end = if done >= of { "\n" } else { "" };
    eprint!(
        "\r{what:<32} [{}{}] {:>3} %{end}",
        "#".repeat(full),
        " ".repeat(BAR as usize - full),
        done.min(of) * 100 / of
    );
    // A bar that cannot be drawn is no reason to stop.
    let _drawn = out.flush();
}
