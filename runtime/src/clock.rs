//! The wall clock, as an argument. Tests set it by hand; the rest of the code never reads the system's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::Time;

/// Where "now" comes from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::set`].
    pub fn manual(at: Time) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.0))))
    }

    pub fn now(&self) -> Time {
        match &self.0 {
            Some(micros) => Time(micros.load(Ordering::Relaxed)),
            None => system_now(),
        }
    }

    /// Moves a manual clock. Has no effect on the system's.
    pub fn set(&self, at: Time) {
        if let Some(micros) = &self.0 {
            micros.store(at.0, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Time {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        Err(before) => Time(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
    }
}
