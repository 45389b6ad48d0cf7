//! EDF and EDF+ files: what most ECG and Holter recorders export.
//!
//! Source: "European Data Format" (Kemp et al., 1992) and "EDF+" (Kemp and Olivan, 2003), edfplus.info. The annotations
//! channel is not read; a file with breaks (EDF+D) is refused, because only the annotations say when each part began.
//! Patient and recording fields are not read, but for the four digits of the year.

use std::borrow::Cow;

use jiff::civil::DateTime;
use model::Metric;

use super::{Record, SAMPLES_MAX, SIGNALS_MAX, Signal, channel, fields, part_leads, rate};
use crate::Malformed;

/// Bytes of the fixed part of the header, and of the part each signal adds.
const FIXED: usize = 256;
const PER_SIGNAL: usize = 256;
/// Widths of the columns of the signals' part, in order: label, transducer, dimension, physical minimum and maximum,
/// digital minimum and maximum, filter, samples in a data record, reserved.
const WIDTHS: [usize; 10] = [16, 80, 8, 8, 8, 8, 8, 80, 8, 32];
const LABEL: usize = 0;
const DIMENSION: usize = 2;
const PHYSICAL: [usize; 2] = [3, 4];
const DIGITAL: [usize; 2] = [5, 6];
const SAMPLES: usize = 8;
/// Label of the channel that holds text instead of samples.
const ANNOTATIONS: &str = "EDF Annotations";

/// Reads a file.
pub fn record(bytes: &[u8]) -> Result<Record, Malformed> {
    let header = Header::parse(bytes)?;
    let width: usize = header.columns.iter().map(|column| column.samples).sum();
    let data = bytes.get(header.bytes..).ok_or(Malformed::Short("the first data record"))?;
    if width == 0 {
        return Err(Malformed::shape("a data record without samples"));
    }
    let held = data.len() / (2 * width);
    let records = match header.records {
        Some(records) if records > held => return Err(Malformed::Short("the last data record")),
        Some(records) => records,
        // -1: the recorder was still writing, or was cut off.
        None => held,
    };
    if records.saturating_mul(width) > SAMPLES_MAX {
        return Err(Malformed::Limit { what: "samples", found: records.saturating_mul(width), max: SAMPLES_MAX });
    }
    let mut record = Record { start: header.start, ..Record::default() };
    let mut before = 0;
    for (index, column) in header.columns.iter().enumerate() {
        let place = before;
        before += column.samples;
        if column.label == ANNOTATIONS {
            continue;
        }
        let Some((metric, lead, factor)) = channel(&column.label, &column.unit, index) else {
            record.skipped.push(column.label.clone());
            continue;
        };
        let counts = data.chunks_exact(2 * width).take(records).flat_map(|one| {
            let samples = &one[2 * place..2 * (place + column.samples)];
            samples.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair))
        });
        record.signals.push(column.signal((metric, lead, factor), header.duration, counts.collect())?);
    }
    part_leads(&mut record.signals);
    Ok(record)
}

struct Header {
    start: Option<DateTime>,
    /// Where the data begin.
    bytes: usize,
    records: Option<usize>,
    /// Seconds of one data record, as a fraction.
    duration: (u64, u64),
    columns: Vec<Column>,
}

/// One signal's part of the header.
struct Column {
    label: String,
    unit: String,
    physical: [f64; 2],
    digital: [f64; 2],
    samples: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let fixed = bytes.get(..FIXED).ok_or(Malformed::Short("the end of the header"))?;
        if text(&fixed[..8]) != "0" {
            return Err(Malformed::shape("the file does not begin like EDF"));
        }
        if text(&fixed[192..236]).starts_with("EDF+D") {
            return Err(Malformed::Unsupported(Cow::Borrowed("a recording with breaks (EDF+D)")));
        }
        let signals: usize = integer(&fixed[252..256], "the number of signals")?;
        if signals == 0 || signals > SIGNALS_MAX {
            return Err(Malformed::Limit { what: "signals", found: signals, max: SIGNALS_MAX });
        }
        let said: usize = integer(&fixed[184..192], "the length of the header")?;
        if said != FIXED + signals * PER_SIGNAL {
            return Err(Malformed::shape("the length of the header does not fit the number of signals"));
        }
        let records: i64 = integer(&fixed[236..244], "the number of data records")?;
        let duration = fields::fraction(&text(&fixed[244..252])).filter(|(n, _)| *n > 0);
        let columns = bytes.get(FIXED..said).ok_or(Malformed::Short("the end of the header"))?;
        Ok(Self {
            start: start(fixed),
            bytes: said,
            records: usize::try_from(records).ok(),
            duration: duration.ok_or(Malformed::shape("the duration of a data record"))?,
            columns: (0..signals).map(|index| Column::parse(columns, signals, index)).collect::<Result<_, _>>()?,
        })
    }
}

