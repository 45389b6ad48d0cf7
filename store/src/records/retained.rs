//! Retained MQTT messages of gateways (their last state), so that they survive a restart.

use model::{GatewayId, Time};
use rusqlite::params;

use super::error::{Error, Result};
use super::{Records, Tx, limit_of, rows};

/// Retained topics one gateway may hold.
pub const RETAINED_PER_GATEWAY_MAX: usize = 100;
/// Bytes of one retained payload.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    pub gateway: GatewayId,
    pub topic: String,
    pub payload: Vec<u8>,
    pub at: Time,
}

impl Records {
    /// Replaces the retained message of a topic. An empty payload removes it, as MQTT has it.
    pub fn retained_put(&self, gateway: GatewayId, topic: &str, payload: &[u8], at: Time) -> Result<()> {
        self.retained_put_all(&[(gateway, topic, payload)], at)
    }

    /// As [`Records::retained_put`] for many, in one transaction: all or nothing.
    pub fn retained_put_all(&self, messages: &[(GatewayId, &str, &[u8])], at: Time) -> Result<()> {
        if messages.iter().any(|(_, _, payload)| payload.len() > PAYLOAD_BYTES_MAX) {
            return Err(Error::TooMany { what: "bytes of a retained payload", limit: PAYLOAD_BYTES_MAX });
        }
        self.write(|tx| messages.iter().try_for_each(|(gateway, topic, payload)| put(tx, *gateway, topic, payload, at)))
    }

    /// All of them, by topic. Read once at start.
    pub fn retained_all(&self) -> Result<Vec<Retained>> {
        self.read(|conn| {
            let mut query =
                conn.prepare_cached("SELECT gateway, topic, payload, at FROM retained ORDER BY topic LIMIT ?1")?;
            rows(query.query([limit_of(usize::MAX)])?, |row| {
                Ok(Retained {
                    gateway: GatewayId(row.get(0)?),
                    topic: row.get(1)?,
                    payload: row.get(2)?,
                    at: Time(row.get(3)?),
                })
            })
        })
    }
}

fn put(tx: &Tx<'_>, gateway: GatewayId, topic: &str, payload: &[u8], at: Time) -> Result<()> {
    if payload.is_empty() {
        tx.execute("DELETE FROM retained WHERE topic = ?1", [topic])?;
        return Ok(());
    }
    let others: i64 = tx.query_row(
        "SELECT COUNT(*) FROM retained WHERE gateway = ?1 AND topic <> ?2",
        params![gateway.0, topic],
        |row| row.get(0),
    )?;
    if others >= RETAINED_PER_GATEWAY_MAX as i64 {
        return Err(Error::TooMany { what: "retained topics", limit: RETAINED_PER_GATEWAY_MAX });
    }
    tx.execute(
        "INSERT INTO retained (topic, gateway, payload, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (topic) DO UPDATE SET \
         gateway = excluded.gateway, payload = excluded.payload, at = excluded.at",
        params![topic, gateway.0, payload, at.0],
    )?;
    Ok(())
}
