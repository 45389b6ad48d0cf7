//! The server: opens the stores, binds the doors, starts the parts, and stops them in order.
//!
//! Two groups of tasks. The outer one faces the network (front door, console); the inner one reads the journal (writer,
//! engine, pager). Stopping goes from the outside in, so that what the door has accepted is still acknowledged.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alerting::Alerting;
use anyhow::{Context, bail};
use ingest::Ingest;
use journal::Journal;
use mqtt::door::{Door, DoorHandle};
use runtime::{Clock, Stop, Tasks};
use store::readings::Readings;
use store::records::Records;

use crate::control::{self, Control};
use crate::metrics::Meters;
use crate::{limits, moving};

/// Held as long as a server uses a data directory.
const LOCK_FILE: &str = "vigil.lock";
/// Time each group has to finish.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    pub console_addr: SocketAddr,
    pub mqtt_addr: SocketAddr,
    pub mqtt_tls_addr: Option<SocketAddr>,
    pub parts: Parts,
    identity_key: Option<model::identity::IdentityKey>,
    channels: Arc<[console::ChannelName]>,
    callbacks: Callbacks,
    outer: Tasks,
    inner: Tasks,
    _lock: File,
}

/// What commands and tests may touch while the server runs.
#[derive(Clone)]
pub struct Parts {
    pub journal: Journal,
    pub records: Records,
    pub readings: Readings,
    pub ingest: Ingest,
    pub alerting: Alerting,
    pub door: DoorHandle,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("console", &self.console_addr)
            .field("mqtt", &self.mqtt_addr)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Server {
    /// Starts everything. `demo` opens the demo's phone inbox.
    pub async fn start(config: config::Server, demo: Option<console::Demo>) -> anyhow::Result<Self> {
        Self::start_on(config, demo, |config| Journal::open(&config.data_dir, "journal", &config.journal)).await
    }

    /// As [`Server::start`], on a journal that the caller opens: for tests that watch the file underneath.
    #[doc(hidden)]
    pub async fn start_on(
        mut config: config::Server,
        demo: Option<console::Demo>,
        open_journal: impl FnOnce(&config::Server) -> Result<Journal, journal::Error>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        limits::fit_open_files(&mut config);
        let dir = config.data_dir.clone();
        let lock = lock(&dir)?;
        let identity_key = config.identity_key()?;
        let control = Control::bind(&dir);
        // Doors first: a busy port should be said before anything else happens.
        let console = console::bind(config.console.clone()).await?;
        let journal = open_journal(&config)?;
        control::forget_unfinished_backup(&journal)?;
        let cannot_use = |name| format!("cannot use {}", dir.join(name).display());
        let records = Records::open_with(&dir, clock.clone(), config.alerting.timers())
            .with_context(|| cannot_use("records.db"))?;
        moving::check_start(&dir, &config.readings, &journal, &records)?;
        let readings = Readings::open(&dir, &config.readings).with_context(|| cannot_use("readings.db"))?;
        let (outer, inner) = (Tasks::new(), Tasks::new());
        // Alerting first: the rules stand in a new journal before anything that they judge.
        let deps = alerting::Deps {
            journal: journal.clone(),
            records: records.clone(),
            clock: clock.clone(),
            dir: dir.clone(),
        };
        let alerting = alerting::start(&config.alerting, &deps, &inner)?;
        let ingest = Ingest::start(config.ingest.clone(), &dir, &journal, &records, &readings, clock.clone(), &inner)?;
        let at_door: Arc<Ingest> = Arc::new(ingest.clone());
        let door = match Door::bind(&config.mqtt, at_door.clone(), at_door.clone(), at_door, clock.clone()).await {
            Ok(door) => door,
            Err(error) => {
                // The readers end in order, so that the reason is the only thing said.
                let _late = inner.stop(STOP_WITHIN).await;
                return Err(error).with_context(|| format!("cannot open the front door on {}", config.mqtt.listen));
            }
        };
        ingest.attach(door.handle());
        let parts = Parts { journal, records, readings, ingest, alerting, door: door.handle() };
        let server = Self {
            console_addr: console.addr,
            mqtt_addr: door.local_addr(),
            mqtt_tls_addr: door.tls_addr(),
            identity_key,
            channels: channel_names(&config.alerting.channels),
            callbacks: Callbacks::of(&config.alerting),
            outer,
            inner,
            _lock: lock,
            parts,
        };
        let parts = server.parts.clone();
        match control {
            Ok(control) => server.outer.spawn("control", move |stop| control.run(parts, stop)),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no control socket: a backup needs the server stopped");
            }
        }
        let (held, stored) = (server.parts.journal.clone(), server.parts.readings.clone());
        server.outer.spawn("moving", move |stop| moving::mind(held, stored, dir, stop));
        server.outer.spawn("mqtt.door", move |stop| door.run(stop));
        let deps = server.console_deps(clock, demo);
        server.outer.spawn("console", move |stop| console.run(deps, stop));
        Ok(server)
    }

