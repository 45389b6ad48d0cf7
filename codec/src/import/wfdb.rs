//! WFDB records (PhysioNet): a text header and signal files in format 212 or 16.
//!
//! Source: header(5) and signal(5) of the WFDB Applications Guide. Where the header gives a first value and a checksum
//! (16-bit sum of all samples) they must agree with the samples: a record that does not is refused whole. Not read:
//! multi-segment records, skewed signals, other formats, annotations.

use std::borrow::Cow;

use jiff::civil::DateTime;

use super::{NO_SAMPLE, Record, SAMPLES_MAX, SIGNALS_MAX, Signal, channel, fields, part_leads, rate};
use crate::Malformed;

/// Longest header, bytes: far beyond 64 signal lines.
const HEADER_MAX: usize = 64 * 1024;
/// Samples of one signal in one frame, at most.
const PER_FRAME_MAX: usize = 256;
/// Sampling rate when the header gives none (header(5)).
const RATE_DEFAULT: &str = "250";
/// Units per mV when the header gives none or 0 (header(5)).
const GAIN_DEFAULT: f64 = 200.0;

/// The header file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Name of the record.
    pub name: String,
    /// Frames a second, as a fraction.
    rate: (u64, u64),
    /// Frames of the record; `None` when the header does not say.
    frames: Option<usize>,
    start: Option<DateTime>,
    signals: Vec<Line>,
}

/// One signal line.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    file: String,
    format: Format,
    per_frame: usize,
    /// Where the samples begin in the file, bytes.
    skip: usize,
    gain: f64,
    baseline: f64,
    unit: String,
    first: Option<i64>,
    checksum: Option<i16>,
    label: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Two 12-bit samples in three bytes.
    F212,
    /// 16 bits, little endian.
    F16,
}

impl Header {
    /// Reads a header file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > HEADER_MAX {
            return Err(Malformed::Limit { what: "header bytes", found: bytes.len(), max: HEADER_MAX });
        }
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next().ok_or(Malformed::Short("the record line"))?;
        let (mut header, count) = record_line(first)?;
        for _ in 0..count {
            let line = lines.next().ok_or(Malformed::Short("a signal line"))?;
            header.signals.push(signal_line(line)?);
        }
        Ok(header)
    }

    /// Names of the signal files, in the order of the header, each once. Plain names beside the header file.
    pub fn files(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for line in &self.signals {
            if !names.contains(&line.file.as_str()) {
                names.push(&line.file);
            }
        }
        names
    }
}

/// `name nsig [rate[/counter][(base)] [frames [time [date]]]]`; also the number of signal lines.
fn record_line(line: &str) -> Result<(Header, usize), Malformed> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    if name.contains('/') {
        return Err(Malformed::Unsupported(Cow::Borrowed("a record of several segments")));
    }
    let signals: usize = word(words.next(), "the number of signals")?;
    if signals > SIGNALS_MAX {
        return Err(Malformed::Limit { what: "signals", found: signals, max: SIGNALS_MAX });
    }
    let rate = words.next().unwrap_or(RATE_DEFAULT);
    let rate = rate.split(['/', '(']).next().and_then(fields::fraction).ok_or(Malformed::shape("the sampling rate"))?;
    let frames = words.next().map(|text| word(Some(text), "the number of samples")).transpose()?;
    let time = words.next().and_then(|text| fields::time_of_day(text, ':'));
    let date = words.next().and_then(|text| {
        let mut parts = text.split('/');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        fields::date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    });
    let frames = frames.filter(|frames| *frames > 0);
    let header = Header { name: name.to_owned(), rate, frames, start: fields::moment(date, time), signals: Vec::new() };
    Ok((header, signals))
}

