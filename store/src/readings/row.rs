//! One stored row and a sorted column set of them: the shape of heads in memory and of decoded blocks.

use std::ops::Range;

use model::{DeviceId, Metric, Quality, Reading, Sample, Subject, Time};

use super::Error;

/// Key of a series: the subject's `u32` above the metric's `u16`.
pub(super) type Key = u64;

pub(super) fn key_of(subject: Subject, metric: Metric) -> Key {
    u64::from(subject.to_u32()) << 16 | u64::from(metric.id())
}

/// The series of a key; `None` for a metric that this program does not know.
pub(super) fn series_of(key: Key) -> Option<(Subject, Metric)> {
    Some((Subject::from_u32((key >> 16) as u32), Metric::from_id(key as u16)?))
}

/// One reading without its series. `value` is 0 when the quality says there is none, and of a row that was moved away ([`MOVED`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// Microseconds since 1970.
    pub(super) at: i64,
    pub(super) value: f64,
    pub(super) device: u32,
    /// A known [`Quality`] id.
    pub(super) quality: u8,
}

impl Row {
    pub(super) fn of(reading: &Reading) -> Self {
        let sample = &reading.sample;
        Self {
            at: sample.taken_at.0,
            value: sample.value().unwrap_or(0.0),
            device: reading.device.0,
            quality: sample.quality.id(),
        }
    }

    pub(super) fn reading(self, subject: Subject, metric: Metric) -> Reading {
        let quality = Quality::from_id(self.quality).unwrap_or(Quality::Absent);
        let sample = if quality.has_value() {
            Sample::new(metric, Time(self.at), self.value, quality)
        } else {
            Sample::absent(metric, Time(self.at), quality)
        };
        Reading { subject, device: DeviceId(self.device), sample }
    }

    /// What stays in the place of a row that is another's now. Its value is that person's: when they are forgotten nobody looks here.
    pub(super) fn mark(self) -> Self {
        Self { quality: MOVED, value: 0.0, ..self }
    }

    /// A row that stands here takes the state of the same measurement elsewhere (`there`): it goes, or it comes back. A mark has no
    /// value to compare: what one device measured of one person at one instant is one measurement.
    pub(super) fn gives_way(&self, there: &Self) -> bool {
        if there.quality == MOVED { self.device == there.device } else { self.quality == MOVED }
    }

    /// The same measurement told again. The device may differ: the elder's value at that instant does not.
    pub(super) fn repeats(&self, stored: &Self) -> bool {
        self.value.to_bits() == stored.value.to_bits() && self.quality == stored.quality
    }
}

/// What is known of each quality id, as a table: asked once per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    /// Taken to another subject: keeps its place without its value, so that the same measurement told again does not come back, and is in no answer.
    Moved,
    Absent,
    Doubtful,
    Judged,
}

/// Quality of a row that was moved to another subject. Never leaves the store, and no [`Quality`] has it.
pub(super) const MOVED: u8 = 255;

const KINDS: [Kind; 256] = {
    let mut table = [Kind::Unknown; 256];
    table[MOVED as usize] = Kind::Moved;
    let mut i = 0;
    while i < Quality::ALL.len() {
        let quality = Quality::ALL[i];
        table[quality.id() as usize] = match (quality.has_value(), quality.is_judged()) {
            (false, _) => Kind::Absent,
            (true, false) => Kind::Doubtful,
            (true, true) => Kind::Judged,
        };
        i += 1;
    }
    table
};

