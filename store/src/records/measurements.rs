//! Measurements of shared devices: whose each is, the queue of those that are nobody's, and what people decided about them.
//!
//! A decision is written here first, together with its line in the audit; the journal, which readings and alarms follow, gets
//! it from [`Records::moves_waiting`] and [`Records::moves_journalled`]. A crash between the two repeats the entry, and
//! entering it twice changes nothing.

use model::{DeviceId, ElderId, GatewayId, Lane, PersonId, PersonKey, Subject, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Error, Result};
use super::people::bounded;
use super::{Records, Tx, keys, limit_of, rows};

/// Measurements kept at most. Beyond it the oldest that belong to somebody go; those that belong to nobody stay.
const MEASUREMENTS_MAX: i64 = 200_000;
/// Measurements that go at once then.
const DROP_ROWS: i64 = 500;
/// Measurements that are nobody's, at most; beyond it the oldest go from the queue (the readings stay with the device).
const QUEUE_MAX: i64 = 50_000;
/// Measurements one decision may move.
pub const MOVES_MAX: usize = 200;
/// Characters of a reason.
pub const REASON_CHARS_MAX: usize = 200;

/// A frame of a shared device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMeasurement {
    pub gateway: GatewayId,
    pub lane: Lane,
    pub epoch: u32,
    pub seq: u64,
    pub device: DeviceId,
    /// Of its first value.
    pub taken_at: Time,
    pub received_at: Time,
    pub elder: Option<ElderId>,
    /// Why nobody: a slug of [`model::identity::Nobody`].
    pub cause: Option<&'static str>,
    /// A card or code that no elder is registered with.
    pub unknown_key: Option<PersonKey>,
    /// The journal's form of the frame.
    pub frame: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    pub id: i64,
    pub gateway: GatewayId,
    pub device: DeviceId,
    pub taken_at: Time,
    pub received_at: Time,
    pub elder: Option<ElderId>,
    pub cause: Option<String>,
    pub has_key: bool,
    pub frame: Vec<u8>,
    pub moves: Vec<MoveView>,
}

/// One decision, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveView {
    pub at: Time,
    pub by: PersonId,
    pub by_name: String,
    pub from: Subject,
    pub to: Subject,
    pub reason: String,
}

/// A decision that is not in the journal yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMove {
    pub id: i64,
    pub from: Subject,
    pub to: Subject,
    pub at: Time,
    pub frame: Vec<u8>,
}

/// What somebody decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMove {
    pub measurements: Vec<i64>,
    /// `None`: taken back, nobody's again.
    pub to: Option<ElderId>,
    pub by: PersonId,
    pub reason: String,
    /// The unknown card or code of these measurements means this elder from now on.
    pub remember_key: bool,
}