/// `file format[xN][:skew][+skip] [gain[(baseline)][/unit] [bits [zero [first [checksum [block [label]]]]]]]`.
fn signal_line(line: &str) -> Result<Line, Malformed> {
    let mut words = line.split_ascii_whitespace();
    let file = words.next().unwrap_or_default();
    // The gateway opens this name beside the header: it must not lead anywhere else.
    if file.is_empty() || file.starts_with(['.', '~', '-']) || file.contains(['/', '\\', '\0']) {
        return Err(Malformed::shape("the name of a signal file is not a plain name"));
    }
    let (format, per_frame, skip) = storage(words.next().unwrap_or_default())?;
    let (gain, baseline, unit) = words.next().map_or(Ok((0.0, None, "mV")), gain_of)?;
    let _bits = words.next();
    let zero: i64 = words.next().map_or(Ok(0), |text| word(Some(text), "the ADC zero"))?;
    let first = words.next().map(|text| word(Some(text), "the initial value")).transpose()?;
    let checksum: Option<i64> = words.next().map(|text| word(Some(text), "the checksum")).transpose()?;
    let _block = words.next();
    Ok(Line {
        file: file.to_owned(),
        format,
        per_frame,
        skip,
        gain: if gain == 0.0 { GAIN_DEFAULT } else { gain },
        baseline: baseline.unwrap_or(zero as f64),
        unit: unit.to_owned(),
        first,
        // Some writers give it unsigned: the low 16 bits are what counts.
        checksum: checksum.map(|sum| sum as i16),
        label: words.collect::<Vec<_>>().join(" "),
    })
}

/// `format[xN][:skew][+skip]`.
fn storage(text: &str) -> Result<(Format, usize, usize), Malformed> {
    let (text, skip) =
        text.split_once('+').map_or((text, Ok(0)), |(text, skip)| (text, word(Some(skip), "the offset")));
    let (text, skew) = text.split_once(':').unwrap_or((text, "0"));
    let (format, per_frame) = text.split_once('x').unwrap_or((text, "1"));
    let format = match format {
        "212" => Format::F212,
        "16" => Format::F16,
        "" => return Err(Malformed::Short("the signal format")),
        _ => return Err(Malformed::Unsupported(Cow::Borrowed("a signal format other than 212 and 16"))),
    };
    if word::<u64>(Some(skew), "the skew")? != 0 {
        return Err(Malformed::Unsupported(Cow::Borrowed("a skewed signal")));
    }
    let per_frame: usize = word(Some(per_frame), "samples in a frame")?;
    if per_frame == 0 || per_frame > PER_FRAME_MAX {
        return Err(Malformed::Limit { what: "samples in a frame", found: per_frame, max: PER_FRAME_MAX });
    }
    Ok((format, per_frame, skip?))
}

/// `gain[(baseline)][/unit]`.
fn gain_of(text: &str) -> Result<(f64, Option<f64>, &str), Malformed> {
    let (text, unit) = text.split_once('/').unwrap_or((text, "mV"));
    let (gain, baseline) = match text.split_once('(') {
        Some((gain, rest)) => {
            let baseline = rest.strip_suffix(')').and_then(fields::number).ok_or(Malformed::shape("the baseline"))?;
            (gain, Some(baseline))
        }
        None => (text, None),
    };
    let gain = fields::number(gain).filter(|gain| *gain >= 0.0).ok_or(Malformed::shape("the gain"))?;
    Ok((gain, baseline, unit))
}

fn word<T: std::str::FromStr>(text: Option<&str>, what: &'static str) -> Result<T, Malformed> {
    let text = text.ok_or(Malformed::Short(what))?;
    text.parse().map_err(|_| Malformed::Shape(Cow::Owned(format!("{what} is not a number in range"))))
}

/// Puts the samples together. `files` are the contents of [`Header::files`], in that order.
pub fn record(header: &Header, files: &[&[u8]]) -> Result<Record, Malformed> {
    let names = header.files();
    if names.len() != files.len() {
        return Err(Malformed::Short("a signal file"));
    }
    let mut record = Record { start: header.start, ..Record::default() };
    let mut total = 0;
    for (name, bytes) in names.iter().zip(files) {
        let group: Vec<(usize, &Line)> =
            header.signals.iter().enumerate().filter(|(_, line)| line.file == **name).collect();
        let columns = columns(&group, header.frames, bytes)?;
        for ((index, line), counts) in group.into_iter().zip(columns) {
            total += counts.len();
            if total > SAMPLES_MAX {
                return Err(Malformed::Limit { what: "samples", found: total, max: SAMPLES_MAX });
            }
            verify(line, &counts)?;
            add(&mut record, header.rate, index, line, counts)?;
        }
    }
    part_leads(&mut record.signals);
    Ok(record)
}

