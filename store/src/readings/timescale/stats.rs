//! Figures about the tables: how many bytes, and how much of it is compressed.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::Error;
use super::answer::Stats;
use super::migrate::Kind;

const SMALL_TABLES: &str = "
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relname IN ('state', 'latest', 'late', 'origin', 'swept', 'migration') AND c.relkind = 'r'";
const PARTITIONS: &str = "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::int8 FROM pg_inherits
WHERE inhparent IN (to_regclass('reading'), to_regclass('waveform'), to_regclass('minute'), to_regclass('hour'))";
const HYPERTABLES: &str =
    "SELECT sum(hypertable_size(to_regclass(t)))::int8 FROM unnest(ARRAY['reading', 'waveform', 'minute', 'hour']) t";
const COMPRESSED: &str =
    "SELECT coalesce(after_compression_total_bytes, 0)::int8, coalesce(number_compressed_chunks, 0)::int8
FROM hypertable_compression_stats('reading')";
/// Rows at the time their chunks were compressed: from TimescaleDB's catalogue, which may look different in a version to come.
const COMPRESSED_ROWS: &str = "SELECT coalesce(sum(s.numrows_pre_compression), 0)::int8
FROM _timescaledb_catalog.compression_chunk_size s JOIN _timescaledb_catalog.chunk c ON c.id = s.chunk_id
JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
WHERE h.schema_name = current_schema() AND h.table_name = 'reading'";

/// What the tables tell; `known` has what is counted in memory.
pub(super) async fn stats(db: &ClientWrapper, kind: Kind, known: Stats) -> Result<Stats, Error> {
    let number = |row: &Row, i: usize| row.try_get::<_, Option<i64>>(i).map(|n| n.unwrap_or(0).max(0) as u64);
    let mut stats = Stats { file_bytes: number(&db.query_one(SMALL_TABLES, &[]).await?, 0)?, ..known };
    if kind == Kind::Plain {
        stats.file_bytes += number(&db.query_one(PARTITIONS, &[]).await?, 0)?;
    } else {
        stats.file_bytes += number(&db.query_one(HYPERTABLES, &[]).await?, 0)?;
        if let Some(row) = db.query_opt(COMPRESSED, &[]).await? {
            (stats.block_bytes, stats.blocks_sealed) = (number(&row, 0)?, number(&row, 1)?);
        }
        match db.query_one(COMPRESSED_ROWS, &[]).await {
            Ok(row) => stats.sealed_rows = number(&row, 0)?.min(stats.rows),
            Err(error) if error.as_db_error().is_some() => {
                tracing::debug!(%error, "this TimescaleDB does not tell how many rows are compressed");
            }
            Err(error) => return Err(error.into()),
        }
    }
    stats.head_rows = stats.rows.saturating_sub(stats.sealed_rows);
    let ratio = |bytes: u64, rows: u64| if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 };
    stats.bytes_per_sealed_reading = ratio(stats.block_bytes, stats.sealed_rows);
    stats.bytes_per_reading = ratio(stats.file_bytes, stats.rows);
    Ok(stats)
}
