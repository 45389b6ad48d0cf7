//! Recordings: a CSV file of vital signs as rows of samples. Used by the recording link, `vigil replay` and `vigil judge`.
//!
//! The first column that is named `t_s` (seconds from the start) or `time` (RFC 3339) is the time. Other columns are
//! metrics by slug, or `NAME[unit]` through a table of monitor names, or by a mapping given by the caller; columns nobody
//! knows are ignored and listed. An empty cell is no sample. A 0 where no living person has 0 means "sensor off": the
//! cell becomes an absent value, never a number.

use std::io::{BufRead, BufReader, Read};

use model::{Metric, Quality, Sample, Time};

/// Longest line, bytes.
const LINE_MAX: usize = 64 * 1024;
/// Most rows of one recording: a year at one a second is 31 million, more than anybody replays from one CSV file.
const ROWS_MAX: usize = 10_000_000;

/// Names that monitors and data sets use, in lower case, without the unit.
const NAMES: &[(&str, Metric)] = &[
    ("hr", Metric::HeartRate),
    ("hr_bpm", Metric::HeartRate),
    ("pulse", Metric::PulseRate),
    ("resp", Metric::RespiratoryRate),
    ("rr", Metric::RespiratoryRate),
    ("spo2", Metric::Spo2),
    ("abpsys", Metric::ArterialSystolic),
    ("abpdias", Metric::ArterialDiastolic),
    ("abpmean", Metric::ArterialMean),
    ("nbpsys", Metric::Systolic),
    ("nbpdias", Metric::Diastolic),
    ("nbpmean", Metric::MeanArterialPressure),
    ("temp", Metric::BodyTemperature),
    ("glucose", Metric::Glucose),
    ("weight", Metric::Weight),
];

/// Units as people and machines write them, in lower case -> MDC code (0: says nothing, so the metric's own), UCUM.
const UNITS: &[(&str, u32, &str)] = &[
    ("bpm", 264_864, "/min"),
    ("/min", 264_864, "/min"),
    ("pm", 264_928, "/min"),
    ("mmhg", 266_016, "mm[Hg]"),
    ("mm[hg]", 266_016, "mm[Hg]"),
    ("kpa", 265_987, "kPa"),
    ("%", 262_688, "%"),
    ("cel", 268_192, "Cel"),
    ("degc", 268_192, "Cel"),
    ("degf", 266_560, "[degF]"),
    ("mmol/l", 266_866, "mmol/L"),
    ("mg/dl", 264_274, "mg/dL"),
    ("kg", 263_875, "kg"),
    ("g", 263_872, "g"),
    ("lb", 263_904, "[lb_av]"),
    ("cm", 263_441, "cm"),
    ("m", 263_424, "m"),
];

/// A whole recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    pub rows: Vec<Row>,
    /// Times are real instants (`time`), not seconds from the start (`t_s`).
    pub absolute: bool,
    /// Metrics in the order of their columns.
    pub metrics: Vec<Metric>,
    /// Columns that are no metric.
    pub ignored: Vec<String>,
}

/// One line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Microseconds since the start, or since 1970 in an absolute recording.
    pub at_us: i64,
    /// Times in it are `at_us` as an instant; [`Recording::timed`] moves them.
    pub samples: Vec<Sample>,
}

/// What is wrong with the file, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the recording cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("line {line}, column {column}: {what}")]
    Cell { line: usize, column: String, what: String },
    #[error("line {line}: {what}")]
    Line { line: usize, what: String },
    #[error("{0:?} is not NAME=metric with a metric like heart_rate")]
    Mapping(String),
}

/// MDC code and UCUM text of a unit, however it is written.
pub(crate) fn unit(text: &str) -> Option<(u32, &'static str)> {
    let lower = text.to_ascii_lowercase();
    UNITS.iter().find(|(known, ..)| *known == lower).map(|(_, code, ucum)| (*code, *ucum))
}