impl Records {
    /// Keeps a measurement, once however often it is told. Returns whose it is: as told, or as people have decided since.
    pub fn measurement_put(&self, new: &NewMeasurement) -> Result<Subject> {
        self.write(|tx| {
            let known: Option<Option<u32>> = tx
                .prepare_cached(
                    "SELECT elder FROM measurement WHERE gateway = ?1 AND lane = ?2 AND epoch = ?3 AND seq = ?4",
                )?
                .query_row(params![new.gateway.0, new.lane.as_str(), new.epoch, new.seq as i64], |row| row.get(0))
                .optional()?;
            if let Some(elder) = known {
                return Ok(subject(elder.map(ElderId), new.device));
            }
            let id = tx.next_id("measurement")?;
            tx.prepare_cached(
                "INSERT INTO measurement (id, gateway, lane, epoch, seq, device, taken_at, received_at, elder, cause, \
                 person_key, frame) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                id,
                new.gateway.0,
                new.lane.as_str(),
                new.epoch,
                new.seq as i64,
                new.device.0,
                new.taken_at.0,
                new.received_at.0,
                new.elder.map(|elder| elder.0),
                new.cause,
                new.unknown_key.as_ref().map(PersonKey::as_str),
                new.frame,
            ])?;
            make_room(tx, id)?;
            Ok(subject(new.elder, new.device))
        })
    }

    /// Measurements that belong to nobody, newest first, older than number `before`.
    pub fn measurements_of_nobody(&self, before: Option<i64>, limit: usize) -> Result<Vec<Measurement>> {
        self.read(|conn| list(conn, "elder IS NULL AND ?3 = 0", 0, before, limit))
    }

    /// Measurements of shared devices that belong to an elder, newest first, older than number `before`.
    pub fn measurements_of(&self, elder: ElderId, before: Option<i64>, limit: usize) -> Result<Vec<Measurement>> {
        self.read(|conn| list(conn, "elder = ?3", elder.0, before, limit))
    }

    pub fn measurements_of_nobody_count(&self) -> Result<u64> {
        let sql = "SELECT COUNT(*) FROM measurement WHERE elder IS NULL";
        self.read(|conn| Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64))
    }

    /// These measurements, in the order of their numbers. Unknown numbers are left out.
    pub fn measurements(&self, ids: &[i64]) -> Result<Vec<Measurement>> {
        self.read(|conn| {
            let mut all = Vec::new();
            let mut query = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM measurement WHERE id = ?1"))?;
            for id in ids.iter().take(MOVES_MAX) {
                all.extend(rows(query.query([id])?, read)?);
            }
            for one in &mut all {
                one.moves = moves_of(conn, one.id)?;
            }
            all.sort_by_key(|one| one.id);
            Ok(all)
        })
    }

    /// Writes a decision, all of it or nothing: in the order in which the measurements were taken, because rules that ask for a
    /// second value (hold times) look at them in that order. Measurements that are there already are left as they are. Returns how many moved.
    pub fn move_measurements(&self, new: &NewMove) -> Result<usize> {
        bounded("reason", &new.reason, REASON_CHARS_MAX)?;
        if new.measurements.is_empty() || new.measurements.len() > MOVES_MAX {
            return Err(Error::Invalid(format!("1 to {MOVES_MAX} measurements at once")));
        }
        self.write(|tx| {
            if let Some(elder) = new.to
                && !tx.prepare_cached("SELECT 1 FROM elder WHERE id = ?1")?.exists([elder.0])?
            {
                return Err(Error::NotFound("elder"));
            }
            let mut moved = 0;
            for id in in_order_taken(tx, &new.measurements)? {
                moved += usize::from(move_one(tx, id, new)?);
            }
            Ok(moved)
        })
    }

    /// Decisions that the journal does not have yet, oldest first.
    pub fn moves_waiting(&self, limit: usize) -> Result<Vec<WaitingMove>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT v.id, v.from_subject, v.to_subject, v.at, m.frame FROM measurement_move v \
                 JOIN measurement m ON m.id = v.measurement WHERE v.journalled = FALSE ORDER BY v.id LIMIT ?1",
            )?;
            rows(query.query([limit_of(limit)])?, |row| {
                Ok(WaitingMove {
                    id: row.get(0)?,
                    from: Subject::from_u32(row.get(1)?),
                    to: Subject::from_u32(row.get(2)?),
                    at: Time(row.get(3)?),
                    frame: row.get(4)?,
                })
            })
        })
    }

    /// These decisions are durable in the journal.
    pub fn moves_journalled(&self, ids: &[i64]) -> Result<()> {
        self.write(|tx| {
            let mut update = tx.prepare_cached("UPDATE measurement_move SET journalled = TRUE WHERE id = ?1")?;
            for id in ids {
                update.execute([id])?;
            }
            Ok(())
        })
    }
}

/// The numbers by the time of measurement. Unknown ones come last; whoever moves them says that they are unknown.
fn in_order_taken(tx: &Tx<'_>, ids: &[i64]) -> Result<Vec<i64>> {
    let mut query = tx.prepare_cached("SELECT taken_at FROM measurement WHERE id = ?1")?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        let at: Option<i64> = query.query_row([id], |row| row.get(0)).optional()?;
        taken.push((at.unwrap_or(i64::MAX), *id));
    }
    taken.sort_unstable();
    Ok(taken.into_iter().map(|(_, id)| id).collect())
}

