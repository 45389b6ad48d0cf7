//! Rules reach the engine through the journal only, so that the log alone decides what was judged by what.

use std::collections::BTreeSet;

use journal::{AppendError, Journal};
use model::entry::{AGED_MAX, Entry};
use model::rule::RuleSet;
use model::{ElderId, Seq, Time};
use store::records::Records;

use crate::Error;

/// Puts a saved set (with the version the records gave it) into force: for one elder, or as the default. Blocks until it is
/// durable.
pub fn publish_rules(journal: &Journal, elder: Option<ElderId>, set: RuleSet, at: Time) -> Result<Seq, AppendError> {
    journal.append_blocking(vec![Entry::Rules { elders: elder.into_iter().collect(), at, set }.to_bytes()])
}

/// As [`publish_rules`], for async callers.
pub async fn publish_rules_wait(
    journal: &Journal,
    elder: Option<ElderId>,
    set: RuleSet,
    at: Time,
) -> Result<Seq, AppendError> {
    journal.append_wait(vec![Entry::Rules { elders: elder.into_iter().collect(), at, set }.to_bytes()]).await
}

/// Says who has reached the age of the wider default (or, after a corrected birth date, has not) since `known`. Returns whom
/// the log knows as aged by now.
pub(crate) fn publish_ages(
    known: &BTreeSet<u32>,
    records: &Records,
    journal: &Journal,
    now: Time,
) -> Result<BTreeSet<u32>, Error> {
    let aged: BTreeSet<u32> = records.elders_aged(RuleSet::AGED_FROM, now)?.into_iter().map(|elder| elder.0).collect();
    for (is, change) in [(true, aged.difference(known)), (false, known.difference(&aged))] {
        let elders: Vec<ElderId> = change.map(|id| ElderId(*id)).collect();
        for part in elders.chunks(AGED_MAX) {
            let entry = Entry::Aged { aged: is, at: now, elders: part.to_vec() };
            journal.append_blocking(vec![entry.to_bytes()])?;
        }
    }
    Ok(aged)
}

/// Publishes what was saved and is not in force: the process ended between the two, or the journal is new.
pub(crate) fn publish_missing(
    engine: &engine::Engine,
    records: &Records,
    journal: &Journal,
    now: Time,
) -> Result<usize, Error> {
    let default = records.ensure_default_rules(&engine::default_rules())?.set;
    let mut missing = Vec::new();
    if *engine.default_set() != default {
        missing.push(Entry::Rules { elders: Vec::new(), at: now, set: default }.to_bytes());
    }
    for (elder, set) in records.own_rules()? {
        if engine.own_set(elder) != Some(&set) {
            missing.push(Entry::Rules { elders: vec![elder], at: now, set }.to_bytes());
        }
    }
    let count = missing.len();
    for entry in missing {
        journal.append_blocking(vec![entry])?;
    }
    Ok(count)
}
