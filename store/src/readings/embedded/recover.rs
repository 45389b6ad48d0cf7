//! Start-up: memory is made from the file, the series from their table and the heads from the log. One thread reads the log, checks
//! and decodes it, while this one puts the rows into memory.

use std::sync::mpsc;
use std::time::Instant;

use rusqlite::Connection;

use super::Error;
use super::config::Config;
use super::heads::Heads;
use super::limits::Limits;
use super::row::{MOVED, Row};
use super::schema::{self, Logged};
use super::state::State;
use super::writer::Writer;

/// Writes read from the log before they are taken.
const READ_AHEAD: usize = 16;

impl Writer {
    /// Rebuilds memory: series from their table, then the log rows each series has not sealed yet.
    pub(super) fn recover(db: Connection, config: Config, heads: &mut Heads) -> Result<Self, Error> {
        let (cursor, seq, now): (i64, i64, Option<i64>) =
            db.query_row("SELECT cursor, seq, now FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let next_block: i64 = db.query_row(
            "SELECT max(coalesce((SELECT max(id) FROM block), 0), coalesce((SELECT max(id) FROM bad_block), 0))",
            [],
            |row| row.get(0),
        )?;
        let limits = Limits::new(config.retention.clone(), now.unwrap_or(i64::MIN));
        let mut state = State::new(config, (cursor as u64, seq as u64), next_block, limits);
        load_series(&db, &mut state, heads)?;
        let (mut first, since) = (None, Instant::now());
        let db = read_ahead(db, |logged| {
            first.get_or_insert(logged.seq);
            take(&mut state, heads, logged, since);
        })?;
        state.tracks_for(heads.series.len());
        state.first_log = first.unwrap_or(state.seq + 1);
        state.totals.head_rows = state.head_rows as u64;
        state.totals.log_bytes = state.log_bytes;
        Ok(Self { db, state })
    }
}

/// Reads the log in order, a little ahead of whoever takes it. Gives the connection back.
fn read_ahead(db: Connection, take: impl FnMut(Logged)) -> Result<Connection, Error> {
    let (sender, receiver) = mpsc::sync_channel(READ_AHEAD);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            // Nobody takes them any more only when this thread's owner has panicked.
            schema::each_logged(&db, |logged| drop(sender.send(logged)))?;
            Ok(db)
        });
        receiver.into_iter().for_each(take);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Puts the rows of one write that are not sealed yet into the heads.
fn take(state: &mut State, heads: &mut Heads, logged: Logged, since: Instant) {
    state.seq = state.seq.max(logged.seq);
    state.cursor = state.cursor.max(logged.cursor);
    state.log_bytes += logged.bytes as u64;
    for (key, row) in logged.rows {
        let number = heads.find_or_add(key);
        let head = &mut heads.series[number as usize];
        if logged.seq <= head.sealed_seq {
            continue;
        }
        let is_new = head.take(row);
        state.tracks_for(number as usize + 1);
        let track = &mut state.tracks[number as usize];
        track.newest = track.newest.max(row.at);
        if is_new {
            state.totals.rows += 1;
            state.follow(number, 1, logged.seq, since);
        }
    }
    state.logged += logged.bytes as u64;
}

fn load_series(db: &Connection, state: &mut State, heads: &mut Heads) -> Result<(), Error> {
    let mut select = db.prepare("SELECT series, sealed_seq, rows, bytes, at, value, quality, device FROM series")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let number = heads.find_or_add(row.get::<_, i64>(0)? as u64);
        let head = &mut heads.series[number as usize];
        head.sealed_seq = row.get::<_, i64>(1)? as u64;
        // A file that lost the end of its log, or `meta`: a write numbered below this would be passed over at the next start.
        state.seq = state.seq.max(head.sealed_seq);
        head.sealed_rows = row.get::<_, i64>(2)?.max(0) as u64;
        head.block_bytes = row.get(3)?;
        let latest = Row { at: row.get(4)?, value: row.get(5)?, quality: row.get(6)?, device: row.get(7)? };
        head.latest = Some(if latest.quality == MOVED { latest.mark() } else { latest });
        state.tracks_for(number as usize + 1);
        state.tracks[number as usize].newest = latest.at;
        state.totals.rows += head.sealed_rows;
    }
    Ok(())
}
