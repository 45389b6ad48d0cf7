//! One conversation over a stream of bytes, whatever carries it: bytes -> framer -> codec -> reception -> the device's answer.
//!
//! What a protocol remembers between frames lives here: GT06 says its id only at login, so the conversation keeps the last
//! one said. An answer leaves only when what the frame said is durable.

use std::sync::Arc;
use std::time::Duration;

use codec::{Codec, Decoded, Framed, Framer, Framing, Settings};
use futures_util::future::join_all;
use model::{Event, EventKind};
use runtime::Stop;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::Context;
use super::presence::Claim;
use crate::Error;
use crate::devices::Device;
use crate::outlet::{DeviceKey, Heard, Outlet, Refused};
use crate::report::Report;

/// Bytes read at once.
const READ_BYTES: usize = 4_096;
/// Frames on their way to the disk together; the next ones wait.
const TOGETHER_MAX: usize = 30;
/// Time a device has to take its answer.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Frames a stranger may send before its connection is closed.
const STRANGER_FRAMES: u32 = 3;

/// What one conversation may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Silence after which the conversation is over; `None` for a wire that is always there.
    pub(crate) idle: Option<Duration>,
    /// Silence after which half a frame is given up.
    pub(crate) half_frame: Duration,
    /// Bytes a second that are read for long.
    pub(crate) bytes_per_s: u32,
}

/// Why a conversation is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the gateway is stopping")]
    Stop,
    #[error("the other side closed the connection")]
    Closed,
    #[error("nothing was said for too long")]
    Idle,
    #[error("{0}")]
    Broken(#[from] std::io::Error),
    #[error("the device does not take its answer")]
    Stuck,
    #[error("the device speaks on another connection now")]
    Moved,
    #[error("the device is not on the list")]
    Stranger,
}

/// One conversation.
pub(crate) struct Talk {
    context: Context,
    codec: &'static Codec,
    framer: Box<dyn Framer>,
    limits: Limits,
    /// The wire belongs to this device, whatever the frames say.
    fixed: Option<DeviceKey>,
    /// The last id said.
    id: Option<String>,
    device: Option<Arc<Device>>,
    claim: Option<Claim>,
    /// Told when the device speaks on another connection.
    moved: Stop,
    strangers: u32,
}

/// A frame that was decoded, on its way.
struct Ready {
    heard: Heard,
    reply: Option<Vec<u8>>,
}

/// The framer of a codec that reads streams.
pub(crate) fn framer(codec: &Codec) -> Result<Box<dyn Framer>, Error> {
    match codec.framing {
        Framing::Stream(framer) => Ok(framer()),
        Framing::Whole => Err(Error::Key(format!("codec {}: its frames do not come as a stream of bytes", codec.name))),
    }
}

impl Talk {
    pub(crate) fn new(
        context: &Context,
        codec: &'static Codec,
        fixed: Option<DeviceKey>,
        limits: Limits,
    ) -> Result<Self, Error> {
        Ok(Self {
            context: context.clone(),
            codec,
            framer: framer(codec)?,
            limits,
            fixed,
            id: None,
            device: None,
            claim: None,
            moved: Stop::new(),
            strangers: 0,
        })
    }