/// The samples of one file, parted by signal. In a frame stand all samples of the first signal, then of the next.
fn columns(group: &[(usize, &Line)], frames: Option<usize>, bytes: &[u8]) -> Result<Vec<Vec<i16>>, Malformed> {
    let Some((_, head)) = group.first() else { return Ok(Vec::new()) };
    if group.iter().any(|(_, line)| (line.format, line.skip) != (head.format, head.skip)) {
        return Err(Malformed::shape("one signal file has several formats"));
    }
    let bytes = bytes.get(head.skip..).ok_or(Malformed::Short("the first sample"))?;
    let width: usize = group.iter().map(|(_, line)| line.per_frame).sum();
    let held = match head.format {
        Format::F212 => bytes.len() / 3 * 2 + usize::from(bytes.len() % 3 == 2),
        Format::F16 => bytes.len() / 2,
    };
    let frames = frames.unwrap_or(held / width);
    if frames > held / width {
        return Err(Malformed::Short("the last sample"));
    }
    let mut columns: Vec<Vec<i16>> =
        group.iter().map(|(_, line)| Vec::with_capacity(frames * line.per_frame)).collect();
    let mut at = 0;
    for _ in 0..frames {
        for (column, (_, line)) in columns.iter_mut().zip(group) {
            for _ in 0..line.per_frame {
                column.push(sample(head.format, bytes, at));
                at += 1;
            }
        }
    }
    Ok(columns)
}

/// The `at`-th sample; the caller has counted that it is there.
fn sample(format: Format, bytes: &[u8], at: usize) -> i16 {
    let byte = |i: usize| u16::from(bytes.get(i).copied().unwrap_or(0));
    match format {
        Format::F16 => (byte(2 * at) | byte(2 * at + 1) << 8) as i16,
        Format::F212 => {
            let start = at / 2 * 3;
            let middle = byte(start + 1);
            let raw = if at.is_multiple_of(2) {
                byte(start) | (middle & 0x0f) << 8
            } else {
                byte(start + 2) | (middle & 0xf0) << 4
            };
            // Twelve bits, two's complement.
            ((raw << 4) as i16) >> 4
        }
    }
}

/// First value and checksum, where the header gives them.
fn verify(line: &Line, counts: &[i16]) -> Result<(), Malformed> {
    if let (Some(said), Some(first)) = (line.first, counts.first())
        && said != i64::from(*first)
    {
        return Err(Malformed::shape("the first sample is not the header's initial value"));
    }
    let computed = counts.iter().fold(0_i16, |sum, count| sum.wrapping_add(*count));
    match line.checksum {
        Some(found) if found != computed => {
            Err(Malformed::Checksum { found: u32::from(found as u16), computed: u32::from(computed as u16) })
        }
        _ => Ok(()),
    }
}

