//! What this machine can do at best in each stage alone, measured in the same run as the benchmark.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// Bare limits of the stages, on the server's CPUs.
#[derive(Debug, Serialize)]
pub struct Limits {
    /// `fdatasync`s a second of a small file.
    pub fsync_per_s: f64,
    /// Readings decoded a second from frames of 30.
    pub decode_readings_per_s: f64,
    /// Readings judged a second.
    pub engine_steps_per_s: f64,
    /// Readings stored a second in batches of 5,000.
    pub store_readings_per_s: f64,
}

const DURING: Duration = Duration::from_secs(1);

/// Takes about four seconds. `dir` is on the disk that the benchmark used.
pub fn measure(dir: &Path, cpus: &[usize]) -> anyhow::Result<Limits> {
    let (dir, cpus) = (dir.to_owned(), cpus.to_vec());
    let measured = std::thread::spawn(move || -> anyhow::Result<Limits> {
        crate::cpus::pin(&cpus)?;
        Ok(Limits {
            fsync_per_s: journal::bare_fsync_rate(&dir)?,
            decode_readings_per_s: mqtt::wire::bench_decode_rate(DURING),
            engine_steps_per_s: engine::bench::step_rate(50_000, 2_000_000),
            store_readings_per_s: store::readings::bench_write_rate(&dir)?,
        })
    });
    measured.join().map_err(|_| anyhow::anyhow!("measuring the limits failed"))?
}