pub(super) const fn kind(quality: u8) -> Kind {
    KINDS[quality as usize]
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tag {
    device: u32,
    quality: u8,
}

/// Device and quality: nearly always one for the whole series, so usually one is kept for all.
#[derive(Clone, Debug)]
enum Tags {
    One(Tag),
    Each(Vec<Tag>),
}

impl Default for Tags {
    fn default() -> Self {
        Self::One(Tag::default())
    }
}

/// Rows of one series, strictly ascending in time, column by column.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    at: Vec<i64>,
    value: Vec<f64>,
    tags: Tags,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.at
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.value
    }

    pub(super) fn first_at(&self) -> Option<i64> {
        self.at.first().copied()
    }

    pub(super) fn last_at(&self) -> Option<i64> {
        self.at.last().copied()
    }

    fn tag(&self, i: usize) -> Tag {
        match &self.tags {
            Tags::One(tag) => *tag,
            Tags::Each(tags) => tags[i],
        }
    }

    pub(super) fn get(&self, i: usize) -> Row {
        let tag = self.tag(i);
        Row { at: self.at[i], value: self.value[i], device: tag.device, quality: tag.quality }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The row taken at this instant.
    pub(super) fn find(&self, at: i64) -> Option<Row> {
        self.at.binary_search(&at).ok().map(|i| self.get(i))
    }

    /// The instants before and after this one, when there are both.
    pub(super) fn around(&self, at: i64) -> Option<(i64, i64)> {
        let after = self.at.partition_point(|known| *known <= at);
        let before = self.at.partition_point(|known| *known < at).checked_sub(1)?;
        Some((self.at[before], *self.at.get(after)?))
    }

    /// Adds a row in its place. A row with a known instant takes the place of the one that is there: the duplicate check lets
    /// only corrections through. False then.
    pub(super) fn insert(&mut self, row: Row) -> bool {
        let tag = Tag { device: row.device, quality: row.quality };
        let place = match self.last_at() {
            Some(last) if last >= row.at => match self.at.binary_search(&row.at) {
                Ok(place) => {
                    self.replace(place, row.value, tag);
                    return false;
                }
                Err(place) => place,
            },
            _ => self.len(),
        };
        if self.is_empty() {
            self.tags = Tags::One(tag);
        }
        match &mut self.tags {
            Tags::One(one) if *one == tag => {}
            Tags::One(one) => {
                let mut each = vec![*one; self.at.len()];
                each.insert(place, tag);
                self.tags = Tags::Each(each);
            }
            Tags::Each(each) => each.insert(place, tag),
        }
        self.at.insert(place, row.at);
        self.value.insert(place, row.value);
        true
    }

    fn replace(&mut self, place: usize, value: f64, tag: Tag) {
        self.value[place] = value;
        match &mut self.tags {
            Tags::One(one) if *one == tag => {}
            Tags::One(one) => {
                let mut each = vec![*one; self.at.len()];
                each[place] = tag;
                self.tags = Tags::Each(each);
            }
            Tags::Each(each) => each[place] = tag,
        }
    }

    /// The rows that are in answers.
    pub(super) fn present(self) -> Self {
        if !self.has_moved() {
            return self;
        }
        let mut rows = Self::default();
        for row in self.iter().filter(|row| row.quality != MOVED) {
            rows.insert(row);
        }
        rows
    }

    pub(super) fn has_moved(&self) -> bool {
        match &self.tags {
            Tags::One(tag) => tag.quality == MOVED && !self.is_empty(),
            Tags::Each(tags) => tags.iter().any(|tag| tag.quality == MOVED),
        }
    }

    /// Positions of the rows with `from <= at < to`.
    pub(super) fn within(&self, from: i64, to: i64) -> Range<usize> {
        let start = self.at.partition_point(|at| *at < from);
        let end = self.at.partition_point(|at| *at < to);
        start..end.max(start)
    }

    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let tags = match &self.tags {
            Tags::One(tag) => Tags::One(*tag),
            Tags::Each(tags) => Tags::Each(tags[range.clone()].to_vec()),
        };
        Self { at: self.at[range.clone()].to_vec(), value: self.value[range].to_vec(), tags }
    }

    /// Both in time order. At equal instants the row of `other` stays: it was written later, and corrects.
    pub(super) fn merged(&self, other: &Self) -> Self {
        let mut all = Self::default();
        let (mut i, mut j) = (0, 0);
        while i < self.len() || j < other.len() {
            let take_self = j >= other.len() || (i < self.len() && self.at[i] <= other.at[j]);
            if take_self {
                all.insert(self.get(i));
                i += 1;
            } else {
                all.insert(other.get(j));
                j += 1;
            }
        }
        all
    }

    pub(super) fn devices(&self) -> Vec<i64> {
        (0..self.len()).map(|i| i64::from(self.tag(i).device)).collect()
    }

    pub(super) fn qualities(&self) -> Vec<i64> {
        (0..self.len()).map(|i| i64::from(self.tag(i).quality)).collect()
    }

    /// Puts decoded columns together. They must have equal lengths, ascending times and known qualities.
    pub(super) fn from_columns(
        at: Vec<i64>,
        value: Vec<f64>,
        qualities: &[i64],
        devices: &[i64],
    ) -> Result<Self, Error> {
        if at.len() != value.len() || at.len() != qualities.len() || at.len() != devices.len() {
            return Err(Error::corrupt("columns of different length"));
        }
        if at.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::corrupt("times not in order"));
        }
        let mut rows = Self { at, value, tags: Tags::default() };
        let mut each = Vec::with_capacity(rows.len());
        for (i, (quality, device)) in qualities.iter().zip(devices).enumerate() {
            let quality = u8::try_from(*quality).map_err(|_| Error::corrupt("an impossible quality code"))?;
            let device = u32::try_from(*device).map_err(|_| Error::corrupt("an impossible device"))?;
            match kind(quality) {
                Kind::Unknown => return Err(Error::corrupt("an unknown quality code")),
                // Programs before format 4 left the value in a mark.
                Kind::Absent | Kind::Moved => rows.value[i] = 0.0,
                Kind::Doubtful | Kind::Judged => {}
            }
            each.push(Tag { device, quality });
        }
        rows.tags = match each.first() {
            Some(first) if each.iter().all(|tag| tag == first) => Tags::One(*first),
            Some(_) => Tags::Each(each),
            None => Tags::default(),
        };
        Ok(rows)
    }
}
