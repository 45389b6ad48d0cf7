//! What rollups tell of a minute or an hour, beside its numbers, and how that continues a trend exactly.
//!
//! A pause that matters is longer than five minutes, so it lies between two minutes with values and is seen from the last value of one
//! and the first value of the other. Distances inside a minute are shorter than a minute; their mean stands for each of them: the usual
//! distance only matters when it is longer than a minute, and then it is one of the exact ones.

use super::digest::{Digest, Point, Run};

/// One rollup as the query `parts` gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Start of the minute or hour.
    pub(super) start: i64,
    /// Judged values.
    pub(super) n: u64,
    /// Instants of the first and the last judged value.
    pub(super) values: Option<(i64, i64)>,
    /// Instants of the first and the last row of any quality.
    pub(super) rows: (i64, i64),
    /// Rows of any quality.
    pub(super) count: u64,
    /// Rows without a value, and the lowest and highest cause among them.
    pub(super) absent: u64,
    pub(super) causes: Option<(u8, u8)>,
    /// Of an hour: a value in every minute, and never much more than a minute between two. True for a minute.
    pub(super) dense: bool,
}

impl Part {
    /// The digest of the rows behind this rollup, as far as a trend looks at it. `None`: it cannot be told without looking closer,
    /// at its minutes or at its rows.
    pub(super) fn digest(&self, stream: bool) -> Option<Digest> {
        self.whole(stream && self.n > 0 && !self.dense, stream)
    }

    /// As [`digest`](Self::digest) when there is nothing closer to look at: absent runs among values are left out, and pauses inside an hour.
    pub(super) fn rough(&self, stream: bool) -> Digest {
        self.whole(false, stream).unwrap_or_else(|| self.of_values(stream))
    }

    fn whole(&self, holes: bool, stream: bool) -> Option<Digest> {
        if holes {
            return None;
        }
        match self.causes {
            None => Some(self.of_values(stream)),
            Some((low, high)) if low == high && self.absent == self.count => {
                let run = Run { from: self.rows.0, to: self.rows.1, quality: low, open: true };
                Some(Digest { runs: vec![run], ..Digest::default() })
            }
            Some(_) => None,
        }
    }

    fn of_values(&self, stream: bool) -> Digest {
        let mut digest = Digest::default();
        let Some((first, last)) = self.values else { return digest };
        // The value itself is of no interest here.
        digest.first = Some(Point { at: first, value: 0.0 });
        digest.last = Some(Point { at: last, value: 0.0 });
        let between = self.n.saturating_sub(1);
        if stream && between > 0 {
            digest.distances.add(last.saturating_sub(first) / between as i64, between);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::digest::{HOUR, MINUTE, cells, floor};
    use super::super::row::{Kind, Row, Rows, kind};
    use super::super::trend::Builder;
    use super::*;

    fn row(at: i64, quality: u8) -> Row {
        Row { at, value: 1.0, device: 1, quality }
    }

    /// What the database makes of the rows of one minute or hour.
    fn part(rows: &[Row], start: i64) -> Part {
        let of = |wanted: Kind| rows.iter().filter(move |row| kind(row.quality) == wanted);
        let judged: Vec<i64> = of(Kind::Judged).map(|row| row.at).collect();
        let causes: Vec<u8> = of(Kind::Absent).map(|row| row.quality).collect();
        let mut ends = std::collections::BTreeMap::<i64, (i64, i64)>::new();
        for at in &judged {
            let minute = floor(*at, MINUTE);
            ends.entry(minute).or_insert((at - minute, 0)).1 = at - minute;
        }
        let late = ends.values().map(|(first, _)| *first).max().unwrap_or(0);
        let early = ends.values().map(|(_, last)| *last).min().unwrap_or(0);
        Part {
            start,
            n: judged.len() as u64,
            values: judged.first().copied().zip(judged.last().copied()),
            rows: (rows[0].at, rows[rows.len() - 1].at),
            count: rows.len() as u64,
            absent: causes.len() as u64,
            causes: causes.iter().min().copied().zip(causes.iter().max().copied()),
            dense: ends.len() == 60 && late - early < 7_000_000,
        }
    }

    fn split(rows: &[Row], width: i64) -> Vec<(i64, Vec<Row>)> {
        let mut out: Vec<(i64, Vec<Row>)> = Vec::new();
        for row in rows {
            match out.last_mut() {
                Some((start, part)) if *start == floor(row.at, width) => part.push(*row),
                _ => out.push((floor(row.at, width), vec![*row])),
            }
        }
        out
    }

    fn collect(rows: &[Row]) -> Rows {
        let mut out = Rows::default();
        for row in rows {
            out.insert(*row);
        }
        out
    }

    /// The trend of rows by way of hours, then minutes, then rows.
    fn by_parts(rows: &[Row], builder: &mut Builder) {
        for (start, hour) in split(rows, HOUR) {
            match part(&hour, start).digest(true).filter(|_| start % (2 * HOUR) == 0) {
                Some(digest) => builder.add_digest(&digest, hour[0].at),
                None => {
                    for (start, minute) in split(&hour, MINUTE) {
                        let mut of = part(&minute, start);
                        of.dense = true;
                        let digest = of.digest(true).unwrap_or_else(|| Digest::of(&collect(&minute), true));
                        builder.add_digest(&digest, minute[0].at);
                    }
                }
            }
        }
    }

    proptest! {
        /// Stretches of even rhythm with breaks between them, in any qualities.
        #[test]
        fn parts_tell_the_same_gaps_as_rows(
            stretches in proptest::collection::vec(
                (0..1_200_i64, 1..130_i64, 1..200_usize, prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(17), 1 => Just(19)], 0..3_i64),
                1..9,
            ),
        ) {
            let (mut at, mut rows) = (1_000_000_007_i64, Vec::new());
            for (pause, step, many, quality, jitter) in stretches {
                at += pause * 1_000_000;
                for i in 0..many {
                    at += step * 1_000_000 + (i as i64 * 7_919 % 1_000) * jitter * 1_000;
                    rows.push(row(at, quality));
                }
            }
            let mut plain = Builder::new(HOUR, true);
            plain.add_rows(&collect(&rows));
            let mut parts = Builder::new(HOUR, true);
            by_parts(&rows, &mut parts);
            parts.add_cells(&cells(&collect(&rows), HOUR));
            prop_assert_eq!(parts.finish(2_000), plain.finish(2_000));
        }
    }
}
