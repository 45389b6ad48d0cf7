//! Frames that could not be decoded, kept with their cause so that they can be replayed after a repair.

use model::{GatewayId, Time};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::{Records, limit_of, rows};

/// Frames kept. When there are more, the oldest go: replayed ones first.
pub const QUARANTINE_ROWS_MAX: usize = 10_000;
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
            let count: i64 = tx.query_row("SELECT COUNT(*) FROM quarantine", [], |row| row.get(0))?;
            if count > QUARANTINE_ROWS_MAX as i64 {
                tracing::warn!(limit = QUARANTINE_ROWS_MAX, "quarantine is full; the oldest frame goes");
                tx.execute(
                    "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine \
                     ORDER BY CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END, id LIMIT ?1)",
                    [count - QUARANTINE_ROWS_MAX as i64],
                )?;
            }
            Ok(id)
        })
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
