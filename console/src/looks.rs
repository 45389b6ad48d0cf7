//! Looks at an elder's readings, for the audit. A page that refreshes itself is one look, not hundreds: the same
//! person and elder are written again only after a while. Cards and alarms are written every time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{ElderId, PersonId, Time};
use store::records::Records;

use crate::error::{Answer, ApiError};

/// Looks within this time are one, in µs.
const SAME_LOOK_US: i64 = 10 * 60 * 1_000_000;
/// Looks remembered. When there are more, some are written twice.
const LOOKS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<HashMap<(PersonId, ElderId), Time>>);

impl Looks {
    /// Writes the look unless it was written lately. The answer waits for it: no look without a trace. Blocks.
    pub(crate) fn at_readings(&self, records: &Records, who: PersonId, elder: ElderId, now: Time) -> Answer<()> {
        if self.is_written((who, elder), now) {
            return Ok(());
        }
        at_elder(records, who, "view_readings", elder)?;
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_MAX {
            looks.clear();
        }
        looks.insert((who, elder), now);
        Ok(())
    }

    fn is_written(&self, look: (PersonId, ElderId), now: Time) -> bool {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&look).is_some_and(|at| (0..SAME_LOOK_US).contains(&now.since_us(*at)))
    }
}

/// Writes one look at an elder. Blocks.
pub(crate) fn at_elder(records: &Records, who: PersonId, action: &str, elder: ElderId) -> Answer<()> {
    let written = records.audit(Some(who), action, &format!("elder/{elder}"), "");
    written.map_err(|error| ApiError::internal("audit", &error))
}