impl Column {
    fn parse(bytes: &[u8], signals: usize, index: usize) -> Result<Self, Malformed> {
        let field = |column: usize| {
            let before: usize = WIDTHS[..column].iter().sum();
            let at = before * signals + WIDTHS[column] * index;
            &bytes[at..at + WIDTHS[column]]
        };
        let label = text(field(LABEL));
        let range = |columns: [usize; 2], what| {
            let [low, high] = columns.map(|column| fields::number(&text(field(column))));
            low.zip(high).map(|(low, high)| [low, high]).ok_or(Malformed::shape(what))
        };
        // The annotations' ranges mean nothing, but must be there all the same.
        Ok(Self {
            unit: text(field(DIMENSION)),
            physical: range(PHYSICAL, "the physical range of a signal")?,
            digital: range(DIGITAL, "the digital range of a signal")?,
            samples: integer(field(SAMPLES), "the samples in a data record")?,
            label,
        })
    }

    fn signal(
        &self,
        (metric, lead, factor): (Metric, u32, f64),
        duration: (u64, u64),
        counts: Vec<i16>,
    ) -> Result<Signal, Malformed> {
        let ([pmin, pmax], [dmin, dmax]) = (self.physical, self.digital);
        let scale = (pmax - pmin) / (dmax - dmin);
        let offset = pmin - dmin * scale;
        if !(scale * factor).is_finite() || scale == 0.0 || !(offset * factor).is_finite() {
            return Err(Malformed::shape("the range of a signal is empty"));
        }
        let rate = (self.samples as u64).checked_mul(duration.1).and_then(|samples| rate(samples, duration.0));
        let rate = rate.ok_or(Malformed::shape("the sampling rate"))?;
        let (scale, offset) = (scale * factor, offset * factor);
        Ok(Signal { label: self.label.clone(), metric, lead, rate, scale, offset, counts })
    }
}

/// Date and time of the first sample. The year has two digits; EDF+ repeats the date with four in the recording field.
fn start(fixed: &[u8]) -> Option<DateTime> {
    let (date, recording) = (text(&fixed[168..176]), text(&fixed[88..168]));
    let mut parts = date.split('.').map(|part| part.parse::<i8>().ok());
    let (day, month, short) = (parts.next()??, parts.next()??, parts.next()??);
    let long =
        recording.strip_prefix("Startdate ").and_then(|rest| rest.split(' ').next()?.rsplit('-').next()?.parse().ok());
    // 85 to 99 are of the last century (EDF+, section 2.1.3.2).
    let year = long.unwrap_or(i16::from(short) + if short >= 85 { 1_900 } else { 2_000 });
    fields::moment(fields::date(year, month, day), fields::time_of_day(&text(&fixed[176..184]), '.'))
}

/// A field without its padding. EDF is ASCII; anything else becomes a mark that no number contains.
fn text(field: &[u8]) -> String {
    field
        .iter()
        .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' })
        .collect::<String>()
        .trim()
        .to_owned()
}

