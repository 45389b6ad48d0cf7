//! Measurements from a CSV file through a map of its columns (docs/storage.md).
//!
//! Good lines go into the journal as history, in frames of one elder and device, and from there into the store like everything else:
//! what is acknowledged is durable, and the same line twice is stored once, so an import that was killed is simply run again.
//! Nobody is paged for history: the frames are late, and unless a review is asked for they are marked as a test, which the alarm
//! engine does not judge. Lines younger than ten minutes are refused, because they would be live.

mod frames;
mod line;
mod map;
mod stored;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use model::{ElderId, Time};
use runtime::Clock;
use serde::{Deserialize, Serialize};

use crate::stores::{Meter, Stores, Told, new_file};
use frames::Frames;
use line::Reader;
use map::Map;

/// Largest map, bytes.
const MAP_BYTES_MAX: u64 = 1 << 20;
/// Longest line of the file that is looked at, bytes; the file itself may be of any size.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What to take in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    pub csv: PathBuf,
    pub map: PathBuf,
    /// Whose, when no column says so.
    pub elder: Option<u32>,
    pub dry_run: bool,
    /// Where the lines that are not taken are listed. Must not exist.
    pub report: PathBuf,
    /// The alarm engine looks at it as at everything late.
    pub review: bool,
}

impl Spec {
    /// What the audit calls whom it is about.
    fn subject(&self) -> String {
        self.elder.map_or_else(|| "elders".to_owned(), |elder| format!("elder/{elder}"))
    }
}

/// Reads the file, stores what is good and lists what is not.
pub(crate) fn run(spec: &Spec, stores: &Stores, told: &Told) -> anyhow::Result<()> {
    let map = Map::parse(&text(&spec.map)?).with_context(|| spec.map.display().to_string())?;
    let file = File::open(&spec.csv).with_context(|| format!("cannot read {}", spec.csv.display()))?;
    let bytes = file.metadata()?.len();
    let now = Clock::system().now();
    let mut rows =
        csv::ReaderBuilder::new().delimiter(map.delimiter()).flexible(true).from_reader(BufReader::new(file));
    let header = rows.byte_headers().context("the file has no header line")?.clone();
    let reader = Reader::new(&map, &header, spec.elder.map(ElderId), now)?;
    let mut report = Report::new(&spec.report, &stores.dir)?;
    let mut frames = Frames::new(stores, spec, now)?;
    let (mut taken, mut row, mut meter) = (0_u64, csv::ByteRecord::new(), Meter::new("bytes", bytes, 0));
    loop {
        let before = rows.position().byte();
        match rows.read_byte_record(&mut row) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => bail!("{}: {error}", spec.csv.display()),
        }
        let number = row.position().map_or(0, csv::Position::line);
        if row.as_slice().len() > LINE_BYTES_MAX {
            report.line(number, "", "the line is too long")?;
            continue;
        }
        let outcome = reader.read(&row, |column, why| report.line(number, column, why))?;
        for measured in outcome {
            match frames.push(number, measured, told)? {
                Ok(()) => taken += 1,
                Err(why) => report.line(number, "", why)?,
            }
        }
        taken -= report.lines(frames.differing.drain(..))?;
        meter.add(rows.position().byte() - before, told)?;
    }
    frames.close_all(told)?;
    taken -= report.lines(frames.differing.drain(..))?;
    let stored = frames.end(told)?;
    let refused = report.end()?;
    if !spec.dry_run {
        let detail = serde_json::json!({ "uid": stores.uid, "readings": taken, "refused": refused }).to_string();
        stores.records.audit(None, "import_readings_done", &spec.subject(), &detail)?;
    }
    let done = if spec.dry_run { "would be taken" } else { stored };
    told.say(&format!("{taken} readings {done}, {refused} refused"))?;
    if refused > 0 {
        bail!("{refused} cells or lines were not taken: {} says which and why", spec.report.display());
    }
    Ok(())
}

fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    opened.take(MAP_BYTES_MAX).read_to_string(&mut text).with_context(|| file.display().to_string())?;
    Ok(text)
}

/// The list of what was not taken. It names lines, columns and reasons, never what stood there.
struct Report {
    writer: csv::Writer<BufWriter<File>>,
    lines: u64,
}

impl Report {
    fn new(file: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let file = new_file(file, data_dir)?;
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        writer.write_record(["line", "column", "reason"])?;
        Ok(Self { writer, lines: 0 })
    }

    fn line(&mut self, line: u64, column: &str, reason: &str) -> anyhow::Result<()> {
        self.lines += 1;
        Ok(self.writer.write_record([line.to_string().as_str(), column, reason])?)
    }

    /// Returns how many these are.
    fn lines(&mut self, lines: impl Iterator<Item = (u64, &'static str)>) -> anyhow::Result<u64> {
        let before = self.lines;
        for (line, reason) in lines {
            self.line(line, "", reason)?;
        }
        Ok(self.lines - before)
    }

    fn end(mut self) -> anyhow::Result<u64> {
        self.writer.flush()?;
        Ok(self.lines)
    }
}

/// Before it a clock was never set: 2001-01-01.
const EARLIEST: Time = Time::from_secs(978_307_200);
