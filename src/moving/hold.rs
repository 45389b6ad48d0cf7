//! The journal's cursor of a move: while it stands, everything from its place on is kept, so that the store that takes over finds it.
//! Before the take-over it must never stop ingest: when the journal is half full, the hold is given up and the move has to be done
//! again. After it the writer's own cursor holds, which then stands where the new store is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use ingest::writer;
use journal::Journal;
use model::Seq;
use runtime::Stop;
use store::readings::Readings;

use super::note::{Note, State, Way};
use super::word;

/// Name of the cursor.
pub(super) const CURSOR: &str = "moving";
/// The hold ends when the journal has used this part of its room: one half.
const ROOM_DIVISOR: u64 = 2;
/// How often a running server looks at it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A held journal.
pub(super) struct Hold<'a> {
    journal: &'a Journal,
    dir: &'a Path,
    place: Seq,
    /// Something may come in: the journal's room is looked at.
    live: bool,
}

impl<'a> Hold<'a> {
    /// Takes up the hold of an unfinished move of the same way, or begins one where the source is now.
    pub(super) fn take(
        journal: &'a Journal,
        dir: &'a Path,
        source: &Readings,
        way: &Way,
        live: bool,
    ) -> anyhow::Result<(Self, Note)> {
        look(journal, dir, source, live)?;
        if let Some(held) = place(journal, CURSOR) {
            let still = "the store in use still takes in what came during the last move: wait until the server has caught up (page \
                         administration, lag of the backlog), then say this again";
            let Some(note) = Note::read(dir)? else { bail!(still) };
            match note.state() {
                State::Copying | State::Complete if note.way() == way && held <= note.place() => {
                    // Killed just after it was made known, the cursor holds more than it must.
                    let place = note.place();
                    journal.commit_cursor_sync(CURSOR, place)?;
                    return Ok((Self { journal, dir, place, live }, note));
                }
                State::Copying | State::Complete => bail!(
                    "a move from {} to {} ({}) is under way: finish it, or end it with `vigil migrate-store --give-up`",
                    word(note.way().from),
                    word(note.way().to),
                    note.way().server
                ),
                State::TakenOver | State::GivenUp => bail!(still),
            }
        }
        // Asked before the cursor is there: it then stands before this place, never behind it. The note comes first: a cursor
        // without one is nobody's.
        let place = source.progress()?.done();
        if journal.first() > Seq(place.0 + 1) {
            bail!("the source has entries of the journal to store that are gone: start the server once, then move");
        }
        let note = Note::begin(dir, way, place)?;
        if journal.register_cursor(CURSOR)? > place {
            give_up(journal, dir)?;
            bail!("the journal let go of entries just now: say this again");
        }
        journal.commit_cursor_sync(CURSOR, place)?;
        Ok((Self { journal, dir, place, live }, note))
    }

    pub(super) const fn place(&self) -> Seq {
        self.place
    }

    /// An error when the hold was given up meanwhile, or has to be.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let crowded = self.live && is_crowded(self.journal);
        if place(self.journal, CURSOR) == Some(self.place) && !crowded {
            return Ok(());
        }
        if !crowded {
            bail!("the move was ended meanwhile: the journal is not held any more");
        }
        give_up(self.journal, self.dir)?;
        bail!(
            "the journal is half full and could not be held any longer: the move is given up. The next one \
             takes as long again: raise journal.bytes_max first, or move with the server stopped"
        )
    }
}

/// Where a cursor of the journal stands.
pub(super) fn place(journal: &Journal, cursor: &str) -> Option<Seq> {
    journal.stats().cursors.into_iter().find(|(name, _)| name == cursor).map(|(_, place)| place)
}

fn is_crowded(journal: &Journal) -> bool {
    let pressure = journal.pressure();
    pressure.disk_bytes > pressure.disk_bytes_max / ROOM_DIVISOR
}

/// The target will lack something from now on: that is written down before the journal may forget.
pub(super) fn give_up(journal: &Journal, dir: &Path) -> anyhow::Result<()> {
    if let Some(mut note) = Note::read(dir)? {
        note.enter(State::GivenUp)?;
    }
    if place(journal, CURSOR).is_some() {
        journal.remove_cursor(CURSOR)?;
    }
    Ok(())
}

/// One look at the hold, with the store in use: it ends when it is needed no more, or cannot be kept while something may come in.
pub(super) fn look(journal: &Journal, dir: &Path, readings: &Readings, live: bool) -> anyhow::Result<()> {
    if place(journal, CURSOR).is_none() {
        return Ok(());
    }
    let note = Note::read(dir)?;
    match note.as_ref().map(Note::state) {
        Some(State::Copying | State::Complete) if live && is_crowded(journal) => {
            give_up(journal, dir)?;
            tracing::error!(
                "the journal is half full: it is not held for the move of the readings any more; move again before you change the store"
            );
        }
        Some(State::Copying | State::Complete) => {}
        Some(State::GivenUp) => journal.remove_cursor(CURSOR)?,
        // What lies before the writer's cursor is held by nothing else, should the store in use still want it.
        Some(State::TakenOver) | None => {
            if place(journal, writer::CURSOR).is_none_or(|old| readings.cursor() >= old) {
                journal.remove_cursor(CURSOR)?;
                tracing::info!("the store in use has all that the journal was held for");
            }
        }
    }
    Ok(())
}

/// Looks after the hold of a running server until it stops.
pub async fn mind(journal: Journal, readings: Readings, dir: PathBuf, stop: Stop) {
    while !stop.is_requested() {
        let (journal, readings, dir) = (journal.clone(), readings.clone(), dir.clone());
        let looked = tokio::task::spawn_blocking(move || look(&journal, &dir, &readings, true));
        if let Ok(Err(error)) = looked.await {
            tracing::error!(error = format!("{error:#}"), "the hold of a move cannot be ended");
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
