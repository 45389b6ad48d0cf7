//! Searching the raw bytes of the store's files for one person: what SQL shows is gone may still stand in a free page, in the slack of
//! a used one or in the write-ahead log.
//!
//! What is looked for, at every byte:
//! - a series' key followed by a time in that series' range, in the form of the log and in the form of a database record: every
//!   reading, block, index entry and origin begins so;
//! - 16 bytes taken every half kilobyte from what was stored in blocks and waveforms. What others have stored may hold the same bytes
//!   (two bands that lie in a drawer): as many finds as there are in their stored blocks are not counted;
//! - of each measurement that was moved here from another subject: its instant with what follows it in a row of the log, and with its
//!   value in a database record, under whomever it stood.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::{Connection, Row as SqlRow, params};

use super::Error;
use super::block::{self, PLACE, Place};
use super::marks;
use super::row::{Key, MOVED, Row, Rows};
use super::schema::{LOG_ROW, encode_row};

/// Bytes of a piece of content that is looked for, and how far apart they are taken.
const WINDOW: usize = 16;
const STRIDE: usize = 512;
/// Pieces taken at most.
const WINDOWS_MAX: usize = 400_000;
/// A piece with fewer different bytes says nothing: it may be anybody's.
const DIFFERENT_MIN: usize = 7;
/// Bytes of the key in a row of the log.
const KEY: usize = 6;
/// Bytes read at once, and what two reads share: the longest pattern.
const CHUNK: usize = 4 << 20;
const OVERLAP: usize = 32;
/// Bits of the filter that is asked before the table of pieces.
const FILTER_BITS: u32 = 20;

/// A series' key as log and records write it, and the times its rows can have.
#[derive(Debug)]
struct Named {
    in_log: [u8; 6],
    in_record: Vec<u8>,
    first: i64,
    last: i64,
}

/// What is stored of one person, as bytes to look for.
#[derive(Debug)]
pub(super) struct Traces {
    named: Vec<Named>,
    /// Pieces of content, and how often they were found.
    windows: HashMap<[u8; WINDOW], u64>,
    filter: Vec<u64>,
    /// For the first two bytes at a place: whether a key in the log, or in a record, can begin so.
    starts: Vec<u8>,
}

/// What one search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) places: u64,
    pub(super) bytes: u64,
}

