//! Does the target hold what the source holds? All series by their counts, some of them row by row.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use model::{Metric, Subject, Time};
use store::readings::{Readings, Stored};

use super::BEGINNING;
use super::copy::{Copier, Kind, Of, Tally};
use super::note::series;
use super::settle::of_tally;
use crate::stores::Told;

/// Rows compared at each end of a series.
const ROWS: usize = 8_192;
/// Blocks of waveforms compared of a series.
const BLOCKS: usize = 64;
/// How far back from the newest row the second comparison begins, microseconds.
const BACK_US: i64 = 3_600_000_000;
/// Series that differ, named at most.
const NAMED_MAX: usize = 20;

/// One line of the table.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    series: u64,
    here: u64,
    there: u64,
    /// Rows older than the target keeps.
    old: u64,
    /// Series with less in the target.
    short: u64,
    /// Series with more in the target: it was in use before, and keeps longer, or a person was deleted in the source.
    more: u64,
}

/// What was compared one by one.
#[derive(Debug, Default)]
pub(super) struct Compared {
    rows: u64,
    different: u64,
    /// Series with such rows.
    differ: Vec<(Kind, Of)>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Checked {
    lines: BTreeMap<(u16, Kind), Line>,
    named: Vec<String>,
    compared: Compared,
    /// Rows that have another value in the target.
    conflicts: u64,
    /// Elders of whom only the target has something, or who were deleted here and of whom it has more.
    strangers: BTreeSet<u32>,
}

impl Checked {
    /// Counts of both stores beside each other.
    pub(super) fn new(copier: &Copier<'_>, here: &Tally, there: &Tally, compared: Compared) -> Self {
        let mut checked = Self {
            lines: BTreeMap::new(),
            named: Vec::new(),
            compared,
            conflicts: copier.conflicts(),
            strangers: strangers(here, there, &copier.forgotten),
        };
        let all: BTreeSet<_> = here.keys().chain(there.keys()).copied().collect();
        for (kind, of) in all.into_iter().filter_map(|(kind, numbers)| Some((kind, series(numbers)?))) {
            let (here, there) = (of_tally(here, kind, of), of_tally(there, kind, of));
            let old = copier.expired(kind, of);
            let line = checked.lines.entry((of.1.id(), kind)).or_default();
            line.series += 1;
            line.here += here;
            line.there += there;
            line.old += old;
            line.short += u64::from(there + old < here);
            line.more += u64::from(there > here);
            if there + old < here {
                checked.name(of, &format!("{here} in the source, {there} in the target"));
            } else if there > here {
                checked.name(of, &format!("{here} in the source, more in the target: {there}"));
            }
            let conflicts = copier.conflicts_of(kind, of);
            if conflicts > 0 {
                checked.name(of, &format!("{conflicts} rows have another value in the target"));
            }
        }
        for (_, of) in checked.compared.differ.clone() {
            checked.name(of, "rows differ");
        }
        checked
    }

    fn name(&mut self, (subject, metric): Of, what: &str) {
        if self.named.len() < NAMED_MAX {
            self.named.push(format!("series {}/{metric}: {what}", subject.to_u32()));
        }
    }

    /// Nothing is missing in the target, and nothing compared differs.
    pub(super) fn good(&self) -> bool {
        self.compared.different == 0 && self.lines.values().all(|line| line.short == 0)
    }

    /// Refuses what the target has besides, which somebody has to want.
    pub(super) fn refuse_besides(&self) -> anyhow::Result<()> {
        let empty = "move into an empty one (drop the schema, or put the other readings.db away)";
        if !self.strangers.is_empty() {
            let some: Vec<String> = self.strangers.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            bail!(
                "of {} elders the target has readings or waveforms that the source has not (numbers {}): they were deleted here \
                 (vigil forget-elder) and would come back, or the target keeps longer. Nothing was handed over: {empty}, or, if they \
                 are to stay, say --onto-existing",
                self.strangers.len(),
                some.join(", ")
            );
        }
        if self.conflicts > 0 {
            bail!(
                "{} rows have another value of the same instant in the target. Nothing was handed over: {empty}, or, if the target's \
                 values are to stay, say --onto-existing",
                self.conflicts
            );
        }
        Ok(())
    }

    /// Series of which compared rows differ.
    pub(super) fn differing(&self) -> &[(Kind, Of)] {
        &self.compared.differ
    }

    /// Rows and blocks in the target.
    pub(super) fn totals(&self) -> (u64, u64) {
        let of = |kind| self.lines.iter().filter(move |((_, of), _)| *of == kind).map(|(_, line)| line.there).sum();
        (of(Kind::Rows), of(Kind::Waves))
    }

