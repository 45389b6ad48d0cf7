//! What a readings store must be able to do. Two do it: [`embedded`](super::embedded) and [`timescale`](super::timescale); the tests
//! under `store/tests/readings` hold every one of them to the same answers.

use std::fmt::Debug;
use std::path::Path;

use model::{Metric, Origin, Reading, Subject, Time};

use super::answer::{Doubtful, Forgotten, Page, Proof, Series, Stats, Trend, Written};
use super::wave::{Stretches, Wave, WavePlace};
use super::{Bring, Error, Progress};

/// Rows read at a time, and at most, when a store has to look at all of them to find the doubtful ones.
const PAGE_ROWS: usize = 20_000;
pub(super) const SCANNED_MAX: usize = 300_000;

/// Series asked for at once.
const SERIES_AT_ONCE: usize = 1_000;

/// Of pages of series, those of one subject.
fn every(
    subject: Subject,
    page: impl Fn(Option<(Subject, Metric)>) -> Result<Vec<Series>, Error>,
) -> Result<Vec<Series>, Error> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = page(after)?;
        found.extend(page.iter().filter(|one| one.subject == subject));
        let Some(last) = page.last().filter(|_| page.len() == SERIES_AT_ONCE) else { return Ok(found) };
        after = Some((last.subject, last.metric));
    }
}

/// A readings store. All calls may block on a disk or a network; none panics when it is gone.
pub(super) trait Backend: Debug + Send + Sync {
    /// Stores everything with the progress in one durable transaction. After an error nothing has changed, or everything has:
    /// the same call again is right in both cases.
    fn write(&self, bring: Bring<'_>, progress: &Progress) -> Result<Written, Error>;
    /// Progress of the last committed write.
    fn progress(&self) -> Result<Progress, Error>;
    /// From memory.
    fn latest(&self, subject: Subject) -> Vec<Reading>;
    fn trend(&self, of: (Subject, Metric), range: (Time, Time), buckets: u32) -> Result<Trend, Error>;
    /// The points of the trends of many subjects, in their order, in as few questions as the store can; without gaps and absent
    /// marks.
    fn sparklines(
        &self,
        subjects: &[Subject],
        metric: Metric,
        range: (Time, Time),
        buckets: u32,
    ) -> Result<Vec<Trend>, Error> {
        let points = |trend: Trend| Trend { absent: Vec::new(), gaps: Vec::new(), ..trend };
        subjects.iter().map(|subject| self.trend((*subject, metric), range, buckets).map(points)).collect()
    }
    fn raw(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Vec<Reading>, Error>;
    /// The values within the range that are kept and not judged. This default reads everything, `rows_max` rows at
    /// most; a store that can find them by quality should.
    fn doubtful(&self, of: (Subject, Metric), (from, to): (Time, Time), rows_max: usize) -> Result<Doubtful, Error> {
        let mut found = Doubtful::default();
        let mut next = from;
        while next < to {
            let page = PAGE_ROWS.min(rows_max - found.scanned);
            if page == 0 {
                found.until = Some(next);
                break;
            }
            let rows = self.raw(of, (next, to), page)?;
            let Some(last) = rows.last().map(|row| row.sample.taken_at) else { break };
            let (whole, read) = (rows.len() < page, rows.len());
            let is_doubtful = |row: &Reading| row.sample.quality.has_value() && !row.sample.quality.is_judged();
            found.rows.extend(rows.into_iter().filter(is_doubtful));
            (next, found.scanned) = (last.plus_us(1), found.scanned + read);
            if whole {
                break;
            }
        }
        Ok(found)
    }
    /// Whether [`doubtful`](Self::doubtful) has to read every row of the range.
    fn scans_for_doubtful(&self) -> bool {
        true
    }
    fn stretches(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Stretches, Error>;
    fn waves(&self, of: (Subject, Metric), range: (Time, Time)) -> Result<Vec<Wave>, Error>;
    fn wave_totals(&self) -> Result<(u64, u64), Error>;
    /// Series of waveforms after this one in the order of (subject, metric), at most `limit`; `rows` are blocks: for moving house.
    fn wave_series(&self, _after: Option<(Subject, Metric)>, _limit: usize) -> Result<Vec<Series>, Error> {
        Err(Error::Elsewhere("listing waveforms"))
    }
    /// Blocks of one series after a place, in their order, at most `limit`: for moving house.
    fn wave_page(&self, _of: (Subject, Metric), _after: Option<WavePlace>, _limit: usize) -> Result<Vec<Wave>, Error> {
        Err(Error::Elsewhere("paging waveforms"))
    }
    /// Series of one subject in the order of their metrics. This default pages through the series of everybody.
    fn series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        every(subject, |after| self.series(after, SERIES_AT_ONCE))
    }
    /// The same of waveforms.
    fn wave_series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        every(subject, |after| self.wave_series(after, SERIES_AT_ONCE))
    }
    fn origin(&self, of: (Subject, Metric), at: Time) -> Result<Option<Origin>, Error>;
    /// Readings of this series before it are too old to be stored. From memory.
    fn rows_from(&self, of: (Subject, Metric)) -> Time;
    /// Readings stored, from memory.
    fn count(&self) -> u64;
    fn stats(&self) -> Result<Stats, Error>;
    /// Series after this one in the order of (subject, metric), at most `limit`.
    fn series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error>;
    /// Everything stored of one series after an instant, moved-away rows and origins included, at most `limit` rows: for moving house.
    fn page(&self, of: (Subject, Metric), after: Time, limit: usize) -> Result<Page, Error>;
    /// Deletes all of one subject.
    fn forget(&self, subject: Subject) -> Result<Forgotten, Error>;
    /// Deletes all of one subject and searches the store's files for what may be left, while nobody else writes.
    fn forget_with_proof(&self, _subject: Subject) -> Result<(Forgotten, Proof), Error> {
        Err(Error::Elsewhere("searching the files of the store"))
    }
    /// Work that waits for a quiet moment: sealing, rollups, retention. Bounded; called again and again. `now` decides what is old.
    fn maintain(&self, now: Time) -> Result<(), Error>;
    fn seal_all(&self) -> Result<(), Error>;
    fn backup_to(&self, path: &Path) -> Result<(), Error>;
    fn integrity_check(&self) -> Result<Vec<String>, Error>;
}
