//! Incidents: a gateway or a whole site out of reach is one thing to do, not an alarm for each elder behind it.
//!
//! An incident is a technical alarm that people claim and resolve like any other, and a row that groups the silence alarms it
//! explains. Only silence of class T or P3 that nobody has taken is grouped: never a call for help, never a P1 or P2. When it is
//! over, what is still silent stands in the list again by itself. Reading incidents: `incident_view.rs`.

use model::alarm::AlarmEventKind;
use model::entry::LinkState;
use model::{AlarmId, AlarmKind, Condition, DeviceId, GatewayId, Name, SiteId, Subject, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::json;

use super::error::{Error, Result};
use super::view::AlarmView;
use super::{Records, Tx, rows};

/// Alarms grouped in one look; the next takes the others.
const GROUPED_MAX: i64 = 500;
/// Incidents begun in one look.
const BEGUN_MAX: i64 = 50;
/// A site is out when at least this share of its elders (or gateways) is, in percent: somewhere in a town a band always lies on a
/// table. Our choice.
const SITE_PERCENT: i64 = 20;
/// The device that is the gateway itself.
const ITSELF: &str = "_";
/// Silence alarms that nobody has taken and that no incident explains yet, as the tail of a query on `alarm a`.
const LOOSE: &str = "a.handling = 'open' AND a.priority IN ('T', 'P3') AND a.condition = 'present' AND a.late = FALSE \
     AND a.incident IS NULL AND a.gateway IS NOT NULL AND a.kind LIKE '%\"type\":\"silence\"%' \
     AND a.rule NOT IN ('incident_gateway', 'incident_site')";

/// What is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    Gateway,
    Site,
}

impl IncidentKind {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Site => "site",
        }
    }

    pub(super) fn parse(slug: &str) -> Option<Self> {
        [Self::Gateway, Self::Site].into_iter().find(|kind| kind.slug() == slug)
    }

    /// The rule slug of its alarm.
    const fn rule(self) -> &'static str {
        match self {
            Self::Gateway => "incident_gateway",
            Self::Site => "incident_site",
        }
    }

    const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("网关失联", "Gateway out of reach"),
            Self::Site => ("片区中断", "Site out of reach"),
        }
    }
}

/// One incident that is to begin.
struct Begin {
    kind: IncidentKind,
    gateway: GatewayId,
    site: SiteId,
    name: String,
    since: Time,
}

impl Records {
    /// What the log says of the gateways' links, in one transaction. Only a later word changes one, so telling it twice is
    /// harmless.
    pub fn links_changed(&self, links: &[(GatewayId, LinkState, Time)]) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut told = tx.prepare_cached(
                "INSERT INTO gateway_link (gateway, state, at) VALUES (?1, ?2, ?3) ON CONFLICT (gateway) DO UPDATE SET \
                 state = excluded.state, at = excluded.at \
                 WHERE gateway_link.at < excluded.at AND gateway_link.state <> excluded.state",
            )?;
            for (gateway, state, at) in links {
                let state = match state {
                    LinkState::Up => "up",
                    LinkState::Sleeping => "sleeping",
                    LinkState::Lost => "lost",
                };
                told.execute(params![gateway.0, state, at.0])?;
            }
            Ok(())
        })
    }

    /// Begins, fills and ends incidents. Returns how many began or ended.
    pub(super) fn incidents_due(&self, now: Time) -> Result<usize> {
        let opened_at = self.0.opened_at;
        let timers = self.0.timers;
        let look =
            |conn: &Connection| Ok((to_begin(conn, now, opened_at, timers)?, to_group(conn)?, over(conn, timers)?));
        let (begin, group, end) = self.read(look)?;
        if begin.is_empty() && group.is_empty() && end.is_empty() {
            return Ok(0);
        }
        self.write(|tx| {
            tx.now = now;
            // Looked at again: a person or the engine may have been in between. Sites first, for they explain their gateways.
            let mut changed = 0;
            for one in to_begin(tx, now, opened_at, timers)? {
                changed += usize::from(begin_one(tx, &one)?);
            }
            for (alarm, incident) in to_group(tx)? {
                group_one(tx, alarm, incident)?;
            }
            for incident in over(tx, timers)? {
                end_one(tx, incident)?;
                changed += 1;
            }
            Ok::<_, Error>(changed)
        })
    }
}

