//! Every task has a name, an owner and an end. A task that ends early takes the process down; at shutdown laggards are named.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells a task that it should finish. The task's only way to learn it.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }
    /// Resolves when it is time to finish.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }
    /// Asks everyone holding this `Stop` to finish.
    pub fn request(&self) {
        self.0.cancel();
    }
    /// A stop of its own that also follows this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

/// A group of named tasks that live and end together.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    stop: Stop,
    tracker: TaskTracker,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// The group's stop signal: for `main` to wait on, and for threads that are not tasks.
    pub fn stop_signal(&self) -> Stop {
        self.stop.clone()
    }

    /// Starts a task that runs until stopped. When it ends, for whatever reason, the whole group is asked to stop.
    pub fn spawn<F, Fut>(&self, name: &'static str, task: F)
    where
        F: FnOnce(Stop) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let guard = self.enter(name);
        let stop = self.stop.clone();
        let future = task(stop.clone());
        self.tracker.spawn(async move {
            let guard = guard;
            future.await;
            if !stop.is_requested() {
                tracing::error!(task = name, "a task that must run to the end has ended; stopping");
            }
            drop(guard);
        });
    }

    /// Starts a thread for blocking work (SQLite, the engine), under the same rules.
    pub fn spawn_thread<F>(&self, name: &'static str, work: F) -> std::io::Result<()>
    where
        F: FnOnce(Stop) + Send + 'static,
    {
        let guard = self.enter(name);
        let stop = self.stop.clone();
        let token = self.tracker.token();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let guard = guard;
            work(stop.clone());
            if !stop.is_requested() {
                tracing::error!(task = name, "a thread that must run to the end has ended; stopping");
            }
            drop(guard);
            drop(token);
        })?;
        Ok(())
    }

    /// Asks all to finish and waits. Returns the names of those still running at the deadline.
    pub async fn stop(&self, within: Duration) -> Vec<&'static str> {
        self.stop.request();
        self.tracker.close();
        let _finished = tokio::time::timeout(within, self.tracker.wait()).await;
        self.live.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn enter(&self, name: &'static str) -> Guard {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(0) += 1;
        Guard { name, stop: self.stop.clone(), live: Arc::clone(&self.live) }
    }
}

/// Takes the name off the list and stops the group, also when the task panicked.
struct Guard {
    name: &'static str,
    stop: Stop,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = live.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                live.remove(self.name);
            }
        }
        self.stop.request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn laggards_are_named() {
        let tasks = Tasks::new();
        tasks.spawn("quick", |stop| async move { stop.requested().await });
        tasks.spawn("stuck", |_| std::future::pending());
        assert_eq!(tasks.stop(Duration::from_secs(10)).await, ["stuck"]);
    }

    #[tokio::test]
    async fn one_end_is_everyones_end() {
        let tasks = Tasks::new();
        tasks.spawn("waits", |stop| async move { stop.requested().await });
        tasks.spawn("panics", |_| async { panic!("on purpose") });
        tasks.stop_signal().requested().await;
        assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    }
}