/// Parses `NAME=slug` of the mapping option.
pub fn mapping(text: &str) -> Result<(String, Metric), Error> {
    let parsed =
        text.split_once('=').and_then(|(name, slug)| Some((name.trim().to_owned(), Metric::from_slug(slug.trim())?)));
    parsed.filter(|(name, _)| !name.is_empty()).ok_or_else(|| Error::Mapping(text.to_owned()))
}

/// Reads a whole recording. `mapping` names columns (whole header or its NAME) before the built-in table does.
pub fn read(reader: impl Read, mapping: &[(String, Metric)]) -> Result<Recording, Error> {
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    if !next_line(&mut reader, &mut line, 1)? {
        return Err(Error::Line { line: 1, what: "the file is empty; a header line is expected".to_owned() });
    }
    let header = Header::parse(&line, mapping)?;
    let mut recording = Recording { absolute: header.absolute, ..Recording::default() };
    for column in &header.columns {
        match column {
            Column::Metric { metric, .. } => recording.metrics.push(*metric),
            Column::Ignored(name) => recording.ignored.push(name.clone()),
            Column::Time => {}
        }
    }
    for number in 2.. {
        if !next_line(&mut reader, &mut line, number)? {
            break;
        }
        if line.is_empty() {
            continue;
        }
        if recording.rows.len() == ROWS_MAX {
            return Err(Error::Line { line: number, what: format!("more than {ROWS_MAX} rows") });
        }
        recording.rows.push(header.row(&line, number)?);
    }
    Ok(recording)
}

impl Recording {
    /// Rows with their instants. Seconds from the start begin at `base`. Real instants are kept when `base` is `None`,
    /// otherwise the first row is moved to `base` and the rest with it.
    pub fn timed(&self, base: Option<Time>) -> impl Iterator<Item = (Time, Vec<Sample>)> + '_ {
        let first = self.rows.first().map_or(0, |row| row.at_us);
        let shift = match (base, self.absolute) {
            (Some(base), true) => base.0.saturating_sub(first),
            (Some(base), false) => base.0,
            (None, _) => 0,
        };
        self.rows.iter().map(move |row| {
            let at = Time(row.at_us).plus_us(shift);
            let moved = |sample: &Sample| {
                let mut sample = *sample;
                sample.taken_at = at;
                sample
            };
            let samples = row.samples.iter().map(moved);
            (at, samples.collect())
        })
    }

    /// Microseconds from the first row to the last.
    pub fn span_us(&self) -> i64 {
        match (self.rows.first(), self.rows.last()) {
            (Some(first), Some(last)) => last.at_us.saturating_sub(first.at_us),
            _ => 0,
        }
    }
}

enum Column {
    Time,
    Metric { name: String, metric: Metric, unit: u32 },
    Ignored(String),
}

struct Header {
    columns: Vec<Column>,
    absolute: bool,
}

