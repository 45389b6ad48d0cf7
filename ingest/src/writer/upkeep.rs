//! What the readings store does in quiet moments (sealing, rollups, retention), on a thread of its own: nothing of it stands
//! between a reading and the store.

use std::time::{Duration, Instant};

use runtime::{Clock, Stop};
use store::readings::{Readings, Store};

use super::Figures;

/// Between two pieces of work while nothing is to be stored, and while there is.
const IDLE_EVERY: Duration = Duration::from_millis(200);
const BUSY_EVERY: Duration = Duration::from_secs(1);
/// Between two questions to a server how large it is.
const SIZES_EVERY: Duration = Duration::from_mins(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until stopped; blocking.
pub(crate) fn upkeep(readings: &Readings, clock: &Clock, figures: &Figures, stop: &Stop) {
    let mut next = Instant::now() + BUSY_EVERY;
    let mut sizes = Instant::now();
    while !stop.is_requested() {
        let now = Instant::now();
        if now < next {
            std::thread::sleep((next - now).min(IDLE_EVERY));
            continue;
        }
        // A store that takes no readings is told to the operator once, by the writer.
        if figures.is_failing() {
            next = now + RETRY;
            continue;
        }
        if readings.store() == Store::Timescale && sizes <= now {
            sizes = now + SIZES_EVERY;
            if let Ok(stats) = readings.stats() {
                figures.sized(stats);
            }
        }
        let wait = match readings.maintain(clock.now()) {
            Ok(()) if figures.is_idle() => IDLE_EVERY,
            Ok(()) => BUSY_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the readings store cannot do its upkeep; trying again");
                RETRY
            }
        };
        next = Instant::now() + wait;
    }
}
