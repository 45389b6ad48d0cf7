//! Pinning a process to CPUs, for benchmarks. Done before the runtime starts, so that it sizes itself to what it has.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Set by `vigil bench` for its children: CPU numbers separated by commas.
pub const VARIABLE: &str = "VIGIL_CPUS";

pub fn text(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Pins this process when [`VARIABLE`] is set.
pub fn pin_from_environment() -> anyhow::Result<()> {
    let Ok(list) = std::env::var(VARIABLE) else { return Ok(()) };
    let cpus = list
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<usize>, _>>()
        .context("VIGIL_CPUS is not a list of numbers")?;
    pin(&cpus)
}

/// Pins the calling thread and all that it starts later.
pub fn pin(cpus: &[usize]) -> anyhow::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        anyhow::ensure!(*cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPUs {}", text(cpus)))
}
