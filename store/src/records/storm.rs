//! The storm: more alarms than the seats can look at (facts: alarms, section 8). It changes what screens group, and nothing else:
//! no alarm is delayed, shed or refused.

use model::Time;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use tokio::sync::watch;

use super::Records;
use super::error::{Error, Result};
use super::view::AlarmView;

/// Alarms are counted over this time, in µs.
const WINDOW_US: i64 = 10 * 60_000_000;
/// A seat with more alarms than this in the window is flooded (EEMUA 191) ..
const BEGINS_ABOVE: i64 = 10;
/// .. until it has fewer than this.
const ENDS_BELOW: i64 = 5;
/// A dispatcher seen within this time sits there, in µs. Uses of a session are written every five minutes.
pub(super) const SEEN_US: i64 = 10 * 60_000_000;

/// A storm that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Storm {
    pub since: Time,
    /// Dispatchers who were signed in when it began; at least 1.
    pub seats: u32,
    /// Alarms within ten minutes when it began.
    pub alarms: u32,
}

impl Records {
    /// Follows whether there is a storm.
    pub fn watch_storm(&self) -> watch::Receiver<Option<Storm>> {
        self.0.storm.subscribe()
    }

    /// Counts alarms against seats and says when a storm begins or ends. Stored, so that a restart does not forget it.
    pub(super) fn storm_due(&self, now: Time) -> Result<()> {
        let (seats, alarms, known) = self.read(|conn| count(conn, now))?;
        let begins = known.is_none() && alarms > BEGINS_ABOVE * seats;
        let ends = known.is_some() && alarms < ENDS_BELOW * seats;
        if !begins && !ends {
            return Ok(());
        }
        let stands = self.write(|tx| {
            if begins {
                let id = tx.next_id("storm")?;
                tx.execute(
                    "INSERT INTO storm (id, since, until, seats, alarms_most) VALUES (?1, ?2, NULL, ?3, ?4)",
                    params![id, now.0, seats, alarms],
                )?;
            } else {
                tx.execute("UPDATE storm SET until = ?1 WHERE until IS NULL", [now.0])?;
            }
            standing(tx)
        })?;
        self.0.storm.send_replace(stands);
        Ok(())
    }
}

/// Seats, alarms within the window, and the storm that stands.
fn count(conn: &Connection, now: Time) -> Result<(i64, i64, Option<Storm>)> {
    let seats: i64 = conn
        .prepare_cached(
            "SELECT COUNT(DISTINCT s.person) FROM session s JOIN person p ON p.id = s.person \
             WHERE p.role = 'dispatcher' AND p.disabled = FALSE AND s.seen_at >= ?1",
        )?
        .query_row([now.plus_us(-SEEN_US).0], |row| row.get(0))?;
    let alarms: i64 = conn
        .prepare_cached("SELECT COUNT(*) FROM alarm WHERE received_at > ?1 AND incident IS NULL")?
        .query_row([now.plus_us(-WINDOW_US).0], |row| row.get(0))?;
    Ok((seats.max(1), alarms, standing(conn)?))
}

/// The storm that stands.
pub(super) fn standing(conn: &Connection) -> Result<Option<Storm>, Error> {
    let found = conn
        .prepare_cached("SELECT since, seats, alarms_most FROM storm WHERE until IS NULL ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok(Storm { since: Time(row.get(0)?), seats: row.get(1)?, alarms: row.get(2)? }))
        .optional()?;
    Ok(found)
}

impl AlarmView {
    /// Alarms of one cause have the same key: a screen may show them as one in a storm. `None`: always shown by itself (P1 and
    /// calls for help).
    pub fn group(&self) -> Option<String> {
        if self.priority == model::Priority::P1 || self.calls_for_help() {
            return None;
        }
        if let Some(incident) = self.progress.incident {
            return Some(format!("incident/{incident}"));
        }
        match (self.kind, self.progress.gateway) {
            (model::AlarmKind::Silence { .. }, Some(gateway)) => Some(format!("silence/gateway/{gateway}")),
            _ => Some(format!("rule/{}", self.rule)),
        }
    }
}