/// The gateway behind which a subject's devices are, when there is only one.
pub(super) fn gateway_of(conn: &Connection, subject: Subject) -> Result<Option<GatewayId>> {
    let (sql, id) = match subject {
        Subject::Unattributed(device) => ("SELECT gateway FROM device WHERE id = ?1 LIMIT 2", device.0),
        Subject::Elder(elder) => (
            "SELECT DISTINCT d.gateway FROM binding b JOIN device d ON d.id = b.device \
             WHERE b.elder = ?1 AND b.bound_until IS NULL LIMIT 2",
            elder.0,
        ),
    };
    let mut query = conn.prepare_cached(sql)?;
    let found = rows(query.query([id])?, |row| Ok(GatewayId(row.get(0)?)))?;
    Ok(if let [only] = found.as_slice() { Some(*only) } else { None })
}

/// The alarm that people handle for an incident.
pub(super) fn alarm_of(tx: &Tx<'_>, incident: i64) -> Result<Option<AlarmView>> {
    let alarm: Option<i64> =
        tx.query_row("SELECT alarm FROM incident WHERE id = ?1", [incident], |row| row.get(0)).optional()?;
    alarm.map_or(Ok(None), |alarm| tx.alarm(AlarmId(alarm as u64)))
}

/// Sites, then gateways, that are out and have no incident.
fn to_begin(conn: &Connection, now: Time, opened_at: Time, timers: super::Timers) -> Result<Vec<Begin>> {
    let timers = timers.handling;
    let (least, from) = (i64::from(timers.incident_alarms), now.plus_us(-timers.incident_window_us));
    // Links are lost when we stop and up when we are back: what was lost before our start counts from our start.
    let lost = now.plus_us(-timers.gateway_lost_us);
    let lost = if opened_at <= lost { lost } else { Time(i64::MIN) };
    let read = |kind: IncidentKind| {
        move |row: &rusqlite::Row<'_>| {
            Ok(Begin {
                kind,
                gateway: GatewayId(row.get(0)?),
                site: SiteId(row.get(1)?),
                name: row.get(2)?,
                since: Time(row.get(3)?),
            })
        }
    };
    let of_sites = format!(
        "SELECT MIN(x.gateway), s.id, s.name, MIN(x.since), COUNT(*) AS n FROM ( \
           SELECT a.gateway, a.started_at AS since, 1 AS elder FROM alarm a WHERE {LOOSE} AND a.raised_at >= ?1 \
           UNION ALL SELECT l.gateway, l.at, 0 FROM gateway_link l WHERE l.state = 'lost' AND l.at <= ?2) x \
         JOIN gateway g ON g.id = x.gateway JOIN site s ON s.id = g.site \
         WHERE g.disabled = FALSE AND NOT EXISTS (SELECT 1 FROM incident i WHERE i.site = s.id AND i.kind = 'site' AND i.until IS NULL) \
         GROUP BY s.id, s.name, x.elder HAVING COUNT(DISTINCT x.gateway) > 1 AND COUNT(*) >= ?3 AND COUNT(*) * 100 >= {SITE_PERCENT} * \
           CASE x.elder WHEN 1 THEN (SELECT COUNT(DISTINCT b.elder) FROM binding b JOIN device d ON d.id = b.device \
             JOIN gateway h ON h.id = d.gateway WHERE h.site = s.id AND b.bound_until IS NULL) \
           ELSE (SELECT COUNT(*) FROM gateway h WHERE h.site = s.id AND h.disabled = FALSE) END \
         ORDER BY 4 LIMIT {BEGUN_MAX}"
    );
    let mut query = conn.prepare_cached(&of_sites)?;
    let mut found = rows(query.query(params![from.0, lost.0, least])?, read(IncidentKind::Site))?;
    found.dedup_by_key(|one| one.site);
    let of_gateways = format!(
        "SELECT x.gateway, g.site, g.name, MIN(x.since) FROM ( \
           SELECT a.gateway, MIN(a.started_at) AS since FROM alarm a WHERE {LOOSE} AND a.raised_at >= ?1 \
             GROUP BY a.gateway HAVING COUNT(*) >= ?3 \
           UNION ALL SELECT l.gateway, l.at FROM gateway_link l WHERE l.state = 'lost' AND l.at <= ?2 \
             AND EXISTS (SELECT 1 FROM binding b JOIN device d ON d.id = b.device \
                         WHERE d.gateway = l.gateway AND b.bound_until IS NULL)) x \
         JOIN gateway g ON g.id = x.gateway WHERE g.disabled = FALSE AND NOT EXISTS (SELECT 1 FROM incident i \
           WHERE i.until IS NULL AND (i.gateway = g.id OR (i.kind = 'site' AND i.site = g.site))) \
         GROUP BY x.gateway, g.site, g.name ORDER BY 4 LIMIT {BEGUN_MAX}"
    );
    let sites: Vec<SiteId> = found.iter().map(|one| one.site).collect();
    let mut query = conn.prepare_cached(&of_gateways)?;
    let gateways = rows(query.query(params![from.0, lost.0, least])?, read(IncidentKind::Gateway))?;
    found.extend(gateways.into_iter().filter(|one| !sites.contains(&one.site)));
    Ok(found)
}

