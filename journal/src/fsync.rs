//! The disk's own limit, to print beside ours.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Long enough for a stable figure, short enough for nobody to mind.
const MEASURE_FOR: Duration = Duration::from_millis(400);
const BLOCK: [u8; 4096] = [0x5A; 4096];
/// Blocks in the scratch file before it is written from its start again: 4 MiB.
const BLOCKS: u32 = 1024;

/// How often a second this disk makes 4 KiB durable: append, fdatasync, again. Takes about 0.4 s; its scratch file in
/// `dir` is removed.
pub fn bare_fsync_rate(dir: &Path) -> io::Result<f64> {
    let path = dir.join(format!("fsync-rate-{}.tmp", std::process::id()));
    let outcome = File::create(&path).and_then(|file| measure(&file));
    std::fs::remove_file(&path)?;
    outcome
}

fn measure(mut file: &File) -> io::Result<f64> {
    use std::io::Seek as _;
    let started = Instant::now();
    let mut syncs = 0;
    while started.elapsed() < MEASURE_FOR {
        if syncs % BLOCKS == 0 {
            file.rewind()?;
        }
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / started.elapsed().as_secs_f64())
}