impl Header {
    fn parse(line: &str, mapping: &[(String, Metric)]) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut time = None;
        for name in line.trim_start_matches('\u{feff}').split(',').map(plain) {
            match name {
                "t_s" | "time" if time.is_none() => {
                    time = Some(name == "time");
                    columns.push(Column::Time);
                }
                name => columns.push(Self::column(name, mapping)?),
            }
        }
        let at_line_1 = |what: &str| Error::Line { line: 1, what: what.to_owned() };
        let absolute = time.ok_or_else(|| at_line_1("a column t_s (seconds) or time (RFC 3339) is expected"))?;
        if !columns.iter().any(|column| matches!(column, Column::Metric { .. })) {
            return Err(at_line_1(
                "no column is a metric; name them by slug (heart_rate) or with a mapping NAME=metric",
            ));
        }
        Ok(Self { columns, absolute })
    }

    fn column(header: &str, mapping: &[(String, Metric)]) -> Result<Column, Error> {
        let (name, unit) = match header.split_once('[') {
            Some((name, unit)) => (name.trim(), unit.strip_suffix(']').unwrap_or(unit)),
            None => (header, ""),
        };
        let mapped = mapping.iter().find(|(known, _)| known == header || known == name).map(|(_, metric)| *metric);
        let lower = name.to_ascii_lowercase();
        let built_in = || NAMES.iter().find(|(known, _)| *known == lower).map(|(_, metric)| *metric);
        let Some(metric) = mapped.or_else(|| Metric::from_slug(&lower)).or_else(built_in) else {
            return Ok(Column::Ignored(header.to_owned()));
        };
        let code = if unit.is_empty() { Some(0) } else { self::unit(unit).map(|(code, _)| code) };
        let readable = code.filter(|&code| mqtt::wire::in_own_unit(metric, code, 1.0).is_some());
        let Some(unit) = readable else {
            let what = format!("the unit {unit:?} cannot be read as {} ({metric})", metric.info().unit);
            return Err(Error::Cell { line: 1, column: header.to_owned(), what });
        };
        Ok(Column::Metric { name: header.to_owned(), metric, unit })
    }

    fn row(&self, line: &str, number: usize) -> Result<Row, Error> {
        let fault = |column: &str, what: String| Error::Cell { line: number, column: column.to_owned(), what };
        let mut at_us = None;
        let mut samples = Vec::with_capacity(self.columns.len());
        let mut cells = line.split(',').map(plain);
        for column in &self.columns {
            let cell = cells.next().unwrap_or("");
            match column {
                Column::Ignored(_) => {}
                Column::Time => at_us = Some(self.time(cell).map_err(|what| fault("time", what))?),
                Column::Metric { .. } if cell.is_empty() => {}
                Column::Metric { name, metric, unit } => {
                    let value = cell.parse().ok().filter(|value: &f64| value.is_finite());
                    let value = value.ok_or_else(|| fault(name, format!("{cell:?} is not a number")))?;
                    samples.push(sample(*metric, *unit, value));
                }
            }
        }
        if cells.next().is_some() {
            let what = format!("more cells than the {} columns of the header", self.columns.len());
            return Err(Error::Line { line: number, what });
        }
        Ok(Row { at_us: at_us.unwrap_or(0), samples })
    }

    fn time(&self, cell: &str) -> Result<i64, String> {
        if self.absolute {
            return Time::parse(cell).map(|at| at.0).ok_or_else(|| format!("{cell:?} is not an RFC 3339 time"));
        }
        let seconds: Option<f64> = cell.parse().ok().filter(|seconds: &f64| seconds.abs() < 1e9);
        seconds.map(|s| (s * 1e6).round() as i64).ok_or_else(|| format!("{cell:?} is not a number of seconds"))
    }
}

fn sample(metric: Metric, unit: u32, value: f64) -> Sample {
    if value == 0.0 && !metric.is_plausible(0.0) {
        return Sample::absent(metric, Time(0), Quality::SensorOff);
    }
    // The header was checked with the same unit: the value itself is never the fallback's.
    Sample::new(metric, Time(0), mqtt::wire::in_own_unit(metric, unit, value).unwrap_or(value), Quality::Ok)
}

/// A cell without blanks and quotes around it.
fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(cell)
}

