-- Custody of frames: what is missing of a gateway's numbered frames, and what was declared lost.

-- A stretch of numbers that did not come within the reorder wait. `first`..`last` is what was found missing; the other
-- columns say what of it is still not stored, and how much of that was declared lost.
CREATE TABLE gap (
  id BIGINT PRIMARY KEY,
  gateway BIGINT NOT NULL REFERENCES gateway (id),
  epoch BIGINT NOT NULL,
  lane BIGINT NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  missing_first BIGINT NOT NULL,
  missing_last BIGINT NOT NULL,
  missing BIGINT NOT NULL,
  lost BIGINT NOT NULL,
  state TEXT NOT NULL,
  cause TEXT,
  opened_at BIGINT NOT NULL,
  asks BIGINT NOT NULL,
  asked_at BIGINT,
  closed_at BIGINT
);
CREATE INDEX gap_by_gateway ON gap (gateway, id);
CREATE INDEX gap_standing ON gap (state, closed_at);

-- Numbers that will never come, by whom and why. Thinned ones may have left some of their readings in other frames.
CREATE TABLE loss (
  id BIGINT PRIMARY KEY,
  gateway BIGINT NOT NULL REFERENCES gateway (id),
  epoch BIGINT NOT NULL,
  lane BIGINT NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  cause TEXT NOT NULL,
  by_server BOOLEAN NOT NULL,
  thinned BOOLEAN NOT NULL,
  readings BIGINT NOT NULL,
  kept BIGINT NOT NULL,
  declared_at BIGINT NOT NULL
);
CREATE INDEX loss_by_range ON loss (gateway, epoch, lane, first);