    fn console_deps(&self, clock: Clock, demo: Option<console::Demo>) -> console::Deps {
        let meters = Arc::new(Meters::new(self.parts.clone()));
        let (ingest, alerting) = (self.parts.ingest.clone(), self.parts.alerting.clone());
        let asker = self.parts.ingest.clone();
        let pager = self.parts.records.clone();
        let (health, figures, decider) = (Arc::clone(&meters), Arc::clone(&meters), self.parts.ingest.clone());
        console::Deps {
            records: self.parts.records.clone(),
            readings: self.parts.readings.clone(),
            clock,
            publish_rules: Arc::new(move || alerting.publish_rules()),
            replay_quarantine: Arc::new(move |id| ingest.replay_quarantined(id)),
            ask_again: Arc::new(move |gap| asker.ask_again(gap).map_err(|error| error.to_string())),
            decide: Arc::new(move |decision| decider.decide(decision)),
            next_pages: Arc::new(move |alarm| alerting::next_step(&pager, alarm)),
            channels: self.channels.clone(),
            paging: paging(&self.parts.alerting, &self.callbacks),
            identity_key: self.identity_key.clone(),
            health: Arc::new(move || health.checks()),
            writer: Arc::new(move || figures.writer()),
            metrics: Arc::new(move || meters.text()),
            demo,
        }
    }

    /// The line other programs wait for.
    pub fn listening(&self) -> String {
        format!("listening console={} mqtt={}", self.console_addr, self.mqtt_addr)
    }

    /// Resolves when a part has ended by itself: the process should stop.
    pub async fn broken(&self) {
        let (outer, inner) = (self.outer.stop_signal(), self.inner.stop_signal());
        tokio::select! {
            () = outer.requested() => {}
            () = inner.requested() => {}
        }
    }

    /// Stops from the outside in and names what did not finish in time.
    pub async fn stop(self) {
        for (group, tasks) in [("outer", &self.outer), ("inner", &self.inner)] {
            let late = tasks.stop(STOP_WITHIN).await;
            if !late.is_empty() {
                tracing::error!(group, ?late, "these did not finish in time");
            }
        }
        self.parts.ingest.detach();
        let journal = self.parts.journal.clone();
        let closed = tokio::task::spawn_blocking(move || journal.close()).await;
        if closed.is_err() {
            tracing::error!("the journal did not close cleanly; it will be repaired at the next start");
        }
    }
}

/// By what providers prove themselves when they send something back.
#[derive(Clone)]
struct Callbacks {
    words: Arc<[(String, String)]>,
    webhook_secret: Option<String>,
}

impl Callbacks {
    fn of(config: &alerting::Config) -> Self {
        let word = |(channel, word): (&alerting::Channel, &alerting::Secret)| {
            (channel.name().to_owned(), word.expose().to_owned())
        };
        let webhook_secret = config.channels.webhook.as_ref().map(|webhook| webhook.secret.expose().to_owned());
        Self { words: config.callbacks.iter().map(word).collect(), webhook_secret }
    }
}

fn paging(alerting: &Alerting, callbacks: &Callbacks) -> console::Paging {
    let (states, tester) = (alerting.clone(), alerting.clone());
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| store::records::Error::Invalid(format!("a channel's state cannot be written: {error}")))
    };
    console::Paging {
        states: Arc::new(move || states.channels()?.iter().map(|row| json(serde_json::to_value(row))).collect()),
        test: Arc::new(move |channel, person| {
            let alerting = tester.clone();
            Box::pin(async move {
                let result = alerting.test_channel(&channel, person).await?;
                result.map(|result| json(serde_json::to_value(&result))).transpose()
            })
        }),
        callbacks: callbacks.words.clone(),
        webhook_secret: callbacks.webhook_secret.clone(),
    }
}

/// All channels, and which of them are set up.
fn channel_names(configs: &alerting::ChannelConfigs) -> Arc<[console::ChannelName]> {
    let configured = configs.configured();
    let name = |channel: &alerting::Channel| console::ChannelName {
        name: channel.name().to_owned(),
        zh: channel.zh().to_owned(),
        en: channel.en().to_owned(),
        configured: configured.contains(channel),
    };
    alerting::Channel::ALL.iter().map(name).collect()
}

/// Runs a server until a signal, or until a part fails.
pub async fn serve(config: config::Server) -> anyhow::Result<()> {
    let server = Server::start(config, None).await?;
    // Heard from here on: whoever reads the line below may stop us at once.
    let terminated = terminated();
    say(&server.listening());
    let failed = wait(&server, terminated).await;
    server.stop().await;
    anyhow::ensure!(!failed, "a part of the server ended by itself; the log above says which");
    Ok(())
}

/// Waits for the end. True when it was not asked for.
pub async fn wait(server: &Server, asked: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = asked => false,
        () = server.broken() => true,
    }
}

/// Resolves at SIGINT or SIGTERM. Signals are caught from the call on, not only from the first poll.
pub fn terminated() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match signals {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}

/// A stop signal that follows SIGINT and SIGTERM.
pub fn stop_at_signal() -> Stop {
    let stop = Stop::new();
    let (asked, terminated) = (stop.clone(), terminated());
    tokio::spawn(async move {
        terminated.await;
        asked.request();
    });
    stop
}

/// One line on standard output, at once.
#[expect(clippy::print_stdout, reason = "what commands answer goes to standard output")]
pub fn say(line: &str) {
    println!("{line}");
}

/// Takes the data directory for this process.
pub fn lock(dir: &Path) -> anyhow::Result<File> {
    if !dir.is_dir() {
        bail!("the data directory {} does not exist: create it, or change data_dir", dir.display());
    }
    let file = dir.join(LOCK_FILE);
    let lock = File::options().create(true).truncate(false).write(true).open(&file).with_context(|| {
        format!("cannot write in the data directory {}: make it writable for this user", dir.display())
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => bail!("the data directory {} is in use by another vigil server: stop that one first", dir.display()),
    }
}
