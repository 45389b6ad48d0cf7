//! What is answered from memory: the newest reading of every series, the writer's progress, and how many readings there are.
//!
//! The database keeps `latest` only roughly, because writing it with every batch would cost as much as the readings: a series'
//! newest reading is in table `latest`, or in `reading` at or after `state.latest_from`. So a start reads one table and the few
//! minutes after that instant. `latest_from` moves forward now and then: to the middle of the readings that came lately. By the
//! time it does, nearly every series has a reading after it, and only those that fell silent are written to `latest`.

use std::collections::{BTreeSet, HashMap, HashSet};

use deadpool_postgres::ClientWrapper;
use model::Seq;

use super::answer::Stats;
use super::columns::Columns;
use super::config::Timescale as Config;
use super::row::{Key, MOVED, Row, key_of};
use super::types::Micros;
use super::{Error, Metric, Progress, Reading, Subject, Written};

/// Readings between two moves of `latest_from`, at least; and at least so many for every series of late.
const ROWS_BETWEEN: u64 = 100_000;
const ROWS_PER_SERIES: u64 = 20;
/// Series written to `latest` in one transaction, at most.
pub(super) const SERIES_PER_WRITE: usize = 1_000;

/// The newest reading of a series.
#[derive(Clone, Copy, Debug)]
struct Newest {
    row: Row,
    /// Not in table `latest`, or there is an older one.
    unsaved: bool,
}

/// What is kept in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// It agrees with the database.
    pub(super) loaded: bool,
    pub(super) progress: Progress,
    /// Readings stored.
    pub(super) rows: i64,
    /// Since start: rows that were stored before, and those with another value.
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    /// Days (since 1970) of readings and of waveforms that are known to have their partition.
    pub(super) days: (BTreeSet<i32>, BTreeSet<i32>),
    pub(super) upkeep_at: i64,
    /// Per metric, the instant before which retention deleted the rows.
    pub(super) gone: Vec<(u16, i64)>,
    newest: HashMap<Key, Newest>,
    /// As in `state`.
    from: i64,
    /// Where `from` is going, and the series to be written before it can.
    next: Option<(i64, Vec<Key>)>,
    rows_since: u64,
}

/// What a write changes here once it is committed.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Newest readings, one a series at most. `None`: the series has no reading any more.
    pub(super) newest: HashMap<Key, Option<Row>>,
    /// Readings that this write puts into table `latest`: of these series, or of others.
    pub(super) save: Vec<(Key, Row)>,
    /// `latest_from` moves here.
    pub(super) from: Option<i64>,
    pub(super) rows: i64,
}

impl Memory {
    /// Reads it from the database.
    pub(super) async fn load(db: &ClientWrapper, config: &Config) -> Result<Self, Error> {
        let state = db.query_one("SELECT live, pending, rows, latest_from, upkeep_at FROM state", &[]).await?;
        let pending: Vec<i64> = state.get(1);
        let pairs = pending.chunks_exact(2).map(|pair| (Seq(pair[0] as u64), Seq(pair[1] as u64)));
        let mut memory = Self {
            progress: Progress { live: Seq(state.get::<_, i64>(0) as u64), pending: pairs.collect() },
            rows: state.get(2),
            from: state.get::<_, Micros>(3).0,
            upkeep_at: state.get::<_, Micros>(4).0,
            ..Self::default()
        };
        for row in db.query("SELECT metric, until FROM swept WHERE what = 'reading'", &[]).await? {
            let metric = u16::try_from(row.get::<_, i32>(0)).map_err(|_| narrow())?;
            memory.gone.push((metric, row.get::<_, Micros>(1).0));
        }
        for row in db.query("SELECT subject, metric, ts, value, device, quality FROM latest", &[]).await? {
            let (key, row) = series_row(&row)?;
            memory.newest.insert(key, Newest { row, unsaved: false });
        }
        let recent = "SELECT DISTINCT ON (subject, metric) subject, metric, ts, value, device, quality FROM reading
                      WHERE ts >= $1 AND quality <> 255 ORDER BY subject, metric, ts DESC";
        let limit = super::link::LOAD_LIMIT.as_millis();
        db.batch_execute(&format!("SET statement_timeout = {limit}")).await?;
        for row in db.query(recent, &[&Micros(memory.from)]).await? {
            let (key, row) = series_row(&row)?;
            if memory.newest.get(&key).is_none_or(|known| known.row.at < row.at) {
                memory.newest.insert(key, Newest { row, unsaved: true });
            }
        }
        // What this start had to read counts, or many short runs would make each start longer than the one before.
        let enough = ROWS_BETWEEN.max(ROWS_PER_SERIES * memory.newest.len() as u64);
        let count = "SELECT count(*) FROM (SELECT FROM reading WHERE ts >= $1 AND quality <> 255 LIMIT $2) AS recent";
        let read = db.query_one(count, &[&Micros(memory.from), &(enough as i64)]).await?.get::<_, i64>(0);
        memory.rows_since = read.max(0) as u64;
        memory.advance();
        db.batch_execute(&format!("SET statement_timeout = {}", config.statement_timeout_ms)).await?;
        memory.loaded = true;
        Ok(memory)
    }

