//! Custody of frames: gaps in a gateway's numbers with what became of them, and losses declared with their cause.

use model::note::LossCause;
use model::{GatewayId, Lane, Time};
use rusqlite::{Row, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::{ROWS_MAX, Records, Tx, limit_of, rows};

/// Closed gaps and losses kept, each; beyond it the oldest go.
pub const CUSTODY_ROWS_MAX: i64 = 100_000;

/// What became of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapState {
    /// Found, and not asked for yet: the gateway is not there.
    Open,
    /// The gateway was asked and has not given all of it.
    Asked,
    /// All of it came.
    Filled,
    /// What did not come was declared lost.
    Lost,
}

impl GapState {
    const ALL: [Self; 4] = [Self::Open, Self::Asked, Self::Filled, Self::Lost];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Asked => "asked",
            Self::Filled => "filled",
            Self::Lost => "lost",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Frames that did not come when they should have. Both ends of every range are included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// 0: not saved yet.
    pub id: i64,
    pub gateway: GatewayId,
    pub epoch: u32,
    pub lane: Lane,
    /// As it was found.
    pub first: u64,
    pub last: u64,
    /// The ends of what is still not stored.
    pub missing_first: u64,
    pub missing_last: u64,
    /// Frames not stored and not declared lost.
    pub missing: u64,
    /// Frames declared lost.
    pub lost: u64,
    pub state: GapState,
    /// Why frames are lost.
    pub cause: Option<LossCause>,
    pub opened_at: Time,
    /// How often the gateway was asked.
    pub asks: u32,
    pub asked_at: Option<Time>,
    pub closed_at: Option<Time>,
}

impl Gap {
    /// Frames `first` to `last` of a lane, found missing at `now`.
    pub const fn found(gateway: GatewayId, (epoch, lane): (u32, Lane), (first, last): (u64, u64), now: Time) -> Self {
        Self {
            id: 0,
            gateway,
            epoch,
            lane,
            first,
            last,
            missing_first: first,
            missing_last: last,
            missing: last - first + 1,
            lost: 0,
            state: GapState::Open,
            cause: None,
            opened_at: now,
            asks: 0,
            asked_at: None,
            closed_at: None,
        }
    }
}

/// Frames that will never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    pub gateway: GatewayId,
    pub epoch: u32,
    pub lane: Lane,
    pub first: u64,
    pub last: u64,
    pub cause: LossCause,
    /// Concluded by the server, not said by the gateway.
    pub by_server: bool,
    /// Readings were taken out by the disk budget; those kept came in other frames.
    pub thinned: bool,
    /// Of thinned frames: readings they held, and how many were kept.
    pub readings: u64,
    pub kept: u64,
    pub declared_at: Time,
}

/// Sums over all gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LossCounts {
    /// Frames declared lost, thinned ones not among them.
    pub frames: u64,
    /// Readings taken out by thinning.
    pub readings_thinned: u64,
}

const GAP: &str = "id, gateway, epoch, lane, first, last, missing_first, missing_last, missing, lost, state, cause, \
                   opened_at, asks, asked_at, closed_at";
const LOSS: &str = "gateway, epoch, lane, first, last, cause, by_server, thinned, readings, kept, declared_at";

