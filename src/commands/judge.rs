//! `vigil judge`: a recording through the pure engine; one JSON line an alarm. The same code as in the server, with the
//! recording's own time instead of a clock.

use std::path::Path;

use anyhow::{Context, bail};
use gateway::recording;
use model::Time;
use model::rule::RuleSet;

use crate::cli;
use crate::server::say;

/// When a recording has no dates of its own, it begins at this instant (2026-01-01 00:00 in Shanghai).
const NO_DATE: Time = Time::from_secs(1_767_196_800);

/// Prints the alarms of a recording.
pub fn judge(args: &cli::Judge) -> anyhow::Result<()> {
    let recording = read(&args.csv, &args.map)?;
    let rules = match &args.rules {
        None => engine::for_age(args.age),
        Some(file) => rules(file)?,
    };
    let rows: Vec<_> = recording.timed((!recording.absolute).then_some(NO_DATE)).collect();
    let (alarms, counters) = engine::judge::judge(rules, rows);
    for alarm in &alarms {
        say(&serde_json::to_string(alarm)?);
    }
    tracing::info!(
        alarms = alarms.len(),
        rows = recording.rows.len(),
        judged = counters.judged,
        not_judged = counters.not_judged,
        fleeting = counters.fleeting,
        "judged"
    );
    Ok(())
}

/// Reads a recording and says which columns it does not use.
pub(super) fn read(file: &Path, map: &[String]) -> anyhow::Result<recording::Recording> {
    let mapping = map.iter().map(|text| recording::mapping(text)).collect::<Result<Vec<_>, _>>()?;
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let recording = recording::read(opened, &mapping).with_context(|| file.display().to_string())?;
    if recording.metrics.is_empty() {
        bail!("{} has no column of a known metric: name them with --map NAME=slug", file.display());
    }
    if !recording.ignored.is_empty() {
        tracing::warn!(columns = ?recording.ignored, "these columns are not used: name them with --map NAME=slug");
    }
    Ok(recording)
}

fn rules(file: &Path) -> anyhow::Result<RuleSet> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rules: RuleSet = toml::from_str(&text).with_context(|| file.display().to_string())?;
    rules.check().with_context(|| file.display().to_string())?;
    Ok(rules)
}
