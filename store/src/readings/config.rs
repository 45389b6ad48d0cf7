//! Settings of the readings store. Every limit has a name and a unit; the defaults suit one small server.

use serde::{Deserialize, Serialize};

/// Limits of the readings store. Tests use small numbers to reach sealing quickly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A series with this many unsealed rows is sealed. Rows.
    pub seal_rows: usize,
    /// A sealed block holds at most this many rows. Rows.
    pub block_rows_max: usize,
    /// Unsealed rows of all series together; beyond it the oldest series are sealed early. About 20 bytes of memory a row.
    pub head_rows_max: usize,
    /// Bytes of the log on disk; beyond it the oldest series are sealed early. Bytes.
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
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
        None
    }

    /// Upper bound of `block_rows_max`; a stored block that claims much more is corrupt. Rows.
    pub const BLOCK_ROWS_LIMIT: usize = 65_536;
}
