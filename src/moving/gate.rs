//! What else may happen around a move: which store a server may start with, whether a person may be forgotten, how a move is ended.

use std::path::Path;

use anyhow::bail;
use ingest::writer;
use journal::Journal;
use model::Seq;
use store::readings::{Config, Store};
use store::records::Records;

use super::hold::{self, CURSOR};
use super::note::{FILE, Note, State, Way};
use super::word;
use crate::stores::{Stores, Told};

/// Refuses a store that lacks something because of a move, with what to do.
pub(super) fn check_in_use(dir: &Path, in_use: Store) -> anyhow::Result<Option<Note>> {
    let Some(note) = Note::read(dir)? else { return Ok(None) };
    let Way { from, to, .. } = *note.way();
    match note.state() {
        State::TakenOver if in_use == from => bail!(
            "the readings were moved from {} to {}, and what came since is only there. Set [readings] store = \"{}\" again; to go \
             back, start the server with it and say `vigil migrate-store --from {} --to {}`. (To begin with {} as it was and do \
             without what came since, remove {FILE} in the data directory first.)",
            word(from),
            word(to),
            word(to),
            word(to),
            word(from),
            word(from)
        ),
        State::Copying if in_use == to => bail!(
            "the move of the readings to {} is not finished: set [readings] store = \"{}\" again and say `vigil migrate-store \
             --from {} --to {}`, which goes on where it was. (To do without what is not copied, remove {FILE} in the data \
             directory first.)",
            word(to),
            word(from),
            word(from),
            word(to)
        ),
        State::GivenUp if in_use == to => bail!(gone(from, to)),
        _ => Ok(Some(note)),
    }
}

/// Before a server opens its readings: is the store of the configuration one that lacks nothing? When it is the target of a complete
/// move, it takes over now.
pub(crate) fn check_start(dir: &Path, config: &Config, journal: &Journal, records: &Records) -> anyhow::Result<()> {
    let note = check_in_use(dir, config.store)?;
    let moved =
        |note: &Note| matches!(note.state(), State::Complete | State::TakenOver) && note.way().to == config.store;
    let Some(mut note) = note.filter(moved) else { return Ok(()) };
    let Way { from, to, server } = note.way().clone();
    if to == Store::Timescale {
        let named = config.timescale.place()?;
        if named != server {
            bail!(
                "the readings were moved to {server}, but [readings.timescale] names {named}: name the same server in the same \
                 words. (If it is the same database under another name, and in use already, remove {FILE} in the data directory.)"
            );
        }
    }
    if note.state() == State::TakenOver {
        return Ok(());
    }
    if journal.first() > Seq(note.place().0 + 1) {
        note.enter(State::GivenUp)?;
        bail!(gone(from, to));
    }
    // The hold may have been lost with its process: what it holds is there, as was just seen.
    journal.register_cursor(CURSOR)?;
    journal.commit_cursor_sync(CURSOR, note.place())?;
    // The writer's cursor is where the old store is. It begins anew where the new one is; meanwhile the hold keeps the entries.
    journal.remove_cursor(writer::CURSOR)?;
    journal.register_cursor(writer::CURSOR)?;
    journal.commit_cursor_sync(writer::CURSOR, note.place())?;
    note.enter(State::TakenOver)?;
    let detail = serde_json::json!({ "from": word(from), "server": server, "entry": note.place().0 }).to_string();
    records.audit(None, "move_readings_taken_over", &subject(to), &detail)?;
    tracing::info!(
        journal.seq = note.place().0,
        store = word(to),
        "the readings have moved: this store takes over, and stores the journal from here on"
    );
    Ok(())
}

fn gone(from: Store, to: Store) -> String {
    format!(
        "the move of the readings to {} was given up, and the journal has let go of what came meanwhile: set [readings] store = \
         \"{}\" again, start the server and say `vigil migrate-store --from {} --to {}` once more. (To do without what is missing, \
         remove {FILE} in the data directory first.)",
        word(to),
        word(from),
        word(from),
        word(to)
    )
}

/// Whether what the target holds is this installation's: a file of this directory, or a schema that an earlier move named.
pub(super) fn is_ours(dir: &Path, way: &Way) -> anyhow::Result<bool> {
    Ok(way.to == Store::Embedded || Note::read(dir)?.is_some_and(|note| note.way().server == way.server))
}

/// What the audit calls a store.
pub(super) fn subject(store: Store) -> String {
    format!("store/{}", word(store))
}

/// Where else readings of a person may be, because they were moved from or to there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Nowhere,
    /// On this server.
    Server(String),
}

/// For whoever changes the store in use beside the journal, which the other store of a move would not learn of: refused while one is
/// under way, and for a store that is behind. Where the last move leaves readings besides.
pub(crate) fn before_changing(dir: &Path, in_use: Store) -> anyhow::Result<Elsewhere> {
    let Some(note) = Note::read(dir)? else { return Ok(Elsewhere::Nowhere) };
    let Way { from, to, server } = note.way();
    match note.state() {
        State::Copying | State::Complete => bail!(
            "a move of the readings from {} to {} is under way and would not carry this over. Finish it (start the server with the \
             new store, and stop it when it has caught up), or end it with `vigil migrate-store --give-up`; then say this again",
            word(*from),
            word(*to)
        ),
        State::GivenUp | State::TakenOver => check_in_use(dir, in_use)?,
    };
    let elsewhere = || Elsewhere::Server(server.clone());
    Ok(if in_use == Store::Embedded { elsewhere() } else { Elsewhere::Nowhere })
}

/// Ends a move that no server has taken over yet.
pub(super) fn give_up(stores: &Stores, told: &Told) -> anyhow::Result<()> {
    let under_way = |note: &Note| matches!(note.state(), State::Copying | State::Complete);
    let Some(note) = Note::read(&stores.dir)?.filter(under_way) else { bail!("no move of the readings is under way") };
    let Way { to, server, .. } = note.way().clone();
    hold::give_up(&stores.journal, &stores.dir)?;
    let detail = serde_json::json!({ "uid": stores.uid, "server": server }).to_string();
    stores.records.audit(None, "move_readings_given_up", &subject(to), &detail)?;
    let left = match to {
        Store::Embedded => "readings.db in the data directory".to_owned(),
        Store::Timescale => server,
    };
    told.say(&format!(
        "the move is given up: the server goes on where it stores now, and the journal is not held any more. What was copied is \
         still in {left}: the next move takes as long again and leaves alone what is the same there, or delete it"
    ))
}
