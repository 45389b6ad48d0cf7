//! The auditor: looks now and then whether every alarm that waits for people will remind somebody. What it finds is a fault of
//! the program; it is logged as an error, counted, and turns the health check red.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::Time;
use runtime::{Clock, Stop};
use store::records::{AuditFinding, Records};

use crate::stats::Counts;

const AUDIT_EVERY: Duration = Duration::from_mins(1);
/// Findings named in the log at once.
const NAMED_MAX: usize = 10;

pub(crate) async fn run(records: Records, clock: Clock, counts: Arc<Counts>, stop: Stop) {
    loop {
        let (records, clock) = (records.clone(), clock.clone());
        match tokio::task::spawn_blocking(move || audit(&records, clock.now())).await {
            Ok(Ok(found)) => tell(&found, &counts),
            Ok(Err(error)) => tracing::error!(%error, "cannot audit the alarms that wait for people; tried again"),
            Err(error) => tracing::error!(%error, "the audit of alarms ended badly; tried again"),
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(AUDIT_EVERY) => {}
        }
    }
}

/// Pages and steps, and what people have in hand.
fn audit(records: &Records, now: Time) -> Result<Vec<AuditFinding>, store::records::Error> {
    let mut found = records.audit_pages(now)?;
    found.extend(records.audit_alarms(now)?);
    Ok(found)
}

fn tell(found: &[AuditFinding], counts: &Counts) {
    counts.unattended.store(found.len() as u64, Ordering::Relaxed);
    Counts::add(&counts.audits, 1);
    if !found.is_empty() {
        Counts::add(&counts.audit_findings, found.len() as u64);
        for AuditFinding { alarm, cause } in found.iter().take(NAMED_MAX) {
            tracing::error!(%alarm, cause, "an alarm waits for people and nothing will remind anybody");
        }
    }
}
