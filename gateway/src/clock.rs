//! The step that gives times: from the device's clock and the gateway's to the instant a value was taken. What is known of each
//! device's clock (`timeline.rs`) outlives a restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use codec::{Decoded, Measured};
use model::extra::{RAW_TEXT_MAX, RAW_UNIT_MAX, sync};
use model::{Event, EventKind, Lane, Name, Origin, Sample, Time};

use crate::devices::Device;
use crate::down::Heard;
use crate::kept::Kept;
use crate::report::Report;
use crate::timeline::{Known, OwnClock, Placed, Timed, Timeline};

/// Where the offsets of the devices' clocks are kept.
const FILE: &str = "clocks.json";
/// systemd-timesyncd makes this file when it has set the clock since the machine started.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A server's time this close says that this clock is right, milliseconds.
const RIGHT_MS: u64 = 2_000;

/// What is known of the devices' clocks.
#[derive(Debug)]
pub(crate) struct Clocks {
    timelines: Mutex<BTreeMap<Name, Timeline>>,
    kept: Kept,
    heard: Arc<Heard>,
}

impl Clocks {
    /// Reads what was known. Blocking.
    pub(crate) fn open(dir: &Path, heard: Arc<Heard>) -> Self {
        let kept = Kept::new(dir.join(FILE));
        let known: BTreeMap<Name, Known> = kept.load();
        let timelines = known.into_iter().map(|(name, known)| (name, Timeline::new(known))).collect();
        Self { timelines: Mutex::new(timelines), kept, heard }
    }

    /// The report of a decoded frame: each value at its instant, in the order of the frame.
    pub(crate) async fn report(&self, device: &Device, at: Time, decoded: &Decoded) -> Report {
        let own = self.own();
        let (timed, offsets) = {
            let mut timelines = self.timelines.lock().unwrap_or_else(PoisonError::into_inner);
            let timeline = timelines.entry(device.name.clone()).or_default();
            let before = offset(timeline);
            let timed = timeline.hear(decoded, at, own);
            let changed = offset(timeline) != before;
            let offsets = changed.then(|| timelines.iter().filter_map(|(name, of)| Some((name.clone(), offset(of)?))));
            (timed, offsets.map(Iterator::collect::<BTreeMap<Name, Known>>))
        };
        if timed.suspect {
            tracing::warn!(device = %device.name, "its clock is wrong; times come from this clock, or are corrected");
        }
        if let Some(offsets) = offsets {
            self.kept.save(&offsets).await;
        }
        made(device, at, decoded, &timed)
    }

    /// How good this gateway's own clock is.
    fn own(&self) -> OwnClock {
        let off_ms = self.heard.server_offset_ms().map(i64::unsigned_abs);
        let right = off_ms.map_or_else(|| Path::new(SYNCHRONISED).exists(), |off_ms| off_ms <= RIGHT_MS);
        let uncertainty_ms = u32::try_from(off_ms.unwrap_or(0)).unwrap_or(u32::MAX);
        OwnClock { sync: if right { sync::NTP } else { sync::NONE }, uncertainty_ms }
    }
}

/// What is worth keeping: a clock that is in step is found in step again.
const fn offset(timeline: &Timeline) -> Option<Known> {
    match timeline.known() {
        known @ Known::Off { .. } => Some(known),
        Known::Nothing | Known::InStep { .. } => None,
    }
}

fn made(device: &Device, at: Time, decoded: &Decoded, timed: &Timed) -> Report {
    let readings = || decoded.readings.iter().zip(&timed.readings);
    let origins = readings().enumerate().filter_map(|(index, (measured, placed))| origin(index, measured, placed));
    let happened =
        decoded.events.iter().zip(&timed.events).map(|(happened, at)| Event { kind: happened.kind, at: *at });
    let wrong = timed.suspect.then_some(Event { kind: EventKind::ClockSuspect, at });
    Report {
        device: device.name.clone(),
        lane: if decoded.stored { Lane::Hist } else { Lane::Vit },
        samples: readings().map(|(measured, placed)| sample(measured, placed)).collect(),
        origins: origins.collect(),
        events: happened.chain(wrong).collect(),
        clock: timed.pair,
        shared: device.shared,
        ..Report::default()
    }
}

fn sample(measured: &Measured, placed: &Placed) -> Sample {
    match measured.value {
        Some(value) => Sample::new(measured.metric, placed.taken_at, value, placed.quality),
        None => Sample::absent(measured.metric, placed.taken_at, placed.quality),
    }
}

/// What the device wrote and when, where that is not plain from the value.
fn origin(index: usize, measured: &Measured, placed: &Placed) -> Option<Origin> {
    let bound = measured.bound.map_or("", codec::Bound::symbol);
    let unit = measured.metric.info().unit;
    let raw = measured.raw.as_ref().filter(|raw| raw.unit != unit || !bound.is_empty());
    let raw = raw.map(|raw| (format!("{bound}{}", raw.text), raw.unit.to_owned()));
    let raw = raw.filter(|(text, unit)| text.len() <= RAW_TEXT_MAX && unit.len() <= RAW_UNIT_MAX);
    let Placed { device_ms, uncertainty_ms, .. } = *placed;
    let index = u16::try_from(index).ok()?;
    (raw.is_some() || device_ms.is_some()).then_some(Origin { index, raw, device_ms, uncertainty_ms })
}
