//! Figures about the tables: how many bytes, and how much of it is compressed.

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::answer::Stats;
use super::chunk::{self, Packing};
use super::migrate::Kind;

const SMALL_TABLES: &str = "
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relname IN ('state', 'latest', 'late', 'origin', 'swept', 'migration') AND c.relkind = 'r'";
/// Rows of a hypertable at the time its chunks were compressed.
const COMPRESSED_ROWS: &str = "
SELECT coalesce(sum(s.numrows_pre_compression), 0)::int8 FROM timescaledb_information.chunks i
JOIN _timescaledb_catalog.chunk c ON c.schema_name = i.chunk_schema AND c.table_name = i.chunk_name
JOIN _timescaledb_catalog.compression_chunk_size s ON s.chunk_id = c.id
WHERE i.hypertable_schema = current_schema() AND i.hypertable_name = 'reading'";

/// What the tables tell; `known` has what is counted in memory.
pub(super) async fn stats(db: &ClientWrapper, kind: Kind, known: Stats) -> Result<Stats, Error> {
    let bytes = |row: tokio_postgres::Row| row.try_get::<_, i64>(0).map(|bytes| bytes.max(0) as u64);
    let mut stats = Stats { file_bytes: bytes(db.query_one(SMALL_TABLES, &[]).await?)?, ..known };
    for table in ["reading", "waveform", "minute", "hour"] {
        for chunk in chunk::list(db, kind, table).await? {
            let bytes = chunk.bytes.max(0) as u64;
            stats.file_bytes += bytes;
            if table == "reading" && chunk.packing != Packing::Rows {
                stats.block_bytes += bytes;
                stats.blocks_sealed += 1;
            }
        }
    }
    if kind == Kind::Timescale {
        stats.sealed_rows = bytes(db.query_one(COMPRESSED_ROWS, &[]).await?)?.min(stats.rows);
    }
    stats.head_rows = stats.rows.saturating_sub(stats.sealed_rows);
    let ratio = |bytes: u64, rows: u64| if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 };
    stats.bytes_per_sealed_reading = ratio(stats.block_bytes, stats.sealed_rows);
    stats.bytes_per_reading = ratio(stats.file_bytes, stats.rows);
    Ok(stats)
}
