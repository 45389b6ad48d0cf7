//! Last wills: fired through the intake like any publish, at once or after their delay; kept until they are stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::GatewayId;
use runtime::{Clock, Stop};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::identity::Identity;
use super::intake::{Intake, RetainedStore, Verdict};
use super::protocol::Will;
use super::stats::{CloseReason, Counters, add};

/// Pause before a will that the intake could not take is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Tries of one will. After that it is given up, counted and logged.
const TRIES_MAX: u32 = 60;

/// Fires wills. One gateway has at most one waiting.
pub(super) struct Wills {
    waiting: Mutex<HashMap<GatewayId, Waiting>>,
    changed: Notify,
    intake: Arc<dyn Intake>,
    retained: Arc<dyn RetainedStore>,
    counters: Arc<Counters>,
    clock: Clock,
}

struct Waiting {
    due: Instant,
    identity: Arc<Identity>,
    will: Will,
    cause: CloseReason,
    tries: u32,
}

impl Wills {
    pub(super) fn new(
        intake: Arc<dyn Intake>,
        retained: Arc<dyn RetainedStore>,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> Arc<Self> {
        let waiting = Mutex::new(HashMap::new());
        Arc::new(Self { waiting, changed: Notify::new(), intake, retained, counters, clock })
    }

    /// The link is gone: its will goes out now, or after its delay.
    pub(super) fn lost(self: &Arc<Self>, identity: &Arc<Identity>, will: Will, cause: CloseReason) {
        let delay = Duration::from_secs(u64::from(will.delay_s));
        let waiting = Waiting { due: Instant::now() + delay, identity: Arc::clone(identity), will, cause, tries: 0 };
        if delay.is_zero() { self.fire(waiting) } else { self.wait(waiting) }
    }

    /// The gateway is back in time: its delayed will is void.
    pub(super) fn cancel(&self, gateway: GatewayId) {
        self.map().remove(&gateway);
    }

    /// Waits for due wills until `stop`; then fires those that still wait, for their links were lost while we ran.
    pub(super) async fn run(self: &Arc<Self>, stop: &Stop) {
        while !stop.is_requested() {
            let next = self.map().values().map(|waiting| waiting.due).min();
            tokio::select! {
                () = stop.requested() => {}
                () = self.changed.notified() => {}
                () = sleep_until(next) => self.fire_due(Instant::now()),
            }
        }
        let rest: Vec<_> = self.map().drain().map(|(_, waiting)| waiting).collect();
        for waiting in rest {
            self.fire(waiting);
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<GatewayId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, waiting: Waiting) {
        self.map().insert(waiting.identity.gateway, waiting);
        self.changed.notify_one();
    }

    fn fire_due(self: &Arc<Self>, now: Instant) {
        let due: Vec<_> = {
            let mut map = self.map();
            let due: Vec<_> = map.iter().filter(|(_, one)| one.due <= now).map(|(gateway, _)| *gateway).collect();
            due.into_iter().filter_map(|gateway| map.remove(&gateway)).collect()
        };
        for waiting in due {
            self.fire(waiting);
        }
    }

    fn fire(self: &Arc<Self>, waiting: Waiting) {
        let mut publish = waiting.will.publish.clone();
        publish.will = Some(waiting.cause);
        publish.received_at = self.clock.now();
        let (wills, identity) = (Arc::clone(self), Arc::clone(&waiting.identity));
        let done = move |verdicts: Vec<Verdict>| wills.fired(waiting, verdicts.first().copied());
        self.intake.submit(&identity, vec![publish], Box::new(done));
    }

    fn fired(self: &Arc<Self>, mut waiting: Waiting, verdict: Option<Verdict>) {
        match verdict {
            Some(Verdict::Stored | Verdict::Duplicate) => {
                add(&self.counters.wills, 1);
                let publish = &waiting.will.publish;
                match (publish.retain && waiting.will.state, publish.payload.is_empty()) {
                    (false, _) => {}
                    (true, false) => self.retained.put(&waiting.identity, &publish.topic, &publish.payload),
                    (true, true) => self.retained.remove(&waiting.identity, &publish.topic),
                }
            }
            Some(Verdict::Busy) if waiting.tries < TRIES_MAX => {
                waiting.tries += 1;
                waiting.due = Instant::now() + RETRY;
                self.wait(waiting);
            }
            other => {
                add(&self.counters.wills_refused, 1);
                tracing::warn!(gateway.id = waiting.identity.gateway.0, verdict = ?other, "a last will was not stored");
            }
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
