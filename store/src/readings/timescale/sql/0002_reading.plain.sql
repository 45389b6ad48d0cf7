-- Readings and waveforms in partitions of a day (UTC), made ahead of need and on demand.
CREATE TABLE reading (
  ts timestamptz NOT NULL,
  value float8 NOT NULL,
  subject int8 NOT NULL,
  device int8 NOT NULL,
  metric int4 NOT NULL,
  quality int2 NOT NULL,
  CONSTRAINT reading_key UNIQUE (subject, metric, ts)
) PARTITION BY RANGE (ts);

-- Blocks of waveforms as they were cut. `data`: each count's difference from the one before as a zigzag varint; `crc` of it.
CREATE TABLE waveform (
  ts timestamptz NOT NULL,
  ts_end timestamptz NOT NULL,
  subject int8 NOT NULL,
  device int8 NOT NULL,
  lead int8 NOT NULL,
  crc int8 NOT NULL,
  scale float8 NOT NULL,
  zero float8 NOT NULL,
  metric int4 NOT NULL,
  samples int4 NOT NULL,
  seconds int4 NOT NULL,
  n int4 NOT NULL,
  data bytea NOT NULL,
  CONSTRAINT waveform_key UNIQUE (subject, metric, ts, device, lead)
) PARTITION BY RANGE (ts);
ALTER TABLE waveform ALTER COLUMN data SET STORAGE EXTERNAL;