    /// Talks until one side ends it.
    pub(crate) async fn run(mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Ended {
        let mut buffer = [0; READ_BYTES];
        let mut found = Vec::new();
        // Bytes since the framer was last told of a silence.
        let mut fresh = false;
        let (mut began, mut read) = (Instant::now(), 0_u64);
        loop {
            let patience = if fresh { Some(self.limits.half_frame) } else { self.limits.idle };
            let heard = tokio::select! {
                () = self.context.stop.requested() => return Ended::Stop,
                () = self.moved.requested() => return Ended::Moved,
                heard = within(patience, stream.read(&mut buffer)) => heard,
            };
            let count = match heard {
                None if !fresh => return Ended::Idle,
                None => {
                    self.framer.silent(&mut found);
                    fresh = false;
                    0
                }
                Some(Ok(0)) => return Ended::Closed,
                Some(Ok(count)) => {
                    self.framer.push(buffer.get(..count).unwrap_or_default(), &mut found);
                    fresh = true;
                    count
                }
                Some(Err(error)) => return Ended::Broken(error),
            };
            if let Err(ended) = self.take(&mut found, stream).await {
                return ended;
            }
            read += count as u64;
            let due = Duration::from_secs_f64(read as f64 / f64::from(self.limits.bytes_per_s.max(1)));
            match due.checked_sub(began.elapsed()) {
                // Half a second ahead is a burst.
                Some(ahead) if ahead > Duration::from_millis(500) => tokio::time::sleep(ahead).await,
                Some(_) => {}
                None => (began, read) = (Instant::now(), 0),
            }
        }
    }

    /// Everything that the framer found, in order.
    async fn take(&mut self, found: &mut Vec<Framed>, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), Ended> {
        let mut ready = Vec::new();
        for framed in found.drain(..) {
            match framed {
                Framed::Answer(bytes) => write(out, &bytes).await?,
                Framed::Skipped { bytes, cause } => {
                    tracing::debug!(link = self.context.name, bytes, cause, "bytes that are no frame");
                    self.context.count(|link| link.skipped_bytes += bytes as u64);
                }
                Framed::Frame(frame) => ready.extend(self.decode(&frame).await?),
            }
            if ready.len() == TOGETHER_MAX {
                settle(&self.context.outlet, &mut ready, out).await?;
            }
        }
        settle(&self.context.outlet, &mut ready, out).await
    }

    /// What a frame says, with the settings of the device that says it. `None` when it cannot be used; that is counted.
    async fn decode(&mut self, frame: &[u8]) -> Result<Option<Ready>, Ended> {
        let at = self.context.clock.now();
        let known = self.device.as_ref().map(|device| device.settings.clone()).unwrap_or_default();
        let Some(decoded) = self.decoded(frame, &known) else { return Ok(None) };
        if let Some(id) = &decoded.device.id {
            self.id = Some(id.clone());
        }
        let key = match (&self.fixed, &self.id) {
            (Some(key), _) => key.clone(),
            (None, id) => DeviceKey::Told { codec: self.codec.name, id: id.clone().unwrap_or_default() },
        };
        let Ok(device) = self.context.outlet.device(&key, at).await else {
            self.context.count(|link| link.refused += 1);
            self.strangers += 1;
            // A port that is wired to one device stays open; a connection of a stranger does not.
            return if self.strangers >= STRANGER_FRAMES { Err(Ended::Stranger) } else { Ok(None) };
        };
        self.context.count(|link| link.frames += 1);
        let decoded = if self.meet(&device).await {
            match self.decoded(frame, &device.settings) {
                Some(decoded) => decoded,
                None => return Ok(None),
            }
        } else {
            decoded
        };
        let reply = decoded.reply.clone();
        Ok(Some(Ready { heard: Heard { device: key, at, decoded, waveforms: Vec::new() }, reply }))
    }

    fn decoded(&self, frame: &[u8], settings: &Settings) -> Option<Decoded> {
        match (self.codec.decode)(frame, settings) {
            Ok(decoded) => Some(decoded),
            Err(bad) => {
                tracing::debug!(link = self.context.name, why = bad.code(), "a frame that does not decode");
                self.context.count(|link| link.malformed += 1);
                None
            }
        }
    }

    /// Another device than before speaks: its settings hold from now on, and this connection is its.
    async fn meet(&mut self, device: &Arc<Device>) -> bool {
        if self.device.as_ref().is_some_and(|known| Arc::ptr_eq(known, device)) {
            return false;
        }
        if self.fixed.is_none() {
            self.moved = Stop::new();
            let (claim, moved) = self.context.presence.claim(&device.name, self.moved.clone());
            self.claim = Some(claim);
            if moved {
                tracing::warn!(device = %device.name, "the device speaks on a second connection");
                let events = vec![Event { kind: EventKind::DeviceMoved, at: self.context.clock.now() }];
                let report = Report { device: device.name.clone(), events, ..Report::default() };
                self.context.outlet.send(report).await;
            }
        }
        self.device = Some(Arc::clone(device));
        true
    }
}

/// Hands over in order, waits until all is durable, and answers in order.
async fn settle(outlet: &Outlet, ready: &mut Vec<Ready>, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), Ended> {
    let hear = |one: Ready| async move { (outlet.hear(one.heard).await, one.reply) };
    for (outcome, reply) in join_all(ready.drain(..).map(hear)).await {
        match (outcome, reply) {
            (Ok(_), Some(reply)) => write(out, &reply).await?,
            (Ok(_), None) => {}
            (Err(Refused::UnknownDevice), _) => return Err(Ended::Stranger),
            (Err(Refused::Closed), _) => return Err(Ended::Stop),
        }
    }
    Ok(())
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

async fn write(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Ended> {
    let written = async {
        out.write_all(bytes).await?;
        out.flush().await
    };
    match timeout(WRITE_MAX, written).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(Ended::Stuck),
    }
}
