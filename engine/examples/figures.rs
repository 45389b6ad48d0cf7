//! Prints what 50,000 elders cost the engine: readings a second, bytes an elder, milliseconds for a checkpoint. One JSON line for
//! the default rules, one for five rules of every kind. `cargo run --release -p vigil-engine --example figures`.
#![expect(clippy::print_stdout, reason = "the figures are its answer")]

use vigil_engine::{bench, default_rules};

const ELDERS: u32 = 50_000;
const READINGS: u64 = 5_000_000;

fn main() {
    for (rules, set) in [("default", Some(default_rules())), ("five", bench::five_rules())] {
        let Some(set) = set else { continue };
        let figures = bench::figures(ELDERS, set, READINGS);
        println!("{{\"rules\":\"{rules}\",\"figures\":{}}}", serde_json::to_string(&figures).unwrap_or_default());
    }
}
