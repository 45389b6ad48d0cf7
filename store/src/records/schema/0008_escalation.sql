-- Escalation: policies by version, and where an alarm and a page stand in theirs.

-- Every version ever saved stays. Versions are numbered over all policies, so that the version of an alarm names one; of each
-- name the newest is in force for the alarms that open from then on.
CREATE TABLE policy (
  version BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  author BIGINT,
  reason TEXT NOT NULL,
  saved_at BIGINT NOT NULL
);
CREATE INDEX policy_by_name ON policy (name, version);

-- Frozen when the alarm opens (or gets more urgent). `step` is the one that began last, `next_step` the one that is due at
-- `page_due_at`, `level` the highest step ever begun. `waited` says that its extra wait for somebody who reads is used up.
ALTER TABLE alarm ADD COLUMN policy_version BIGINT;
ALTER TABLE alarm ADD COLUMN step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alarm ADD COLUMN next_step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alarm ADD COLUMN level BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alarm ADD COLUMN waited BOOLEAN NOT NULL DEFAULT FALSE;

-- One page is one person by one channel. `chain` (JSON): the channels for this person after this one. `reserve` (JSON): the
-- people to be paged instead, when this one cannot or cannot be reached. `passed_on`: another page has taken the chain over.
ALTER TABLE page ADD COLUMN step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE page ADD COLUMN chain TEXT NOT NULL DEFAULT '[]';
ALTER TABLE page ADD COLUMN reserve TEXT NOT NULL DEFAULT '[]';
ALTER TABLE page ADD COLUMN passed_on BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX page_by_alarm_person ON page (alarm, person);
