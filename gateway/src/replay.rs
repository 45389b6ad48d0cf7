//! Playing a recording through a real outbox and uplink, for the recording link and `vigil replay`.

use std::time::Duration;

use codec::import::Record;
use model::{Lane, Name, Time};
use runtime::{Clock, Stop};
use tokio::time::{Instant, sleep_until};

use crate::outlet::Outlet;
use crate::recording::Recording;
use crate::report::Report;
use crate::running::{Core, Stats};
use crate::waves::{self, BLOCK_S, Play};
use crate::{Config, Error};

/// How often the progress of the uplink is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Wait of a report for company: a replay is a bulk, not a device on flash memory.
const REPLAY_FLUSH_MS: u64 = 20;

/// What to play, and how.
#[derive(Clone, Debug)]
pub struct Replay {
    pub device: Name,
    /// When the recording's first second happened.
    pub base: Time,
    /// Recorded seconds that pass in one; 0 = as fast as the server takes them.
    pub speed: f64,
    /// `vit` judges as live when the times are fresh; `hist` is backfill.
    pub lane: Lane,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rows that held at least one sample, or blocks of a waveform.
    pub rows: u64,
    /// Samples in them, absent values included.
    pub samples: u64,
    /// Frames the server has custody of.
    pub acked: u64,
    /// Frames the server refused; they are in the local quarantine.
    pub refused: u64,
    /// Reached its end: all rows played and every frame acknowledged or refused.
    pub complete: bool,
}

/// A recording of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Recorded<'a> {
    /// Rows of measurements.
    Rows(&'a Recording),
    /// Signals of a waveform.
    Waves(&'a Record),
}

/// Plays a recording as the gateway of `config` (its links are not started) and waits until the server has all of it.
pub async fn replay(
    config: &Config,
    play: &Replay,
    recorded: Recorded<'_>,
    clock: Clock,
    stop: Stop,
) -> Result<Replayed, Error> {
    let (inner, stats) = (Stop::new(), Stats::default());
    // A recording is sent in its order and as fast as it is taken, however long that lasts.
    let config = &Config { history_after_s: u32::MAX, history_per_s: 0, flush_ms: REPLAY_FLUSH_MS, ..config.clone() };
    let mut core = Core::start(config, &clock, &stats, &inner).await?;
    let (rows, samples) = match recorded {
        Recorded::Rows(recording) => {
            feed(recording, play.base, play.speed, &play.device, play.lane, &core.outlet, &stop).await
        }
        Recorded::Waves(record) => {
            let play = Play { device: play.device.clone(), base: play.base, speed: play.speed, block_s: BLOCK_S };
            waves::feed(record, &play, &core.outlet, &clock, &stop).await.map_err(|_| Error::Ended)?
        }
    };
    core.framed().await?;
    let arrived = || core.outbox.is_empty();
    while !arrived() && !stop.is_requested() {
        tokio::select! {
            () = stop.requested() => {}
            () = tokio::time::sleep(LOOK) => {}
            ended = core.parts.join_next() => return Err(ended.and_then(Result::ok).and_then(Result::err).unwrap_or(Error::Ended)),
        }
    }
    let complete = arrived() && !stop.is_requested();
    core.finish(&inner).await?;
    let uplink = stats.uplink();
    Ok(Replayed { rows, samples, acked: uplink.acked, refused: uplink.refused, complete })
}

/// Sends the rows as reports, at the recording's pace times `speed`. Returns rows and samples sent.
pub(crate) async fn feed(
    recording: &Recording,
    base: Time,
    speed: f64,
    device: &Name,
    lane: Lane,
    outlet: &Outlet,
    stop: &Stop,
) -> (u64, u64) {
    let (start, mut rows, mut sent) = (Instant::now(), 0, 0);
    for (at, samples) in recording.timed(Some(base)) {
        if speed > 0.0 {
            let after = (at.since_us(base).max(0) as f64 / speed) as u64;
            tokio::select! {
                () = stop.requested() => break,
                () = sleep_until(start + Duration::from_micros(after)) => {}
            }
        }
        if samples.is_empty() {
            continue;
        }
        let count = samples.len() as u64;
        let report = Report { device: device.clone(), lane, samples, ..Report::default() };
        if stop.is_requested() || !outlet.send(report).await {
            break;
        }
        rows += 1;
        sent += count;
    }
    (rows, sent)
}