impl Records {
    /// Gaps that are not closed, and those closed as lost since `since`: frames may still come.
    pub fn gaps_standing(&self, since: Time) -> Result<Vec<Gap>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT {GAP} FROM gap WHERE state IN ('open', 'asked') OR (state = 'lost' AND closed_at >= ?1) \
                 ORDER BY id LIMIT ?2"
            ))?;
            rows(query.query(params![since.0, limit_of(ROWS_MAX)])?, read_gap)
        })
    }

    /// Writes gaps as they stand, new ones (`id` 0) too, which get their number. Durable when it returns.
    pub fn gaps_save(&self, gaps: &mut [Gap]) -> Result<()> {
        let ids: Vec<i64> = self.write(|tx| gaps.iter().map(|gap| save_gap(tx, gap)).collect::<Result<_>>())?;
        for (gap, id) in gaps.iter_mut().zip(ids) {
            gap.id = id;
        }
        Ok(())
    }

    /// Newest first; of one gateway or of all.
    pub fn gaps(&self, gateway: Option<GatewayId>, limit: usize) -> Result<Vec<Gap>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT {GAP} FROM gap WHERE ?1 IS NULL OR gateway = ?1 ORDER BY closed_at IS NULL DESC, id DESC LIMIT ?2"
            ))?;
            rows(query.query(params![gateway.map(|gateway| gateway.0), limit_of(limit)])?, read_gap)
        })
    }

    pub fn gap(&self, id: i64) -> Result<Option<Gap>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!("SELECT {GAP} FROM gap WHERE id = ?1"))?;
            Ok(rows(query.query([id])?, read_gap)?.pop())
        })
    }

    /// Writes declarations. One that was written before is taken as the same: ranges gone for the same cause are joined where
    /// they touch, a thinned range that starts at the same frame is replaced. Durable when it returns.
    pub fn losses_put(&self, losses: &[Loss]) -> Result<()> {
        self.write(|tx| {
            losses.iter().try_for_each(|loss| {
                let id = if loss.thinned { replace_thinned(tx, loss)? } else { join_gone(tx, loss)? };
                // Numbers grow by one, so the span of numbers bounds the count without counting.
                tx.execute("DELETE FROM loss WHERE id <= ?1", [id - CUSTODY_ROWS_MAX])?;
                Ok(())
            })
        })
    }

    /// Declared losses of a lane that touch `first..=last`.
    pub fn losses_over(&self, gateway: GatewayId, epoch: u32, lane: Lane, first: u64, last: u64) -> Result<Vec<Loss>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT {LOSS} FROM loss WHERE gateway = ?1 AND epoch = ?2 AND lane = ?3 AND first <= ?5 AND last >= ?4 \
                 ORDER BY first LIMIT ?6"
            ))?;
            let key = params![gateway.0, epoch, lane as u8, signed(first), signed(last), limit_of(ROWS_MAX)];
            rows(query.query(key)?, read_loss)
        })
    }

    /// Newest first; of one gateway or of all.
    pub fn losses(&self, gateway: Option<GatewayId>, limit: usize) -> Result<Vec<Loss>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT {LOSS} FROM loss WHERE ?1 IS NULL OR gateway = ?1 ORDER BY id DESC LIMIT ?2"
            ))?;
            rows(query.query(params![gateway.map(|gateway| gateway.0), limit_of(limit)])?, read_loss)
        })
    }

    pub fn loss_counts(&self) -> Result<LossCounts> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT COALESCE(SUM(CASE WHEN thinned THEN 0 ELSE last - first + 1 END), 0), \
                 COALESCE(SUM(readings - kept), 0) FROM loss",
            )?;
            Ok(query.query_row([], |row| {
                Ok(LossCounts { frames: unsigned(row, 0)?, readings_thinned: unsigned(row, 1)? })
            })?)
        })
    }
}

fn save_gap(tx: &Tx<'_>, gap: &Gap) -> Result<i64> {
    let id = if gap.id == 0 { tx.next_id("gap")? } else { gap.id };
    tx.prepare_cached(
        "INSERT INTO gap (id, gateway, epoch, lane, first, last, missing_first, missing_last, missing, lost, state, cause, \
         opened_at, asks, asked_at, closed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (id) DO UPDATE SET missing_first = ?7, missing_last = ?8, missing = ?9, lost = ?10, state = ?11, \
         cause = ?12, asks = ?14, asked_at = ?15, closed_at = ?16",
    )?
    .execute(params![
        id,
        gap.gateway.0,
        gap.epoch,
        gap.lane as u8,
        signed(gap.first),
        signed(gap.last),
        signed(gap.missing_first),
        signed(gap.missing_last),
        signed(gap.missing),
        signed(gap.lost),
        gap.state.as_str(),
        gap.cause.map(LossCause::slug),
        gap.opened_at.0,
        gap.asks,
        gap.asked_at.map(|at| at.0),
        gap.closed_at.map(|at| at.0),
    ])?;
    if gap.id == 0 {
        tx.execute("DELETE FROM gap WHERE id <= ?1 AND closed_at IS NOT NULL", [id - CUSTODY_ROWS_MAX])?;
    }
    Ok(id)
}

