//! What went out by each channel, counted before the provider counts it, and how each channel fares.
//!
//! A channel that fails again and again, or whose test did not go out, is dead: a technical alarm says so, without an elder, and
//! clears itself when something goes out again.

use model::alarm::AlarmEventKind;
use model::{AlarmId, AlarmKind, Condition, DeviceId, Priority, Subject, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;

use super::error::Result;
use super::pages::cut;
use super::{Records, Tx, rows};

/// Counted messages are kept this long, in µs: more than the longest limit, a day.
const SENDS_KEPT_US: i64 = 2 * 24 * 3_600_000_000;
/// Failures in a row after which a channel is dead.
pub const FAILURES_MAX: u32 = 3;

/// One limit of a channel at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimit {
    pub count: u32,
    /// Messages after this time count.
    pub since: Time,
    /// The end of a calendar day. `None`: any stretch, from each message so long as from `since` to now.
    pub until: Option<Time>,
}

/// Whether one more message may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Yes, and it is counted; the number gives it back.
    Taken(i64),
    /// Not before.
    Until(Time),
}

/// How a channel fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChannelHealth {
    pub channel: String,
    /// The provider took something last.
    pub ok_at: Option<Time>,
    pub failed_at: Option<Time>,
    /// In a row.
    pub failures: u32,
    /// Of the last failure. No personal data.
    pub detail: String,
    /// A technical alarm stands.
    pub dead_since: Option<Time>,
    /// The last test, and the last that went out.
    pub canary_at: Option<Time>,
    pub canary_ok_at: Option<Time>,
}

/// What became of one message, for the channel's health.
#[derive(Clone, Copy, Debug)]
pub struct ChannelResult<'a> {
    pub channel: &'a str,
    /// For the alarm's title.
    pub zh: &'a str,
    pub en: &'a str,
    pub ok: bool,
    /// It was a test: one that fails for good is enough.
    pub canary: bool,
    pub detail: &'a str,
}

impl Records {
    /// Counts one more message to `target` when no limit forbids it.
    pub fn take_quota(&self, channel: &str, target: &str, limits: &[SendLimit]) -> Result<Quota> {
        self.write(|tx| {
            for limit in limits {
                if let Some(until) = used_up(tx, channel, target, limit)? {
                    return Ok(Quota::Until(until));
                }
            }
            let id = tx.next_id("channel_send")?;
            tx.execute(
                "INSERT INTO channel_send (id, channel, target, at) VALUES (?1, ?2, ?3, ?4)",
                params![id, channel, target, tx.now.0],
            )?;
            Ok(Quota::Taken(id))
        })
    }

