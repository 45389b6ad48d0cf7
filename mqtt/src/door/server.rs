//! The door itself: listeners, the accept loop, and the handle the rest of the server holds.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::GatewayId;
use runtime::{Clock, Stop};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::config::Config;
use super::identity::Gatekeeper;
use super::intake::{Intake, RetainedStore};
use super::limiter::Limiter;
use super::links::{Links, Sent};
use super::protocol::Limits;
use super::session::{self, Seat};
use super::stats::{CloseReason, Counters, Stats, add};
use super::tls::Tls;
use super::wills::Wills;

/// Connections the kernel may hold for us: a reconnect storm comes in bursts.
const BACKLOG: u32 = 4_096;
/// Pause after a failed accept (no file descriptor left, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time between two log lines about that.
const ACCEPT_SAY: Duration = Duration::from_mins(1);
/// TCP's own keep-alive, for 3.1.1 clients that turned MQTT's off: first probe, pause between probes.
const TCP_IDLE: Duration = Duration::from_mins(1);
const TCP_PROBE: Duration = Duration::from_secs(20);
/// Added to `drain_ms` when stopping: time for the last words of links.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The front door, bound and not yet open.
pub struct Door {
    plain: TcpListener,
    tls: Option<TcpListener>,
    local_addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    shared: Arc<Shared>,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) limits: Arc<Limits>,
    pub(super) gatekeeper: Arc<dyn Gatekeeper>,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) retained: Arc<dyn RetainedStore>,
    pub(super) clock: Clock,
    pub(super) links: Links,
    pub(super) wills: Arc<Wills>,
    pub(super) counters: Arc<Counters>,
    tls: Option<Tls>,
    limiter: Mutex<Limiter>,
    turnstile: Mutex<()>,
    tasks: AtomicUsize,
    empty: Notify,
}

impl Shared {
    /// Held while a link comes or goes, so that the intake hears `Up`, `Lost` and wills of a gateway in order.
    pub(super) fn turnstile(&self) -> MutexGuard<'_, ()> {
        self.turnstile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection's task, also when it panics.
struct TaskCount(Arc<Shared>);

impl TaskCount {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.tasks.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for TaskCount {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.empty.notify_one();
        }
    }
}

impl Door {
    /// Binds the listeners. Errors name the address, or the certificate file that does not load. Needs a tokio runtime
    /// around it, which is why it is async.
    #[expect(clippy::unused_async, reason = "sockets register with the runtime that calls this")]
    pub async fn bind(
        config: &Config,
        gatekeeper: Arc<dyn Gatekeeper>,
        intake: Arc<dyn Intake>,
        retained: Arc<dyn RetainedStore>,
        clock: Clock,
    ) -> io::Result<Self> {
        let plain = listen(config.listen)?;
        let (tls, listener) = match &config.tls {
            Some(tls) => (Some(Tls::load(tls)?), Some(listen(tls.listen)?)),
            None => (None, None),
        };
        let counters = Arc::new(Counters::default());
        let wills = Wills::new(Arc::clone(&intake), Arc::clone(&retained), Arc::clone(&counters), clock.clone());
        Ok(Self {
            local_addr: plain.local_addr()?,
            tls_addr: listener.as_ref().map(TcpListener::local_addr).transpose()?,
            plain,
            tls: listener,
            shared: Arc::new(Shared {
                config: config.clone(),
                limits: Arc::new(Limits::new(config)),
                gatekeeper,
                intake,
                retained,
                clock,
                links: Links::default(),
                wills,
                counters,
                tls,
                limiter: Mutex::new(Limiter::new(config.links_per_address_per_s)),
                turnstile: Mutex::new(()),
                tasks: AtomicUsize::new(0),
                empty: Notify::new(),
            }),
        })
    }

