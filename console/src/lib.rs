//! Vigil's console: the HTTP API, login, the live stream of alarms (SSE) and the embedded web app.
//!
//! Who may call which address is one table (`routes.rs`); what a role may see of a person is decided in `access.rs`.
//! The stores block, so every call goes through a bounded gate (`calls.rs`); trends have a gate of their own and can
//! never hold up alarm work. The stream is poke-driven: no polling stands between an alarm and a screen.
//!
//! What is deliberately absent: rules, paging, MQTT, and any file of its own.

mod access;
mod alarms;
mod authors;
mod callbacks;
mod calls;
mod channels;
mod config;
mod counts;
mod custody;
mod demo;
mod deps;
mod elders;
mod error;
mod gateways;
mod guard;
mod handling;
mod heart;
mod incidents;
mod input;
mod judge;
mod layers;
mod looks;
mod measurements;
mod numbers;
mod operations;
mod pages;
mod policies;
mod quiet;
mod refused;
mod ring;
mod rota;
mod routes;
mod rules;
mod serve;
mod session;
mod stream;
mod tap;
mod trends;
mod view;
mod waveforms;
mod web;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use runtime::Stop;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use config::Config;
pub use deps::{
    AskAgain, ChannelName, ChannelStates, Check, Decide, Demo, Deps, Health, MetricsText, NextPages, Paging,
    PublishRules, ReplayQuarantine, TestChannel, WriterState,
};
pub use error::Error;
pub use routes::routes;

/// A console whose port is open and which waits to be run.
#[derive(Debug)]
pub struct Bound {
    /// The address in use; the port is the real one when 0 was asked for.
    pub addr: SocketAddr,
    listener: TcpListener,
    config: Config,
}

/// Opens the port. A busy port is one clear sentence.
pub async fn bind(config: Config) -> Result<Bound, Error> {
    let refused = |cause| Error::Listen { listen: config.listen.clone(), cause };
    let listener = TcpListener::bind(&config.listen).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    Ok(Bound { addr, listener, config })
}

impl Bound {
    /// Serves until stopped. Running answers get a few seconds, streams end at once.
    pub async fn run(self, deps: Deps, stop: Stop) {
        let drain = Duration::from_secs(self.config.drain_s.max(1));
        let connections_max = self.config.connections_max;
        let app = App::new(self.config, deps, stop.clone());
        let router = routes::router(&app);
        let serving = serve::serve(self.listener, router, connections_max, drain, stop.clone());
        tokio::join!(serving, stream::tail(&app, stop));
    }
}

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) deps: Deps,
    /// Gate for everything but trends.
    pub(crate) calls: calls::Calls,
    pub(crate) trend_calls: calls::Calls,
    /// Passwords are slow on purpose; a flood of them must not take the cores.
    pub(crate) login_calls: calls::Calls,
    pub(crate) failures: session::Failures,
    pub(crate) wrong_codes: channels::WrongCodes,
    pub(crate) ring: ring::Ring,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) inbox: demo::Inbox,
    pub(crate) looks: looks::Looks,
    pub(crate) counts: counts::Counts,
    /// Means of all elders, for figures of groups.
    pub(crate) population: trends::Population,
    pub(crate) stop: Stop,
}

impl App {
    fn new(config: Config, deps: Deps, stop: Stop) -> Self {
        Self(Arc::new(Shared {
            calls: calls::Calls::new(config.store_calls_max),
            trend_calls: calls::Calls::new(config.trend_calls_max),
            login_calls: calls::Calls::new(session::LOGINS_MAX),
            failures: session::Failures::default(),
            wrong_codes: channels::WrongCodes::default(),
            ring: ring::Ring::new(config.sse_ring_events),
            streams: Arc::new(Semaphore::new(config.sse_clients_max)),
            inbox: demo::Inbox::default(),
            looks: looks::Looks::default(),
            counts: counts::Counts::default(),
            population: trends::Population::default(),
            config,
            deps,
            stop,
        }))
    }
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}
