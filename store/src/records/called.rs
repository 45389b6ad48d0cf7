//! Calls for help (SOS, a fall, an alarm without a name): which alarms are never history only, and what it means when the elder
//! calls again after somebody has accepted.

use std::sync::LazyLock;

use model::alarm::AlarmEventKind;
use model::{AlarmKind, EventKind, Handling, PersonId, TeamId, Time};
use rusqlite::params;
use serde_json::json;

use super::Tx;
use super::error::Result;
use super::view::AlarmView;

/// A press so soon after the acceptance was made before the elder could know of it, in µs.
const ANSWERED_US: i64 = 60_000_000;
/// Those who have the call are not told again within this time, in µs. Our choice: as long as the lease of a P1.
const TOLD_US: i64 = 3 * 60_000_000;
/// Word of the history line.
const CAUSE: &str = "called_again";

/// A condition on `alarm`: it is no mere review item of late data ([`AlarmView::is_review`] in SQL).
pub(super) static NO_REVIEW: LazyLock<String> = LazyLock::new(|| {
    let kinds = EventKind::ALL.iter().filter(|kind| kind.calls_for_help());
    let kinds: Vec<String> = kinds.map(|kind| format!("'{}'", json!(AlarmKind::Event { kind: *kind }))).collect();
    format!("(late = FALSE OR sounded_at IS NOT NULL OR kind IN ({}))", kinds.join(", "))
});

/// The elder calls again although somebody has it: who accepted, who was sent and the supervisors are told, but not at every press.
/// Returns how many are being paged.
pub(super) fn again(tx: &mut Tx<'_>, view: &AlarmView, at: Time) -> Result<usize> {
    let Some(since) = view.engaged_since().filter(|_| view.calls_for_help()) else { return Ok(0) };
    if at.since_us(since) <= ANSWERED_US || told_lately(tx, view)? {
        return Ok(0);
    }
    let paged = super::arrival::page_besides(tx, view, &concerned(tx, view)?)?;
    tx.event(view.id, AlarmEventKind::Escalated, None, json!({ "cause": CAUSE, "people": paged }))?;
    if paged == 0 {
        tx.event(view.id, AlarmEventKind::PageFailed, None, json!({ "cause": "nobody" }))?;
    }
    Ok(paged)
}

/// Those who have it, and the supervisors, or without any those on call. Not who is with the elder and hears them: who was sent,
/// or when nobody was, who accepted.
fn concerned(tx: &Tx<'_>, view: &AlarmView) -> Result<Vec<PersonId>> {
    let mut people = super::worse::on_it(view);
    let mut others = super::people::supervisors(tx)?;
    if others.is_empty() {
        others = super::people::on_call(tx, view.team.as_ref().map(|team| TeamId(team.id)))?;
    }
    others.retain(|person| !people.contains(person));
    people.extend(others);
    if view.progress.arrived_at.is_some() {
        let there = match &view.progress.sent {
            Some(sent) => sent.person.as_ref().map(|sent| PersonId(sent.id)),
            None => view.accepted_by.as_ref().map(|accepted| accepted.id),
        };
        people.retain(|person| Some(*person) != there);
    }
    Ok(people)
}

fn told_lately(tx: &Tx<'_>, view: &AlarmView) -> Result<bool> {
    let told = tx
        .prepare_cached(
            "SELECT 1 FROM alarm_event WHERE alarm = ?1 AND kind = ?2 AND recorded_at > ?3 AND detail LIKE ?4",
        )?
        .exists(params![
            view.id.0 as i64,
            AlarmEventKind::Escalated.slug(),
            tx.now.plus_us(-TOLD_US).0,
            format!("%\"{CAUSE}\"%")
        ])?;
    Ok(told)
}

impl AlarmView {
    /// Since when somebody has it: accepted, or sent. `None`: nobody does.
    pub(super) fn engaged_since(&self) -> Option<Time> {
        let accepted = self.accepted_by.as_ref().map(|accepted| accepted.at);
        accepted.or(self.progress.sent.as_ref().map(|sent| sent.at)).filter(|_| self.handling == Handling::Engaged)
    }
}