/// Loose alarms that a standing incident explains.
fn to_group(conn: &Connection) -> Result<Vec<(AlarmId, i64)>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT a.id, MIN(i.id) FROM alarm a JOIN gateway g ON g.id = a.gateway JOIN incident i ON i.until IS NULL \
         AND ((i.kind = 'gateway' AND i.gateway = g.id) OR (i.kind = 'site' AND i.site = g.site)) \
         WHERE {LOOSE} AND a.started_at >= i.since - ?2 GROUP BY a.id ORDER BY a.id LIMIT ?1"
    ))?;
    // An alarm that began long before is about something else.
    rows(query.query(params![GROUPED_MAX, 3_600_000_000_i64])?, |row| {
        Ok((AlarmId(row.get::<_, i64>(0)? as u64), row.get(1)?))
    })
}

/// Incidents that are over: the link is not lost any more, and less than half of what makes one is silent.
fn over(conn: &Connection, timers: super::Timers) -> Result<Vec<i64>> {
    let mut query = conn.prepare_cached(
        "SELECT i.id FROM incident i WHERE i.until IS NULL \
         AND NOT EXISTS (SELECT 1 FROM gateway_link l WHERE l.gateway = i.gateway AND l.state = 'lost' AND i.kind = 'gateway') \
         AND (i.kind = 'gateway' OR (SELECT COUNT(*) FROM gateway_link l JOIN gateway g ON g.id = l.gateway \
              WHERE g.site = i.site AND l.state = 'lost') * 2 < ?1) \
         AND (SELECT COUNT(*) FROM alarm a WHERE a.incident = i.id AND a.condition <> 'cleared' \
              AND a.handling IN ('open', 'claimed', 'engaged', 'parked')) * 2 < ?1",
    )?;
    rows(query.query([timers.handling.incident_alarms])?, |row| Ok(row.get(0)?))
}

/// `false`: there is one already.
fn begin_one(tx: &mut Tx<'_>, begin: &Begin) -> Result<bool> {
    let itself = Name::new(ITSELF).map_err(|bad| Error::Invalid(bad.to_string()))?;
    let device = super::registry::ensure_device(tx, begin.gateway, &itself)?;
    let alarm = incident_alarm(tx, begin, device)?;
    let id = tx.next_id("incident")?;
    let gateway = (begin.kind == IncidentKind::Gateway).then_some(begin.gateway.0);
    let inserted = tx.execute(
        "INSERT INTO incident (id, kind, gateway, site, alarm, since, until, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0) \
         ON CONFLICT DO NOTHING",
        params![id, begin.kind.slug(), gateway, begin.site.0, alarm.0 as i64, begin.since.0],
    )?;
    if inserted == 0 {
        return Err(Error::Invalid("an incident began twice".into()));
    }
    if begin.kind == IncidentKind::Site {
        absorb_gateways(tx, begin.site, id)?;
    }
    tx.event(alarm, AlarmEventKind::Raised, None, json!({ "incident": id, "since": begin.since }))?;
    Ok(true)
}

