//! Task `alerting.deadlines`: what people were to do by a time, and did not (leases, hand-overs, arrivals, parked alarms), incidents,
//! the storm. All deadlines are in the records; this task only turns them.

use std::time::Duration;

use model::Time;
use model::policy::Target;
use runtime::{Clock, Stop};
use store::records::{AlarmView, HandlingDue, Records};

use crate::roster;

/// Deadlines are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Runs until stopped.
pub(crate) async fn run(records: Records, clock: Clock, stop: Stop) {
    loop {
        let (records, now) = (records.clone(), clock.now());
        if let Err(error) = tokio::task::spawn_blocking(move || look(&records, now)).await {
            tracing::error!(%error, "looking for deadlines ended badly; tried again");
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn look(records: &Records, now: Time) {
    // A call centre without supervisors asks those on call.
    let asked = |alarm: &AlarmView| {
        let supervisors = roster::people(records, &Target::Supervisors, alarm, now);
        if supervisors.is_empty() { roster::line(records, alarm, now) } else { supervisors }
    };
    match records.handling_due(now, &asked) {
        Ok(HandlingDue { done, incidents }) => {
            if !done.is_empty() || incidents > 0 {
                tracing::info!(alarms = done.len(), incidents, "deadlines have come");
            }
        }
        Err(error) => tracing::error!(%error, "cannot look for deadlines; tried again"),
    }
}
