//! Reading alarms and their history, and the few writes that every part shares (one event, one alarm's state).

use model::alarm::AlarmEventKind;
use model::{AlarmId, ElderId, Handling, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use serde::Serialize;

use super::error::Result;
use super::view::{
    ALARM_COLUMNS, ALARM_COLUMNS_COUNT, ALARM_JOINS, AlarmDetail, AlarmEventView, AlarmView, Named, json, word,
};
use super::{Records, Tx, limit_of, rows};

/// Events of one alarm that a detail shows; the newest are kept.
const EVENTS_OF_ALARM_MAX: i64 = 500;

/// Which alarms to list. The default is all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlarmFilter {
    pub elder: Option<ElderId>,
    /// Only those that wait for a person.
    pub open: bool,
    /// Started at or after.
    pub from: Option<Time>,
    /// Started before.
    pub to: Option<Time>,
    pub class: Class,
    /// Leaves out what a standing incident groups.
    pub ungrouped: bool,
}

/// Physiological and technical conditions stay apart (IEC 60601-1-8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    #[default]
    All,
    /// P1, P2 and P3.
    Clinical,
    /// T.
    Technical,
}

impl Class {
    const fn sql(self) -> &'static str {
        match self {
            Self::All => "a.priority IN ('P1', 'P2', 'P3', 'T')",
            Self::Clinical => "a.priority IN ('P1', 'P2', 'P3')",
            Self::Technical => "a.priority = 'T'",
        }
    }
}

/// Alarms that wait for a person, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlarmCounts {
    #[serde(rename = "P1")]
    pub p1: u32,
    #[serde(rename = "P2")]
    pub p2: u32,
    #[serde(rename = "P3")]
    pub p3: u32,
    #[serde(rename = "T")]
    pub t: u32,
    /// Of these: nobody has them.
    pub unclaimed: u32,
    /// Of these: put aside until a time.
    pub parked: u32,
    /// Not among these: explained by an incident that stands.
    pub grouped: u32,
}

impl Records {
    /// Alarms that wait for a person (open, claimed, engaged, parked): most urgent first, unclaimed first, oldest first.
    pub fn alarms_open(&self, limit: usize) -> Result<Vec<AlarmView>> {
        self.alarms_waiting(Class::All, false, limit)
    }

    /// As [`Records::alarms_open`], of one class; `ungrouped`: without those that an incident explains.
    pub fn alarms_waiting(&self, class: Class, ungrouped: bool, limit: usize) -> Result<Vec<AlarmView>> {
        let now = self.now();
        let (class, loose) = (class.sql(), if ungrouped { "AND a.incident IS NULL" } else { "" });
        self.read(|conn| {
            select(
                conn,
                now,
                &format!(
                    "WHERE a.handling IN ('open', 'claimed', 'engaged', 'parked') AND {class} {loose} ORDER BY a.priority, \
                 CASE a.handling WHEN 'open' THEN 0 WHEN 'parked' THEN 2 ELSE 1 END, a.started_at, a.id LIMIT ?1"
                ),
                params![limit_of(limit)],
            )
        })
    }

    /// Newest first.
    pub fn alarms(&self, filter: AlarmFilter, limit: usize) -> Result<Vec<AlarmView>> {
        let now = self.now();
        let mut parts: Vec<&str> = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        for (part, value) in [
            ("a.elder = ?", filter.elder.map(|elder| i64::from(elder.0))),
            ("a.started_at >= ?", filter.from.map(Time::micros)),
            ("a.started_at < ?", filter.to.map(Time::micros)),
        ] {
            if let Some(value) = value {
                parts.push(part);
                values.push(value.into());
            }
        }
        if filter.open {
            parts.push("a.handling IN ('open', 'claimed', 'engaged', 'parked')");
        }
        if filter.ungrouped {
            parts.push("a.incident IS NULL");
        }
        parts.push(filter.class.sql());
        let filter = format!("WHERE {}", parts.join(" AND "));
        values.push(limit_of(limit).into());
        let tail = format!("{filter} ORDER BY a.started_at DESC, a.id LIMIT ?");
        self.read(|conn| select(conn, now, &tail, params_from_iter(values)))
    }

