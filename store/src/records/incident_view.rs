//! Incidents as readers see them: what is out of reach since when, and whom nobody watches, by risk.

use model::{AlarmId, ElderId, GatewayId, Priority, SiteId, Time};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::error::Result;
use super::incidents::IncidentKind;
use super::risk::{Risk, is_high_risk, score};
use super::view::{AlarmView, age, word};
use super::{Records, limit_of, rows};

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    pub id: i64,
    pub kind: IncidentKind,
    /// `None`: of a whole site.
    pub gateway: Option<GatewayId>,
    pub gateway_name: Option<String>,
    pub site: SiteId,
    pub site_name: String,
    /// The alarm that people claim and resolve for it.
    pub alarm: AlarmId,
    pub since: Time,
    /// `None`: it stands.
    pub until: Option<Time>,
    /// Alarms ever grouped into it.
    pub count: u32,
    /// Of these: still silent.
    pub standing: u32,
}

/// An elder whom nobody watches while the incident stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unwatched {
    pub elder_id: ElderId,
    pub name: String,
    pub age: Option<u32>,
    pub phone: String,
    pub address: String,
    pub risk: Risk,
    pub high_risk: bool,
    /// The most urgent of their alarms that stand; technical ones do not count.
    pub worst: Option<Priority>,
    /// Since when nothing was heard of them. `None`: their gateway is out of reach, and their own silence is not told yet.
    pub silent_since: Option<Time>,
    /// For sorting only.
    pub score: u32,
}

/// An incident with its alarm and whom nobody watches, the highest risk first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentDetail {
    pub incident: Incident,
    pub alarm: AlarmView,
    pub elders: Vec<Unwatched>,
}

const SELECT: &str = "SELECT i.id, i.kind, i.gateway, g.name, i.site, s.name, i.alarm, i.since, i.until, i.count, \
     (SELECT COUNT(*) FROM alarm a WHERE a.incident = i.id AND a.condition <> 'cleared') \
     FROM incident i JOIN site s ON s.id = i.site LEFT JOIN gateway g ON g.id = i.gateway";

impl Records {
    /// Newest first; `standing`: only those that are not over.
    pub fn incidents(&self, standing: bool, limit: usize) -> Result<Vec<Incident>> {
        let filter = if standing { "WHERE i.until IS NULL" } else { "" };
        self.read(|conn| {
            let mut query =
                conn.prepare_cached(&format!("{SELECT} {filter} ORDER BY i.since DESC, i.id DESC LIMIT ?1"))?;
            rows(query.query([limit_of(limit)])?, read_incident)
        })
    }

    /// `None`: there is no such incident.
    pub fn incident(&self, id: i64) -> Result<Option<IncidentDetail>> {
        let now = self.now();
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let mut query = snapshot.prepare_cached(&format!("{SELECT} WHERE i.id = ?1"))?;
            let Some(incident) = rows(query.query([id])?, read_incident)?.pop() else { return Ok(None) };
            let Some(alarm) = super::alarms::alarm(&snapshot, incident.alarm, now)? else { return Ok(None) };
            let mut elders = if incident.until.is_none() { unwatched(&snapshot, &incident, now)? } else { Vec::new() };
            elders.sort_by_key(|elder| (std::cmp::Reverse(elder.score), elder.silent_since, elder.elder_id.0));
            Ok(Some(IncidentDetail { incident, alarm, elders }))
        })
    }
}

fn read_incident(row: &Row<'_>) -> Result<Incident> {
    Ok(Incident {
        id: row.get(0)?,
        kind: word("incident kind", IncidentKind::parse, row.get(1)?)?,
        gateway: row.get::<_, Option<u32>>(2)?.map(GatewayId),
        gateway_name: row.get(3)?,
        site: SiteId(row.get(4)?),
        site_name: row.get(5)?,
        alarm: AlarmId(row.get::<_, i64>(6)? as u64),
        since: Time(row.get(7)?),
        until: row.get::<_, Option<i64>>(8)?.map(Time),
        count: row.get(9)?,
        standing: row.get(10)?,
    })
}

/// Those whose silence was grouped, and those behind a lost gateway of the incident.
fn unwatched(conn: &Connection, incident: &Incident, now: Time) -> Result<Vec<Unwatched>> {
    let mut query = conn.prepare_cached(
        "SELECT e.id, e.name, e.birth_date, e.phone, e.address, k.ability, COALESCE(k.lives_alone, FALSE), \
         (SELECT MIN(w.priority) FROM alarm w WHERE w.elder = e.id AND w.priority IN ('P1', 'P2', 'P3') \
          AND w.handling IN ('open', 'claimed', 'engaged', 'parked') AND w.incident IS NULL), \
         (SELECT COUNT(*) FROM alarm w WHERE w.elder = e.id AND w.priority IN ('P1', 'P2') \
          AND w.handling IN ('open', 'claimed', 'engaged', 'parked')), \
         (SELECT MIN(m.started_at) FROM alarm m WHERE m.elder = e.id AND m.incident = ?1 AND m.condition <> 'cleared') \
         FROM elder e LEFT JOIN elder_risk k ON k.elder = e.id WHERE e.id IN ( \
           SELECT m.elder FROM alarm m WHERE m.incident = ?1 AND m.elder IS NOT NULL AND m.condition <> 'cleared' \
           UNION SELECT b.elder FROM binding b JOIN device d ON d.id = b.device JOIN gateway g ON g.id = d.gateway \
             JOIN gateway_link l ON l.gateway = g.id WHERE b.bound_until IS NULL AND l.state = 'lost' \
             AND ((?2 IS NOT NULL AND g.id = ?2) OR (?2 IS NULL AND g.site = ?3))) ORDER BY e.id LIMIT ?4",
    )?;
    let gateway = incident.gateway.map(|gateway| gateway.0);
    rows(query.query(params![incident.id, gateway, incident.site.0, limit_of(usize::MAX)])?, |row| {
        let born: Option<String> = row.get(2)?;
        let age = born.as_deref().and_then(|born| age(born, now));
        let risk = Risk { ability: row.get(5)?, lives_alone: row.get(6)? };
        let worst: Option<String> = row.get(7)?;
        let worst = worst.map(|worst| word("priority", Priority::parse, worst)).transpose()?;
        Ok(Unwatched {
            elder_id: ElderId(row.get(0)?),
            name: row.get(1)?,
            age,
            phone: row.get(3)?,
            address: row.get(4)?,
            risk,
            high_risk: is_high_risk(risk, age, row.get(8)?),
            worst,
            silent_since: row.get::<_, Option<i64>>(9)?.map(Time),
            score: score(risk, age, worst),
        })
    })
}
