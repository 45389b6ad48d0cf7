//! One conversation over a stream of bytes, whatever carries it: bytes -> framer -> codec -> reception -> the device's answer.
//!
//! What a protocol remembers between frames lives here: GT06 says its id only at login, so the conversation keeps the last
//! one said. An answer leaves only when what the frame said is durable, and answers leave in the order of their frames; the
//! next frames are read meanwhile, so that a call for help does not stand behind readings that wait for the disk.

use std::sync::Arc;
use std::time::Duration;

use codec::{Codec, Decoded, Framed, Framer, Framing, Settings};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesOrdered, StreamExt};
use model::{Event, EventKind, Time};
use runtime::Stop;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::Context;
use super::presence::Claim;
use crate::Error;
use crate::devices::Device;
use crate::outlet::{DeviceKey, Heard, Refused};
use crate::report::Report;

/// Bytes read at once.
const READ_BYTES: usize = 4_096;
/// Frames on their way to the disk; with so many nothing more is read. A watch takes hours for them.
const UNDER_WAY_MAX: usize = 64;
/// Time that frames under way have to become durable when their conversation is over.
const LAST_MAX: Duration = Duration::from_secs(10);
/// Time a connection has to say which device it is. A port has few places, and a stranger must not sit on one.
const HELLO_MAX: Duration = Duration::from_mins(1);
/// Time a device has to take its answer.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// So far ahead of the limit of bytes is a burst.
const BURST: Duration = Duration::from_millis(500);
/// Frames a stranger may send before its connection is closed.
const STRANGER_FRAMES: u32 = 3;

/// What one conversation may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Time without a whole frame after which the conversation is over; `None` for a wire that is always there.
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
    #[error("nothing whole was said for too long")]
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
    /// Frames on their way to the disk and the answers that wait for them, in order.
    under_way: FuturesOrdered<BoxFuture<'static, Settled>>,
}

/// What became of a frame, and its answer.
type Settled = (Result<(), Refused>, Option<Vec<u8>>);