/// Adds a signal, or its label to what was left out.
fn add(
    record: &mut Record,
    frame_rate: (u64, u64),
    index: usize,
    line: &Line,
    mut counts: Vec<i16>,
) -> Result<(), Malformed> {
    let Some((metric, lead, factor)) = channel(&line.label, &line.unit, index) else {
        record.skipped.push(line.label.clone());
        return Ok(());
    };
    let rate = rate(frame_rate.0 * line.per_frame as u64, frame_rate.1).ok_or(Malformed::shape("the sampling rate"))?;
    let (scale, offset) = (factor / line.gain, -line.baseline / line.gain * factor);
    if !scale.is_finite() || !offset.is_finite() {
        return Err(Malformed::shape("the gain"));
    }
    if line.format == Format::F212 {
        // Lowest of 12 bits: "invalid" (signal(5)).
        counts.iter_mut().filter(|count| **count == -2_048).for_each(|count| *count = NO_SAMPLE);
    }
    record.signals.push(Signal { label: line.label.clone(), metric, lead, rate, scale, offset, counts });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Metric;
    use proptest::prelude::*;

    fn packed_212(samples: &[i16]) -> Vec<u8> {
        let mut out = Vec::new();
        for pair in samples.chunks(2) {
            let (a, b) = (pair[0] as u16 & 0xfff, pair.get(1).map_or(0, |b| *b as u16 & 0xfff));
            out.extend([a as u8, (a >> 8 | (b >> 8) << 4) as u8]);
            if pair.len() == 2 {
                out.push(b as u8);
            }
        }
        out
    }

    fn read(header: &str, files: &[&[u8]]) -> Result<Record, Malformed> {
        record(&Header::parse(header.as_bytes())?, files)
    }

    #[test]
    fn two_leads_of_format_212_with_units_and_checks() {
        let data = packed_212(&[100, -5, 2047, -2048, -1, 0]);
        let header = "# a comment\r\nx 2 360 3 10:00:00 2/1/2026\r\nx.dat 212 200(10)/mV 12 0 100 2146 0 MLII\r\n\
                      x.dat 212 100/uV 12 4 -5 -2053 0 V5\r\n# another";
        let record = read(header, &[&data]).unwrap();
        assert_eq!(record.start.map(|start| start.to_string()).as_deref(), Some("2026-01-02T10:00:00"));
        assert_eq!(record.signals[0].counts, [100, 2047, -1]);
        assert_eq!(record.signals[1].counts, [-5, NO_SAMPLE, 0]);
        assert_eq!((record.signals[0].scale, record.signals[0].offset), (0.005, -0.05));
        // 100 units a microvolt, zero at 4: in millivolts.
        assert!((record.signals[1].scale - 1e-5).abs() < 1e-18 && (record.signals[1].offset + 4e-5).abs() < 1e-18);
        assert_eq!(
            record.signals.iter().map(|s| (s.metric, (s.rate.samples, s.rate.seconds))).collect::<Vec<_>>(),
            [(Metric::Ecg, (360, 1)); 2]
        );
    }

    #[test]
    fn format_16_in_two_files_with_an_offset_and_several_samples_in_a_frame() {
        let a: Vec<u8> =
            [7, 7].into_iter().chain([1_i16, 2, -3, 4, 5, 6].into_iter().flat_map(i16::to_le_bytes)).collect();
        let b: Vec<u8> = [9_i16, -32_768].into_iter().flat_map(i16::to_le_bytes).collect();
        let header = "y 3 125.5\na 16x2+2 200 16 0 1 12 0 I\na 16+2 200 16 0 -3 3 0 ABP\nb 16 0 16 0 9 -32759 0 PLETH";
        let record = read(&header.replace("200 16 0 -3", "1/mmHg 16 0 -3"), &[&a, &b]).unwrap();
        assert_eq!(record.skipped, ["ABP"]);
        let [ecg, ppg] = &record.signals[..] else { panic!("{record:?}") };
        assert_eq!((ecg.counts.as_slice(), (ecg.rate.samples, ecg.rate.seconds)), (&[1, 2, 4, 5][..], (251, 1)));
        assert_eq!(
            (ppg.metric, ppg.counts.as_slice(), (ppg.rate.samples, ppg.rate.seconds)),
            (Metric::Ppg, &[9, NO_SAMPLE][..], (251, 2))
        );
        assert!((ppg.scale - 1.0 / GAIN_DEFAULT).abs() < 1e-15);
    }

    #[test]
    fn what_does_not_agree_is_refused() {
        let data = packed_212(&[1, 2, 3]);
        let good = "x 1 250 3\nx.dat 212 200 12 0 1 6 0 II";
        assert_eq!(read(good, &[&data]).unwrap().signals[0].counts, [1, 2, 3]);
        for (change, code) in [
            (("1 6 0", "1 7 0"), "checksum"),
            (("1 6 0", "2 6 0"), "shape"),
            (("250 3", "250 4"), "short"),
            (("212 200", "80 200"), "unsupported"),
            (("212 200", "212:3 200"), "unsupported"),
            (("x.dat", "../x.dat"), "shape"),
            (("x 1 250", "x/2 1 250"), "unsupported"),
            (("x 1 250", "x 9999 250"), "limit"),
            (("x 1 250", "x 1 1e9"), "shape"),
            (("x 1 250", "x 2 250"), "short"),
            (("212 200", "212 nan"), "shape"),
        ] {
            assert_eq!(
                read(&good.replace(change.0, change.1), &[&data]).map_err(|bad| bad.code()),
                Err(code),
                "{change:?}"
            );
        }
        assert_eq!(read(good, &[]).map_err(|bad| bad.code()), Err("short"));
    }

    proptest! {
        #[test]
        fn packed_samples_come_back(samples in prop::collection::vec(-2_047_i16..2_048, 1..200)) {
            let header = format!("x 1 250 {}\nx.dat 212 200 12 0 {} 0 0 II", samples.len(), samples[0]);
            let sum = samples.iter().fold(0_i16, |sum, one| sum.wrapping_add(*one));
            let header = header.replace(" 0 0 II", &format!(" {sum} 0 II"));
            prop_assert_eq!(&read(&header, &[&packed_212(&samples)]).unwrap().signals[0].counts, &samples);
        }
    }
}