/// The alarm that people handle. It is about the gateway's own device: the records know no other subject.
fn incident_alarm(tx: &Tx<'_>, begin: &Begin, device: DeviceId) -> Result<AlarmId> {
    let subject = Subject::Unattributed(device);
    let id = AlarmId::of(subject, begin.kind.rule(), tx.now);
    let (zh, en) = begin.kind.titles();
    let silent_s = u32::try_from(tx.now.since_us(begin.since) / 1_000_000).unwrap_or(0);
    tx.execute(
        "INSERT INTO alarm (id, subject, elder, device, rule, rule_zh, rule_en, rules_version, latching, kind, priority, \
         condition, handling, started_at, raised_at, received_at, updated_at, late, repeats, last_event, gateway) \
         VALUES (?1, ?2, NULL, NULL, ?3, ?4, ?5, 0, FALSE, ?6, 'T', 'present', 'open', ?7, ?8, ?8, ?8, FALSE, 0, 0, ?9)",
        params![
            id.0 as i64,
            subject.to_u32(),
            begin.kind.rule(),
            format!("{zh} {}", begin.name),
            format!("{en}: {}", begin.name),
            json!(AlarmKind::Silence { silent_s }).to_string(),
            begin.since.0,
            tx.now.0,
            begin.gateway.0
        ],
    )?;
    Ok(id)
}

/// Incidents of single gateways are a part of the site's: their members go over to it, and they end.
fn absorb_gateways(tx: &mut Tx<'_>, site: SiteId, incident: i64) -> Result<()> {
    let mut query = tx.prepare("SELECT id FROM incident WHERE site = ?1 AND kind = 'gateway' AND until IS NULL")?;
    let smaller: Vec<i64> = rows(query.query([site.0])?, |row| Ok(row.get(0)?))?;
    drop(query);
    for one in smaller {
        let moved = tx.execute("UPDATE alarm SET incident = ?2 WHERE incident = ?1", params![one, incident])?;
        tx.execute("UPDATE incident SET count = count + ?2 WHERE id = ?1", params![incident, moved as i64])?;
        end_one(tx, one)?;
    }
    Ok(())
}

fn group_one(tx: &mut Tx<'_>, alarm: AlarmId, incident: i64) -> Result<()> {
    tx.execute("UPDATE alarm SET incident = ?2 WHERE id = ?1", params![alarm.0 as i64, incident])?;
    tx.execute("UPDATE incident SET count = count + 1 WHERE id = ?1", [incident])?;
    tx.event(alarm, AlarmEventKind::Grouped, None, json!({ "incident": incident }))
}

/// Over: its alarm's condition is cleared, and what is still silent is looked at by itself again.
fn end_one(tx: &mut Tx<'_>, incident: i64) -> Result<()> {
    tx.execute("UPDATE incident SET until = ?2 WHERE id = ?1", params![incident, tx.now.0])?;
    // Done members keep their incident for the history.
    tx.execute(
        "UPDATE alarm SET incident = NULL, unwatched_at = CASE WHEN priority = 'T' AND elder IS NOT NULL THEN ?2 ELSE NULL END \
         WHERE incident = ?1 AND handling IN ('open', 'claimed', 'engaged', 'parked')",
        params![incident, tx.now.0],
    )?;
    let Some(view) = alarm_of(tx, incident)? else { return Ok(()) };
    if view.condition != Condition::Cleared {
        tx.execute("UPDATE alarm SET condition = 'cleared' WHERE id = ?1", [view.id.0 as i64])?;
        tx.event(view.id, AlarmEventKind::Cleared, None, json!({ "incident": incident }))?;
    }
    super::apply::settle(tx, view.id)
}
