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
    table: Mutex<Table>,
    changed: Notify,
    intake: Arc<dyn Intake>,
    retained: Arc<dyn RetainedStore>,
    counters: Arc<Counters>,
    clock: Clock,
}

#[derive(Default)]
struct Table {
    /// Until they are due, or are to be tried again.
    waiting: HashMap<GatewayId, Waiting>,
    /// With the intake, and whether the gateway has come back meanwhile.
    firing: HashMap<GatewayId, Firing>,
    /// Nobody tries again any more.
    stopped: bool,
}

#[derive(Default)]
struct Firing {
    count: u32,
    void: bool,
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
        let table = Mutex::default();
        Arc::new(Self { table, changed: Notify::new(), intake, retained, counters, clock })
    }

    /// The link is gone: its will goes out now, or after its delay.
    pub(super) fn lost(self: &Arc<Self>, identity: &Arc<Identity>, will: Will, cause: CloseReason) {
        let delay = Duration::from_secs(u64::from(will.delay_s));
        let waiting = Waiting { due: Instant::now() + delay, identity: Arc::clone(identity), will, cause, tries: 0 };
        if delay.is_zero() { self.fire(waiting) } else { self.wait(waiting) }
    }

    /// The gateway is back in time: its delayed will is void.
    ///
    /// So is one that the intake was too busy to take: fired later, it would overwrite what the gateway says now.
    pub(super) fn cancel(&self, gateway: GatewayId) {
        let mut table = self.table();
        let waited = table.waiting.remove(&gateway);
        if let Some(firing) = table.firing.get_mut(&gateway) {
            firing.void = true;
        }
        drop(table);
        if waited.is_some_and(|waiting| waiting.tries > 0) {
            add(&self.counters.wills_refused, 1);
        }
    }

    /// Waits for due wills until `stop`; then fires those that still wait, for their links were lost while we ran.
    pub(super) async fn run(self: &Arc<Self>, stop: &Stop) {
        while !stop.is_requested() {
            let next = self.table().waiting.values().map(|waiting| waiting.due).min();
            tokio::select! {
                () = stop.requested() => {}
                () = self.changed.notified() => {}
                () = sleep_until(next) => self.fire_due(Instant::now()),
            }
        }
        let rest: Vec<_> = {
            let mut table = self.table();
            table.stopped = true;
            table.waiting.drain().map(|(_, waiting)| waiting).collect()
        };
        for waiting in rest {
            self.fire(waiting);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, waiting: Waiting) {
        self.table().waiting.insert(waiting.identity.gateway, waiting);
        self.changed.notify_one();
    }

    fn fire_due(self: &Arc<Self>, now: Instant) {
        let due: Vec<_> = {
            let map = &mut self.table().waiting;
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
        self.table().firing.entry(waiting.identity.gateway).or_default().count += 1;
        let identity = Arc::clone(&waiting.identity);
        let mut flight = Flight { wills: Arc::clone(self), waiting: Some(waiting) };
        let done = move |verdicts: Vec<Verdict>| flight.land(verdicts.first().copied());
        self.intake.submit(&identity, vec![publish], Box::new(done));
    }

    /// The intake has answered for one will. Whether it may be tried again.
    fn landed(&self, gateway: GatewayId) -> bool {
        let mut table = self.table();
        let mut void = false;
        if let Some(firing) = table.firing.get_mut(&gateway) {
            (firing.count, void) = (firing.count.saturating_sub(1), firing.void);
            if firing.count == 0 {
                table.firing.remove(&gateway);
            }
        }
        !void && !table.stopped
    }

    fn fired(self: &Arc<Self>, mut waiting: Waiting, verdict: Option<Verdict>) {
        let may_wait = self.landed(waiting.identity.gateway);
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
            Some(Verdict::Busy) if may_wait && waiting.tries < TRIES_MAX => {
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

/// A will with the intake. Dropped without an answer, it counts as not stored.
struct Flight {
    wills: Arc<Wills>,
    waiting: Option<Waiting>,
}

impl Flight {
    fn land(&mut self, verdict: Option<Verdict>) {
        if let Some(waiting) = self.waiting.take() {
            self.wills.fired(waiting, verdict);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.land(None);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
