//! Settings of the readings store. Every limit has a name and a unit; the defaults suit one small server.

use std::collections::BTreeMap;

use model::Metric;
use serde::{Deserialize, Serialize};

use super::timescale::config::Timescale;

/// Which store keeps the readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// One SQLite file in the data directory.
    #[default]
    Embedded,
    /// A PostgreSQL server, best with TimescaleDB; see `[readings.timescale]`.
    Timescale,
}

/// How long what is kept. Days; 0 = for ever. The work is done in whole blocks or chunks, so a little more may stay a little longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Readings as they were measured, with their origins.
    pub raw_days: u32,
    /// Their rollups of one minute.
    pub minute_days: u32,
    /// Their rollups of one hour.
    pub hour_days: u32,
    /// Blocks of waveforms.
    pub waveform_days: u32,
    /// Other days for some metrics' readings, by the metric's word.
    pub raw_days_of: BTreeMap<String, u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: 90, minute_days: 730, hour_days: 3_650, waveform_days: 90, raw_days_of: BTreeMap::new() }
    }
}

impl Retention {
    /// Days that the readings of a metric are kept; 0 = for ever.
    pub fn raw_days(&self, metric: Metric) -> u32 {
        self.raw_days_of.get(metric.slug()).copied().unwrap_or(self.raw_days)
    }

    fn problem(&self) -> Option<String> {
        if let Some(word) = self.raw_days_of.keys().find(|word| Metric::from_slug(word).is_none()) {
            return Some(format!("retention.raw_days_of: there is no metric {word:?}"));
        }
        let longer = |a: u32, b: u32| b != 0 && (a == 0 || a > b);
        if longer(self.raw_days, self.minute_days) || longer(self.minute_days, self.hour_days) {
            return Some(
                "retention: raw, minute and hour days must not become shorter in this order (0 is for ever)".to_owned(),
            );
        }
        None
    }
}

/// Limits of the readings store. Tests use small numbers to reach sealing quickly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `embedded` or `timescale`.
    pub store: Store,
    /// A series with this many unsealed rows is sealed. Rows.
    pub seal_rows: usize,
    /// A sealed block holds at most this many rows. Rows.
    pub block_rows_max: usize,
    /// Unsealed rows of all series together; beyond it the oldest series are sealed early. About 20 bytes of memory a row.
    pub head_rows_max: usize,
    /// Log on disk from the first row on that is not sealed; beyond it the oldest series are sealed early. What is before that row goes a
    /// little with each write and is not counted. Bytes.
    pub log_bytes_max: u64,
    /// A row older than this in the log gets sealed, so that the log never pins an old batch. Seconds.
    pub seal_age_s: u64,
    /// Sealing inside one write stops after this time, so that no write stalls. Milliseconds.
    pub seal_budget_ms: u64,
    /// At most this many series are sealed inside one write. Series.
    pub seal_series_max: usize,
    /// Decoded rows kept for the duplicate check of late rows. Rows, about 20 bytes each.
    pub cache_rows_max: usize,
    /// Series (subject and metric) the store accepts. About 300 bytes of memory each.
    pub series_max: usize,
    /// Absent marks and gaps one trend returns at most, each. Count.
    pub trend_marks_max: usize,
    /// Page size of a new database file: a power of two from 4096 to 65536. Bytes.
    pub page_bytes: u32,
    pub retention: Retention,
    /// The server of `store = "timescale"`.
    pub timescale: Timescale,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: Store::Embedded,
            seal_rows: 4_096,
            block_rows_max: 4_096,
            head_rows_max: 4_000_000,
            log_bytes_max: 128 << 20,
            seal_age_s: 30 * 60,
            seal_budget_ms: 20,
            seal_series_max: 64,
            cache_rows_max: 2_000_000,
            series_max: 1_000_000,
            trend_marks_max: 2_000,
            page_bytes: 16_384,
            retention: Retention::default(),
            timescale: Timescale::default(),
        }
    }
}

impl Config {
    /// The first setting that makes no sense, as a sentence.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            ("seal_rows", self.seal_rows),
            ("block_rows_max", self.block_rows_max),
            ("head_rows_max", self.head_rows_max),
            ("seal_series_max", self.seal_series_max),
            ("series_max", self.series_max),
            ("trend_marks_max", self.trend_marks_max),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Some(format!("{name} must be at least 1"));
        }
        if self.block_rows_max > Self::BLOCK_ROWS_LIMIT {
            return Some(format!("block_rows_max must be at most {}", Self::BLOCK_ROWS_LIMIT));
        }
        if !self.page_bytes.is_power_of_two() || !(4_096..=65_536).contains(&self.page_bytes) {
            return Some("page_bytes must be 4096, 8192, 16384, 32768 or 65536".to_owned());
        }
        let server = || (self.store == Store::Timescale).then(|| self.timescale.problem()).flatten();
        self.retention.problem().or_else(server)
    }

    /// Upper bound of `block_rows_max`; a stored block that claims much more is corrupt. Rows.
    pub const BLOCK_ROWS_LIMIT: usize = 65_536;
}
