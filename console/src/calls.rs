//! Calls into the stores: they block, so they run on the blocking pool, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::{Answer, ApiError};

/// Longest wait for a free place; then the client is told to come back.
const PLACE_WAIT: Duration = Duration::from_secs(5);

/// A bounded gate in front of blocking work.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Arc<Semaphore>);

impl Calls {
    pub(crate) fn new(calls_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(calls_max.max(1))))
    }

    /// Runs `work` on the blocking pool. A panic in it is an internal error of this request only.
    pub(crate) async fn run<T, F>(&self, doing: &'static str, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let wait = tokio::time::timeout(PLACE_WAIT, Arc::clone(&self.0).acquire_owned());
        let Ok(Ok(place)) = wait.await else { return Err(ApiError::busy()) };
        // The place belongs to the work, not to the request: a client that hangs up does not free it early.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        done.await.map_err(|panicked| ApiError::internal(doing, &panicked))
    }
}
