//! What the figures about alarms are made of: one row an alarm with the times of what people did first, and when dispatchers
//! worked. The figures themselves are the console's (`numbers/report.rs`).

use model::{Handling, Outcome, Priority, Time};
use rusqlite::params;

use super::error::{Error, Result};
use super::view::word;
use super::{Records, rows};

/// Alarms one report reads at most; a county raises some thousands a day.
pub const NUMBERS_ALARMS_MAX: usize = 500_000;

/// One alarm. Times are when it was written down, so that a report can be made again from the ledger; of each only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmTimes {
    pub priority: Priority,
    pub rule: String,
    pub rule_zh: String,
    pub rule_en: String,
    pub elder: Option<u32>,
    pub team: Option<String>,
    /// Model of the device, when only one can have caused it.
    pub device_kind: Option<String>,
    pub late: bool,
    pub raised_at: Time,
    pub claimed_at: Option<Time>,
    pub accepted_at: Option<Time>,
    pub arrived_at: Option<Time>,
    pub resolved_at: Option<Time>,
    pub closed_at: Option<Time>,
    pub handling: Handling,
    pub outcome: Option<Outcome>,
    pub repeats: u32,
}

/// An hour in which somebody at a seat did something with an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatHour {
    /// Hours since 1970, UTC.
    pub hour: i64,
    pub person: u32,
}

impl Records {
    /// Alarms raised within `[from, to)`, oldest first. More than [`NUMBERS_ALARMS_MAX`] are refused: ask for a shorter time.
    pub fn alarm_times(&self, from: Time, to: Time) -> Result<Vec<AlarmTimes>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT a.priority, a.rule, a.rule_zh, a.rule_en, a.elder, t.name, d.kind, a.late, r.recorded_at, a.handling, a.outcome, \
                 a.repeats, a.closed_at, \
                 (SELECT MIN(e.recorded_at) FROM alarm_event e WHERE e.alarm = a.id AND e.kind = 'claimed'), \
                 (SELECT MIN(e.recorded_at) FROM alarm_event e WHERE e.alarm = a.id AND e.kind = 'accepted'), \
                 (SELECT MIN(e.recorded_at) FROM alarm_event e WHERE e.alarm = a.id AND e.kind = 'arrived'), \
                 (SELECT MIN(e.recorded_at) FROM alarm_event e WHERE e.alarm = a.id AND e.kind = 'resolved') \
                 FROM alarm_event r JOIN alarm a ON a.id = r.alarm LEFT JOIN elder o ON o.id = a.elder \
                 LEFT JOIN team t ON t.id = o.team LEFT JOIN device d ON d.id = a.device \
                 WHERE r.kind = 'raised' AND r.recorded_at >= ?1 AND r.recorded_at < ?2 ORDER BY r.recorded_at, r.seq LIMIT ?3",
            )?;
            let found = rows(query.query(params![from.0, to.0, NUMBERS_ALARMS_MAX as i64 + 1])?, |row| {
                let time = |index| row.get::<_, Option<i64>>(index).map(|at| at.map(Time));
                Ok(AlarmTimes {
                    priority: word("priority", Priority::parse, row.get(0)?)?,
                    rule: row.get(1)?,
                    rule_zh: row.get(2)?,
                    rule_en: row.get(3)?,
                    elder: row.get(4)?,
                    team: row.get(5)?,
                    device_kind: row.get::<_, Option<String>>(6)?.filter(|kind| !kind.is_empty()),
                    late: row.get(7)?,
                    raised_at: Time(row.get(8)?),
                    handling: word("handling", Handling::parse, row.get(9)?)?,
                    outcome: row.get::<_, Option<String>>(10)?.map(|slug| word("outcome", Outcome::parse, slug)).transpose()?,
                    repeats: row.get(11)?,
                    closed_at: time(12)?,
                    claimed_at: time(13)?,
                    accepted_at: time(14)?,
                    arrived_at: time(15)?,
                    resolved_at: time(16)?,
                })
            })?;
            if found.len() > NUMBERS_ALARMS_MAX {
                return Err(Error::TooMany { what: "alarms in the time asked for", limit: NUMBERS_ALARMS_MAX });
            }
            Ok(found)
        })
    }

    /// Hours in which people at seats (dispatchers, supervisors) did something, within `[from, to)`.
    pub fn seat_hours(&self, from: Time, to: Time) -> Result<Vec<SeatHour>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT DISTINCT e.recorded_at / 3600000000, e.by_person FROM alarm_event e JOIN person p ON p.id = e.by_person \
                 WHERE p.role IN ('dispatcher', 'supervisor') AND e.recorded_at >= ?1 AND e.recorded_at < ?2",
            )?;
            rows(query.query([from.0, to.0])?, |row| Ok(SeatHour { hour: row.get(0)?, person: row.get(1)? }))
        })
    }
}
