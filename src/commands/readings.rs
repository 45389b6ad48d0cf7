//! `vigil readings refused`: what the store refused for good, and putting it through the store again.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Context;
use ingest::writer::{REFUSED_FILE, list_refused, retry_refused};
use runtime::Clock;
use store::readings::Readings;
use store::records::Records;

use crate::cli::OfReadings;
use crate::data_dir;
use crate::moving::before_changing;
use crate::server::{lock, say};

/// False when something is set aside still.
pub fn readings(what: &OfReadings) -> anyhow::Result<bool> {
    let OfReadings::Refused(args) = what;
    let config = config::server(&args.at.config)?;
    data_dir::must_be_used(&config.data_dir)?;
    if args.retry { retry(&config) } else { list(&config) }
}

/// Also beside a running server: the file only grows then.
fn list(config: &config::Server) -> anyhow::Result<bool> {
    let found = list_refused(&config.data_dir).context(REFUSED_FILE)?;
    if let Some((first, last)) = found.span {
        let entries: u64 = found.causes.values().sum();
        say(&format!("{entries} entries were set aside from {first} to {last}: {}", by_cause(&found.causes)));
    }
    tell_unreadable(found.unreadable);
    let none = found.causes.is_empty() && found.unreadable == 0;
    if none {
        say("no readings are set aside");
    } else if !found.causes.is_empty() {
        say("stop the server and say --retry to put them through the store again");
    }
    Ok(none)
}

fn retry(config: &config::Server) -> anyhow::Result<bool> {
    let _lock = lock(&config.data_dir)?;
    before_changing(&config.data_dir, config.readings.store)?;
    let readings = Readings::open(&config.data_dir, &config.readings)?;
    let records = Records::open(&config.data_dir, Clock::system())?;
    let done = retry_refused(&config.data_dir, &readings)?;
    let kept: u64 = done.refused.values().sum();
    let counts = format!(
        "entries {} readings {} known {} expired {} blocks {} refused {kept}",
        done.entries, done.stored, done.known, done.expired, done.blocks
    );
    records.audit(None, "retry_refused_readings", REFUSED_FILE, &counts)?;
    say(&format!(
        "{} entries were stored: {} new readings, {} that were there already, {} older than their retention, {} blocks of waveforms",
        done.entries, done.stored, done.known, done.expired, done.blocks
    ));
    if kept > 0 {
        say(&format!("{kept} entries are refused still and stay in {REFUSED_FILE}: {}", by_cause(&done.refused)));
    }
    tell_unreadable(done.unreadable);
    Ok(kept == 0 && done.unreadable == 0)
}

fn by_cause(causes: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (cause, entries) in causes {
        let _ = write!(text, "{}{cause} {entries}", if text.is_empty() { "" } else { ", " });
    }
    text
}

fn tell_unreadable(lines: u64) {
    if lines > 0 {
        say(&format!(
            "{lines} lines of {REFUSED_FILE} cannot be read: left by a crash in the middle (the entry follows whole) or damaged"
        ));
    }
}