/// What is due when, while the wire is read.
struct Pace {
    /// When bytes came last.
    bytes_at: Instant,
    /// When the framer last found a frame in them.
    said_at: Instant,
    /// Bytes since the framer was last told of a silence.
    fresh: bool,
    /// Bytes read since `began`, for the limit.
    read: u64,
    began: Instant,
    /// Not read before this.
    resume: Instant,
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
            under_way: FuturesOrdered::new(),
        })
    }

    /// Talks until one side ends it. What was heard by then is answered, if that does not take too long.
    pub(crate) async fn run(mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Ended {
        let ended = match self.turn(stream).await {
            Ok(ended) | Err(ended) => ended,
        };
        let last = async {
            while let Some(settled) = self.under_way.next().await {
                // Whoever has gone does not hear it; it is durable all the same.
                let _gone = answer(settled, stream).await;
            }
        };
        if timeout(LAST_MAX, last).await.is_err() {
            let count = self.under_way.len() as u64;
            tracing::warn!(link = self.context.name, count, "frames without an answer when their connection ended");
            self.context.count(|link| link.unanswered += count);
        }
        ended
    }

    async fn turn(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Ended, Ended> {
        let mut buffer = [0; READ_BYTES];
        let mut found = Vec::new();
        let now = Instant::now();
        let mut pace = Pace { bytes_at: now, said_at: now, fresh: false, read: 0, began: now, resume: now };
        loop {
            let (moved, due) = (self.moved.clone(), self.due(&pace));
            let reads = self.under_way.len() < UNDER_WAY_MAX && pace.resume <= Instant::now();
            tokio::select! {
                biased;
                () = self.context.stop.requested() => return Ok(Ended::Stop),
                () = moved.requested() => return Ok(Ended::Moved),
                Some(settled) = self.under_way.next(), if !self.under_way.is_empty() => answer(settled, stream).await?,
                count = stream.read(&mut buffer), if reads => {
                    let count = count?;
                    if count == 0 {
                        return Ok(Ended::Closed);
                    }
                    self.framer.push(buffer.get(..count).unwrap_or_default(), &mut found);
                    pace.took(count, self.limits.bytes_per_s);
                }
                () = sleep_until(pace.resume), if pace.resume > Instant::now() => {}
                () = at(due), if reads => {
                    if !pace.fresh || self.is_over(&pace) {
                        return Ok(Ended::Idle);
                    }
                    self.framer.silent(&mut found);
                    pace.fresh = false;
                }
            }
            if found.iter().any(|framed| !matches!(framed, Framed::Skipped { .. })) {
                pace.said_at = Instant::now();
            }
            self.take(&mut found).await?;
        }
    }

    /// When the silence is too long: for half a frame, or for the conversation.
    fn due(&self, pace: &Pace) -> Option<Instant> {
        let half = pace.fresh.then(|| pace.bytes_at + self.limits.half_frame);
        let idle = self.patience().map(|idle| pace.said_at + idle);
        half.into_iter().chain(idle).min()
    }

    fn is_over(&self, pace: &Pace) -> bool {
        self.patience().is_some_and(|idle| pace.said_at.elapsed() >= idle)
    }

    fn patience(&self) -> Option<Duration> {
        let known = self.fixed.is_some() || self.device.is_some();
        self.limits.idle.map(|idle| if known { idle } else { idle.min(HELLO_MAX) })
    }

    /// Everything that the framer found, in order.
    async fn take(&mut self, found: &mut Vec<Framed>) -> Result<(), Ended> {
        for framed in found.drain(..) {
            match framed {
                // Behind the frames before it: an analyser takes this for "all up to here is kept".
                Framed::Answer(bytes) => self.under_way.push_back(std::future::ready((Ok(()), Some(bytes))).boxed()),
                Framed::Skipped { bytes, cause } => {
                    tracing::debug!(link = self.context.name, bytes, cause, "bytes that are no frame");
                    self.context.count(|link| link.skipped_bytes += bytes as u64);
                }
                Framed::Frame(frame) => {
                    if let Some((heard, reply)) = self.decode(&frame).await? {
                        let outlet = self.context.outlet.clone();
                        let hear = async move { (outlet.hear(heard).await.map(drop), reply) };
                        self.under_way.push_back(hear.boxed());
                    }
                }
            }
        }
        Ok(())
    }

    /// What a frame says, with the settings of the device that says it. `None` when it cannot be used; that is counted.
    async fn decode(&mut self, frame: &[u8]) -> Result<Option<(Heard, Option<Vec<u8>>)>, Ended> {
        let at = self.context.clock.now();
        let known = self.device.as_ref().map(|device| device.settings.clone()).unwrap_or_default();
        // Some devices set their clock by the answer.
        let known = Settings { now: Some(at), ..known };
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
        let decoded = if self.meet(&device, at) {
            match self.decoded(frame, &Settings { now: Some(at), ..device.settings.clone() }) {
                Some(decoded) => decoded,
                None => return Ok(None),
            }
        } else {
            decoded
        };
        let reply = decoded.reply.clone();
        Ok(Some((Heard { device: key, at, decoded, waveforms: Vec::new() }, reply)))
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
    fn meet(&mut self, device: &Arc<Device>, at: Time) -> bool {
        if self.device.as_ref().is_some_and(|known| Arc::ptr_eq(known, device)) {
            return false;
        }
        if self.fixed.is_none() {
            self.moved = Stop::new();
            let (claim, moved) = self.context.presence.claim(&device.name, self.moved.clone());
            self.claim = Some(claim);
            if moved {
                tracing::warn!(device = %device.name, "the device speaks on a second connection");
                let report = Report { events: vec![Event { kind: EventKind::DeviceMoved, at }], ..Report::default() };
                let (outlet, key) = (self.context.outlet.clone(), DeviceKey::Named(device.name.clone()));
                // By the flood limit: whoever connects over and over must not fill the disk with this.
                let told = async move { (outlet.hear_report(&key, at, report).await.map(drop), None) };
                self.under_way.push_back(told.boxed());
            }
        }
        self.device = Some(Arc::clone(device));
        true
    }
}

impl Pace {
    /// Bytes came: more are read when the limit allows it.
    fn took(&mut self, count: usize, bytes_per_s: u32) {
        let now = Instant::now();
        (self.bytes_at, self.fresh, self.read) = (now, true, self.read + count as u64);
        let due = Duration::from_secs_f64(self.read as f64 / f64::from(bytes_per_s.max(1)));
        match due.checked_sub(self.began.elapsed()) {
            Some(ahead) if ahead > BURST => self.resume = now + ahead,
            Some(_) => {}
            None => (self.began, self.read) = (now, 0),
        }
    }
}

/// Tells the device what became of its frame.
async fn answer((outcome, reply): Settled, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), Ended> {
    match (outcome, reply) {
        (Ok(()), Some(reply)) => write(out, &reply).await,
        (Ok(()), None) => Ok(()),
        (Err(Refused::UnknownDevice), _) => Err(Ended::Stranger),
        (Err(Refused::Closed), _) => Err(Ended::Stop),
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
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

#[cfg(test)]
#[path = "talk_tests.rs"]
mod tests;
