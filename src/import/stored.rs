//! One value of a moment: what a file says of a moment of which another value is known already, and so would be dropped by the
//! store, is refused with its line.

use std::collections::{BTreeMap, HashMap};

use model::{ElderId, Metric, Origin, Quality, Sample, Subject, Time};
use store::readings::{Error, Page, Readings};

/// Moments of the file that are remembered at once.
const MOMENTS_MAX: usize = 1_000_000;
/// Rows that are read from the store at once.
const PAGE: usize = 64;

/// One measurement with its line in the file.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) sample: Sample,
    pub(super) origin: Option<Origin>,
}

/// What the store compares: bits of the value, and the quality.
type Said = (u64, Quality);

fn said(sample: &Sample) -> Said {
    (sample.value().map_or(u64::MAX, f64::to_bits), sample.quality)
}

/// What the file said of each moment. The oldest are forgotten together when they are too many; by then the store knows them.
#[derive(Debug, Default)]
pub(super) struct Moments(HashMap<(ElderId, Metric, Time), Said>);

impl Moments {
    /// The file has not said anything else of this moment.
    pub(super) fn agrees(&mut self, elder: ElderId, sample: &Sample) -> bool {
        if self.0.len() >= MOMENTS_MAX {
            self.0.clear();
        }
        *self.0.entry((elder, sample.metric, sample.taken_at)).or_insert_with(|| said(sample)) == said(sample)
    }
}

/// What cannot be taken: the line, the metric and why.
pub(super) type Differing = (u64, Metric, &'static str);

/// Lines of one subject that the store would drop: too old, or of a moment of which it has another value.
pub(super) fn differing(readings: &Readings, subject: Subject, lines: &[Line]) -> Result<Vec<Differing>, Error> {
    let mut metrics: BTreeMap<u16, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        metrics.entry(line.sample.metric.id()).or_default().push(line);
    }
    let mut found = Vec::new();
    for mut lines in metrics.into_values() {
        lines.sort_by_key(|line| line.sample.taken_at);
        let mut page = Page { rows: Vec::new(), more: true };
        let oldest = lines.first().map(|line| readings.rows_from(subject, line.sample.metric));
        for line in lines {
            let (number, metric, at) = (line.number, line.sample.metric, line.sample.taken_at);
            if oldest.is_some_and(|oldest| at < oldest) {
                found.push((
                    number,
                    metric,
                    "older than the store keeps readings of this metric: raise raw_days first",
                ));
                continue;
            }
            if page.more && page.rows.last().is_none_or(|last| last.sample.taken_at < at) {
                page = readings.page(subject, metric, at.plus_us(-1), PAGE)?;
            }
            let Ok(place) = page.rows.binary_search_by_key(&at, |row| row.sample.taken_at) else { continue };
            let Some(row) = page.rows.get(place) else { continue };
            if row.moved {
                found.push((number, metric, "the measurement of this moment was given to another person"));
            } else if said(&row.sample) != said(&line.sample) {
                found.push((number, metric, "the store has another value of this moment; one is kept"));
            }
        }
    }
    Ok(found)
}