fn replace_thinned(tx: &Tx<'_>, loss: &Loss) -> Result<i64> {
    tx.execute(
        "DELETE FROM loss WHERE thinned AND gateway = ?1 AND epoch = ?2 AND lane = ?3 AND first = ?4",
        params![loss.gateway.0, loss.epoch, loss.lane as u8, signed(loss.first)],
    )?;
    insert_loss(tx, loss)
}

fn join_gone(tx: &Tx<'_>, loss: &Loss) -> Result<i64> {
    let mut touching = tx.prepare_cached(
        "DELETE FROM loss WHERE NOT thinned AND gateway = ?1 AND epoch = ?2 AND lane = ?3 AND cause = ?4 AND by_server = ?5 \
         AND first <= ?7 AND last >= ?6 RETURNING first, last",
    )?;
    let key = params![
        loss.gateway.0,
        loss.epoch,
        loss.lane as u8,
        loss.cause.slug(),
        loss.by_server,
        signed(loss.first.saturating_sub(1)),
        signed(loss.last.saturating_add(1)),
    ];
    let mut joined = loss.clone();
    for (first, last) in rows(touching.query(key)?, |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))? {
        joined.first = joined.first.min(first);
        joined.last = joined.last.max(last);
    }
    insert_loss(tx, &joined)
}

fn insert_loss(tx: &Tx<'_>, loss: &Loss) -> Result<i64> {
    let id = tx.next_id("loss")?;
    tx.prepare_cached(
        "INSERT INTO loss (id, gateway, epoch, lane, first, last, cause, by_server, thinned, readings, kept, declared_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        id,
        loss.gateway.0,
        loss.epoch,
        loss.lane as u8,
        signed(loss.first),
        signed(loss.last),
        loss.cause.slug(),
        loss.by_server,
        loss.thinned,
        signed(loss.readings),
        signed(loss.kept),
        loss.declared_at.0,
    ])?;
    Ok(id)
}

/// Numbers of frames fit: a gateway would need centuries.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn read_gap(row: &Row<'_>) -> Result<Gap> {
    let (lane, state, cause): (u8, String, Option<String>) = (row.get(3)?, row.get(10)?, row.get(11)?);
    Ok(Gap {
        id: row.get(0)?,
        gateway: GatewayId(row.get(1)?),
        epoch: row.get(2)?,
        lane: Lane::from_u8(lane).ok_or(Error::NotFound("lane of a gap"))?,
        first: unsigned(row, 4)?,
        last: unsigned(row, 5)?,
        missing_first: unsigned(row, 6)?,
        missing_last: unsigned(row, 7)?,
        missing: unsigned(row, 8)?,
        lost: unsigned(row, 9)?,
        state: GapState::parse(&state).ok_or(Error::NotFound("state of a gap"))?,
        cause: cause.as_deref().and_then(LossCause::parse),
        opened_at: Time(row.get(12)?),
        asks: row.get(13)?,
        asked_at: row.get::<_, Option<i64>>(14)?.map(Time),
        closed_at: row.get::<_, Option<i64>>(15)?.map(Time),
    })
}

fn read_loss(row: &Row<'_>) -> Result<Loss> {
    let (lane, cause): (u8, String) = (row.get(2)?, row.get(5)?);
    Ok(Loss {
        gateway: GatewayId(row.get(0)?),
        epoch: row.get(1)?,
        lane: Lane::from_u8(lane).ok_or(Error::NotFound("lane of a loss"))?,
        first: unsigned(row, 3)?,
        last: unsigned(row, 4)?,
        cause: LossCause::parse(&cause).ok_or(Error::NotFound("cause of a loss"))?,
        by_server: row.get(6)?,
        thinned: row.get(7)?,
        readings: unsigned(row, 8)?,
        kept: unsigned(row, 9)?,
        declared_at: Time(row.get(10)?),
    })
}
