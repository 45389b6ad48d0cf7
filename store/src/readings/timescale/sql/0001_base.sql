-- What both kinds of schema have. The search path is the schema of the store.

-- One row: how far everything has come.
CREATE TABLE state (
  one int2 PRIMARY KEY DEFAULT 1 CHECK (one = 1),
  application text NOT NULL DEFAULT 'vigil readings',
  -- 'plain' or 'timescale': decided when the schema is made, and never changed.
  kind text NOT NULL,
  -- Number of the newest migration.
  format int4 NOT NULL,
  -- Progress of the journal's writer: newest entry stored, and (after, upto] of what still waits, flat.
  live int8 NOT NULL DEFAULT 0,
  pending int8[] NOT NULL DEFAULT '{}',
  -- Readings stored, moved-away ones included. Whoever deletes some subtracts them.
  rows int8 NOT NULL DEFAULT 0,
  -- The newest reading of a series is in `latest`, or in `reading` at or after this instant.
  latest_from timestamptz NOT NULL DEFAULT '-infinity',
  -- Rollups are being made for time below `claimed`, and are made for time below `done`. A writer takes this row's lock before
  -- it writes readings, so whoever raises `claimed` waits for the write in hand, and the next write sees it.
  rollup_claimed timestamptz NOT NULL DEFAULT '-infinity',
  rollup_done timestamptz NOT NULL DEFAULT '-infinity',
  -- Readings before this instant were given up by retention, for every metric.
  kept_from timestamptz NOT NULL DEFAULT '-infinity',
  -- The newest time that maintenance was told: what was too old then is not stored.
  upkeep_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);

-- Newest reading of a series that has been silent for a while; see state.latest_from.
CREATE TABLE latest (
  subject int8 NOT NULL,
  metric int4 NOT NULL,
  ts timestamptz NOT NULL,
  value float8 NOT NULL,
  device int8 NOT NULL,
  quality int2 NOT NULL,
  PRIMARY KEY (subject, metric)
) WITH (fillfactor = 70);

-- Days of series (number of the UTC day since 1970) whose rollups are to be made anew, because rows came after they were made.
-- `seq` grows with every write, so that a mark set again meanwhile is not taken away.
CREATE TABLE late (
  subject int8 NOT NULL,
  metric int4 NOT NULL,
  day int4 NOT NULL,
  seq int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (subject, metric, day)
);

-- What the device itself wrote, beside its reading.
CREATE TABLE origin (
  subject int8 NOT NULL,
  metric int4 NOT NULL,
  ts timestamptz NOT NULL,
  raw text,
  unit text,
  device_ms int8,
  uncertainty_ms int8,
  PRIMARY KEY (subject, metric, ts)
);