    /// The table, line by line.
    pub(super) fn tell(&self, told: &Told) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return told.say("neither store holds anything yet");
        }
        told.say(&format!(
            "{:<26}{:>9}{:>14}{:>14}{:>10}{:>7}{:>6}",
            "metric", "series", "in source", "in target", "too old", "short", "more"
        ))?;
        for ((metric, kind), line) in &self.lines {
            let name = Metric::from_id(*metric).map_or_else(String::new, |metric| metric.slug().to_owned());
            let name = if *kind == Kind::Waves { format!("{name} (blocks)") } else { name };
            let Line { series, here, there, old, short, more } = line;
            told.say(&format!("{name:<26}{series:>9}{here:>14}{there:>14}{old:>10}{short:>7}{more:>6}"))?;
        }
        self.named.iter().try_for_each(|line| told.say(line))?;
        told.say(&format!("{} rows compared one by one, {} differ", self.compared.rows, self.compared.different))?;
        let more: u64 = self.lines.values().map(|line| line.more).sum();
        if more > 0 {
            told.say(&format!(
                "{more} series have more in the target than in the source: it was in use before and keeps longer, \
                 or somebody was deleted here (vigil forget-elder) and is still there"
            ))?;
        }
        Ok(())
    }
}

/// Elders of whom only the target has something; of those who were deleted here and came back into care, any series with more.
fn strangers(here: &Tally, there: &Tally, forgotten: &BTreeSet<u32>) -> BTreeSet<u32> {
    let is_elder = |subject: &u32| matches!(Subject::from_u32(*subject), Subject::Elder(_));
    let elders = |tally: &Tally| -> BTreeSet<u32> {
        let some = tally.iter().filter(|(_, rows)| **rows > 0).map(|((_, (subject, _)), _)| *subject);
        some.filter(is_elder).collect()
    };
    let more = there.iter().filter(|(of, rows)| **rows > here.get(of).copied().unwrap_or_default());
    let back = more.map(|((_, (subject, _)), _)| *subject).filter(|subject| forgotten.contains(subject));
    elders(there).difference(&elders(here)).copied().chain(back.filter(is_elder)).collect()
}

/// Compares `sample` series, spread over all.
pub(super) fn compare(copier: &Copier<'_>, here: &Tally, sample: usize) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    let step = here.len().div_ceil(sample.max(1)).max(1);
    for ((kind, numbers), _) in here.iter().step_by(step).take(sample) {
        let Some(of) = series(*numbers) else { continue };
        copier.told.pass("comparing rows one by one")?;
        let different = match kind {
            Kind::Rows => rows(copier.source, copier.target, of, &mut compared.rows)?,
            Kind::Waves => blocks(copier.source, copier.target, of)?,
        };
        compared.different += different;
        if different > 0 {
            compared.differ.push((*kind, of));
        }
    }
    Ok(compared)
}

/// The first and the newest rows of one series: how many differ.
fn rows(source: &Readings, target: &Readings, (subject, metric): Of, seen: &mut u64) -> anyhow::Result<u64> {
    let newest =
        source.latest(subject).iter().find(|reading| reading.sample.metric == metric).map(|r| r.sample.taken_at);
    let starts = [Some(BEGINNING), newest.map(|at| at.plus_us(-BACK_US))];
    let mut different = 0;
    for after in starts.into_iter().flatten() {
        let here = source.page(subject, metric, after, ROWS)?.rows;
        let last = here.last().map_or(Time(i64::MIN), |row| row.sample.taken_at);
        let there = target.page(subject, metric, after, ROWS)?.rows;
        let there: BTreeMap<Time, &Stored> = there.iter().map(|row| (row.sample.taken_at, row)).collect();
        *seen += here.len() as u64;
        // A target that keeps longer may have filled its page with other rows: only what must be there is looked at.
        let cut = there.len() == ROWS;
        let differs = |row: &&Stored| match there.get(&row.sample.taken_at) {
            Some(other) => !same(row, other),
            None => !cut || there.last_key_value().is_some_and(|(at, _)| *at > last),
        };
        different += here.iter().filter(differs).count() as u64;
    }
    Ok(different)
}

/// The first blocks of one series: how many are not in the target.
fn blocks(source: &Readings, target: &Readings, (subject, metric): Of) -> anyhow::Result<u64> {
    let mut different = 0;
    for block in source.wave_page(subject, metric, None, BLOCKS)? {
        let from = block.block.start;
        different += u64::from(!target.waves(subject, metric, from, from.plus_us(1))?.contains(&block));
    }
    Ok(different)
}

/// The same row, bit for bit, with the same origin.
fn same(here: &Stored, there: &Stored) -> bool {
    let bits = |row: &Stored| row.sample.value().map(f64::to_bits);
    here.sample.quality == there.sample.quality
        && bits(here) == bits(there)
        && here.moved == there.moved
        && here.device == there.device
        && here.origin == there.origin
}