    /// The newest reading of every metric of a subject, by metric.
    pub(super) fn latest(&self, subject: Subject) -> Vec<Reading> {
        let newest = |metric: &Metric| {
            let known = self.newest.get(&key_of(subject, *metric))?;
            Some(known.row.reading(subject, *metric))
        };
        Metric::ALL.iter().filter_map(newest).collect()
    }

    /// How many series there are, as far as their newest readings are known.
    pub(super) fn series(&self) -> usize {
        self.newest.len()
    }

    /// What can be said of the store from here.
    pub(super) fn figures(&self) -> Stats {
        Stats {
            rows: self.rows.max(0) as u64,
            series: self.series() as u64,
            duplicates: self.duplicates,
            conflicts: self.conflicts,
            ..Stats::default()
        }
    }

    /// Instant of the newest reading of all.
    pub(super) fn newest_at(&self) -> Option<i64> {
        self.newest.values().map(|known| known.row.at).max()
    }

    pub(super) fn newest(&self, key: Key) -> Option<Row> {
        self.newest.get(&key).map(|known| known.row)
    }

    /// Adds the newest readings among a write's rows to a change; `apart` are positions of rows that were not stored as they are.
    pub(super) fn newer(&self, rows: &Columns, apart: &HashSet<usize>, change: &mut Change) {
        for i in (0..rows.len()).filter(|i| !apart.contains(i)) {
            let (key, row) = rows.get(i);
            let known = change.newest.get(&key).copied().unwrap_or_else(|| self.newest(key));
            if known.is_none_or(|known| known.at < row.at) {
                change.newest.insert(key, Some(row));
            }
        }
    }

    /// Forgets every series of a subject, after the database did.
    pub(super) fn forget(&mut self, subject: Subject) {
        self.newest.retain(|key, _| (key >> 16) as u32 != subject.to_u32());
    }

    /// Adds to a change which newest readings are to be written to `latest` in the same transaction.
    pub(super) fn plan(&self, change: &mut Change) {
        let edge = self.next.as_ref().map_or(self.from, |(next, _)| *next);
        let old = change.newest.iter().filter_map(|(key, row)| Some((*key, row.filter(|row| row.at < edge)?)));
        change.save.extend(old.collect::<Vec<_>>());
        let Some((next, waiting)) = &self.next else { return };
        let turn = waiting.iter().rev().take(SERIES_PER_WRITE).filter(|key| !change.newest.contains_key(key));
        let silent = turn.filter_map(|key| Some((*key, self.newest(*key).filter(|row| row.at < *next)?)));
        change.save.extend(silent);
        if waiting.len() <= SERIES_PER_WRITE {
            change.from = Some(*next);
        }
    }

    pub(super) fn count(&mut self, written: &Written) {
        self.duplicates += written.duplicate;
        self.conflicts += written.conflict;
    }

    /// Takes over what is committed now.
    pub(super) fn settle(&mut self, change: Change, progress: Progress) {
        self.progress = progress;
        self.rows += change.rows;
        self.rows_since += change.rows.max(0) as u64;
        for (key, row) in change.newest {
            match row {
                Some(row) => drop(self.newest.insert(key, Newest { row, unsaved: true })),
                None => drop(self.newest.remove(&key)),
            }
        }
        for (key, row) in &change.save {
            if let Some(known) = self.newest.get_mut(key).filter(|known| known.row == *row) {
                known.unsaved = false;
            }
        }
        match (change.from, &mut self.next) {
            (Some(from), _) => (self.from, self.next) = (from, None),
            (None, Some((_, waiting))) => waiting.truncate(waiting.len().saturating_sub(SERIES_PER_WRITE)),
            (None, None) => self.advance(),
        }
    }

    /// Chooses where `from` goes next, when enough has come since it moved.
    fn advance(&mut self) {
        if self.rows_since < ROWS_BETWEEN {
            return;
        }
        let mut lately: Vec<i64> =
            self.newest.values().filter(|known| known.unsaved).map(|known| known.row.at).collect();
        if self.rows_since < ROWS_PER_SERIES * lately.len() as u64 || lately.is_empty() {
            return;
        }
        self.rows_since = 0;
        let middle = lately.len() / 2;
        let (_, next, _) = lately.select_nth_unstable(middle);
        let next = *next;
        if next > self.from {
            let silent = self.newest.iter().filter(|(_, known)| known.unsaved && known.row.at < next);
            self.next = Some((next, silent.map(|(key, _)| *key).collect()));
        }
    }
}