fn integer<T: std::str::FromStr>(field: &[u8], what: &'static str) -> Result<T, Malformed> {
    text(field).parse().map_err(|_| Malformed::Shape(Cow::Owned(format!("{what} is not a number in range"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::lead;

    /// One signal of a constructed file: label, dimension, physical range, digital range, samples of each data record.
    type Made<'a> = (&'a str, &'a str, [&'a str; 2], [&'a str; 2], Vec<Vec<i16>>);

    fn file(reserved: &str, records: &str, duration: &str, signals: &[Made<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |text: &str, width: usize| out.extend(format!("{text:<width$}").into_bytes());
        put("0", 8);
        put("X X X X", 80);
        put("Startdate 02-MAR-2026 X X X", 80);
        put("02.03.26", 8);
        put("08.15.30", 8);
        put(&(FIXED + PER_SIGNAL * signals.len()).to_string(), 8);
        put(reserved, 44);
        put(records, 8);
        put(duration, 8);
        put(&signals.len().to_string(), 4);
        for column in 0..WIDTHS.len() {
            for (label, unit, physical, digital, samples) in signals {
                let count = samples.first().map_or(0, Vec::len).to_string();
                let field = match column {
                    LABEL => label,
                    DIMENSION => unit,
                    3 | 4 => physical[column - 3],
                    5 | 6 => digital[column - 5],
                    SAMPLES => count.as_str(),
                    _ => "",
                };
                put(field, WIDTHS[column]);
            }
        }
        for record in 0..signals[0].4.len() {
            for signal in signals {
                out.extend(signal.4[record].iter().flat_map(|count| count.to_le_bytes()));
            }
        }
        out
    }

    fn two_leads() -> Vec<u8> {
        file(
            "EDF+C",
            "2",
            "0.5",
            &[
                ("ECG II", "uV", ["-5000", "5000"], ["-2000", "2000"], vec![vec![0, 400, -400], vec![1, 2, 3]]),
                (ANNOTATIONS, "", ["-1", "1"], ["-32768", "32767"], vec![vec![11_051], vec![1]]),
                ("Resp", "mL", ["0", "1"], ["0", "1"], vec![vec![1], vec![0]]),
                ("ECG II", "mV", ["-3.2768", "3.2767"], ["-32768", "32767"], vec![vec![5, 6], vec![7, i16::MIN]]),
            ],
        )
    }

    #[test]
    fn signals_are_scaled_and_dated_and_the_rest_is_left_out() {
        let record = super::record(&two_leads()).unwrap();
        assert_eq!(record.start.map(|start| start.to_string()).as_deref(), Some("2026-03-02T08:15:30"));
        assert_eq!(record.skipped, ["Resp"]);
        let [a, b] = &record.signals[..] else { panic!("{record:?}") };
        assert_eq!(
            (a.counts.as_slice(), (a.rate.samples, a.rate.seconds), a.lead),
            (&[0, 400, -400, 1, 2, 3][..], (6, 1), 131_074)
        );
        assert!((a.scale - 0.0025).abs() < 1e-12 && a.offset.abs() < 1e-12, "2.5 uV a count, in mV: {a:?}");
        assert_eq!((b.counts.as_slice(), (b.rate.samples, b.rate.seconds)), (&[5, 6, 7, i16::MIN][..], (4, 1)));
        assert!((b.scale - 1e-4).abs() < 1e-12 && b.offset.abs() < 1e-9, "{b:?}");
        assert_eq!(b.lead, lead::channel(SIGNALS_MAX as u32 + 1), "the second channel of one lead is kept apart");
    }

    #[test]
    fn a_file_cut_off_while_recording_gives_its_whole_records() {
        let mut bytes = two_leads();
        bytes[236..244].copy_from_slice(b"-1      ");
        let whole = bytes.len();
        let record = super::record(&bytes[..whole - 1]).unwrap();
        assert_eq!(record.signals[0].counts, [0, 400, -400]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = two_leads();
        let with = |at: usize, text: &str| {
            let mut bytes = good.clone();
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
            super::record(&bytes).map(|_| ()).map_err(|bad| bad.code())
        };
        assert_eq!(with(0, "\u{7f}BIOSEMI"), Err("shape"));
        assert_eq!(with(192, "EDF+D"), Err("unsupported"));
        assert_eq!(with(236, "3       "), Err("short"));
        assert_eq!(with(244, "0       "), Err("shape"));
        assert_eq!(with(252, "9999"), Err("limit"));
        assert_eq!(with(184, "300     "), Err("shape"));
        assert_eq!(super::record(&good[..300]).map_err(|bad| bad.code()), Err("short"));
    }

    #[test]
    fn a_year_of_two_digits_is_placed_when_the_recording_field_says_nothing() {
        let mut bytes = two_leads();
        bytes[88..168].copy_from_slice(&[b' '; 80]);
        assert_eq!(super::record(&bytes).unwrap().start.map(DateTime::year), Some(2026));
        bytes[174..176].copy_from_slice(b"85");
        assert_eq!(super::record(&bytes).unwrap().start.map(DateTime::year), Some(1985));
    }
}
