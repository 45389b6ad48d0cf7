//! A write as the database takes it: columns, owned, so that it can go to the driver's thread.

use std::collections::BTreeSet;

use super::limits::Limits;
use super::row::{Key, Row, key_of};
use super::types::Micros;
use super::{Bring, Error, Moved, Original, Placed, Reading, Wave};
use crate::readings::wave::problem;

/// Microseconds of a day.
pub(super) const DAY_US: i64 = 86_400_000_000;

/// Number of the UTC day since 1970 that holds an instant.
pub(super) fn day_of(at: i64) -> i32 {
    at.div_euclid(DAY_US) as i32
}

/// Rows column by column, in the order of the write.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) at: Vec<Micros>,
    pub(super) value: Vec<f64>,
    pub(super) subject: Vec<i64>,
    pub(super) device: Vec<i64>,
    pub(super) metric: Vec<i32>,
    pub(super) quality: Vec<i16>,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub(super) fn push(&mut self, key: Key, row: &Row) {
        self.at.push(Micros(row.at));
        self.value.push(row.value);
        self.subject.push((key >> 16) as i64);
        self.device.push(row.device.into());
        self.metric.push((key & 0xffff) as i32);
        self.quality.push(row.quality.into());
    }

    /// Leaves out the rows of which this is not true, in place.
    fn retain(&mut self, keep: impl Fn(Key, i64) -> bool) {
        let mut kept = Self::default();
        for (key, row) in (0..self.len()).map(|i| self.get(i)).filter(|(key, row)| keep(*key, row.at)) {
            kept.push(key, &row);
        }
        *self = kept;
    }

    /// Key and row at a position.
    pub(super) fn get(&self, i: usize) -> (Key, Row) {
        let key = (self.subject[i] as Key) << 16 | self.metric[i] as Key;
        let (device, quality) = (self.device[i] as u32, self.quality[i] as u8);
        (key, Row { at: self.at[i].0, value: self.value[i], device, quality })
    }

    /// First and last instant.
    pub(super) fn span(&self) -> (Micros, Micros) {
        let first = self.at.iter().min().copied().unwrap_or(Micros(0));
        (first, self.at.iter().max().copied().unwrap_or(Micros(0)))
    }
}

/// Everything of one write.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) rows: Columns,
    pub(super) waves: Vec<Wave>,
    /// Blocks that cannot be stored at all.
    pub(super) waves_refused: u64,
    pub(super) originals: Vec<Original>,
    pub(super) moves: Vec<Moved>,
    pub(super) placed: Vec<Placed>,
}

impl Parcel {
    /// Copies what is brought. An instant that the database cannot hold refuses the whole, as the database would.
    pub(super) fn of(bring: Bring<'_>) -> Result<Self, Error> {
        let mut rows = Columns::default();
        for reading in bring.readings {
            let Reading { subject, sample, .. } = reading;
            rows.push(key_of(*subject, sample.metric), &Row::of(reading));
        }
        let (good, bad): (Vec<&Wave>, Vec<&Wave>) = bring.waves.iter().partition(|wave| problem(&wave.block).is_none());
        let parcel = Self {
            rows,
            waves: good.into_iter().cloned().collect(),
            waves_refused: bad.len() as u64,
            originals: bring.originals.to_vec(),
            moves: bring.moves.to_vec(),
            placed: bring.placed.to_vec(),
        };
        let storable = |at: i64| Micros(at).is_storable();
        if parcel.rows.at.iter().all(|at| at.is_storable()) && parcel.others().all(storable) {
            Ok(parcel)
        } else {
            Err(Error::Refused { code: "22008".to_owned() })
        }
    }

    /// Leaves out rows and blocks that are older than retention keeps them; returns how many.
    pub(super) fn expire(&mut self, limits: &Limits) -> (u64, u64) {
        let (rows, waves) = (self.rows.len(), self.waves.len());
        if self.rows.span().0.0 < limits.latest() {
            self.rows.retain(|key, at| !limits.is_expired(key, at));
        }
        self.waves.retain(|wave| wave.block.end().0 >= limits.waveforms());
        ((rows - self.rows.len()) as u64, (waves - self.waves.len()) as u64)
    }

    fn others(&self) -> impl Iterator<Item = i64> {
        self.corrected().chain(self.wave_starts())
    }

    /// Instants of readings that are moved or placed.
    fn corrected(&self) -> impl Iterator<Item = i64> {
        let moved = self.moves.iter().flat_map(|moved| &moved.samples);
        moved.chain(self.placed.iter().map(|placed| &placed.reading.sample)).map(|sample| sample.taken_at.0)
    }

    fn wave_starts(&self) -> impl Iterator<Item = i64> {
        let moved = self.moves.iter().flat_map(|moved| &moved.waveforms);
        self.waves.iter().map(|wave| &wave.block).chain(moved).map(|block| block.start.0)
    }

    /// Days of readings, and days of waveforms, that this write touches.
    pub(super) fn days(&self) -> (BTreeSet<i32>, BTreeSet<i32>) {
        let readings = self.rows.at.iter().map(|at| at.0).chain(self.corrected()).map(day_of).collect();
        (readings, self.wave_starts().map(day_of).collect())
    }
}
