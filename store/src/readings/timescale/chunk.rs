//! The pieces in which the tables lie on the server: TimescaleDB's chunks, or PostgreSQL's partitions.

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::digest::floor;
use super::migrate::Kind;
use super::types::Micros;

/// A piece of a table: rows with `from <= time < to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Schema and name, quoted as a statement wants them.
    pub(super) name: String,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Perhaps with later rows beside what is compressed.
    pub(super) compressed: bool,
}

// Only TimescaleDB's documented views: its catalogue changes from version to version.
const CHUNKS: &str = "
SELECT format('%I.%I', i.chunk_schema, i.chunk_name), i.range_start, i.range_end, i.is_compressed
FROM timescaledb_information.chunks i
WHERE (i.hypertable_schema, i.hypertable_name) = (current_schema(), $1::text) OR EXISTS (
  SELECT FROM timescaledb_information.continuous_aggregates a
  WHERE a.view_schema = current_schema() AND a.view_name = $1::text
    AND a.materialization_hypertable_schema = i.hypertable_schema
    AND a.materialization_hypertable_name = i.hypertable_name)
ORDER BY i.range_start";

const PARTITIONS: &str = "
SELECT format('%I.%I', n.nspname, c.relname), bound[1]::timestamptz, bound[2]::timestamptz, false
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(.*)''\\) TO \\(''(.*)''\\)') AS bound
WHERE i.inhparent = to_regclass($1::text) AND bound IS NOT NULL ORDER BY 2";

/// The chunks of `reading`, `waveform`, `minute` or `hour`, in order.
pub(super) async fn list(db: &ClientWrapper, kind: Kind, table: &str) -> Result<Vec<Chunk>, Error> {
    let sql = match kind {
        Kind::Timescale => CHUNKS,
        Kind::Plain => PARTITIONS,
    };
    let rows = db.query(sql, &[&table]).await?;
    let chunk = |row: &tokio_postgres::Row| {
        Ok(Chunk {
            name: row.try_get(0)?,
            from: row.try_get::<_, Micros>(1)?.0,
            to: row.try_get::<_, Micros>(2)?.0,
            compressed: row.try_get(3)?,
        })
    };
    rows.iter().map(chunk).collect()
}

/// Drops this chunk, the oldest there is.
pub(super) async fn drop_one(db: &ClientWrapper, kind: Kind, table: &str, chunk: &Chunk) -> Result<(), Error> {
    match kind {
        Kind::Timescale => {
            let sql = "SELECT drop_chunks(to_regclass($1::text), older_than => $2::timestamptz)";
            db.query(sql, &[&table, &Micros(chunk.to)]).await?;
        }
        Kind::Plain => db.batch_execute(&format!("DROP TABLE IF EXISTS {}", chunk.name)).await?,
    }
    Ok(())
}

/// Makes the partitions of a rollup's table that hold `[from, to)`: beside it and then attached, which waits for nobody who reads.
pub(super) async fn make(db: &ClientWrapper, table: &str, width: i64, (from, to): (i64, i64)) -> Result<(), Error> {
    let there = list(db, Kind::Plain, table).await?;
    let mut start = floor(from, width);
    while start < to {
        let end = start.saturating_add(width);
        if !there.iter().any(|chunk| chunk.from == start) {
            let (from, to) = (start.div_euclid(1_000_000), end.div_euclid(1_000_000));
            let name = format!("{table}_from_{}", from.to_string().replace('-', "m"));
            db.batch_execute(&format!(
                "BEGIN; CREATE TABLE {name} (LIKE {table} INCLUDING STORAGE INCLUDING DEFAULTS);
                 ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (to_timestamp({from})) TO (to_timestamp({to})); COMMIT"
            ))
            .await?;
        }
        start = end;
    }
    Ok(())
}