    /// Where the plain listener is.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the TLS listener is, if there is one.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    pub fn handle(&self) -> DoorHandle {
        DoorHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `stop`, then stops accepting, waits for pending acknowledgements, tells every client (0x8B) and
    /// returns when the last link is gone, or after `drain_ms` and two seconds.
    pub async fn run(self, stop: Stop) {
        let Self { plain, tls, shared, .. } = self;
        // Wills outlive the links: they stop when the last link is gone.
        let wills_stop = Stop::new();
        let wills = tokio::spawn({
            let (wills, stop) = (Arc::clone(&shared.wills), wills_stop.clone());
            async move { wills.run(&stop).await }
        });
        tokio::join!(accept(plain, &shared, false, &stop), async {
            if let (Some(listener), Some(tls)) = (tls, &shared.tls) {
                tokio::join!(accept(listener, &shared, true, &stop), tls.watch(&stop));
            }
        });
        shared.links.close_all();
        let drained = async {
            while shared.tasks.load(Ordering::Acquire) > 0 {
                shared.empty.notified().await;
            }
        };
        let limit = Duration::from_millis(shared.config.drain_ms) + STOP_GRACE;
        if tokio::time::timeout(limit, drained).await.is_err() {
            tracing::warn!(links = shared.links.sockets_len(), "links did not end in time");
        }
        wills_stop.request();
        if wills.await.is_err() {
            tracing::error!("the task for last wills failed");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| io::Error::new(error.kind(), format!("cannot listen for MQTT on {address}: {error}")))
}

/// Accepts and hands over. Nothing a client does can hold this loop up.
async fn accept(listener: TcpListener, shared: &Arc<Shared>, tls: bool, stop: &Stop) {
    let mut said: Option<tokio::time::Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.requested() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => start(stream, peer, shared, tls),
            Err(error) => {
                add(&shared.counters.accept_errors, 1);
                // Out of files, this comes twenty times a second for as long as it lasts: the counter has them all.
                if said.is_none_or(|at| at.elapsed() >= ACCEPT_SAY) {
                    said = Some(tokio::time::Instant::now());
                    tracing::warn!(%error, "cannot accept connections; trying again (said once a minute)");
                }
                tokio::select! {
                    () = stop.requested() => return,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// Starts a connection's task, or drops the socket of an address that comes too often.
fn start(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, tls: bool) {
    add(&shared.counters.accepted, 1);
    let allowed = shared.limiter.lock().unwrap_or_else(PoisonError::into_inner).allows(peer.ip());
    if !allowed {
        return shared.counters.closed(CloseReason::TooFast);
    }
    shared.links.make_room(shared.config.strangers_max);
    // Neither is worth losing a link over.
    let _best_effort = stream.set_nodelay(true);
    let keep_alive = socket2::TcpKeepalive::new().with_time(TCP_IDLE).with_interval(TCP_PROBE);
    let _best_effort = socket2::SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
    let (seat, count) = (Seat::new(shared), TaskCount::new(shared));
    if !tls {
        tokio::spawn(async move {
            let _count = count;
            session::serve(stream, seat, peer, false).await;
        });
        return;
    }
    tokio::spawn(async move {
        let _count = count;
        handshake(stream, seat, peer).await;
    });
}

async fn handshake(stream: TcpStream, mut seat: Seat, peer: SocketAddr) {
    let limit = Duration::from_millis(seat.door.config.login_timeout_ms);
    let Some(acceptor) = seat.door.tls.as_ref().map(Tls::acceptor) else { return };
    let accepted = tokio::select! {
        reason = seat.link.asked_to_end() => Err(reason),
        accepted = tokio::time::timeout(limit, acceptor.accept(stream)) => match accepted {
            Ok(Ok(stream)) => Ok(stream),
            _ => Err(CloseReason::TlsHandshake),
        },
    };
    match accepted {
        Ok(stream) => session::serve(stream, seat, peer, true).await,
        Err(reason) => seat.leave(reason, Vec::new()),
    }
}

/// What the rest of the server may do with links. Cheap to clone.
#[derive(Clone)]
pub struct DoorHandle {
    shared: Arc<Shared>,
}

impl DoorHandle {
    /// Sends to `vigil/1/{site}/{gateway}/d/{suffix}`. `false` when the gateway is not connected, has not subscribed to
    /// that topic, or its queue is full: the caller keeps the truth and sends again at the next birth.
    pub fn down(&self, gateway: GatewayId, suffix: &str, payload: Bytes, qos: u8) -> bool {
        let sent = match self.shared.links.seat(gateway) {
            Some(link) => match link.identity() {
                Some(identity) => {
                    let topic = format!("vigil/1/{}/{}/d/{suffix}", identity.site, identity.name);
                    link.send(topic, payload, qos.min(1), self.shared.config.down_queue_max)
                }
                None => Sent::Gone,
            },
            None => Sent::Gone,
        };
        if sent == Sent::Full {
            add(&self.shared.counters.down_dropped, 1);
        }
        sent == Sent::Queued
    }

    pub fn is_connected(&self, gateway: GatewayId) -> bool {
        self.shared.links.seat(gateway).is_some()
    }

    /// Gateways connected now.
    pub fn connected(&self) -> Vec<GatewayId> {
        self.shared.links.seats()
    }

    /// Ends a gateway's link, because its token was revoked for example. `false` when it has none.
    pub fn kick(&self, gateway: GatewayId, reason: CloseReason) -> bool {
        self.shared.links.seat(gateway).map(|link| link.close(reason)).is_some()
    }

    /// Reads the TLS certificate again. New links get the new one; on an error the old one stays.
    pub fn reload_tls(&self) -> io::Result<()> {
        self.shared.tls.as_ref().map_or(Ok(()), Tls::reload)
    }

    pub fn stats(&self) -> Stats {
        let tasks = self.shared.tasks.load(Ordering::Acquire);
        self.shared.counters.snapshot(self.shared.links.seats_len(), tasks)
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DoorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DoorHandle").finish_non_exhaustive()
    }
}
