//! Prints what 50,000 elders cost the engine: readings a second, bytes an elder, milliseconds for a checkpoint, all in the
//! processor's own time. One JSON line for the default rules, one for five rules of every kind.
//! `cargo run --release -p vigil-engine --example figures`
#![expect(clippy::print_stdout, reason = "the figures are its answer")]

use vigil_engine::{bench, default_rules};

const ELDERS: u32 = 50_000;
const READINGS: u64 = 5_000_000;

/// Seconds that this thread has had a processor: other builds on the machine do not count.
fn cpu_seconds() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    spent.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).map_or(f64::NAN, |spent: f64| spent / 1e9)
}

fn main() {
    for (rules, set) in [("default", Some(default_rules())), ("five", bench::five_rules())] {
        let Some(set) = set else { continue };
        let figures = bench::figures(ELDERS, set, READINGS, cpu_seconds);
        println!("{{\"rules\":\"{rules}\",\"figures\":{}}}", serde_json::to_string(&figures).unwrap_or_default());
    }
}
