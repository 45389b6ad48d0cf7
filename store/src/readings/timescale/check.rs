//! The integrity check of what the store itself answers for: its tables and indexes are there and valid, nothing is stored that cannot
//! be, the count agrees, TimescaleDB's jobs run, and rollups say what their rows say. Pages and disks are the server's own business.

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::link::Contact;
use super::migrate::Kind;

/// Defects listed by one check at most.
const DEFECTS_MAX: i64 = 100;

/// Each gives one sentence a row.
const ALWAYS: &[&str] = &[
    "SELECT format('table %s is missing', t) FROM unnest(ARRAY['reading', 'waveform', 'origin', 'latest', 'late', 'state', 'swept',
       'minute', 'hour']) t WHERE to_regclass(quote_ident(current_schema()) || '.' || t) IS NULL",
    "SELECT format('index %s is not valid; REINDEX it', x.indexrelid::regclass) FROM pg_index x
     JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN (current_schema(), '_timescaledb_internal') AND NOT (x.indisvalid AND x.indisready)
       AND (n.nspname = current_schema() OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indrelid
            AND i.inhparent = to_regclass('reading')))",
    "SELECT format('%s readings have a quality code that is not known', count(*)) FROM reading
     WHERE NOT (quality = ANY ('{KNOWN}'::int2[])) HAVING count(*) > 0",
    "SELECT format('state says that there are %s readings, and there are %s', s.rows, r.n)
     FROM state s, (SELECT count(*) AS n FROM reading) r WHERE s.rows <> r.n",
    "SELECT format('rollups are said to be made up to %s, but claimed only up to %s', rollup_done, rollup_claimed)
     FROM state WHERE rollup_done > rollup_claimed",
    "SELECT format('%s origins have no reading', count(*)) FROM origin o LEFT JOIN reading r
       ON r.subject = o.subject AND r.metric = o.metric AND r.ts = o.ts WHERE r.ts IS NULL HAVING count(*) > 0",
];

const PLAIN: &[&str] = &[
    // A default partition would take rows that belong to a partition which then cannot be made.
    "SELECT format('table %s has a default partition', p.partrelid::regclass) FROM pg_partitioned_table p
     JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = current_schema() AND p.partdefid <> 0",
];

const TIMESCALE: &[&str] = &[
    "SELECT format('TimescaleDB job %s failed: %s', e.job_id, e.sqlerrcode) FROM timescaledb_information.job_errors e
     JOIN timescaledb_information.jobs j ON j.job_id = e.job_id
     WHERE j.hypertable_schema = current_schema() AND e.start_time = (SELECT max(start_time) FROM timescaledb_information.job_errors l
       WHERE l.job_id = e.job_id)",
    "SELECT format('%s is no hypertable', t) FROM unnest(ARRAY['reading', 'waveform']) t WHERE NOT EXISTS (
       SELECT FROM timescaledb_information.hypertables h WHERE h.hypertable_schema = current_schema() AND h.hypertable_name = t)",
    "SELECT 'readings have no compression policy' WHERE NOT EXISTS (SELECT FROM timescaledb_information.jobs
       WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading' AND proc_name = 'policy_compression')",
];

/// Series' days of which rollups are compared with rows: some from all over, other ones each time.
const SAMPLE: &str = "
WITH edge AS (SELECT rollup_done AS done, coalesce((SELECT max(until) FROM swept WHERE what IN ('reading', 'minute')), '-infinity') AS kept
  FROM state),
picked AS (SELECT h.subject, h.metric, h.bucket FROM hour h, edge
  WHERE h.bucket >= edge.kept AND h.bucket < edge.done AND NOT EXISTS (SELECT FROM late l WHERE l.subject = h.subject
    AND l.metric = h.metric AND l.day = floor(extract(epoch FROM h.bucket) / 86400)) ORDER BY random() LIMIT 200),
told AS (SELECT s.*, h.rows, h.n, h.min, h.max, h.first_row, h.last_row FROM picked s
  JOIN hour h USING (subject, metric, bucket)),
made AS (SELECT s.subject, s.metric, s.bucket, sum(m.n)::int8 AS n, sum(m.rows)::int8 AS rows FROM picked s
  JOIN minute m ON m.subject = s.subject AND m.metric = s.metric AND m.bucket >= s.bucket AND m.bucket < s.bucket + interval '1 hour'
  GROUP BY 1, 2, 3),
real AS (SELECT s.subject, s.metric, s.bucket, count(r.ts) AS rows, count(r.ts) FILTER (WHERE r.quality IN (0, 2)) AS n,
    min(r.value) FILTER (WHERE r.quality IN (0, 2)) AS min, max(r.value) FILTER (WHERE r.quality IN (0, 2)) AS max,
    min(r.ts) AS first_row, max(r.ts) AS last_row
  FROM picked s LEFT JOIN reading r ON r.subject = s.subject AND r.metric = s.metric AND r.ts >= s.bucket
    AND r.ts < s.bucket + interval '1 hour' AND r.quality <> 255 GROUP BY 1, 2, 3)
SELECT format('the rollup of metric %s in the hour from %s does not say what its rows say', metric, bucket)
FROM told JOIN real USING (subject, metric, bucket) LEFT JOIN made USING (subject, metric, bucket)
WHERE (told.rows, told.n, told.min, told.max, told.first_row, told.last_row)
    IS DISTINCT FROM (real.rows, real.n, real.min, real.max, real.first_row, real.last_row)
  OR (told.rows, told.n) IS DISTINCT FROM (made.rows, made.n)";

/// What is wrong, one sentence each.
pub(super) async fn check(db: &ClientWrapper, contact: &Contact, known: &[u8]) -> Result<Vec<String>, Error> {
    let known = format!("{{{}}}", known.iter().map(u8::to_string).collect::<Vec<_>>().join(","));
    let more = match contact.kind {
        Kind::Plain => PLAIN,
        Kind::Timescale => TIMESCALE,
    };
    let mut defects = Vec::new();
    // One moment: writing goes on meanwhile.
    db.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    for sql in ALWAYS.iter().chain(more).chain(&[SAMPLE]) {
        let sql = format!("SELECT * FROM ({}) d LIMIT $1", sql.replace("{KNOWN}", &known));
        for row in db.query(&sql, &[&DEFECTS_MAX]).await? {
            defects.push(row.try_get(0)?);
        }
        // Without its tables nothing else can be asked.
        let missing = !defects.is_empty() && sql.contains("is missing");
        if missing || defects.len() as i64 >= DEFECTS_MAX {
            break;
        }
    }
    db.batch_execute("COMMIT").await?;
    defects.truncate(DEFECTS_MAX as usize);
    Ok(defects)
}
