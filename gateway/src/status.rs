//! `gateway.sock` in the data directory: what the gateway is doing, as one line of JSON, for whoever may write there. And what
//! the files alone tell when no gateway runs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Lane, Name, Time};
use mqtt::outbox::{self, Outbox};
use mqtt::uplink;
use runtime::{Clock, Stop};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use crate::care::Care;
use crate::figures::Snapshot;
use crate::lanes::Lanes;
use crate::running::Stats;
use crate::{Config, Error};

const SOCKET: &str = "gateway.sock";
/// Time a caller has to take the answer, and a gateway to give it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer a caller takes, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One lane of the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// Frames that are not in the server's custody.
    pub waiting: u64,
    /// When the oldest of them was queued.
    pub oldest: Option<Time>,
    /// On disk, those not yet removed included.
    pub bytes: u64,
}

/// The outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxStatus {
    pub lanes: BTreeMap<String, LaneStatus>,
    /// Frames the server will never take, kept here.
    pub refused: u64,
    pub bytes: u64,
}

/// Everything a running gateway says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub gateway: Name,
    pub site: Name,
    pub version: &'static str,
    pub since: Time,
    pub now: Time,
    pub epoch: u32,
    /// Versions of what the server pushed: rules, devices, config; 0 is none.
    pub versions: serde_json::Value,
    pub uplink: UplinkStatus,
    pub links: Snapshot,
    pub outbox: OutboxStatus,
    /// Budget of the outbox, bytes.
    pub bytes_max: u64,
    /// Since the start: what the budget gave up.
    pub waveform_frames_dropped: u64,
    pub readings_thinned: u64,
}

/// The link to the server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UplinkStatus {
    pub connected: bool,
    /// Since when it is so.
    pub since: Option<Time>,
    pub sent: u64,
    pub acked: u64,
    pub retried: u64,
    pub refused: u64,
    pub reconnects: u64,
    pub damaged: u64,
    /// Server clock minus ours.
    pub clock_offset_ms: Option<i64>,
}

impl From<(uplink::Snapshot, Option<i64>)> for UplinkStatus {
    fn from((told, clock_offset_ms): (uplink::Snapshot, Option<i64>)) -> Self {
        let uplink::Snapshot { connected, since, sent, acked, retried, refused, reconnects, damaged, .. } = told;
        Self { connected, since, sent, acked, retried, refused, reconnects, damaged, clock_offset_ms }
    }
}

/// What the outbox holds. Blocking.
fn outbox_status(outbox: &Outbox) -> OutboxStatus {
    let lane = |lane: Lane| {
        let (waiting, bytes) = (outbox.book(lane).waiting(), outbox.lane(lane).pressure().disk_bytes);
        (lane.as_str().to_owned(), LaneStatus { waiting, oldest: oldest(outbox, lane), bytes })
    };
    let kept = outbox.refused.head().0 + 1 - outbox.refused.first().0.min(outbox.refused.head().0 + 1);
    OutboxStatus { lanes: Lane::ALL.into_iter().map(lane).collect(), refused: kept, bytes: outbox.disk_bytes() }
}

fn oldest(outbox: &Outbox, lane: Lane) -> Option<Time> {
    let oldest = outbox.book(lane).oldest()?;
    let batch = outbox.lane(lane).reader(model::Seq(oldest - 1)).read(1, Duration::ZERO).ok()?;
    let (_, bytes) = batch.iter().next()?;
    outbox::decode(bytes).map(|entry| entry.queued_at)
}

/// The socket's other side: what it needs to answer.
pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) outbox: Outbox,
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) stats: Stats,
    pub(crate) care: Arc<Care>,
    pub(crate) clock: Clock,
    pub(crate) since: Time,
}

impl Desk {
    /// Answers until stopped. A socket that cannot be opened only costs the command its answer.
    pub(crate) async fn run(self, stop: Stop) {
        let file = self.config.data_dir.join(SOCKET);
        // The outbox is locked by this process: a file left by a crash is ours to replace.
        let _absent = std::fs::remove_file(&file);
        let listener = match UnixListener::bind(&file) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, path = %file.display(), "no status socket: `vigil gateway status` finds no gateway");
                return stop.requested().await;
            }
        };
        let desk = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let _slow = tokio::time::timeout(PATIENCE, answer(&desk, stream)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the status socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        let _gone = std::fs::remove_file(&file);
    }

    /// Blocking.
    fn status(&self) -> Status {
        let kept = &self.stats.kept;
        Status {
            gateway: self.config.name.clone(),
            site: self.config.site.clone(),
            version: env!("CARGO_PKG_VERSION"),
            since: self.since,
            now: self.clock.now(),
            epoch: self.lanes.lock().unwrap_or_else(PoisonError::into_inner).epoch(),
            versions: self.care.versions(),
            uplink: (self.stats.uplink(), self.stats.clock_offset_ms()).into(),
            links: self.stats.links(),
            outbox: outbox_status(&self.outbox),
            bytes_max: self.config.outbox.bytes_max,
            waveform_frames_dropped: kept.waveform_frames_dropped.load(Relaxed),
            readings_thinned: kept.readings_thinned.load(Relaxed),
        }
    }
}

async fn answer(desk: &Arc<Desk>, mut stream: UnixStream) {
    let at_desk = Arc::clone(desk);
    let told = tokio::task::spawn_blocking(move || serde_json::to_vec(&at_desk.status())).await;
    if let Ok(Ok(mut told)) = told {
        told.push(b'\n');
        // The caller may have gone.
        let _gone = stream.write_all(&told).await;
    }
}

/// What `vigil gateway status` finds in a data directory.
#[derive(Clone, Debug)]
pub enum Found {
    /// The answer of a running gateway.
    Running(serde_json::Value),
    /// No gateway runs; this is in its files.
    Files(OutboxStatus),
    /// There is no outbox.
    Nothing,
}

/// Asks the gateway of a data directory, or looks into its files. Blocking.
pub fn ask(dir: &Path) -> Result<Found, Error> {
    let fault = |source| Error::Dir { path: dir.join(SOCKET), source };
    let connected = match BlockingStream::connect(dir.join(SOCKET)) {
        Ok(stream) => Some(stream),
        // Nobody listens there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => None,
        Err(error) => return Err(fault(error)),
    };
    if let Some(stream) = connected {
        stream.set_read_timeout(Some(PATIENCE)).map_err(fault)?;
        let mut line = String::new();
        BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line).map_err(fault)?;
        return Ok(Found::Running(serde_json::from_str(&line).map_err(|error| fault(error.into()))?));
    }
    if !Outbox::exists(dir) {
        return Ok(Found::Nothing);
    }
    // Opening takes the files' lock: a gateway that starts now is refused for the blink of an eye.
    let outbox = Outbox::open(dir, &journal::Config::default())?;
    Ok(Found::Files(outbox_status(&outbox)))
}

/// Where the socket of a data directory is.
pub fn socket(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}