impl Traces {
    /// Of one subject; `unsealed`: its rows in memory; `marks`: where marks stand in memory, of all subjects.
    pub(super) fn of(
        db: &Connection,
        subject: u32,
        unsealed: &[(Key, Rows)],
        mut marks: BTreeSet<(u16, i64)>,
    ) -> Result<Self, Error> {
        let keys = (Key::from(subject) << 16) as i64..=(Key::from(subject) << 16 | 0xffff) as i64;
        let mut ranges: HashMap<i64, (i64, i64)> = HashMap::new();
        let mut widen = |key: i64, first: i64, last: i64| {
            let range = ranges.entry(key).or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        };
        let mut select = db.prepare(
            "SELECT series, min(t0), max(t1) FROM block WHERE series BETWEEN ?1 AND ?2 GROUP BY series
             UNION ALL SELECT series, min(t0), max(t1) FROM bad_block WHERE series BETWEEN ?1 AND ?2 GROUP BY series
             UNION ALL SELECT series, at, at FROM series WHERE series BETWEEN ?1 AND ?2",
        )?;
        let found = select.query_map([keys.start(), keys.end()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for range in found {
            let (key, first, last) = range?;
            widen(key, first, last);
        }
        for (key, rows) in unsealed {
            if let Some((first, last)) = rows.first_at().zip(rows.last_at()) {
                widen(*key as i64, first, last);
            }
        }
        let named = ranges.into_iter().map(|(key, (first, last))| Named::new(key, first, last)).collect();
        let mut traces = Self { named, windows: HashMap::new(), filter: Vec::new(), starts: vec![0; 1 << 16] };
        marks.append(&mut marks::places(db)?);
        traces.take_moved(db, (*keys.start(), *keys.end()), unsealed, &marks)?;
        traces.take_content(db, (*keys.start(), *keys.end()), subject)?;
        traces.index();
        Ok(traces)
    }

    /// The measurements that stood under another subject before: there is a mark of the same metric and instant.
    fn take_moved(
        &mut self,
        db: &Connection,
        (first, last): (i64, i64),
        unsealed: &[(Key, Rows)],
        marks: &BTreeSet<(u16, i64)>,
    ) -> Result<(), Error> {
        for (key, rows) in unsealed {
            self.take_marked(*key, rows, marks);
        }
        let mut select =
            db.prepare(&format!("SELECT {PLACE}, series FROM block WHERE series BETWEEN ?1 AND ?2 AND kept = 0"))?;
        let places = select.query_map([first, last], |row| Ok((block::place(row)?, row.get::<_, i64>(6)? as Key)))?;
        for found in places {
            let (place, key): (Place, Key) = found?;
            let metric = key as u16;
            if marks.range((metric, place.t0)..=(metric, place.t1)).next().is_some()
                && let Ok(rows) = block::load(db, &place)
            {
                self.take_marked(key, &rows, marks);
            }
        }
        Ok(())
    }

    fn take_marked(&mut self, key: Key, rows: &Rows, marks: &BTreeSet<(u16, i64)>) {
        let Some((first, last)) = rows.first_at().zip(rows.last_at()) else { return };
        for (_, at) in marks.range((key as u16, first)..=(key as u16, last)) {
            let Some(row) = rows.find(*at).filter(|row| row.quality != MOVED) else { continue };
            if self.windows.len() < WINDOWS_MAX {
                self.windows.insert(in_log(&row), 0);
                self.windows.extend(in_record(&row).map(|window| (window, 0)));
            }
        }
    }

    fn take_content(&mut self, db: &Connection, (first, last): (i64, i64), subject: u32) -> Result<(), Error> {
        let mut take = |row: &SqlRow<'_>| -> rusqlite::Result<()> {
            for column in 0..2 {
                let bytes = row.get_ref(column)?.as_blob()?;
                for window in bytes.windows(WINDOW).step_by(STRIDE) {
                    if self.windows.len() < WINDOWS_MAX
                        && is_telling(window)
                        && let Some(window) = window.first_chunk()
                    {
                        self.windows.insert(*window, 0);
                    }
                }
            }
            Ok(())
        };
        for table in ["block", "bad_block"] {
            let mut select = db.prepare(&format!("SELECT data, side FROM {table} WHERE series BETWEEN ?1 AND ?2"))?;
            let mut rows = select.query(params![first, last])?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
        }
        let mut select = db.prepare("SELECT data, x'' FROM waveform WHERE subject = ?1")?;
        let mut rows = select.query([subject])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        if !marks::are_blank(db)? {
            // Blocks that will be written anew: their marks hold values of others.
            let mut select = db.prepare("SELECT data, side FROM block WHERE id = ?1")?;
            for (place, _) in marks::marked(db, (i64::MIN, i64::MAX))? {
                select.query_row([place.id], &mut take)?;
            }
        }
        Ok(())
    }

    fn index(&mut self) {
        self.filter = vec![0; 1 << (FILTER_BITS - 6)];
        for window in self.windows.keys() {
            let bit = filter_bit(window);
            self.filter[bit / 64] |= 1 << (bit % 64);
        }
        for named in &self.named {
            for (bytes, flag) in [(&named.in_log[..], 1), (&named.in_record[..], 2)] {
                if let [a, b, ..] = bytes {
                    self.starts[usize::from(u16::from_le_bytes([*a, *b]))] |= flag;
                }
            }
        }
    }

    /// How many things are looked for.
    pub(super) fn patterns(&self) -> u64 {
        (2 * self.named.len() + self.windows.len()) as u64
    }

    /// Searches a database file and its write-ahead log. Nothing may be written meanwhile. `left`: what is still stored is others',
    /// and may hold the same bytes.
    pub(super) fn search(&mut self, path: &Path, left: Option<&Connection>) -> Result<Found, Error> {
        self.windows.values_mut().for_each(|count| *count = 0);
        let wal = path.with_extension("db-wal");
        let (mut named, mut bytes) = (0, 0);
        for file in [path, &wal] {
            let (found, read) = self.search_file(file)?;
            (named, bytes) = (named + found, bytes + read);
        }
        let mut content: u64 = self.windows.values().sum();
        if let Some(db) = left.filter(|_| content > 0) {
            content = self.beyond_stored(db)?;
        }
        Ok(Found { places: named + content, bytes })
    }

    fn search_file(&mut self, path: &Path) -> Result<(u64, u64), Error> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((0, 0)),
            Err(error) => return Err(Error::io(path, error)),
        };
        let mut chunk = vec![0; CHUNK + OVERLAP];
        let (mut filled, mut named, mut read) = (0, 0, 0);
        loop {
            let count = file.read(&mut chunk[filled..]).map_err(|e| Error::io(path, e))?;
            read += count as u64;
            filled += count;
            if count > 0 && filled < chunk.len() {
                continue;
            }
            // The end of the file is looked at with zeros behind it.
            let last = count == 0;
            let upto = if last { filled } else { filled - OVERLAP };
            chunk[filled..].fill(0);
            chunk.resize(chunk.len().max(upto + OVERLAP), 0);
            named += self.search_bytes(&chunk, upto);
            if last {
                return Ok((named, read));
            }
            chunk.copy_within(upto..filled, 0);
            filled -= upto;
        }
    }

    /// Looks at the places before `upto`; there are at least [`OVERLAP`] bytes more.
    fn search_bytes(&mut self, bytes: &[u8], upto: usize) -> u64 {
        let mut named = 0;
        for (at, here) in bytes.windows(OVERLAP).enumerate().take(upto) {
            debug_assert!(at < upto);
            let start = self.starts[usize::from(u16::from_le_bytes([here[0], here[1]]))];
            if start != 0 {
                named += self.named.iter().filter(|named| named.begins(here)).count() as u64;
            }
            if let Some(window) = here.first_chunk::<WINDOW>() {
                let bit = filter_bit(window);
                if self.filter[bit / 64] >> (bit % 64) & 1 == 1
                    && let Some(count) = self.windows.get_mut(window)
                {
                    *count += 1;
                }
            }
        }
        named
    }

    /// Pieces found more often than what is stored has them.
    fn beyond_stored(&mut self, db: &Connection) -> Result<u64, Error> {
        let found: Vec<([u8; WINDOW], u64)> =
            self.windows.iter().filter(|(_, count)| **count > 0).map(|(window, count)| (*window, *count)).collect();
        self.windows.values_mut().for_each(|count| *count = 0);
        for sql in
            ["SELECT data, side FROM block", "SELECT data, side FROM bad_block", "SELECT data, x'' FROM waveform"]
        {
            let mut select = db.prepare(sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                for column in 0..2 {
                    let blob = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
                    for window in blob.windows(WINDOW) {
                        if let Some(count) = window.first_chunk::<WINDOW>().and_then(|w| self.windows.get_mut(w)) {
                            *count += 1;
                        }
                    }
                }
            }
        }
        Ok(found.iter().map(|(window, count)| count.saturating_sub(self.windows[window])).sum())
    }
}

