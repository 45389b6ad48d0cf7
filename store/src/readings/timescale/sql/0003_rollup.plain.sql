-- Rollups of a minute and of an hour, made by the store. 0 and 2 are the judged qualities, 16 to 254 say that there is no value,
-- 255 is a row that was moved to another subject: it is in no rollup.

CREATE TABLE minute (
  bucket timestamptz NOT NULL,
  subject int8 NOT NULL,
  metric int4 NOT NULL,
  -- Judged values: how many, and the instants of the first and the last.
  n int8 NOT NULL,
  sum float8,
  min float8,
  max float8,
  first_at timestamptz,
  last_at timestamptz,
  -- All rows: how many, the first and the last; how many without a value, and the lowest and highest cause.
  rows int8 NOT NULL,
  first_row timestamptz NOT NULL,
  last_row timestamptz NOT NULL,
  absent int8 NOT NULL,
  cause_low int2,
  cause_high int2,
  CONSTRAINT minute_key UNIQUE (subject, metric, bucket)
) PARTITION BY RANGE (bucket);

CREATE TABLE hour (
  bucket timestamptz NOT NULL,
  subject int8 NOT NULL,
  metric int4 NOT NULL,
  n int8 NOT NULL,
  sum float8,
  min float8,
  max float8,
  first_at timestamptz,
  last_at timestamptz,
  rows int8 NOT NULL,
  first_row timestamptz NOT NULL,
  last_row timestamptz NOT NULL,
  absent int8 NOT NULL,
  cause_low int2,
  cause_high int2,
  -- Minutes with judged values; how late in its minute the latest first value came, and how early the earliest last one.
  minutes int8 NOT NULL,
  first_late interval,
  last_early interval,
  CONSTRAINT hour_key UNIQUE (subject, metric, bucket)
) PARTITION BY RANGE (bucket);

-- What retention has dropped: rows of `what` (reading, of one metric; minute, hour, waveform, with metric 0) before this instant.
CREATE TABLE swept (
  what text NOT NULL,
  metric int4 NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (what, metric)
);

-- Through these the store writes its rollups; with TimescaleDB they lead to the tables behind the aggregates.
CREATE VIEW minute_rows AS SELECT * FROM minute;
CREATE VIEW hour_rows AS SELECT * FROM hour;
