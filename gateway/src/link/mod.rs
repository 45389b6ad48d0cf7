//! Links: how bytes arrive. One file a kind; each is a named task that reconnects by itself and hands over what it heard to
//! the [`Outlet`](crate::outlet::Outlet).

mod backoff;
pub mod ble;
pub(crate) mod card;
pub(crate) mod csv;
#[cfg(test)]
mod house;
pub(crate) mod http;
mod kiosk;
pub(crate) mod mqtt;
mod presence;
pub(crate) mod samples;
pub(crate) mod serial;
pub(crate) mod sim;
mod talk;
pub(crate) mod tcp;
pub(crate) mod waveform;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Clock, Stop};
use tokio::sync::mpsc;

use crate::Error;
use crate::config::Link;
use crate::devices::Roster;
use crate::figures::{Figures, LinkFigures};
use crate::outlet::Outlet;
use crate::running::Cut;

pub(crate) use backoff::Backoff;
pub(crate) use presence::Presence;

/// What every link gets.
#[derive(Clone)]
pub(crate) struct Context {
    /// The link's own name: its kind and a number.
    pub(crate) name: String,
    pub(crate) outlet: Outlet,
    pub(crate) figures: Arc<Figures>,
    pub(crate) presence: Presence,
    pub(crate) cuts: mpsc::Sender<Cut>,
    /// The gateway's own folder, for what a link must remember.
    pub(crate) dir: PathBuf,
    /// Nothing has been sent in this gateway's life.
    pub(crate) fresh: bool,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

impl Context {
    /// Changes the link's figures.
    pub(crate) fn count(&self, change: impl FnOnce(&mut LinkFigures)) {
        self.figures.link(&self.name, change);
    }

    /// Bytes can come from now on; `address` is where the link listens.
    pub(crate) fn up(&self, address: Option<SocketAddr>) {
        tracing::info!(link = self.name, address = address.map(tracing::field::display), "the link is up");
        self.count(|link| {
            link.up = true;
            link.address = address;
            link.problem = None;
        });
    }

    /// Notes why the link is not up and waits before it is tried again. False when the gateway is stopping.
    pub(crate) async fn lost(&self, problem: &str, backoff: &mut Backoff) -> bool {
        let pause = backoff.pause();
        // The same problem is said once, however often it is tried.
        let mut again = false;
        self.count(|link| {
            again = link.problem.as_deref() == Some(problem);
            link.lost += u64::from(link.up);
            link.up = false;
            link.problem = Some(problem.to_owned());
        });
        if !again {
            tracing::warn!(link = self.name, problem, "the link is down; it is tried again and again");
        }
        tokio::select! {
            () = self.stop.requested() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

impl Link {
    /// The word of the configuration file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sim(_) => "sim",
            Self::Csv(_) => "csv",
            Self::Waveform(_) => "waveform",
            Self::Samples(_) => "samples",
            Self::Serial(_) => "serial",
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Mqtt(_) => "mqtt",
            Self::Ble(_) => "ble",
            Self::Card(_) => "card",
        }
    }

    /// Refuses what can never work.
    pub(crate) fn validate(&self, roster: &Roster) -> Result<(), Error> {
        match self {
            Self::Sim(config) => config.validate(),
            Self::Csv(config) => config.validate(),
            Self::Waveform(config) => config.validate(),
            Self::Samples(config) => config.validate(),
            Self::Serial(config) => config.validate(roster),
            Self::Tcp(config) => config.validate(roster),
            Self::Http(config) => config.validate(roster),
            Self::Mqtt(config) => config.validate(roster),
            Self::Ble(config) => config.validate(),
            Self::Card(config) => config.validate(),
        }
    }

    /// Runs until it is told to stop. A recording ends by itself; anything else that ends is an error.
    pub(crate) async fn run(self, context: Context) -> Result<(), Error> {
        let kind = self.kind();
        context.count(|link| link.kind = kind);
        match self {
            Self::Sim(config) => {
                let Context { outlet, cuts, fresh, clock, stop, .. } = context;
                sim::run(config, fresh, outlet, cuts, clock, stop).await;
                Ok(())
            }
            Self::Csv(config) => csv::run(config, context.outlet, context.clock, context.stop).await,
            Self::Serial(config) => serial::run(config, context).await,
            Self::Tcp(config) => tcp::run(config, context).await,
            Self::Http(config) => http::run(config, context).await,
            Self::Mqtt(config) => mqtt::run(config, context).await,
            Self::Card(config) => card::run(config, context).await,
            Self::Waveform(config) => waveform::run(config, context.outlet, context.clock, context.stop).await,
            Self::Samples(config) => samples::run(config, context).await,
            Self::Ble(config) => ble::run(config, context).await,
        }
    }
}
