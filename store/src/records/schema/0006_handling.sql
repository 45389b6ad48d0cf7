-- Axis B of an alarm (what people do with it) in full, episodes, incidents, the storm, and what is known of an elder's risk.
-- Every deadline is a column: a crash forgets none.

CREATE TABLE incident (
  id BIGINT PRIMARY KEY,
  -- `gateway` or `site`.
  kind TEXT NOT NULL,
  gateway BIGINT REFERENCES gateway (id),
  site BIGINT NOT NULL REFERENCES site (id),
  -- The alarm of class T that people claim and resolve for all its members.
  alarm BIGINT NOT NULL REFERENCES alarm (id),
  since BIGINT NOT NULL,
  -- NULL: it stands.
  until BIGINT,
  -- Alarms ever grouped into it.
  count BIGINT NOT NULL
);
CREATE UNIQUE INDEX incident_of_gateway ON incident (gateway) WHERE until IS NULL AND kind = 'gateway';
CREATE UNIQUE INDEX incident_of_site ON incident (site) WHERE until IS NULL AND kind = 'site';
CREATE INDEX incident_by_time ON incident (since);

-- Hand-over: offered by the claimant, not yet accepted.
ALTER TABLE alarm ADD COLUMN offered_to BIGINT REFERENCES person (id);
ALTER TABLE alarm ADD COLUMN offer_until BIGINT;
-- Parked: back in the queue at `wake_at`.
ALTER TABLE alarm ADD COLUMN wake_at BIGINT;
ALTER TABLE alarm ADD COLUMN parked_by BIGINT REFERENCES person (id);
ALTER TABLE alarm ADD COLUMN park_reason TEXT;
-- Engaged: who was sent; `arrive_by` until somebody has arrived, then `outcome_by`. `overdue`: how often that was told.
ALTER TABLE alarm ADD COLUMN dispatched_to BIGINT REFERENCES person (id);
ALTER TABLE alarm ADD COLUMN dispatched_words TEXT;
ALTER TABLE alarm ADD COLUMN dispatched_at BIGINT;
ALTER TABLE alarm ADD COLUMN arrive_by BIGINT;
ALTER TABLE alarm ADD COLUMN arrived_at BIGINT;
ALTER TABLE alarm ADD COLUMN arrived_by BIGINT REFERENCES person (id);
ALTER TABLE alarm ADD COLUMN outcome_by BIGINT;
ALTER TABLE alarm ADD COLUMN overdue BIGINT NOT NULL DEFAULT 0;
-- Resolved while the condition stood: open again then, if it still does.
ALTER TABLE alarm ADD COLUMN reopen_at BIGINT;
-- Technical: when its elder's risk is looked at (again).
ALTER TABLE alarm ADD COLUMN unwatched_at BIGINT;
-- Where what is silent is, when there is no doubt; and the incident it is a part of.
ALTER TABLE alarm ADD COLUMN gateway BIGINT;
ALTER TABLE alarm ADD COLUMN incident BIGINT REFERENCES incident (id);

CREATE INDEX alarm_by_offer ON alarm (offer_until) WHERE offer_until IS NOT NULL;
CREATE INDEX alarm_by_wake ON alarm (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX alarm_by_arrive ON alarm (arrive_by) WHERE arrive_by IS NOT NULL;
CREATE INDEX alarm_by_outcome_due ON alarm (outcome_by) WHERE outcome_by IS NOT NULL;
CREATE INDEX alarm_by_reopen ON alarm (reopen_at) WHERE reopen_at IS NOT NULL;
CREATE INDEX alarm_by_unwatched ON alarm (unwatched_at) WHERE unwatched_at IS NOT NULL;
CREATE INDEX alarm_by_incident ON alarm (incident) WHERE incident IS NOT NULL;
CREATE INDEX alarm_by_rule ON alarm (subject, rule, received_at);
CREATE INDEX alarm_by_received ON alarm (received_at);

-- Alarms that were taken before this version have no arrival deadline: they get one now.
UPDATE alarm SET arrive_by = accepted_at + 2700000000 WHERE handling = 'engaged';

-- Later episodes of an alarm: the engine's name of the episode, and the alarm it belongs to.
CREATE TABLE alarm_episode (
  id BIGINT PRIMARY KEY,
  alarm BIGINT NOT NULL REFERENCES alarm (id),
  started_at BIGINT NOT NULL
);
CREATE INDEX alarm_episode_by_alarm ON alarm_episode (alarm);

-- What the log said last of each gateway's link: `up`, `sleeping`, `lost`.
CREATE TABLE gateway_link (gateway BIGINT PRIMARY KEY, state TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX gateway_link_lost ON gateway_link (at) WHERE state = 'lost';

-- More alarms than the seats can look at. At most one row stands (`until` NULL).
CREATE TABLE storm (
  id BIGINT PRIMARY KEY,
  since BIGINT NOT NULL,
  until BIGINT,
  seats BIGINT NOT NULL,
  alarms_most BIGINT NOT NULL
);

-- Ability level by GB/T 42195-2022 (0 able .. 4 wholly dependent) and household: who must not be unwatched for long.
CREATE TABLE elder_risk (
  elder BIGINT PRIMARY KEY REFERENCES elder (id),
  ability BIGINT,
  lives_alone BOOLEAN NOT NULL,
  by_person BIGINT,
  at BIGINT NOT NULL
);
