//! One line of the file: whose it is, when it was, and what was measured; or why not.

use std::collections::BTreeMap;

use anyhow::Context;
use codec::Decimal;
use csv::ByteRecord;
use engine::LATE_US;
use model::extra::{RAW_TEXT_MAX, RAW_UNIT_MAX};
use model::{ElderId, Metric, Origin, Quality, Sample, Time};

use super::EARLIEST;
use super::map::{Map, Value, Which};

/// One measurement of a line.
#[derive(Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) elder: ElderId,
    /// As the file calls it; empty when it does not.
    pub(super) device: String,
    pub(super) sample: Sample,
    /// Digits and unit as they stood in the file, when they were converted.
    pub(super) origin: Option<Origin>,
}

/// A map put onto the columns of one file.
pub(super) struct Reader<'a> {
    map: &'a Map,
    columns: BTreeMap<String, usize>,
    elder: Option<ElderId>,
    now: Time,
}

impl<'a> Reader<'a> {
    pub(super) fn new(map: &'a Map, header: &ByteRecord, elder: Option<ElderId>, now: Time) -> anyhow::Result<Self> {
        let name = |bytes: &[u8]| map.encoding.decode(bytes).0.trim().to_owned();
        let columns: BTreeMap<String, usize> = header.iter().enumerate().map(|(i, bytes)| (name(bytes), i)).collect();
        let reader = Self { map, columns, elder, now };
        anyhow::ensure!(
            elder.is_some() != map.elder.is_some(),
            "say whose measurements these are: either --elder, or [elder] in the map"
        );
        for column in reader.wanted() {
            reader.columns.get(column).with_context(|| format!("the file has no column {column:?}"))?;
        }
        Ok(reader)
    }

