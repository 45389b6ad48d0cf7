//! Links: how bytes arrive. One file a kind; each is a named task that reconnects by itself and hands over what it heard to
//! the [`Outlet`](crate::outlet::Outlet).

pub(crate) mod csv;
pub(crate) mod samples;
pub(crate) mod sim;
pub(crate) mod waveform;

use std::sync::Arc;

use runtime::{Clock, Stop};
use tokio::sync::mpsc;

use crate::Error;
use crate::config::Link;
use crate::figures::Figures;
use crate::outlet::Outlet;
use crate::running::Cut;

/// What every link gets.
#[derive(Clone)]
pub(crate) struct Context {
    /// The link's own name: its kind and a number.
    pub(crate) name: String,
    pub(crate) outlet: Outlet,
    pub(crate) figures: Arc<Figures>,
    pub(crate) cuts: mpsc::Sender<Cut>,
    /// Nothing has been sent in this gateway's life.
    pub(crate) fresh: bool,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

impl Link {
    /// The word of the configuration file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sim(_) => "sim",
            Self::Csv(_) => "csv",
            Self::Waveform(_) => "waveform",
            Self::Samples(_) => "samples",
        }
    }

    /// Runs until it is told to stop. A recording ends by itself; anything else that ends is an error.
    pub(crate) async fn run(self, context: Context) -> Result<(), Error> {
        let kind = self.kind();
        context.figures.link(&context.name, |link| link.kind = kind);
        let Context { outlet, cuts, fresh, clock, stop, .. } = context.clone();
        match self {
            Self::Sim(config) => {
                sim::run(config, fresh, outlet, cuts, clock, stop).await;
                Ok(())
            }
            Self::Csv(config) => csv::run(config, outlet, clock, stop).await,
            Self::Waveform(config) => waveform::run(config, outlet, clock, stop).await,
            Self::Samples(config) => samples::run(config, context).await,
        }
    }
}
