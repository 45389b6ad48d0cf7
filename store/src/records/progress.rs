//! Where the handling of an alarm stands beyond its state: hand-over, parking, the way to the elder, its incident.

use model::{GatewayId, Time};
use rusqlite::Row;
use serde::Serialize;

use super::error::Result;
use super::view::Named;

/// Facts and deadlines of axis B. All `None` on an alarm that nobody has touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Offered to this person, who has to accept.
    pub offered_to: Option<Named>,
    /// The giver has it again then.
    pub offer_until: Option<Time>,
    /// Put aside, and until when.
    pub parked: Option<Parked>,
    /// Who was sent there.
    pub sent: Option<Sent>,
    /// Somebody must have arrived by then.
    pub arrive_by: Option<Time>,
    pub arrived_at: Option<Time>,
    /// After the arrival: there must be an outcome by then.
    pub outcome_by: Option<Time>,
    /// How often arrival or outcome was told to be overdue.
    pub overdue: u32,
    /// Resolved although the condition stood: open again then, if it still does.
    pub reopen_at: Option<Time>,
    /// The incident it is a part of.
    pub incident: Option<i64>,
    /// The gateway behind which its device is, when there is no doubt.
    pub gateway: Option<GatewayId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parked {
    pub until: Time,
    pub reason: String,
    pub by: Option<String>,
}

/// Who is on the way: somebody of ours, or somebody in words (a neighbour, 120).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub person: Option<Named>,
    pub words: String,
    pub at: Time,
}

impl Progress {
    /// Reads the columns named `p_..` of `ALARM_COLUMNS`.
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let time = |name| -> Result<Option<Time>> { Ok(row.get::<_, Option<i64>>(name)?.map(Time)) };
        let named = |id, name| -> Result<Option<Named>> {
            let (id, name): (Option<u32>, Option<String>) = (row.get(id)?, row.get(name)?);
            Ok(id.map(|id| Named { id, name: name.unwrap_or_default() }))
        };
        let parked = match time("p_wake_at")? {
            Some(until) => {
                let reason: Option<String> = row.get("p_park_reason")?;
                Some(Parked { until, reason: reason.unwrap_or_default(), by: row.get("p_parked_by")? })
            }
            None => None,
        };
        let sent = match time("p_sent_at")? {
            Some(at) => {
                let words: Option<String> = row.get("p_sent_words")?;
                Some(Sent { person: named("p_sent_to", "p_sent_name")?, words: words.unwrap_or_default(), at })
            }
            None => None,
        };
        Ok(Self {
            offered_to: named("p_offered_to", "p_offered_name")?,
            offer_until: time("p_offer_until")?,
            parked,
            sent,
            arrive_by: time("p_arrive_by")?,
            arrived_at: time("p_arrived_at")?,
            outcome_by: time("p_outcome_by")?,
            overdue: row.get("p_overdue")?,
            reopen_at: time("p_reopen_at")?,
            incident: row.get("p_incident")?,
            gateway: row.get::<_, Option<u32>>("p_gateway")?.map(GatewayId),
        })
    }
}
