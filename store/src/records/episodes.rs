//! One alarm, several episodes: the same rule of the same elder again is the alarm that is there, not another row to handle.
//!
//! The engine gives each episode a name (a hash of subject, rule and start). The first one is the alarm's id; later ones are rows
//! of `alarm_episode` that lead to it, written with the alarm in one transaction, so that a replay finds them.

use std::borrow::Cow;

use model::alarm::Transition;
use model::{AlarmId, AlarmKind, Handling, Time};
use rusqlite::{Connection, OptionalExtension, params};

use super::Tx;
use super::apply::Raise;
use super::error::Result;
use super::view::AlarmView;

/// The number of the alarm that an episode belongs to: its own, unless it is a later episode.
pub(super) fn alarm_of(conn: &Connection, episode: AlarmId) -> Result<AlarmId> {
    let alarm: Option<i64> = conn
        .prepare_cached("SELECT alarm FROM alarm_episode WHERE id = ?1")?
        .query_row([episode.0 as i64], |row| row.get(0))
        .optional()?;
    Ok(alarm.map_or(episode, |alarm| AlarmId(alarm as u64)))
}

/// The transition with its alarm's number in place of its episode's.
pub(super) fn of_its_alarm<'a>(tx: &Tx<'_>, transition: &'a Transition) -> Result<Cow<'a, Transition>> {
    let alarm = alarm_of(tx, transition.alarm)?;
    if alarm == transition.alarm {
        return Ok(Cow::Borrowed(transition));
    }
    Ok(Cow::Owned(Transition { alarm, ..transition.clone() }))
}

/// The alarm that a new episode belongs to: one of this rule and subject that waits for people, or that ended within
/// [`super::HandlingTimers::same_again_us`]. A call for help while somebody has the last one in hand is an alarm of its own.
/// Review items of late data stay apart, and so does what is less urgent than an
/// alarm that people finished: it must neither page like that one nor change what they said of it.
pub(super) fn same_alarm(tx: &Tx<'_>, transition: &Transition, raise: &Raise) -> Result<Option<AlarmView>> {
    let calls = matches!(raise.kind, AlarmKind::Event { kind } if kind.calls_for_help());
    if raise.late && !calls {
        return Ok(None);
    }
    let since = tx.now.plus_us(-tx.timers.handling.same_again_us);
    let tail = "WHERE a.subject = ?1 AND a.rule = ?2 AND a.id <> ?3 AND (a.handling IN ('open', 'claimed', 'engaged', 'parked') \
                OR (a.handling IN ('resolved', 'closed') AND COALESCE(a.closed_at, a.resolved_at) >= ?4)) \
                ORDER BY a.received_at DESC, a.id LIMIT 1";
    let found = super::alarms::select(
        tx,
        tx.now,
        tail,
        params![transition.subject, transition.rule, transition.alarm.0 as i64, since.0],
    )?
    .pop();
    // Somebody who calls again after help was sent is not helped by the first call's alarm: it pages nobody any more.
    let in_hand = |view: &AlarmView| calls && view.handling == Handling::Engaged;
    let fits = |view: &AlarmView| !view.is_review() && (!view.is_done() || raise.priority <= view.priority);
    Ok(found.filter(|view| fits(view) && !in_hand(view)))
}

/// From now on this episode is a part of the alarm.
pub(super) fn join(tx: &Tx<'_>, alarm: AlarmId, episode: AlarmId, started_at: Time) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO alarm_episode (id, alarm, started_at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![episode.0 as i64, alarm.0 as i64, started_at.0])?;
    Ok(())
}