/// Subject, metric, ts, value, device, quality.
pub(super) fn series_row(row: &tokio_postgres::Row) -> Result<(Key, Row), Error> {
    let subject = u32::try_from(row.get::<_, i64>(0)).map_err(|_| narrow())?;
    let metric = u16::try_from(row.get::<_, i32>(1)).map_err(|_| narrow())?;
    Ok((u64::from(subject) << 16 | u64::from(metric), row_at(row, 2)?))
}

/// Ts, value, device, quality from this column on.
pub(super) fn row_at(row: &tokio_postgres::Row, first: usize) -> Result<Row, Error> {
    let found = Row {
        at: row.get::<_, Micros>(first).0,
        value: row.get(first + 1),
        device: u32::try_from(row.get::<_, i64>(first + 2)).map_err(|_| narrow())?,
        quality: u8::try_from(row.get::<_, i16>(first + 3)).map_err(|_| narrow())?,
    };
    // Programs before format 5 left the value in a mark.
    Ok(if found.quality == MOVED { found.mark() } else { found })
}

fn narrow() -> Error {
    Error::corrupt("a number of the database is out of its range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ElderId;

    fn key(n: u32) -> Key {
        key_of(Subject::Elder(ElderId(n)), Metric::HeartRate)
    }

    fn row(at: i64) -> Row {
        Row { at, value: 70.0, device: 1, quality: 0 }
    }

    fn columns(rows: &[(Key, i64)]) -> Columns {
        let mut columns = Columns::default();
        for (key, at) in rows {
            columns.push(*key, &row(*at));
        }
        columns
    }

    /// What a start would find: table `latest`, and the newest reading at or after `from`.
    #[derive(Default)]
    struct Disk {
        latest: HashMap<Key, i64>,
        rows: HashMap<Key, BTreeSet<i64>>,
        from: i64,
    }

    impl Disk {
        fn newest(&self, key: Key) -> Option<i64> {
            let recent = self.rows.get(&key).and_then(|rows| rows.range(self.from..).next_back().copied());
            self.latest.get(&key).copied().max(recent)
        }
    }

    /// Writes as `write.rs` does, to a disk that is two maps.
    fn write(memory: &mut Memory, disk: &mut Disk, rows: &[(Key, i64)]) {
        let columns = columns(rows);
        let mut change = Change { rows: rows.len() as i64, ..Change::default() };
        memory.newer(&columns, &HashSet::new(), &mut change);
        memory.plan(&mut change);
        for (key, at) in rows {
            disk.rows.entry(*key).or_default().insert(*at);
        }
        disk.latest.extend(change.save.iter().map(|(key, row)| (*key, row.at)));
        disk.from = change.from.unwrap_or(disk.from);
        memory.settle(change, Progress::default());
    }

    #[test]
    fn a_start_always_finds_the_newest_reading_of_every_series_and_reads_little() {
        let mut memory = Memory { from: i64::MIN, ..Memory::default() };
        let mut disk = Disk { from: i64::MIN, ..Disk::default() };
        let mut newest: HashMap<Key, i64> = HashMap::new();
        for minute in 0..400_i64 {
            // Of 3,000 series every fifth falls silent one day, some come late, some begin late with an old reading.
            let rows = (0..3_000_u32).filter(|n| n % 5 != 0 || i64::from(*n) > minute * 10).map(|n| {
                let late = if (i64::from(n) + minute) % 97 == 0 { 100 } else { 0 };
                (key(n), minute * 60 + i64::from(n % 60) - late)
            });
            let rows: Vec<(Key, i64)> =
                rows.chain((minute % 50 == 7).then_some((key(5_000 + minute as u32), 3))).collect();
            for (key, at) in &rows {
                let known = newest.entry(*key).or_insert(*at);
                *known = (*known).max(*at);
            }
            for rows in rows.chunks(1_000) {
                write(&mut memory, &mut disk, rows);
            }
            // Every minute would be slow; a step beside all periods meets every state.
            for (key, at) in newest.iter().filter(|_| minute % 23 == 0 || minute == 399) {
                assert_eq!(memory.newest(*key).map(|row| row.at), Some(*at), "in memory");
                assert_eq!(disk.newest(*key), Some(*at), "after a start in minute {minute}");
            }
        }
        assert!(disk.from > 300 * 60, "a start would read everything after {}", disk.from);
        let live = newest.values().filter(|at| **at > 390 * 60).count();
        assert!(disk.latest.len() < newest.len() - live / 2, "live series are not written again and again");
    }
}