    /// The message did not go out.
    pub fn give_back_quota(&self, id: i64) -> Result<()> {
        self.write(|tx| {
            tx.execute("DELETE FROM channel_send WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// Messages by this channel since then: in all, and the most to one target.
    pub fn quota_used(&self, channel: &str, since: Time) -> Result<(u32, u32)> {
        self.read(|conn| {
            let used = conn
                .prepare_cached(
                    "SELECT COALESCE(SUM(n), 0), COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM channel_send \
                     WHERE channel = ?1 AND at > ?2 GROUP BY target)",
                )?
                .query_row(params![channel, since.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(used)
        })
    }

    /// Messages by this channel to one target since then.
    pub fn quota_used_by(&self, channel: &str, target: &str, since: Time) -> Result<u32> {
        self.read(|conn| count(conn, channel, target, since))
    }

    /// Forgets what no limit counts any more.
    pub fn sweep_channels(&self) -> Result<()> {
        self.write(|tx| {
            tx.execute("DELETE FROM channel_send WHERE at < ?1", [tx.now.plus_us(-SENDS_KEPT_US).0])?;
            Ok(())
        })
    }

    /// Every channel that was ever used, by name.
    pub fn channel_health(&self) -> Result<Vec<ChannelHealth>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!("{HEALTH_SELECT} ORDER BY channel"))?;
            rows(query.query([])?, read_health)
        })
    }

    /// Writes down how a message fared. A channel that died raises a technical alarm, one that works again clears it.
    /// Answers whether the channel is dead now.
    pub fn channel_result(&self, result: &ChannelResult<'_>) -> Result<bool> {
        self.write(|tx| {
            let mut query = tx.prepare_cached(&format!("{HEALTH_SELECT} WHERE channel = ?1"))?;
            let mut health = rows(query.query([result.channel])?, read_health)?.pop().unwrap_or_default();
            drop(query);
            let was_dead = health.dead_since.is_some();
            if result.ok {
                health = ChannelHealth {
                    ok_at: Some(tx.now),
                    failures: 0,
                    dead_since: None,
                    detail: String::new(),
                    ..health
                };
            } else {
                health.failed_at = Some(tx.now);
                health.failures = health.failures.saturating_add(1);
                health.detail = cut(result.detail);
                if result.canary || health.failures >= FAILURES_MAX {
                    health.dead_since = health.dead_since.or(Some(tx.now));
                }
            }
            if result.canary {
                health.canary_at = Some(tx.now);
                health.canary_ok_at = if result.ok { Some(tx.now) } else { health.canary_ok_at };
            }
            write_health(tx, result.channel, &health)?;
            match (was_dead, health.dead_since) {
                (false, Some(since)) => raise(tx, result, &health, since)?,
                (true, None) => clear(tx, result.channel)?,
                _ => {}
            }
            Ok(health.dead_since.is_some())
        })
    }
}

/// When this limit lets the next message through, if not now.
fn used_up(tx: &Tx<'_>, channel: &str, target: &str, limit: &SendLimit) -> Result<Option<Time>> {
    if count(tx, channel, target, limit.since)? < limit.count {
        return Ok(None);
    }
    if let Some(until) = limit.until {
        return Ok(Some(until));
    }
    // The one that has to leave the stretch before there is room.
    let first: Option<i64> = tx
        .prepare_cached(
            "SELECT at FROM channel_send WHERE channel = ?1 AND target = ?2 AND at > ?3 ORDER BY at DESC, id DESC \
             LIMIT 1 OFFSET ?4",
        )?
        .query_row(params![channel, target, limit.since.0, limit.count.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    let stretch = tx.now.0 - limit.since.0;
    Ok(Some(first.map_or(tx.now, Time).plus_us(stretch)))
}

fn count(conn: &Connection, channel: &str, target: &str, since: Time) -> Result<u32> {
    let count = conn
        .prepare_cached("SELECT COUNT(*) FROM channel_send WHERE channel = ?1 AND target = ?2 AND at > ?3")?
        .query_row(params![channel, target, since.0], |row| row.get(0))?;
    Ok(count)
}

const HEALTH_SELECT: &str = "SELECT channel, ok_at, failed_at, failures, detail, dead_since, canary_at, canary_ok_at \
     FROM channel_health";

fn read_health(row: &Row<'_>) -> Result<ChannelHealth> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|at| at.map(Time));
    Ok(ChannelHealth {
        channel: row.get(0)?,
        ok_at: time(1)?,
        failed_at: time(2)?,
        failures: row.get(3)?,
        detail: row.get(4)?,
        dead_since: time(5)?,
        canary_at: time(6)?,
        canary_ok_at: time(7)?,
    })
}

fn write_health(tx: &Tx<'_>, channel: &str, health: &ChannelHealth) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO channel_health (channel, ok_at, failed_at, failures, detail, dead_since, canary_at, canary_ok_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (channel) DO UPDATE SET ok_at = excluded.ok_at, \
         failed_at = excluded.failed_at, failures = excluded.failures, detail = excluded.detail, \
         dead_since = excluded.dead_since, canary_at = excluded.canary_at, canary_ok_at = excluded.canary_ok_at",
    )?
    .execute(params![
        channel,
        health.ok_at.map(Time::micros),
        health.failed_at.map(Time::micros),
        health.failures,
        health.detail,
        health.dead_since.map(Time::micros),
        health.canary_at.map(Time::micros),
        health.canary_ok_at.map(Time::micros)
    ])?;
    Ok(())
}

/// A technical alarm about no elder and no device: by the subject "no device". Nobody is paged for it; it is on the list.
fn raise(tx: &mut Tx<'_>, result: &ChannelResult<'_>, health: &ChannelHealth, since: Time) -> Result<()> {
    let subject = Subject::Unattributed(DeviceId(0));
    let rule = format!("channel_{}", result.channel);
    let alarm = AlarmId::of(subject, &rule, since);
    let quiet = health.ok_at.map_or(0, |ok| (since.0 - ok.0).max(0) / 1_000_000);
    let kind = AlarmKind::Silence { silent_s: u32::try_from(quiet).unwrap_or(u32::MAX) };
    tx.execute(
        "INSERT INTO alarm (id, subject, rule, rule_zh, rule_en, rules_version, latching, kind, priority, condition, \
         handling, started_at, raised_at, received_at, updated_at, late, repeats, last_event) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, FALSE, ?6, ?7, 'present', 'open', ?8, ?8, ?8, ?8, FALSE, 0, 0) \
         ON CONFLICT (id) DO NOTHING",
        params![
            alarm.0 as i64,
            subject.to_u32(),
            rule,
            format!("寻呼通道失效:{}", result.zh),
            format!("Paging channel dead: {}", result.en),
            json!(kind).to_string(),
            Priority::T.slug(),
            tx.now.0
        ],
    )?;
    tx.execute("UPDATE channel_health SET alarm = ?2 WHERE channel = ?1", params![result.channel, alarm.0 as i64])?;
    let detail = json!({ "channel": result.channel, "cause": health.detail, "failures": health.failures });
    tx.event(alarm, AlarmEventKind::Raised, None, detail)
}

fn clear(tx: &mut Tx<'_>, channel: &str) -> Result<()> {
    let alarm: Option<i64> = tx
        .query_row("SELECT alarm FROM channel_health WHERE channel = ?1", [channel], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(alarm) = alarm.map(|alarm| AlarmId(alarm as u64)) else { return Ok(()) };
    tx.execute("UPDATE channel_health SET alarm = NULL WHERE channel = ?1", [channel])?;
    if tx.alarm(alarm)?.is_none() {
        return Ok(());
    }
    super::apply::set_condition(tx, alarm, Condition::Cleared)?;
    tx.event(alarm, AlarmEventKind::Cleared, None, json!({ "channel": channel }))?;
    super::apply::settle(tx, alarm)
}
