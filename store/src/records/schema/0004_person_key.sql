-- Shared devices: by what an elder is recognised there, whose each measurement is, and what the devices' clocks were worth.

-- A key is a keyed hash of a card's number or a code's text, as the gateways make it: never the number itself.
CREATE TABLE elder_key (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  elder BIGINT NOT NULL REFERENCES elder (id),
  added_by BIGINT,
  added_at BIGINT NOT NULL
);
CREATE INDEX elder_key_by_elder ON elder_key (elder);

-- Every frame with values that a shared device told. `elder` NULL: nobody's yet, for `cause`. `frame` is the journal's form of
-- it, from which the measurement can be told again for another elder.
CREATE TABLE measurement (
  id BIGINT PRIMARY KEY,
  gateway BIGINT NOT NULL,
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  device BIGINT NOT NULL,
  taken_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  elder BIGINT,
  cause TEXT,
  person_key TEXT,
  frame BYTEA NOT NULL,
  UNIQUE (gateway, lane, epoch, seq)
);
CREATE INDEX measurement_nobodys ON measurement (id) WHERE elder IS NULL;
CREATE INDEX measurement_by_elder ON measurement (elder, id) WHERE elder IS NOT NULL;

-- What people decided, oldest first. A subject is an elder's number, or a device's with the top bit set. A move that is not in
-- the journal yet is put there at the next opportunity, in the order of the ids.
CREATE TABLE measurement_move (
  id BIGINT PRIMARY KEY,
  measurement BIGINT NOT NULL REFERENCES measurement (id),
  from_subject BIGINT NOT NULL,
  to_subject BIGINT NOT NULL,
  at BIGINT NOT NULL,
  by_person BIGINT NOT NULL REFERENCES person (id),
  reason TEXT NOT NULL,
  journalled BOOLEAN NOT NULL
);
CREATE INDEX measurement_move_of ON measurement_move (measurement, id);
CREATE INDEX measurement_move_waiting ON measurement_move (id) WHERE journalled = FALSE;

-- The last coincident pair of a device's clock and its gateway's.
CREATE TABLE device_clock (
  device BIGINT PRIMARY KEY REFERENCES device (id),
  device_ms BIGINT NOT NULL,
  gateway_at BIGINT NOT NULL,
  sync BIGINT NOT NULL,
  uncertainty_ms BIGINT NOT NULL
);
