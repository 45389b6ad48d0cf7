//! For tests of links: a gateway without links and without a server, with its whole reception and outbox.

use std::sync::Arc;
use std::time::Duration;

use model::Lane;
use runtime::{Clock, Stop};
use tokio::time::{sleep, timeout};

use super::{Context, Presence};
use crate::running::{Core, Stats};
use crate::{Config, DeviceConfig};

/// Far beyond what anything here takes on a slow machine.
pub(super) const STUCK: Duration = Duration::from_secs(30);
/// So long does a reading wait for company: longer than [`STUCK`].
pub(super) const FLUSH_MS: u64 = 60_000;

pub(super) struct House {
    dir: tempfile::TempDir,
    core: Core,
    pub(super) stats: Stats,
}

impl House {
    pub(super) async fn new(device: &str, flush_ms: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devices = vec![toml::from_str::<DeviceConfig>(device).unwrap()];
        let config = Config { port: 9, data_dir: dir.path().to_owned(), flush_ms, devices, ..Config::default() };
        let stats = Stats::default();
        let core = Core::start(&config, &Clock::system(), &stats, &Stop::new()).await.unwrap();
        Self { dir, core, stats }
    }

    /// What a link of this name gets.
    pub(super) fn context(&self, link: &str) -> Context {
        Context {
            name: link.to_owned(),
            outlet: self.core.outlet.clone(),
            dir: self.dir.path().to_owned(),
            figures: Arc::clone(&self.stats.figures),
            presence: Presence::default(),
            cuts: self.core.cuts.clone(),
            fresh: false,
            clock: Clock::system(),
            stop: Stop::new(),
        }
    }

    /// Frames that a lane has had.
    pub(super) fn head(&self, lane: Lane) -> u64 {
        self.core.outbox.lane(lane).head().0
    }

    /// Waits until a lane has had so many.
    pub(super) async fn reaches(&self, lane: Lane, frames: u64) {
        let reached = async {
            while self.head(lane) < frames {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(STUCK, reached).await.expect("the lane does not get there");
    }
}
