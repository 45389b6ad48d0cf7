//! What the readings store answers: counts of a write, trends and figures about itself.

use model::{DeviceId, Metric, Origin, Quality, Reading, Sample, Subject, Time};

use super::wave::WavesWritten;

/// What became of the rows of one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// New rows, durable now.
    pub stored: u64,
    /// Rows already stored with the same value.
    pub duplicate: u64,
    /// Rows whose (subject, metric, taken_at) is stored with another value or quality; the first one was kept.
    pub conflict: u64,
    /// Rows that came when they were already older than their retention: not stored.
    pub expired: u64,
    /// Blocks of waveforms.
    pub waves: WavesWritten,
    /// Origins stored beside new rows.
    pub origins: u64,
    /// Measurements that changed their subject.
    pub moved: u64,
}

/// One step of a trend. Only judged values count ([`Quality::is_judged`]); a bucket without any is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Start of the bucket, a multiple of the trend's `bucket_us` since 1970.
    pub start: Time,
    pub n: u64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

/// A drawn series: buckets, and where there is nothing to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Width of a bucket, microseconds.
    pub bucket_us: i64,
    pub points: Vec<Bucket>,
    /// Start of each run of absent values with its cause, in order. At most `trend_marks_max`, the newest are kept.
    pub absent: Vec<(Time, Quality)>,
    /// Stretches without judged values: pauses of a streaming metric, and runs of absent values. In order, disjoint,
    /// at most `trend_marks_max`, the newest are kept.
    pub gaps: Vec<(Time, Time)>,
}

/// Values that are kept and never judged (motion, out of range, suspect clock or unit), in time order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doubtful {
    pub rows: Vec<Reading>,
    /// Looked at only up to here: there was too much to look at. `None`: all of the range.
    pub until: Option<Time>,
    /// Rows that were read to find them: of every quality where a store cannot find them otherwise.
    pub scanned: usize,
}

/// Figures about the store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Readings stored, absent ones included. One that changed its subject counts at both, until it is sealed perhaps twice.
    pub rows: u64,
    /// Of these, rows in sealed blocks.
    pub sealed_rows: u64,
    /// Rows only in the log and in memory.
    pub head_rows: u64,
    pub series: u64,
    /// Bytes of log payload on disk.
    pub log_bytes: u64,
    /// Bytes of sealed blocks with their rollups.
    pub block_bytes: u64,
    /// Bytes of the database file in use (log, blocks, indexes; without the write-ahead log and free pages).
    pub file_bytes: u64,
    /// `block_bytes` by `sealed_rows`; 0 when nothing is sealed.
    pub bytes_per_sealed_reading: f64,
    /// `file_bytes` by `rows`; 0 when there are none. High while most rows are still in the log, and where waveforms are kept.
    pub bytes_per_reading: f64,
    /// Since start: rows refused as duplicates, and those with another value than the stored one.
    pub duplicates: u64,
    pub conflicts: u64,
    /// Since start: blocks written, and damaged blocks moved aside.
    pub blocks_sealed: u64,
    pub bad_blocks: u64,
}

/// One series: what is stored of a metric of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub subject: Subject,
    pub metric: Metric,
    /// Rows stored, moved-away ones included.
    pub rows: u64,
}

/// A row as it is stored, to be copied to another store.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub device: DeviceId,
    /// Of a row that was moved away only the instant is kept: its value (0 here) and quality went along.
    pub sample: Sample,
    /// Taken to another subject: in no answer, but the same measurement told again does not come back.
    pub moved: bool,
    pub origin: Option<Origin>,
}

/// Some rows of one series in time order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub rows: Vec<Stored>,
    /// There are rows after these.
    pub more: bool,
}

/// What was deleted of one person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub series: u64,
    /// Readings, moved-away ones included.
    pub rows: u64,
    /// Blocks of waveforms.
    pub waves: u64,
    pub origins: u64,
}

/// A search of the raw bytes of the store's files for what had been stored of one person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Things looked for: the person's series with times, in two forms, and pieces of their blocks and waveforms.
    pub patterns: u64,
    /// Bytes looked through afterwards: the database file and its write-ahead log.
    pub bytes: u64,
    /// Places found before anything was deleted, which shows that the search finds, and those left.
    pub found_before: u64,
    pub found_after: u64,
}
