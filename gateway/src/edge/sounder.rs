//! The task `edge.sounder`: waits until it is certain that the server does not know, then lets the hooks sound and says so.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use model::AlarmId;
use model::entry::Entry;
use mqtt::uplink;
use runtime::Stop;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, MissedTickBehavior};

use super::owed::Owed;
use super::{Edge, QUIET};
use crate::framer::Inlet;
use crate::report::Report;

/// Looks whether the server has what is owed, and whether there is a connection at all.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Log time of the engine moves, and its state is saved, this often.
const TICK_EVERY: Duration = Duration::from_mins(1);
/// Alarms sounding at one time; more wait for a place.
const TOGETHER_MAX: usize = 8;

impl Edge {
    /// Runs until stopped. What is sounding then is sounded again after the next start.
    pub(crate) async fn run(self: Arc<Self>, inlet: Inlet, uplink: Arc<uplink::Stats>, stop: Stop) {
        if self.hooks.all.is_empty() {
            return stop.requested().await;
        }
        let (mut look, mut tick) = (tokio::time::interval(LOOK_EVERY), tokio::time::interval(TICK_EVERY));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connected_at = Instant::now();
        let mut sounding: JoinSet<AlarmId> = JoinSet::new();
        let mut busy: HashSet<AlarmId> = HashSet::new();
        loop {
            tokio::select! {
                () = stop.requested() => break,
                () = self.poke.notified() => {}
                _ = look.tick() => {}
                _ = tick.tick() => self.tick().await,
                Some(done) = sounding.join_next() => {
                    // One that failed is owed still.
                    match done {
                        Ok(alarm) => _ = busy.remove(&alarm),
                        Err(_) => busy.clear(),
                    }
                }
            }
            if uplink.snapshot().connected {
                connected_at = Instant::now();
            }
            for owed in self.due(connected_at.elapsed(), &busy).await {
                if busy.len() == TOGETHER_MAX {
                    break;
                }
                busy.insert(owed.alarm);
                sounding.spawn(Arc::clone(&self).sound(owed, inlet.clone()));
            }
        }
        sounding.shutdown().await;
        self.change(|_| {}).await;
        self.hooks.silence();
    }

    async fn tick(self: &Arc<Self>) {
        let now = self.clock.now();
        self.change(move |inner| {
            inner.step(&Entry::Tick(now));
            inner.sounded.retain(|_, at| at.elapsed() < QUIET);
        })
        .await;
    }

    /// What must be sounded now. What the server has by now is owed no more.
    async fn due(self: &Arc<Self>, alone_for: Duration, busy: &HashSet<AlarmId>) -> Vec<Owed> {
        let now = self.clock.now();
        let (taken, waiting): (Vec<Owed>, Vec<Owed>) = {
            let inner = self.lock();
            if inner.owed.all.is_empty() {
                return Vec::new();
            }
            let idle = inner.owed.all.iter().filter(|owed| !busy.contains(&owed.alarm)).cloned();
            idle.partition(|owed| owed.is_taken(&self.outbox))
        };
        if !taken.is_empty() {
            self.forget(taken).await;
        }
        let grace_us = self.grace.as_micros() as i64;
        let late = |owed: &Owed| alone_for >= self.grace || now.since_us(owed.judged_at) >= grace_us;
        waiting.into_iter().filter(late).collect()
    }

    /// Unless they were judged again meanwhile.
    async fn forget(self: &Arc<Self>, gone: Vec<Owed>) {
        self.change(move |inner| inner.owed.all.retain(|owed| !gone.contains(owed))).await;
    }

    /// Lets all hooks sound, and says of each what came of it. Only then the alarm is owed no more.
    async fn sound(self: Arc<Self>, owed: Owed, inlet: Inlet) -> AlarmId {
        let hooks = self.hooks.all.iter().map(|hook| async {
            let sounded = self.hooks.sound(hook, &owed).await;
            let notes = vec![owed.note(sounded.at, hook.slug(), sounded.ok)];
            inlet.deliver(Report { notes, ..Report::default() }).await.is_ok()
        });
        let said = join_all(hooks).await.into_iter().all(|said| said);
        let alarm = owed.alarm;
        if said {
            self.change(move |inner| {
                inner.sounded.insert(alarm, Instant::now());
                inner.owed.all.retain(|other| other.alarm != alarm);
            })
            .await;
        }
        alarm
    }
}
