-- Rollups of a minute and of an hour: continuous aggregates, refreshed by the store. 0 and 2 are the judged qualities, 16 to 254 say that
-- there is no value, 255 is a row that was moved to another subject: it is in no rollup. What the columns mean: 0003_rollup.plain.sql.

CREATE MATERIALIZED VIEW minute WITH (timescaledb.continuous, timescaledb.materialized_only = true, timescaledb.create_group_indexes = false) AS
SELECT time_bucket(interval '1 minute', ts) AS bucket, subject, metric,
  count(*) FILTER (WHERE quality IN (0, 2)) AS n,
  sum(least(greatest(value, -1e300), 1e300)) FILTER (WHERE quality IN (0, 2)) AS sum,
  min(value) FILTER (WHERE quality IN (0, 2)) AS min,
  max(value) FILTER (WHERE quality IN (0, 2)) AS max,
  min(ts) FILTER (WHERE quality IN (0, 2)) AS first_at,
  max(ts) FILTER (WHERE quality IN (0, 2)) AS last_at,
  count(*) AS rows, min(ts) AS first_row, max(ts) AS last_row,
  count(*) FILTER (WHERE quality >= 16) AS absent,
  min(quality) FILTER (WHERE quality >= 16) AS cause_low,
  max(quality) FILTER (WHERE quality >= 16) AS cause_high
FROM reading WHERE quality <> 255 GROUP BY 1, 2, 3
WITH NO DATA;

CREATE MATERIALIZED VIEW hour WITH (timescaledb.continuous, timescaledb.materialized_only = true, timescaledb.create_group_indexes = false) AS
SELECT time_bucket(interval '1 hour', bucket) AS bucket, subject, metric,
  sum(n)::int8 AS n,
  sum(least(greatest(sum, -1e300), 1e300)) FILTER (WHERE n > 0) AS sum, min(min) AS min, max(max) AS max, min(first_at) AS first_at, max(last_at) AS last_at,
  sum(rows)::int8 AS rows, min(first_row) AS first_row, max(last_row) AS last_row,
  sum(absent)::int8 AS absent, min(cause_low) AS cause_low, max(cause_high) AS cause_high,
  count(*) FILTER (WHERE n > 0) AS minutes,
  max(first_at - bucket) AS first_late, min(last_at - bucket) AS last_early
FROM minute GROUP BY 1, 2, 3
WITH NO DATA;

-- The store also writes into the tables behind the aggregates: late rows are made good for their series alone, where a refresh would make
-- the whole time anew for everybody, and would delete what outlived its rows.
DO $$
DECLARE behind record;
BEGIN
  FOR behind IN
    SELECT view_name AS name, format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass AS oid
    FROM timescaledb_information.continuous_aggregates
    WHERE view_schema = current_schema() AND view_name IN ('minute', 'hour')
  LOOP
    EXECUTE format('CREATE UNIQUE INDEX ON %s (subject, metric, bucket)', behind.oid);
    EXECUTE format('CREATE VIEW %I AS SELECT * FROM %s', behind.name || '_rows', behind.oid);
    EXECUTE format('ALTER MATERIALIZED VIEW %I SET (timescaledb.compress, timescaledb.compress_segmentby = ''subject, metric'', timescaledb.compress_orderby = ''bucket'')', behind.name);
  END LOOP;
END $$;

-- What retention has dropped: rows of `what` (reading, of one metric; minute, hour, waveform, with metric 0) before this instant.
CREATE TABLE swept (
  what text NOT NULL,
  metric int4 NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (what, metric)
);
