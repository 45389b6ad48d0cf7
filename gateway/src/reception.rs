//! The way of everything a link hears: known? -> flood limit -> clock -> who -> hearts -> edge -> strips -> framer. One step after the
//! other, each in a file of its own; a step that waits holds back the one device it waits for.

use std::sync::{Arc, PoisonError, RwLock};

use model::{Event, EventKind, Name, Time};
use runtime::Clock;
use tokio::time::Instant;

use crate::clock::Clocks;
use crate::devices::{Device, Roster};
use crate::edge::{self, Edge};
use crate::figures::Figures;
use crate::floods::Floods;
use crate::framer::Inlet;
use crate::hearts::Hearts;
use crate::outlet::{DeviceKey, Heard, Refused, Taken};
use crate::report::Report;
use crate::running::Stats;
use crate::strips::Strips;
use crate::who::Sessions;
use crate::{Config, Error};

/// The steps of one gateway.
pub(crate) struct Reception {
    site: Name,
    roster: RwLock<Roster>,
    floods: Floods,
    clocks: Clocks,
    sessions: Sessions,
    hearts: Hearts,
    edge: Arc<Edge>,
    strips: Strips,
    inlet: Inlet,
    figures: Arc<Figures>,
    clock: Clock,
}

impl Reception {
    /// Reads what the steps have kept: small files, once.
    pub(crate) fn new(
        config: &Config,
        edge: Arc<Edge>,
        inlet: Inlet,
        stats: &Stats,
        clock: Clock,
    ) -> Result<Self, Error> {
        Ok(Self {
            site: config.site.clone(),
            roster: RwLock::new(Roster::new(&config.devices, config.unknown_devices)?),
            floods: Floods::new(&config.floods),
            clocks: Clocks::open(&config.data_dir, Arc::clone(&stats.heard)),
            sessions: Sessions::open(config)?,
            hearts: Hearts::new(Arc::clone(&stats.figures)),
            edge,
            strips: Strips::new(Arc::clone(&stats.figures)),
            inlet,
            figures: Arc::clone(&stats.figures),
            clock,
        })
    }

    /// What [`crate::outlet::Outlet::hear`] does.
    pub(crate) async fn hear(&self, heard: Heard) -> Result<Taken, Refused> {
        let device = self.known(&heard.device, heard.at).await?;
        let heard = Heard { decoded: device.read(heard.decoded), ..heard };
        self.slow(&device.name, !heard.decoded.events.is_empty(), heard.at).await;
        let report = self.clocks.report(&device, heard.at, &heard.decoded).await;
        let report = Report { waveforms: heard.waveforms, ..report };
        let report = self.sessions.attribute(&device, Some(&heard.decoded), report, heard.at).await;
        self.deliver(device.name.clone(), heard.at, report).await
    }

    /// What [`crate::outlet::Outlet::hear_report`] does.
    pub(crate) async fn hear_report(&self, key: &DeviceKey, at: Time, report: Report) -> Result<Taken, Refused> {
        let device = self.known(key, at).await?;
        self.slow(&device.name, !report.events.is_empty(), at).await;
        let report = Report { device: device.name.clone(), shared: device.shared, ..report };
        let report = self.sessions.attribute(&device, None, report, at).await;
        self.deliver(device.name.clone(), at, report).await
    }

    /// What [`crate::outlet::Outlet::stream`] does.
    pub(crate) async fn stream(&self, key: &DeviceKey, at: Time, report: Report) -> Result<Taken, Refused> {
        let device = self.known(key, at).await?;
        let report = Report { device: device.name.clone(), shared: device.shared, ..report };
        let report = self.sessions.attribute(&device, None, report, at).await;
        if self.send(report).await { Ok(Taken { device: device.name.clone() }) } else { Err(Refused::Closed) }
    }

    /// What [`crate::outlet::Outlet::send`] does.
    pub(crate) async fn send(&self, report: Report) -> bool {
        let now = self.clock.now();
        self.figures.said(&report.device, now);
        let (report, derived) = self.hearts.pass(report, now);
        self.pass_on(report).await && self.send_derived(derived).await
    }

    /// What the ECG says that a report brought, behind it.
    async fn send_derived(&self, derived: Vec<Report>) -> bool {
        for derived in derived {
            if !self.pass_on(derived.clone()).await {
                return false;
            }
            self.hearts.delivered(&derived);
        }
        true
    }

    async fn pass_on(&self, report: Report) -> bool {
        let mark = self.edge.judge(&report).await;
        let (report, behind) = self.strips.pass(report, self.clock.now());
        let sent = match mark {
            None => self.inlet.send(report).await,
            Some(mark) => self.owed(mark, report).await.is_ok(),
        };
        sent && self.send_behind(behind).await
    }

    /// The strips of waveforms that led to an alarm follow it.
    async fn send_behind(&self, strips: Vec<Report>) -> bool {
        for strip in strips {
            if !self.inlet.send(strip).await {
                return false;
            }
        }
        true
    }

    async fn deliver(&self, device: Name, at: Time, report: Report) -> Result<Taken, Refused> {
        self.figures.said(&device, at);
        let (report, derived) = self.hearts.pass(report, at);
        self.deliver_on(report).await?;
        // Before the device is told that we have it: until then it repeats its blocks, and hearts keep what they said.
        for derived in derived {
            self.deliver_on(derived.clone()).await?;
            self.hearts.delivered(&derived);
        }
        Ok(Taken { device })
    }

    /// As [`Reception::pass_on`], and waits until the report is durable.
    async fn deliver_on(&self, report: Report) -> Result<(), Refused> {
        let mark = self.edge.judge(&report).await;
        let (report, behind) = self.strips.pass(report, self.clock.now());
        match mark {
            None => self.inlet.deliver(report).await?,
            Some(mark) => self.owed(mark, report).await?,
        }
        self.send_behind(behind).await;
        Ok(())
    }

    /// Somebody must hear of this report: the edge learns where it lies, and with that when the server has it.
    async fn owed(&self, mark: edge::Mark, report: Report) -> Result<(), Refused> {
        self.inlet.deliver(report).await?;
        self.edge.framed(mark).await;
        Ok(())
    }

    /// The device of a key. An unknown one is counted, and the server is told now and then.
    pub(crate) async fn known(&self, key: &DeviceKey, at: Time) -> Result<Arc<Device>, Refused> {
        let found = self.roster.write().unwrap_or_else(PoisonError::into_inner).find(key);
        if found.is_err() && self.figures.stranger(key, at) {
            tracing::warn!(device = ?key, "a device that is not on the list was refused");
            self.tell(EventKind::UnknownDevice, at).await;
        }
        found
    }

    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn site(&self) -> Name {
        self.site.clone()
    }

    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).listed()
    }

    /// Waits for as long as the device is ahead of its limit.
    async fn slow(&self, device: &Name, urgent: bool, at: Time) {
        let pace = self.floods.frame(device, urgent, Instant::now());
        if pace.begins {
            tracing::warn!(%device, "floods: it is slowed down");
            let events = vec![Event { kind: EventKind::Flooding, at }];
            self.inlet.send(Report { device: device.clone(), events, ..Report::default() }).await;
        }
        if !pace.wait.is_zero() {
            self.figures.slowed(device);
            tokio::time::sleep(pace.wait).await;
        }
    }

    /// An event of the gateway itself.
    async fn tell(&self, kind: EventKind, at: Time) {
        self.inlet.send(Report { events: vec![Event { kind, at }], ..Report::default() }).await;
    }
}