    pub fn alarm_counts(&self) -> Result<AlarmCounts> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT priority, handling, incident IS NOT NULL, COUNT(*) FROM alarm \
                 WHERE handling IN ('open', 'claimed', 'engaged', 'parked') GROUP BY priority, handling, incident IS NOT NULL",
            )?;
            let mut counts = AlarmCounts::default();
            let mut found = query.query([])?;
            while let Some(row) = found.next()? {
                let (priority, handling, n): (String, String, u32) = (row.get(0)?, row.get(1)?, row.get(3)?);
                if row.get(2)? {
                    counts.grouped += n;
                    continue;
                }
                match priority.as_str() {
                    "P1" => counts.p1 += n,
                    "P2" => counts.p2 += n,
                    "P3" => counts.p3 += n,
                    _ => counts.t += n,
                }
                if handling == Handling::Open.slug() {
                    counts.unclaimed += n;
                }
                if handling == Handling::Parked.slug() {
                    counts.parked += n;
                }
            }
            Ok(counts)
        })
    }

    /// One alarm with its whole history. `None`: there is no such alarm.
    pub fn alarm(&self, id: AlarmId) -> Result<Option<AlarmDetail>> {
        let now = self.now();
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let Some(view) = alarm(&snapshot, id, now)? else { return Ok(None) };
            let mut events = events(
                &snapshot,
                now,
                "WHERE v.alarm = ?1 ORDER BY v.seq DESC LIMIT ?2",
                params![view.id.0 as i64, EVENTS_OF_ALARM_MAX],
            )?;
            events.reverse();
            let pages = super::pages::pages_of_alarm(&snapshot, view.id)?;
            Ok(Some(AlarmDetail { view, events, pages }))
        })
    }

    /// One alarm as lists show it.
    pub fn alarm_view(&self, id: AlarmId) -> Result<Option<AlarmView>> {
        let now = self.now();
        self.read(|conn| alarm(conn, id, now))
    }

    /// Events with a number above `seq`, in order. For the console's stream.
    pub fn alarm_events_after(&self, seq: i64, limit: usize) -> Result<Vec<AlarmEventView>> {
        let now = self.now();
        self.read(|conn| events(conn, now, "WHERE v.seq > ?1 ORDER BY v.seq LIMIT ?2", params![seq, limit_of(limit)]))
    }

    /// Number of the newest event; 0 when there is none.
    pub fn last_alarm_event(&self) -> Result<i64> {
        self.read(|conn| super::counter_value(conn, "alarm_event"))
    }
}

/// Alarms by a tail of SQL on `alarm a`.
pub(super) fn select(
    conn: &Connection,
    now: Time,
    tail: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<AlarmView>> {
    let mut query = conn.prepare_cached(&format!("SELECT {ALARM_COLUMNS} FROM alarm a {ALARM_JOINS} {tail}"))?;
    rows(query.query(params)?, |row| AlarmView::read(row, now))
}

/// By its number, or by the name of one of its later episodes.
pub(super) fn alarm(conn: &Connection, id: AlarmId, now: Time) -> Result<Option<AlarmView>> {
    let id = super::episodes::alarm_of(conn, id)?;
    Ok(select(conn, now, "WHERE a.id = ?1", params![id.0 as i64])?.pop())
}

fn events(conn: &Connection, now: Time, tail: &str, params: impl rusqlite::Params) -> Result<Vec<AlarmEventView>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {ALARM_COLUMNS}, v.seq, v.kind, v.at, v.recorded_at, v.by_person, b.name, v.detail \
         FROM alarm_event v JOIN alarm a ON a.id = v.alarm {ALARM_JOINS} LEFT JOIN person b ON b.id = v.by_person {tail}"
    ))?;
    rows(query.query(params)?, |row| read_event(row, now))
}

fn read_event(row: &Row<'_>, now: Time) -> Result<AlarmEventView> {
    const FIRST: usize = ALARM_COLUMNS_COUNT;
    let by: Option<u32> = row.get(FIRST + 4)?;
    let by_name: Option<String> = row.get(FIRST + 5)?;
    let detail: String = row.get(FIRST + 6)?;
    Ok(AlarmEventView {
        seq: row.get(FIRST)?,
        kind: word("alarm event", AlarmEventKind::parse, row.get(FIRST + 1)?)?,
        at: Time(row.get(FIRST + 2)?),
        recorded_at: Time(row.get(FIRST + 3)?),
        by: by.map(|id| Named { id, name: by_name.unwrap_or_default() }),
        detail: if detail.is_empty() { serde_json::Value::Null } else { json("event detail", detail)? },
        alarm: AlarmView::read(row, now)?,
    })
}

/// One line of history to be written.
pub(super) struct NewEvent<'a> {
    pub(super) alarm: AlarmId,
    pub(super) kind: AlarmEventKind,
    pub(super) at: Time,
    pub(super) by: Option<model::PersonId>,
    /// Null for none.
    pub(super) detail: serde_json::Value,
    /// Name of the engine's transition; a second one of the same name breaks the transaction.
    pub(super) change_key: Option<&'a str>,
}

impl Tx<'_> {
    pub(super) fn alarm(&self, id: AlarmId) -> Result<Option<AlarmView>> {
        alarm(self, id, self.now)
    }

    /// Writes a line of history, now.
    pub(super) fn event(
        &mut self,
        alarm: AlarmId,
        kind: AlarmEventKind,
        by: Option<model::PersonId>,
        detail: serde_json::Value,
    ) -> Result<()> {
        let at = self.now;
        self.write_event(&NewEvent { alarm, kind, at, by, detail, change_key: None })
    }

    pub(super) fn write_event(&mut self, event: &NewEvent<'_>) -> Result<()> {
        let seq = self.next_id("alarm_event")?;
        let detail = if event.detail.is_null() { String::new() } else { event.detail.to_string() };
        self.prepare_cached(
            "INSERT INTO alarm_event (seq, alarm, kind, at, recorded_at, by_person, detail, change_key) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            seq,
            event.alarm.0 as i64,
            event.kind.slug(),
            event.at.0,
            self.now.0,
            event.by.map(|by| by.0),
            detail,
            event.change_key
        ])?;
        self.prepare_cached("UPDATE alarm SET last_event = ?2, updated_at = ?3 WHERE id = ?1")?.execute(params![
            event.alarm.0 as i64,
            seq,
            self.now.0
        ])?;
        self.last_event = Some(seq);
        Ok(())
    }
}
