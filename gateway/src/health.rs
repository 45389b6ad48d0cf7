//! The gateway's own health as readings of its device `_`: how full its disk and memory are, how warm its board is, and what
//! waits to be sent. Whether it is connected the server knows best.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Lane;
use model::{Metric, Quality, Sample, Time};
use mqtt::outbox::Outbox;
use mqtt::uplink;
use runtime::{Clock, Stop};

use crate::framer::Inlet;
use crate::report::Report;

/// Where Linux tells the temperature of the board, in thousandths of a degree.
const THERMAL: &str = "/sys/class/thermal/thermal_zone0/temp";
const MEMORY: &str = "/proc/meminfo";

pub(crate) struct Health {
    pub(crate) every: Duration,
    pub(crate) dir: PathBuf,
    pub(crate) outbox: Outbox,
    pub(crate) uplink: Arc<uplink::Stats>,
    pub(crate) clock: Clock,
}

impl Health {
    /// Runs until stopped, the first time after one period.
    pub(crate) async fn run(self, inlet: Inlet, stop: Stop) {
        if self.every.is_zero() {
            return stop.requested().await;
        }
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(self.every) => {}
            }
            let dir = self.dir.clone();
            let machine = tokio::task::spawn_blocking(move || {
                let memory = std::fs::read_to_string(MEMORY).ok();
                let thermal = std::fs::read_to_string(THERMAL).ok();
                let temperature = thermal.and_then(|text| text.trim().parse::<f64>().ok()).map(|milli| milli / 1_000.0);
                (disk_used(&dir), memory.and_then(|text| memory_used(&text)), temperature)
            });
            let Ok((disk, memory, temperature)) = machine.await else { continue };
            let now = self.clock.now();
            let samples = self.samples(now, [disk, memory, temperature]);
            inlet.send(Report { samples, ..Report::default() }).await;
        }
    }

    fn samples(&self, now: Time, [disk, memory, temperature]: [Option<f64>; 3]) -> Vec<Sample> {
        let waiting: u64 = Lane::ALL.iter().map(|lane| self.outbox.book(*lane).waiting()).sum();
        let oldest = self.uplink.snapshot().oldest_waiting;
        let age_s = oldest.map_or(0.0, |at| (now.since_us(at).max(0) as f64 / 1e6).round());
        let told = [
            (Metric::DiskUsed, disk),
            (Metric::MemoryUsed, memory),
            (Metric::BoardTemperature, temperature),
            (Metric::OutboxAge, Some(age_s)),
            (Metric::OutboxDepth, Some(waiting as f64)),
        ];
        // What this machine does not tell is not a reading.
        told.into_iter()
            .filter_map(|(metric, value)| Some(Sample::new(metric, now, value?, Quality::Ok).guarded()))
            .collect()
    }
}

/// Percent of the file system that is used, as `df` has it.
fn disk_used(dir: &std::path::Path) -> Option<f64> {
    let system = rustix::fs::statvfs(dir).ok()?;
    let used = system.f_blocks.saturating_sub(system.f_bfree) as f64;
    let usable = used + system.f_bavail as f64;
    (usable > 0.0).then(|| (used / usable * 1_000.0).round() / 10.0)
}

/// Percent of the memory that is not available to anybody any more.
fn memory_used(meminfo: &str) -> Option<f64> {
    let kib = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let (total, available) = (kib("MemTotal:")?, kib("MemAvailable:")?);
    (total > 0.0).then(|| ((total - available) / total * 1_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_of_disk_and_memory() {
        assert_eq!(memory_used("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n"), Some(60.0));
        assert_eq!(memory_used("nothing"), None);
        let dir = tempfile::tempdir().unwrap();
        assert!((0.0..=100.0).contains(&disk_used(dir.path()).unwrap()));
        assert_eq!(disk_used(std::path::Path::new("/does/not/exist")), None);
    }
}
