//! `vigil county`: a simulated county through the pure engine, and whether its seats can work with what is raised.

use std::io::{IsTerminal, Write};

use crate::cli;
use crate::commands::judge::rules;
use crate::server::say;

/// Blocks of the progress bar.
const BAR: u32 = 30;

/// Prints the report. False (exit status 1) when a crisis was missed.
pub fn county(args: &cli::County) -> anyhow::Result<bool> {
    let rules = match &args.rules {
        None => engine::default_rules(),
        Some(file) => rules(file)?,
    };
    let plan = ::county::Plan {
        elders: args.elders,
        days: args.days,
        seed: args.seed,
        seats: args.seats,
        wearers_percent: args.wearers.into(),
        rules,
        levers: args.levers,
    };
    let report = ::county::run(&plan, progress);
    say(&if args.json { serde_json::to_string(&report)? } else { report.to_string() });
    Ok(report.is_good())
}

/// One line a virtual day on standard error; on a terminal the line moves on in its place.
fn progress(day: u32, days: u32, readings: u64) {
    let done = BAR * day / days.max(1);
    let bar: String = (0..BAR).map(|block| if block < done { '#' } else { '.' }).collect();
    let mut out = std::io::stderr().lock();
    let (before, after) = if out.is_terminal() { ("\r", if day == days { "\n" } else { "" }) } else { ("", "\n") };
    // Nobody reads it when standard error is closed.
    let _told = write!(out, "{before}[{bar}] day {day} of {days}, {:.1} M readings{after}", readings as f64 / 1e6);
    let _told = out.flush();
}
