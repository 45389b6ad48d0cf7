//! One device that is connected to: found, connected, subscribed, listened to, lost, found again.

use std::sync::Arc;
use std::time::Duration;

use bluer::DeviceProperty;
use codec::{Decoded, DeviceTime};
use futures_util::future::join_all;
use model::Time;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use super::records::Records;
use super::repeats::Values;
use super::scan::Shared;
use super::signs::{Sign, Signs};
use super::subscription::{GLUCOSE, RACP, Subscriptions, Value, codec_of};
use crate::Error;
use crate::devices::Device;
use crate::link::Backoff;
use crate::outlet::{DeviceKey, Heard, Refused};

/// Waits after a visit that failed. Short: a cuff advertises for some ten seconds after a measurement.
const VISIT_AGAIN: Backoff = Backoff::between(Duration::from_secs(1), Duration::from_secs(8));
/// Wait after a visit to a device that has nothing for us: every visit costs its battery.
const NOTHING_AGAIN: Backoff = Backoff::between(Duration::from_mins(10), Duration::from_mins(10));
/// Time for connecting and for reading what the device has.
const CONNECT_WITHIN: Duration = Duration::from_secs(40);
/// Values handed over together: as many share the wait for the disk.
const BATCH_MAX: usize = 64;
/// A measurement older than this at its transfer is history, microseconds.
const FRESH_US: i64 = 600_000_000;
/// Records whose time is remembered for the context that follows them.
const CONTEXTS_MAX: usize = 128;

/// Why a visit ended before the device left.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Bluetooth(#[from] bluer::Error),
    #[error("the device has nothing that is read here")]
    Nothing,
    #[error("the device went away")]
    Gone,
    #[error("the device does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error(transparent)]
    Gateway(#[from] Error),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Visits the device whenever it is there, until the adapter goes away.
pub(super) async fn visits(shared: Shared, device: Arc<Device>, remote: bluer::Device, bell: watch::Receiver<()>) {
    let Ok(mut signs) = Signs::new(&remote, bell).await else { return };
    let mut visitor = Visitor { shared: &shared, device: &device, values: Values::default(), times: Vec::new() };
    let mut backoff = VISIT_AGAIN;
    while visitor.found(&remote, &mut signs).await {
        match visitor.visit(&remote, &mut signs).await {
            Ok(()) => backoff = VISIT_AGAIN,
            Err(error) => {
                tracing::warn!(%error, "the visit failed");
                if matches!(error, Fault::Nothing) {
                    backoff = NOTHING_AGAIN;
                }
            }
        }
        // BlueZ keeps a half-made connection; the next visit begins with none.
        let _not_connected = remote.disconnect().await;
        tokio::select! {
            () = shared.stop.requested() => return,
            () = sleep(backoff.pause()) => {}
        }
    }
}

struct Visitor<'a> {
    shared: &'a Shared,
    device: &'a Device,
    values: Values,
    /// Times of the last records by their number.
    times: Vec<(u32, Option<DeviceTime>)>,
}