/// Reads one line without its end; false at the end of the file.
fn next_line(reader: &mut impl BufRead, line: &mut String, number: usize) -> Result<bool, Error> {
    line.clear();
    let read = reader.take(LINE_MAX as u64 + 1).read_line(line)?;
    if read > LINE_MAX {
        return Err(Error::Line { line: number, what: format!("longer than {LINE_MAX} bytes") });
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Recording, Error> {
        read(text.as_bytes(), &[])
    }

    #[test]
    fn slugs_monitor_names_and_mappings_name_columns() {
        assert!(mapping("Finger=pulse").is_err() && mapping("=pulse_rate").is_err() && mapping("Finger").is_err());
        let mapping = [mapping("Finger = pulse_rate").unwrap()];
        let text = "t_s,heart_rate,SpO2[%],Finger[bpm],note,NBPSys[kPa]\n0,72,97,70,hello,16\n60.5,,0,,,\n";
        let recording = read(text.as_bytes(), &mapping).unwrap();
        assert_eq!(recording.metrics, [Metric::HeartRate, Metric::Spo2, Metric::PulseRate, Metric::Systolic]);
        assert_eq!(recording.ignored, ["note"]);
        let rows: Vec<_> = recording.timed(Some(Time::from_secs(1_000))).collect();
        let first: Vec<_> = rows[0].1.iter().map(|s| (s.metric, s.value())).collect();
        assert_eq!(
            first,
            [
                (Metric::HeartRate, Some(72.0)),
                (Metric::Spo2, Some(97.0)),
                (Metric::PulseRate, Some(70.0)),
                (Metric::Systolic, Some(120.01))
            ]
        );
        assert_eq!(rows[1].0, Time::from_millis(1_060_500));
        assert_eq!(rows[1].1, [Sample::absent(Metric::Spo2, rows[1].0, Quality::SensorOff)]);
    }

    #[test]
    fn real_times_are_kept_or_moved() {
        let text = "time,steps\n2026-11-22T08:00:00+08:00,0\n2026-11-22T08:01:00+08:00,12\n";
        let recording = parse(text).unwrap();
        let kept: Vec<_> = recording.timed(None).map(|(at, _)| at.to_string()).collect();
        assert_eq!(kept, ["2026-11-22T00:00:00Z", "2026-11-22T00:01:00Z"]);
        let moved: Vec<_> = recording.timed(Some(Time(0))).map(|(at, _)| at.secs()).collect();
        assert_eq!((moved, recording.span_us()), (vec![0, 60], 60_000_000));
        // No steps is a number of steps.
        assert_eq!(recording.rows[0].samples[0].value(), Some(0.0));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, says) in [
            ("", "line 1: the file is empty"),
            ("heart_rate\n1", "line 1: a column t_s"),
            ("t_s,colour\n", "line 1: no column is a metric"),
            ("t_s,SpO2[mmHg]\n", "line 1, column SpO2[mmHg]: the unit"),
            ("t_s,HR\n0,70\nx,70\n", "line 3, column time: \"x\" is not"),
            ("t_s,HR[bpm]\n0,seventy\n", "line 2, column HR[bpm]: \"seventy\" is not a number"),
            ("t_s,HR\n0,NaN\n", "line 2, column HR: \"NaN\" is not a number"),
            ("t_s,HR\n0,1,2\n", "line 2: more cells"),
            ("time,HR\n2026,1\n", "line 2, column time: \"2026\" is not an RFC"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_recording_or_an_error(text in "(t_s|time|HR),(HR|SpO2|x)\n([0-9a-z.,\"\n-]{0,60})") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn the_intensive_care_recording_has_363_rows_without_a_finger() {
        // Tests run in the crate's folder; the data lie beside the project.
        let folder = std::env::var("VIGIL_SHARED_DATA")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
        let path = std::path::Path::new(&folder).join("vitals/mimic2_s00001_numerics_1min.csv");
        let Ok(file) = std::fs::File::open(path) else {
            eprintln!("SKIPPED: mimic2_s00001_numerics_1min.csv is not there (VIGIL_SHARED_DATA, ../shared/data)");
            return;
        };
        let recording = read(file, &[]).unwrap();
        assert_eq!((recording.rows.len(), recording.metrics.len()), (1_936, 10));
        let off = |sample: &Sample| sample.metric == Metric::Spo2 && sample.quality == Quality::SensorOff;
        assert_eq!(recording.rows.iter().filter(|row| row.samples.iter().any(off)).count(), 363);
        assert!(recording.rows.iter().flat_map(|row| &row.samples).all(|sample| sample.value() != Some(0.0)));
        assert_eq!(recording.span_us() / 3_600_000_000, 32);
    }
}