fn move_one(tx: &mut Tx<'_>, id: i64, new: &NewMove) -> Result<bool> {
    let found: Option<(Option<u32>, u32, Option<String>)> = tx
        .query_row("SELECT elder, device, person_key FROM measurement WHERE id = ?1", [id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((elder, device, key)) = found else { return Err(Error::NotFound("measurement")) };
    let (from, to) = (subject(elder.map(ElderId), DeviceId(device)), subject(new.to, DeviceId(device)));
    if let (true, Some(elder), Some(key)) = (new.remember_key, new.to, key.as_deref().and_then(PersonKey::parse)) {
        keys::put_key(tx, elder, &key, Some(new.by))?;
    }
    if from == to {
        return Ok(false);
    }
    let cause = new.to.is_none().then_some(model::identity::Nobody::TakenBack.slug());
    tx.execute(
        "UPDATE measurement SET elder = ?2, cause = ?3 WHERE id = ?1",
        params![id, new.to.map(|elder| elder.0), cause],
    )?;
    let number = tx.next_id("measurement_move")?;
    tx.execute(
        "INSERT INTO measurement_move (id, measurement, from_subject, to_subject, at, by_person, reason, journalled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, FALSE)",
        params![number, id, from.to_u32(), to.to_u32(), tx.now.0, new.by.0, new.reason],
    )?;
    let detail = format!("from {} to {}", spoken(from), spoken(to));
    super::audit::write(tx, Some(new.by), "attribute", &format!("measurement/{id}"), &detail)?;
    Ok(true)
}

/// As the audit names a subject.
fn spoken(subject: Subject) -> String {
    match subject {
        Subject::Elder(elder) => format!("elder/{elder}"),
        Subject::Unattributed(device) => format!("device/{device}"),
    }
}

fn subject(elder: Option<ElderId>, device: DeviceId) -> Subject {
    elder.map_or(Subject::Unattributed(device), Subject::Elder)
}

const COLUMNS: &str = "id, gateway, device, taken_at, received_at, elder, cause, person_key IS NOT NULL, frame";

fn list(conn: &Connection, filter: &str, value: u32, before: Option<i64>, limit: usize) -> Result<Vec<Measurement>> {
    let sql = format!("SELECT {COLUMNS} FROM measurement WHERE id < ?1 AND {filter} ORDER BY id DESC LIMIT ?2");
    let mut query = conn.prepare_cached(&sql)?;
    let mut all = rows(query.query(params![before.unwrap_or(i64::MAX), limit_of(limit), value])?, read)?;
    for one in &mut all {
        one.moves = moves_of(conn, one.id)?;
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<Measurement> {
    Ok(Measurement {
        id: row.get(0)?,
        gateway: GatewayId(row.get(1)?),
        device: DeviceId(row.get(2)?),
        taken_at: Time(row.get(3)?),
        received_at: Time(row.get(4)?),
        elder: row.get::<_, Option<u32>>(5)?.map(ElderId),
        cause: row.get(6)?,
        has_key: row.get(7)?,
        frame: row.get(8)?,
        moves: Vec::new(),
    })
}

fn moves_of(conn: &Connection, measurement: i64) -> Result<Vec<MoveView>> {
    let mut query = conn.prepare_cached(
        "SELECT v.at, v.by_person, p.name, v.from_subject, v.to_subject, v.reason FROM measurement_move v \
         JOIN person p ON p.id = v.by_person WHERE v.measurement = ?1 ORDER BY v.id LIMIT ?2",
    )?;
    rows(query.query(params![measurement, limit_of(100)])?, |row| {
        Ok(MoveView {
            at: Time(row.get(0)?),
            by: PersonId(row.get(1)?),
            by_name: row.get(2)?,
            from: Subject::from_u32(row.get(3)?),
            to: Subject::from_u32(row.get(4)?),
            reason: row.get(5)?,
        })
    })
}

/// Deletes the oldest when there are too many. What the journal does not have yet is never deleted.
fn make_room(tx: &Tx<'_>, newest: i64) -> Result<()> {
    // Numbers grow by one, so the span of numbers bounds the count without counting.
    let oldest: i64 = tx.prepare_cached("SELECT MIN(id) FROM measurement")?.query_row([], |row| row.get(0))?;
    if newest - oldest < QUEUE_MAX || newest % DROP_ROWS != 0 {
        return Ok(());
    }
    for (whose, max) in [("elder IS NULL", QUEUE_MAX), ("elder IS NOT NULL", MEASUREMENTS_MAX)] {
        let count: i64 =
            tx.query_row(&format!("SELECT COUNT(*) FROM measurement WHERE {whose}"), [], |row| row.get(0))?;
        if count <= max {
            continue;
        }
        let going = format!(
            "SELECT id FROM measurement WHERE {whose} AND id NOT IN \
             (SELECT measurement FROM measurement_move WHERE journalled = FALSE) ORDER BY id LIMIT {}",
            count - max
        );
        tx.execute(&format!("DELETE FROM measurement_move WHERE measurement IN ({going})"), [])?;
        let gone = tx.execute(&format!("DELETE FROM measurement WHERE id IN ({going})"), [])?;
        tracing::warn!(gone, whose, "the list of measurements of shared devices is full: the oldest leave it");
    }
    Ok(())
}
