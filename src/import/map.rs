//! The map of an import: which column is what. A key that nobody knows is an error, as everywhere.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use encoding_rs::{Encoding, GB18030, UTF_8};
use jiff::tz::TimeZone;
use model::metric::Shape;
use model::{Metric, Quality, Time};
use serde::Deserialize;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    file: FileForm,
    time: TimeForm,
    elder: Option<Words>,
    device: Option<Column>,
    quality: Option<Words>,
    value: Vec<ValueForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileForm {
    delimiter: char,
    encoding: String,
}

impl Default for FileForm {
    fn default() -> Self {
        Self { delimiter: ',', encoding: "utf-8".to_owned() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeForm {
    column: String,
    /// A second column that is put after the first, with a blank.
    and_column: Option<String>,
    format: String,
    zone: Option<String>,
}

/// A column, and what its words mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) column: String,
    #[serde(default)]
    pub(super) words: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    column: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueForm {
    column: String,
    metric: Option<String>,
    metric_column: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, String>,
    unit: Option<String>,
    unit_column: Option<String>,
}

/// How an instant is written.
#[derive(Debug)]
pub(super) enum Instants {
    Rfc3339,
    Seconds,
    Millis,
    /// `strptime`, by this clock when the text has no offset.
    Format(String, Option<TimeZone>),
}

/// Which metric a value column holds.
#[derive(Debug)]
pub(super) enum Which {
    One(Metric),
    /// The column that says it, and other words for metrics than their own.
    Said(String, BTreeMap<String, Metric>),
}

/// A column with values.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) column: String,
    pub(super) which: Which,
    /// When no column says it.
    pub(super) unit: String,
    pub(super) unit_column: Option<String>,
}

/// A checked map.
#[derive(Debug)]
pub(super) struct Map {
    delimiter: u8,
    pub(super) encoding: &'static Encoding,
    pub(super) time: (String, Option<String>),
    pub(super) instants: Instants,
    /// Its words are elders' numbers.
    pub(super) elder: Option<(String, BTreeMap<String, u32>)>,
    pub(super) device: Option<String>,
    pub(super) quality: Option<(String, BTreeMap<String, Quality>)>,
    pub(super) values: Vec<Value>,
}

impl Map {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let Written { file, time, elder, device, quality, value } = toml::from_str(text)?;
        if value.is_empty() {
            bail!("name at least one [[value]] column");
        }
        let encoding = match file.encoding.as_str() {
            "utf-8" => UTF_8,
            "gb18030" | "gbk" => GB18030,
            other => bail!("encoding {other:?}: utf-8 or gb18030"),
        };
        Ok(Self {
            delimiter: u8::try_from(file.delimiter).context("the delimiter is one ASCII character")?,
            encoding,
            instants: instants(&time)?,
            time: (time.column, time.and_column),
            elder: elder.map(|words| Ok::<_, anyhow::Error>((words.column, numbers(words.words)?))).transpose()?,
            device: device.map(|device| device.column),
            quality: quality
                .map(|words| Ok::<_, anyhow::Error>((words.column, qualities(words.words)?)))
                .transpose()?,
            values: value.into_iter().map(value_of).collect::<anyhow::Result<_>>()?,
        })
    }

    pub(super) const fn delimiter(&self) -> u8 {
        self.delimiter
    }
}

impl Instants {
    /// The instant that a cell names.
    pub(super) fn read(&self, text: &str) -> Option<Time> {
        let text = text.trim();
        match self {
            Self::Rfc3339 => Time::parse(text),
            Self::Seconds => text.parse().ok().map(Time::from_secs),
            Self::Millis => text.parse().ok().map(Time::from_millis),
            Self::Format(format, zone) => {
                let told = jiff::fmt::strtime::parse(format, text).ok()?;
                let stamp = match zone {
                    None => told.to_timestamp().ok()?,
                    Some(zone) => {
                        let wall =
                            told.to_datetime().or_else(|_| told.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
                        zone.to_timestamp(wall).ok()?
                    }
                };
                Some(Time(stamp.as_microsecond()))
            }
        }
    }
}

fn instants(time: &TimeForm) -> anyhow::Result<Instants> {
    let zone = time.zone.as_deref().map(TimeZone::get).transpose().context("time.zone")?;
    Ok(match time.format.as_str() {
        "rfc3339" => Instants::Rfc3339,
        "unix_s" => Instants::Seconds,
        "unix_ms" => Instants::Millis,
        format => {
            let has_offset = ["%z", "%:z", "%Q"].iter().any(|part| format.contains(part));
            if zone.is_some() == has_offset {
                bail!("time.format has either an offset (%z) or a zone beside it: zone = \"Asia/Shanghai\"");
            }
            Instants::Format(format.to_owned(), zone)
        }
    })
}

fn numbers(words: BTreeMap<String, toml::Value>) -> anyhow::Result<BTreeMap<String, u32>> {
    let number = |(word, value): (String, toml::Value)| {
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        Ok((word.clone(), number.with_context(|| format!("elder.words: {word:?} is the number of an elder"))?))
    };
    words.into_iter().map(number).collect()
}

fn qualities(words: BTreeMap<String, toml::Value>) -> anyhow::Result<BTreeMap<String, Quality>> {
    let quality = |(word, value): (String, toml::Value)| {
        let quality = value.as_str().and_then(Quality::parse);
        let known = || Quality::ALL.iter().map(|quality| quality.slug()).collect::<Vec<_>>().join(", ");
        Ok((word.clone(), quality.with_context(|| format!("quality.words: {word:?} is one of {}", known()))?))
    };
    words.into_iter().map(quality).collect()
}

fn metric(word: &str) -> anyhow::Result<Metric> {
    let known = Metric::from_slug(word).filter(|metric| metric.info().shape != Shape::Waveform);
    known.with_context(|| format!("{word:?} is no metric that comes as numbers"))
}

fn value_of(form: ValueForm) -> anyhow::Result<Value> {
    let which = match (form.metric, form.metric_column) {
        (Some(one), None) => {
            let one = metric(&one)?;
            let unit = form.unit.as_deref().unwrap_or_default();
            if codec::measured(one, unit, codec::Decimal::whole(1)).is_none() {
                bail!("{unit:?} is no unit of {one}");
            }
            Which::One(one)
        }
        (None, Some(column)) => {
            let words = form.metrics.into_iter().map(|(word, name)| Ok((word, metric(&name)?)));
            Which::Said(column, words.collect::<anyhow::Result<_>>()?)
        }
        _ => bail!("the value column {:?} has either metric or metric_column", form.column),
    };
    Ok(Value { column: form.column, which, unit: form.unit.unwrap_or_default(), unit_column: form.unit_column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_a_good_map() {
        Map::parse(include_str!("../../config/import-map.toml")).unwrap();
    }

    #[test]
    fn instants_are_read_by_their_format_and_zone() {
        let read = |format: &str, zone: &str, text: &str| {
            let zone = if zone.is_empty() { String::new() } else { format!("zone = {zone:?}") };
            let map = format!(
                "[time]\ncolumn = \"t\"\nformat = {format:?}\n{zone}\n[[value]]\ncolumn = \"hr\"\nmetric = \"heart_rate\""
            );
            Map::parse(&map).unwrap().instants.read(text)
        };
        let noon = Time::parse("2026-03-01T12:00:00+08:00");
        assert_eq!(read("%Y-%m-%d %H:%M:%S", "Asia/Shanghai", "2026-03-01 12:00:00"), noon);
        assert_eq!(read("%d.%m.%Y %H:%M", "Asia/Shanghai", "01.03.2026 12:00"), noon);
        assert_eq!(read("%Y年%m月%d日 %H时%M分", "Asia/Shanghai", "2026年3月1日 12时00分"), noon);
        assert_eq!(read("%Y-%m-%d %H:%M:%S %z", "", "2026-03-01 12:00:00 +0800"), noon);
        assert_eq!(read("rfc3339", "", "2026-03-01T04:00:00Z"), noon);
        assert_eq!(read("unix_s", "", "1772337600"), noon);
        assert_eq!(read("unix_ms", "", "1772337600000"), noon);
        assert_eq!(read("%Y-%m-%d", "Asia/Shanghai", "2026-03-01"), Time::parse("2026-03-01T00:00:00+08:00"));
        for bad in ["", "2026-02-30 12:00:00", "12:00", "yesterday"] {
            assert_eq!(read("%Y-%m-%d %H:%M:%S", "Asia/Shanghai", bad), None, "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let refused = |map: &str| format!("{:#}", Map::parse(map).unwrap_err());
        let time = "[time]\ncolumn = \"t\"\nformat = \"rfc3339\"\n";
        assert!(refused(&format!("{time}[[value]]\ncolumn = \"a\"\nmetric = \"happiness\"")).contains("happiness"));
        assert!(
            refused(&format!("{time}[[value]]\ncolumn = \"a\"\nmetric = \"weight\"\nunit = \"kPa\""))
                .contains("no unit")
        );
        assert!(refused(&format!("{time}[[value]]\ncolumn = \"a\"")).contains("either metric or metric_column"));
        assert!(refused(&format!("{time}speed = 3\n[[value]]\ncolumn = \"a\"\nmetric = \"spo2\"")).contains("speed"));
        let local = "[time]\ncolumn = \"t\"\nformat = \"%Y-%m-%d %H:%M\"\n[[value]]\ncolumn = \"a\"\nmetric = \"spo2\"";
        assert!(refused(local).contains("zone"));
    }
}
