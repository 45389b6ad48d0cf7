//! Frames that could not be decoded, kept with their cause so that they can be replayed after a repair.

use std::sync::atomic::{AtomicU64, Ordering};

use model::{GatewayId, Time};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::{Records, limit_of, rows};

/// Frames kept at most. When there are more, the oldest go: replayed ones first.
pub const QUARANTINE_ROWS_MAX: usize = 10_000;
/// Frames that go at once then, so that a flood of bad frames does not search the table at each of them.
const DROP_ROWS: usize = 100;
/// Bytes of one frame kept; the rest is cut off and the cause says so.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuarantinedFrame {
    pub id: i64,
    pub gateway: GatewayId,
    pub topic: String,
    pub cause: String,
    pub at: Time,
    pub bytes: u32,
    pub replayed_at: Option<Time>,
}

impl Records {
    /// Durable when it returns.
    pub fn quarantine_put(
        &self,
        gateway: GatewayId,
        topic: &str,
        payload: &[u8],
        cause: &str,
        at: Time,
    ) -> Result<i64> {
        let cut = payload.len() > PAYLOAD_BYTES_MAX;
        let kept = if cut { &payload[..PAYLOAD_BYTES_MAX] } else { payload };
        let cause = if cut { format!("{cause} (cut from {} bytes)", payload.len()) } else { cause.to_owned() };
        self.write(|tx| {
            let id = tx.next_id("quarantine")?;
            tx.execute(
                "INSERT INTO quarantine (id, gateway, topic, payload, cause, at, replayed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)",
                params![id, gateway.0, topic, kept, cause, at.0],
            )?;
            make_room(&tx.sql, id, &self.0.quarantine_dropped)?;
            Ok(id)
        })
    }

    /// Frames that left the quarantine unreplayed because it was full, since this store was opened.
    pub fn quarantine_dropped(&self) -> u64 {
        self.0.quarantine_dropped.load(Ordering::Relaxed)
    }

    /// Newest first.
    pub fn quarantine_list(&self, limit: usize) -> Result<Vec<QuarantinedFrame>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT id, gateway, topic, cause, at, LENGTH(payload), replayed_at FROM quarantine \
                 ORDER BY id DESC LIMIT ?1",
            )?;
            rows(query.query([limit_of(limit)])?, read)
        })
    }

    /// One frame with its bytes, to decode it again.
    pub fn quarantine_get(&self, id: i64) -> Result<Option<(QuarantinedFrame, Vec<u8>)>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT id, gateway, topic, cause, at, LENGTH(payload), replayed_at, payload FROM quarantine WHERE id = ?1",
            )?;
            Ok(rows(query.query([id])?, |row| Ok((read(row)?, row.get(7)?)))?.pop())
        })
    }

    pub fn quarantine_mark_replayed(&self, id: i64, at: Time) -> Result<()> {
        self.write(|tx| {
            let found: Option<i64> = tx
                .query_row("UPDATE quarantine SET replayed_at = ?2 WHERE id = ?1 RETURNING id", [id, at.0], |row| {
                    row.get(0)
                })
                .optional()?;
            found.map(drop).ok_or(Error::NotFound("quarantined frame"))
        })
    }
}

/// Deletes the oldest frames when there are too many.
fn make_room(tx: &Transaction<'_>, newest: i64, dropped: &AtomicU64) -> Result<()> {
    // Numbers grow by one, so the span of numbers bounds the count without counting.
    let oldest: i64 = tx.prepare_cached("SELECT MIN(id) FROM quarantine")?.query_row([], |row| row.get(0))?;
    if newest - oldest < QUARANTINE_ROWS_MAX as i64 {
        return Ok(());
    }
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM quarantine", [], |row| row.get(0))?;
    if count <= QUARANTINE_ROWS_MAX as i64 {
        return Ok(());
    }
    let going = "SELECT id FROM quarantine ORDER BY CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END, id LIMIT ?1";
    let mut delete =
        tx.prepare(&format!("DELETE FROM quarantine WHERE id IN ({going}) RETURNING replayed_at IS NULL"))?;
    let lost = rows(delete.query([DROP_ROWS as i64])?, |row| Ok(row.get::<_, bool>(0)?))?;
    let lost = lost.into_iter().filter(|unreplayed| *unreplayed).count() as u64;
    if lost > 0 && dropped.fetch_add(lost, Ordering::Relaxed) == 0 {
        tracing::error!(
            limit = QUARANTINE_ROWS_MAX,
            "the quarantine is full; its oldest frames go (counted, said once)"
        );
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<QuarantinedFrame> {
    Ok(QuarantinedFrame {
        id: row.get(0)?,
        gateway: GatewayId(row.get(1)?),
        topic: row.get(2)?,
        cause: row.get(3)?,
        at: Time(row.get(4)?),
        bytes: row.get(5)?,
        replayed_at: row.get::<_, Option<i64>>(6)?.map(Time),
    })
}