impl Visitor<'_> {
    /// Waits until the device can be connected to. False: stop.
    async fn found(&self, remote: &bluer::Device, signs: &mut Signs) -> bool {
        loop {
            let sign = tokio::select! {
                () = self.shared.stop.requested() => return false,
                sign = signs.next() => sign,
            };
            match sign {
                None => return false,
                Some(Sign::Changed(DeviceProperty::Rssi(_))) => return true,
                // BlueZ lists devices that it once knew: one that is there has a signal. And a sign may be an old one.
                Some(Sign::Appeared | Sign::Changed(DeviceProperty::Connected(true))) => {
                    let signal = remote.rssi().await.ok().flatten().is_some();
                    if signal || remote.is_connected().await.unwrap_or(false) {
                        return true;
                    }
                }
                Some(Sign::Changed(_)) => {}
            }
        }
    }

    /// One visit, from connecting to the loss of the connection.
    async fn visit(&mut self, remote: &bluer::Device, signs: &mut Signs) -> Result<(), Fault> {
        let shared = self.shared;
        if !remote.is_connected().await? {
            timeout(CONNECT_WITHIN, remote.connect()).await??;
        }
        if !signs.connected().await? {
            return Err(Fault::Gone);
        }
        let mut told = timeout(CONNECT_WITHIN, Subscriptions::new(remote)).await??;
        if told.is_empty() {
            return Err(Fault::Nothing);
        }
        let bonded = remote.is_paired().await.unwrap_or(false);
        shared.context.figures.link(&shared.context.name, |link| link.bond(&self.device.name, bonded));
        tracing::info!(bonded, "connected");
        let progress = Arc::clone(&shared.progress);
        let control = told.control.take();
        let mut records = control.map(|control| Records::new(control, &self.device.name, &progress));
        loop {
            let due = records.as_ref().map(|records| records.due);
            tokio::select! {
                biased;
                () = shared.stop.requested() => return self.rest(&mut told, &mut records).await,
                value = told.next() => match value {
                    Some(value) => self.take(value, &mut told, &mut records).await?,
                    None => return Ok(()),
                },
                () = signs.lost() => {
                    tracing::info!("the connection is lost");
                    shared.context.figures.link(&shared.context.name, |link| link.lost += 1);
                    return self.rest(&mut told, &mut records).await;
                }
                () = async { sleep_until(due.unwrap_or_else(tokio::time::Instant::now)).await }, if due.is_some() => {
                    if let Some(records) = &mut records {
                        records.turn().await?;
                    }
                }
            }
        }
    }

    /// What came before the end is handed over, too.
    async fn rest(&mut self, told: &mut Subscriptions, records: &mut Option<Records<'_>>) -> Result<(), Fault> {
        while let Some(value) = told.ready() {
            self.take(value, told, records).await?;
        }
        Ok(())
    }

    /// A value and those that are there with it: decoded, handed over, durable, and only then noted or answered.
    async fn take(
        &mut self,
        first: Value,
        told: &mut Subscriptions,
        records: &mut Option<Records<'_>>,
    ) -> Result<(), Fault> {
        let mut batch = vec![first];
        // The end of a transfer counts only with all that came before it.
        while (batch.len() < BATCH_MAX || batch.iter().any(|(uuid, _)| *uuid == RACP))
            && let Some(value) = told.ready()
        {
            batch.push(value);
        }
        // The streams of characteristics are not in step: records come before their context and before the end of the transfer.
        batch.sort_by_key(|(uuid, _)| *uuid);
        let (answers, values): (Vec<Value>, Vec<Value>) = batch.into_iter().partition(|(uuid, _)| *uuid == RACP);
        let at = self.shared.context.clock.now();
        let (mut sequences, mut heard) = (Vec::new(), Vec::new());
        for (uuid, bytes) in values {
            let Some(decoded) = self.decode(uuid, &bytes, at) else { continue };
            if uuid == GLUCOSE
                && let (Some(records), Some(sequence)) = (records.as_mut(), sequence(&decoded))
            {
                if !records.wanted(sequence) {
                    continue;
                }
                sequences.push(sequence);
            }
            let device = DeviceKey::Named(self.device.name.clone());
            heard.push(Heard { device, at, decoded, waveforms: Vec::new() });
        }
        let outlet = &self.shared.context.outlet;
        for taken in join_all(heard.into_iter().map(|heard| outlet.hear(heard))).await {
            taken?;
        }
        if let Some(records) = records {
            records.durable(sequences.into_iter())?;
            for (_, answer) in answers {
                records.answer(&answer).await?;
            }
        }
        Ok(())
    }

    /// `None`: not for the outlet.
    fn decode(&mut self, uuid: u16, bytes: &[u8], at: Time) -> Option<Decoded> {
        let context = &self.shared.context;
        let decoded = match (codec_of(uuid)?.decode)(bytes, &self.device.settings) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::warn!(characteristic = format!("{uuid:04x}"), cause = error.code(), "a value does not decode");
                context.figures.link(&context.name, |link| link.malformed += 1);
                return None;
            }
        };
        context.figures.link(&context.name, |link| link.frames += 1);
        let decoded = self.dated(decoded, at);
        let timed = decoded.readings.iter().any(|reading| reading.at.is_some());
        (!timed || self.values.is_new(uuid, bytes)).then_some(decoded)
    }

    /// A context takes the time of its record, and what is old is history.
    fn dated(&mut self, mut decoded: Decoded, at: Time) -> Decoded {
        for reading in &mut decoded.readings {
            let Some(sequence) = reading.sequence else { continue };
            if reading.at.is_none() {
                reading.at = self.times.iter().rev().find(|(of, _)| *of == sequence).and_then(|(_, time)| *time);
            } else {
                self.times.push((sequence, reading.at));
            }
        }
        let excess = self.times.len().saturating_sub(CONTEXTS_MAX);
        self.times.drain(..excess);
        let taken = decoded.readings.iter().filter_map(|reading| reading.at).filter(|at| !at.suspect);
        let newest = taken.filter_map(DeviceTime::instant).max();
        decoded.stored |= newest.is_some_and(|taken| at.since_us(taken) > FRESH_US);
        decoded
    }
}

fn sequence(decoded: &Decoded) -> Option<u16> {
    decoded.readings.iter().find_map(|reading| reading.sequence).and_then(|sequence| u16::try_from(sequence).ok())
}