impl Named {
    fn new(key: i64, first: i64, last: i64) -> Self {
        let [k0, k1, k2, k3, k4, k5, ..] = key.to_le_bytes();
        // A record writes an integer big-endian in the smallest of 1, 2, 3, 4, 6 and 8 bytes that holds it with its sign.
        let bytes = [1, 2, 3, 4, 6].into_iter().find(|bytes| key < 1 << (8 * bytes - 1)).unwrap_or(8);
        let in_record = key.to_be_bytes()[8 - bytes..].to_vec();
        Self { in_log: [k0, k1, k2, k3, k4, k5], in_record, first, last }
    }

    /// Whether a log row or a record of this series begins here.
    fn begins(&self, here: &[u8]) -> bool {
        let time = |after: usize| here.get(after..).and_then(|rest| rest.first_chunk::<8>());
        let is_time = |at: i64| (self.first..=self.last).contains(&at);
        let logged = here.starts_with(&self.in_log) && time(6).is_some_and(|at| is_time(i64::from_le_bytes(*at)));
        let recorded = here.starts_with(&self.in_record)
            && time(self.in_record.len()).is_some_and(|at| is_time(i64::from_be_bytes(*at)));
        logged || recorded
    }
}

/// A row of the log after its key, up to the first bytes of the value.
fn in_log(row: &Row) -> [u8; WINDOW] {
    let mut bytes = Vec::with_capacity(LOG_ROW);
    encode_row(&mut bytes, 0, row);
    std::array::from_fn(|i| bytes[KEY + i])
}

/// Instant and value as they follow each other in a record. `None` for a whole number, which a record writes shorter.
fn in_record(row: &Row) -> Option<[u8; WINDOW]> {
    let mut window = [0; WINDOW];
    window[..8].copy_from_slice(&row.at.to_be_bytes());
    window[8..].copy_from_slice(&row.value.to_be_bytes());
    (row.value.fract() != 0.0).then_some(window)
}

fn filter_bit(window: &[u8; WINDOW]) -> usize {
    let first = window.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
}

fn is_telling(window: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in window {
        seen[usize::from(*byte)] = true;
    }
    seen.into_iter().filter(|seen| *seen).count() >= DIFFERENT_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_time_of_its_range_is_found_across_the_border_of_two_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let (key, at) = (7_i64 << 16 | 3, 1_700_000_000_000_000_i64);
        let mut bytes = vec![0xaa_u8; 2 * CHUNK];
        for place in [0, CHUNK - 3, CHUNK + OVERLAP - 5, 2 * CHUNK - 14] {
            bytes[place..place + 6].copy_from_slice(&key.to_le_bytes()[..6]);
            bytes[place + 6..place + 14].copy_from_slice(&at.to_le_bytes());
        }
        let record = [&[7_u8, 0, 3][..], &at.to_be_bytes()].concat();
        bytes[1_000..1_000 + record.len()].copy_from_slice(&record);
        std::fs::write(&path, &bytes).unwrap();
        let find = |first, last| {
            let named = vec![Named::new(key, first, last)];
            let mut traces = Traces { named, windows: HashMap::new(), filter: Vec::new(), starts: vec![0; 1 << 16] };
            traces.index();
            traces.search(&path, None).unwrap()
        };
        assert_eq!(find(at, at), Found { places: 5, bytes: bytes.len() as u64 });
        assert_eq!(find(at + 1, at + 10).places, 0);
    }
}
