//! Readings of one elder, a team or everybody as a file: CSV or Parquet, the same columns (docs/storage.md).
//!
//! Who took out what of whom is written into the audit before the first row is read, and how many rows it was at the end. Rows that were moved to somebody else, and
//! measurements of nobody, stay out. Memory: one page of rows and one row group.

mod csv;
mod parquet;
mod row;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::metric::Shape;
use model::{ElderId, Metric, Subject, TeamId, Time};
use serde::{Deserialize, Serialize};
use store::readings::Readings;
use store::records::{ROWS_MAX, Records};

use crate::stores::{Meter, Stores, Told, Whole};
use row::{Names, Row};

/// Rows read at once.
const PAGE_ROWS: usize = 16_384;
/// Series listed at once.
const SERIES: usize = 10_000;
/// How long an export waits until the writer has stored what was in the journal when it began.
const WRITER_BEHIND_MAX: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whose readings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Elder(u32),
    /// By its name.
    Team(String),
    All,
}

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    Parquet,
}

/// What to take out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub who: Who,
    /// Words of metrics; none: all.
    pub metrics: Vec<String>,
    pub from: Time,
    /// Not part of it.
    pub to: Time,
    pub format: Format,
    /// Must not exist.
    pub out: PathBuf,
    /// A file with 64 hexadecimal digits: subjects and devices get names that only its owner can make.
    pub pseudonym: Option<PathBuf>,
}

/// Where rows go.
trait Sink {
    fn row(&mut self, row: Row) -> anyhow::Result<()>;
    /// Nothing comes any more.
    fn end(self: Box<Self>) -> anyhow::Result<()>;
}

/// Writes the file, and two lines of audit.
pub(crate) fn run(spec: &Spec, stores: &Stores, told: &Told) -> anyhow::Result<()> {
    if spec.from >= spec.to {
        bail!("--from {} is not before --to {}: there is nothing between them", spec.from, spec.to);
    }
    let metrics = metrics(&spec.metrics)?;
    let names = Names::new(spec.pseudonym.as_deref())?;
    let (subject, elders) = whose(&spec.who, &stores.records)?;
    let (whole, file) = Whole::new(&spec.out, &stores.dir)?;
    audit(spec, &subject, stores)?;
    let waiting = waiting(stores)?;
    let mut sink: Box<dyn Sink> = match spec.format {
        Format::Csv => Box::new(csv::Csv::new(file)?),
        Format::Parquet => Box::new(parquet::Parquet::new(file)?),
    };
    let series = series(&stores.readings, elders.as_ref(), &metrics)?;
    // Rows outside the range count in the total: how many are inside is known when they have been read.
    let mut meter = Meter::new("rows", series.iter().map(|(.., rows)| rows).sum(), 0);
    let mut written = 0;
    for (of, metric, rows) in series {
        let found = one(spec, &stores.readings, (of, metric), &names, &mut *sink)?;
        written += found;
        meter.add(rows, told)?;
    }
    sink.end()?;
    whole.put()?;
    let detail = serde_json::json!({ "uid": stores.uid, "rows": written }).to_string();
    stores.records.audit(None, "export_readings_done", &subject, &detail)?;
    if waiting > 0 {
        let remedy = if stores.live { "the server stores them" } else { "start the server, which stores them" };
        told.say(&format!(
            "{waiting} journal entries are not stored yet, and readings in them are not in this file: {remedy}"
        ))?;
    }
    told.say(&format!("{written} readings in {}", spec.out.display()))
}

/// Journal entries that the readings store has not taken. A server that runs gets a moment for what has just come.
fn waiting(stores: &Stores) -> anyhow::Result<u64> {
    let head = stores.journal.head();
    let begun = Instant::now();
    loop {
        let waiting = head.0.saturating_sub(stores.readings.progress()?.done().0);
        if waiting == 0 || !stores.live || begun.elapsed() >= WRITER_BEHIND_MAX {
            return Ok(waiting);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// One series within the range; how many rows that was.
fn one(
    spec: &Spec,
    readings: &Readings,
    (subject, metric): (Subject, Metric),
    names: &Names,
    sink: &mut dyn Sink,
) -> anyhow::Result<u64> {
    let mut after = spec.from.plus_us(-1);
    let mut written = 0;
    loop {
        let page = readings.page(subject, metric, after, PAGE_ROWS)?;
        let Some(last) = page.rows.last() else { return Ok(written) };
        after = last.sample.taken_at;
        for stored in page.rows.iter().filter(|stored| !stored.moved && stored.sample.taken_at < spec.to) {
            sink.row(names.row(subject, stored))?;
            written += 1;
        }
        if !page.more || after >= spec.to {
            return Ok(written);
        }
    }
}

/// Metrics by their words. Waveforms are no rows.
fn metrics(words: &[String]) -> anyhow::Result<Vec<Metric>> {
    let row = |metric: &Metric| metric.info().shape != Shape::Waveform;
    if words.is_empty() {
        return Ok(Metric::ALL.iter().copied().filter(row).collect());
    }
    let known = |word: &String| {
        Metric::from_slug(word).filter(row).with_context(|| format!("{word:?} is no metric that is exported as rows"))
    };
    words.iter().map(known).collect()
}

/// What the audit calls them, and their numbers; no list: everybody.
fn whose(who: &Who, records: &Records) -> anyhow::Result<(String, Option<BTreeSet<ElderId>>)> {
    match who {
        Who::All => Ok(("elders".to_owned(), None)),
        Who::Elder(number) => {
            let elder = ElderId(*number);
            records.elder(elder)?.with_context(|| format!("there is no elder {elder}"))?;
            Ok((format!("elder/{elder}"), Some(BTreeSet::from([elder]))))
        }
        Who::Team(name) => {
            let team = records.teams()?.into_iter().find(|team| team.name == *name);
            let team: TeamId = team.with_context(|| format!("there is no team {name:?}"))?.id;
            let elders: BTreeSet<ElderId> =
                records.elders_of_team(team, ROWS_MAX)?.iter().map(|elder| elder.id).collect();
            if elders.len() == ROWS_MAX {
                bail!("the team has {ROWS_MAX} elders or more: use --all");
            }
            Ok((format!("team/{team}"), Some(elders)))
        }
    }
}

/// Series of these elders and metrics, with the rows in them.
fn series(
    readings: &Readings,
    elders: Option<&BTreeSet<ElderId>>,
    metrics: &[Metric],
) -> anyhow::Result<Vec<(Subject, Metric, u64)>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let some = readings.series(after, SERIES)?;
        let Some(last) = some.last() else { return Ok(found) };
        after = Some((last.subject, last.metric));
        let wanted = some.iter().filter(|series| {
            let elder = series.subject.elder().filter(|elder| elders.is_none_or(|some| some.contains(elder)));
            elder.is_some() && metrics.contains(&series.metric)
        });
        found.extend(wanted.map(|series| (series.subject, series.metric, series.rows)));
    }
}

fn audit(spec: &Spec, subject: &str, stores: &Stores) -> anyhow::Result<()> {
    let metrics = if spec.metrics.is_empty() { "all".to_owned() } else { spec.metrics.join(",") };
    let detail = serde_json::json!({
        "uid": stores.uid, "from": spec.from, "to": spec.to, "metrics": metrics, "format": spec.format,
        "pseudonyms": spec.pseudonym.is_some(),
    });
    Ok(stores.records.audit(None, "export_readings", subject, &detail.to_string())?)
}