    fn wanted(&self) -> impl Iterator<Item = &str> {
        let map = self.map;
        let of_value = |value: &'a Value| {
            let said = if let Which::Said(column, _) = &value.which { Some(column.as_str()) } else { None };
            [Some(value.column.as_str()), said, value.unit_column.as_deref()]
        };
        let others = [
            Some(map.time.0.as_str()),
            map.time.1.as_deref(),
            map.elder.as_ref().map(|(column, _)| column.as_str()),
            map.device.as_deref(),
            map.quality.as_ref().map(|(column, _)| column.as_str()),
        ];
        others.into_iter().chain(map.values.iter().flat_map(of_value)).flatten()
    }

    /// The measurements of a line. What cannot be taken is told as (column, reason).
    pub(super) fn read(
        &self,
        row: &ByteRecord,
        mut refuse: impl FnMut(&str, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Measured>> {
        let whole = self.whose(row).and_then(|elder| Ok((elder, self.when(row)?, self.quality(row)?)));
        let (elder, at, quality) = match whole {
            Ok(whole) => whole,
            Err((column, why)) => {
                refuse(column, why)?;
                return Ok(Vec::new());
            }
        };
        let device = self.map.device.as_deref().map_or_else(String::new, |column| self.cell(row, column));
        let mut found = Vec::new();
        for value in &self.map.values {
            match self.value(row, value, at, quality) {
                Ok(None) => {}
                Ok(Some((sample, origin))) => {
                    found.push(Measured { elder, device: device.clone(), sample, origin });
                }
                Err(why) => refuse(&value.column, why)?,
            }
        }
        Ok(found)
    }

    fn cell(&self, row: &ByteRecord, column: &str) -> String {
        let bytes = self.columns.get(column).and_then(|at| row.get(*at)).unwrap_or_default();
        self.map.encoding.decode(bytes).0.trim().to_owned()
    }

    fn whose(&self, row: &ByteRecord) -> Result<ElderId, (&str, &'static str)> {
        let Some((column, words)) = &self.map.elder else {
            return self.elder.ok_or(("", "nobody is named"));
        };
        let cell = self.cell(row, column);
        let number = words.get(&cell).copied().or_else(|| cell.parse().ok());
        number.map(ElderId).ok_or((column, "no number of an elder, and no word of the map"))
    }

    fn when(&self, row: &ByteRecord) -> Result<Time, (&str, &'static str)> {
        let (first, second) = &self.map.time;
        let mut text = self.cell(row, first);
        if let Some(second) = second {
            text = format!("{text} {}", self.cell(row, second));
        }
        let refused = |why| Err((first.as_str(), why));
        match self.map.instants.read(&text) {
            None => refused("not a time of the map's format"),
            Some(at) if at < EARLIEST => refused("before 2001: a clock that was never set"),
            Some(at) if at > self.now => refused("in the future"),
            Some(at) if at > self.now.plus_us(-LATE_US) => {
                refused("younger than ten minutes: an import is history, what is live comes through a gateway")
            }
            Some(at) => Ok(at),
        }
    }

    fn quality(&self, row: &ByteRecord) -> Result<Quality, (&str, &'static str)> {
        let Some((column, words)) = &self.map.quality else { return Ok(Quality::Ok) };
        let cell = self.cell(row, column);
        if cell.is_empty() {
            return Ok(Quality::Ok);
        }
        let known = words.get(&cell).copied().or_else(|| Quality::parse(&cell));
        known.ok_or((column, "no quality, and no word of the map"))
    }

    /// `None` for an empty cell.
    fn value(
        &self,
        row: &ByteRecord,
        value: &Value,
        at: Time,
        quality: Quality,
    ) -> Result<Option<(Sample, Option<Origin>)>, &'static str> {
        let cell = self.cell(row, &value.column);
        if cell.is_empty() && quality.has_value() {
            return Ok(None);
        }
        let metric = self.metric(row, &value.which)?;
        if !quality.has_value() {
            return Ok(Some((Sample::absent(metric, at, quality), None)));
        }
        let said = value.unit_column.as_deref().map(|column| self.cell(row, column)).filter(|unit| !unit.is_empty());
        let unit = said.unwrap_or_else(|| value.unit.clone());
        let number = Decimal::parse(&cell).ok_or("not a plain number (digits, one point)")?;
        let told = codec::measured(metric, &unit, number).ok_or("no unit of this metric")?;
        let converted = told.value.ok_or("not a number after the conversion")?;
        let sample = Sample::new(metric, at, converted, quality).guarded();
        let raw = told.raw.filter(|raw| raw.unit != metric.info().unit);
        let fits = |raw: &codec::Raw| raw.text.len() <= RAW_TEXT_MAX && raw.unit.len() <= RAW_UNIT_MAX;
        let origin =
            raw.filter(fits).map(|raw| Origin { raw: Some((raw.text, raw.unit.to_owned())), ..Origin::default() });
        Ok(Some((sample, origin)))
    }

    fn metric(&self, row: &ByteRecord, which: &Which) -> Result<Metric, &'static str> {
        match which {
            Which::One(metric) => Ok(*metric),
            Which::Said(column, words) => {
                let cell = self.cell(row, column);
                let known = words.get(&cell).copied().or_else(|| Metric::from_slug(&cell));
                known
                    .filter(|metric| metric.info().shape != model::metric::Shape::Waveform)
                    .ok_or("no metric, and no word of the map")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"
        [time]
        column = "when"
        format = "%Y-%m-%d %H:%M"
        zone = "Asia/Shanghai"
        [elder]
        column = "who"
        words = { "A-17" = 17 }
        [quality]
        column = "how"
        words = { "体动" = "motion" }
        [[value]]
        column = "bp"
        metric = "systolic"
        unit = "kPa"
        [[value]]
        column = "number"
        metric_column = "what"
        metrics = { "血糖" = "glucose" }
        unit_column = "unit"
    "#;

    /// Elder, metric, tenths of the value, quality.
    type Found = (u32, &'static str, i64, Quality);

    /// What is taken, and what is refused as (column, reason).
    fn read(line: &str) -> (Vec<Found>, Vec<(String, String)>) {
        let map = Map::parse(MAP).unwrap();
        let header = ByteRecord::from(vec!["when", "who", "how", "bp", "what", "number", "unit"]);
        let now = Time::parse("2026-03-01T12:00:00+08:00").unwrap();
        let reader = Reader::new(&map, &header, None, now).unwrap();
        let mut refused = Vec::new();
        let row = ByteRecord::from(line.split(',').collect::<Vec<_>>());
        let found = reader.read(&row, |column, why| {
            refused.push((column.to_owned(), why.to_owned()));
            Ok(())
        });
        let shape = |one: &Measured| {
            let value = one.sample.value().map_or(-1, |value| (value * 10.0).round() as i64);
            (one.elder.0, one.sample.metric.slug(), value, one.sample.quality)
        };
        (found.unwrap().iter().map(shape).collect(), refused)
    }

    #[test]
    fn a_line_is_read_by_its_map() {
        let (found, refused) = read("2026-02-01 08:00,A-17,,18.9,血糖,182,mg/dL");
        assert_eq!(found, [(17, "systolic", 1418, Quality::Ok), (17, "glucose", 101, Quality::Ok)]);
        assert!(refused.is_empty());
        let (found, _) = read("2026-02-01 08:00,3,体动,,heart_rate,61,");
        assert_eq!(found, [(3, "heart_rate", 610, Quality::Motion)], "an empty cell is nothing");
        let (found, _) = read("2026-02-01 08:00,3,,100,spo2,97,%");
        assert_eq!(found[0].3, Quality::OutOfRange, "750 mmHg are kept and not believed");
        let (found, _) = read("2026-02-01 08:00,3,sensor_off,,spo2,,");
        assert_eq!(found.len(), 2, "an absence has no number");
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        for (line, column, word) in [
            ("2026-02-01 8h,3,,18.9,spo2,97,%", "when", "not a time"),
            ("1970-01-01 08:00,3,,18.9,spo2,97,%", "when", "2001"),
            ("2026-03-01 13:00,3,,18.9,spo2,97,%", "when", "future"),
            ("2026-03-01 11:55,3,,18.9,spo2,97,%", "when", "ten minutes"),
            ("2026-02-01 08:00,王,,18.9,spo2,97,%", "who", "no number"),
            ("2026-02-01 08:00,3,gut,18.9,spo2,97,%", "how", "no quality"),
            ("2026-02-01 08:00,3,,,spo2,9-7,%", "number", "plain number"),
            ("2026-02-01 08:00,3,,,spo2,97,kg", "number", "no unit"),
            ("2026-02-01 08:00,3,,,luck,97,", "number", "no metric"),
        ] {
            let (found, refused) = read(line);
            assert!(found.is_empty(), "{line}");
            assert!(refused.len() == 1 && refused[0].0 == column && refused[0].1.contains(word), "{line}: {refused:?}");
        }
    }

    #[test]
    fn digits_and_unit_of_the_file_are_kept() {
        let map = Map::parse(MAP).unwrap();
        let header = ByteRecord::from(vec!["when", "who", "how", "bp", "what", "number", "unit"]);
        let reader = Reader::new(&map, &header, None, Time::from_secs(1_800_000_000)).unwrap();
        let row = ByteRecord::from(vec!["2026-02-01 08:00", "3", "", "18.90", "spo2", "97", "%"]);
        let found = reader.read(&row, |_, _| Ok(())).unwrap();
        let raw = |one: &Measured| one.origin.as_ref().and_then(|origin| origin.raw.clone());
        assert_eq!(raw(&found[0]), Some(("18.90".to_owned(), "kPa".to_owned())));
        assert_eq!(raw(&found[1]), None, "it was not converted");
    }
}
