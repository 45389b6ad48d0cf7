//! `vigil judge`: a recording through the pure engine; one JSON line an alarm. The same code as in the server, with the
//! recording's own time instead of a clock.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use engine::compare::{Count, without};
use engine::judge::{Judged, judge_elder};
use gateway::recording;
use model::metric::Shape;
use model::rule::RuleSet;
use model::{DeviceId, ElderId, Metric, Sample, Subject, Time};
use store::readings::Readings;
use store::records::Records;

use crate::server::say;
use crate::{cli, data_dir};

const DAY_US: i64 = 86_400_000_000;
/// Readings of one metric judged at most: 90 days of one every 8 seconds.
const READINGS_MAX: usize = 1_000_000;

/// What one device told of one moment.
type Row = (Time, DeviceId, Vec<Sample>);

/// When a recording has no dates of its own, it begins at this instant (2026-01-01 00:00 in Shanghai).
const NO_DATE: Time = Time::from_secs(1_767_196_800);

/// Prints the alarms of a recording, or what rules make of an elder's stored readings.
pub fn judge(args: &cli::Judge) -> anyhow::Result<()> {
    if let (Some(dir), Some(elder)) = (&args.data_dir, args.elder) {
        return stored(args, dir, ElderId(elder));
    }
    let csv = args.csv.as_deref().context("name a recording with --csv, or a --data-dir and an --elder")?;
    let recording = read(csv, &args.map)?;
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

/// The elder's readings of the last days before the newest one, by the rules in force and by those of `--rules`.
fn stored(args: &cli::Judge, dir: &Path, elder: ElderId) -> anyhow::Result<()> {
    data_dir::must_be_used(dir)?;
    let records = Records::open(dir, runtime::Clock::system())?;
    if records.elder(elder)?.is_none() {
        bail!("there is no elder {elder} in {}", dir.display());
    }
    let in_force = records.rules_for(elder)?.set;
    if !dir.join(store::readings::FILE).exists() {
        bail!("{} has no {}: its readings are elsewhere", dir.display(), store::readings::FILE);
    }
    let readings = Readings::open(dir, &store::readings::Config::default())
        .context("the readings cannot be opened; while the server runs, use the console or a backup")?;
    let newest = readings.latest(Subject::Elder(elder)).iter().map(|reading| reading.sample.taken_at).max();
    let to = newest.context("nothing was ever measured of this elder")?.plus_us(1);
    let from = to.plus_us(-i64::from(args.days) * DAY_US);
    let rows = rows(&readings, elder, (from, to))?;
    let (now, _) = judge_elder(in_force, elder, rows.iter().cloned());
    let Some(file) = &args.rules else {
        for alarm in &now {
            say(&serde_json::to_string(alarm)?);
        }
        return Ok(());
    };
    let (then, _) = judge_elder(rules(file)?, elder, rows);
    let count = |alarms: &[Judged]| {
        let mut count = Count::default();
        count.add(alarms);
        count.per_day = count.alarms as f64 / f64::from(args.days);
        count
    };
    let gained: Vec<&Judged> = without(&then, &now).collect();
    let lost: Vec<&Judged> = without(&now, &then).collect();
    let answer = serde_json::json!({
        "from": from, "to": to, "now": count(&now), "proposed": count(&then), "gained": gained, "lost": lost,
    });
    say(&answer.to_string());
    Ok(())
}

/// In time order, the samples of one device and moment together.
fn rows(readings: &Readings, elder: ElderId, (from, to): (Time, Time)) -> anyhow::Result<Vec<Row>> {
    let mut found = BTreeMap::<(Time, DeviceId), Vec<Sample>>::new();
    for metric in Metric::ALL.iter().filter(|metric| metric.info().shape != Shape::Waveform) {
        for reading in readings.raw(Subject::Elder(elder), *metric, from, to, READINGS_MAX)? {
            found.entry((reading.sample.taken_at, reading.device)).or_default().push(reading.sample);
        }
    }
    Ok(found.into_iter().map(|((at, device), samples)| (at, device, samples)).collect())
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

/// Reads and checks a rule set.
pub(super) fn rules(file: &Path) -> anyhow::Result<RuleSet> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rules: RuleSet = toml::from_str(&text).with_context(|| file.display().to_string())?;
    rules.check().with_context(|| file.display().to_string())?;
    Ok(rules)
}
