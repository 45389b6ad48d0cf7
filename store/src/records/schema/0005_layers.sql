-- Rules in layers: layers and their assignments as people made them, the sets that came of them, what the journal was told,
-- and quiet periods. Nothing here is ever deleted or changed, but for the end of an assignment or quiet period.

-- A set made of layers is found by its content, so that all elders with equal rules share one version.
ALTER TABLE rule_set ADD COLUMN digest TEXT;
ALTER TABLE rule_set ADD COLUMN made BOOLEAN NOT NULL DEFAULT FALSE;
CREATE UNIQUE INDEX rule_set_by_digest ON rule_set (digest) WHERE digest IS NOT NULL;

-- Every version of every layer. `elder` 0: shared; else the elder whose own layer it is.
CREATE TABLE rule_layer (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  elder BIGINT NOT NULL,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  author BIGINT,
  reason TEXT NOT NULL,
  saved_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX rule_layer_by_name ON rule_layer (name, elder, version);
CREATE INDEX rule_layer_by_elder ON rule_layer (elder, version);

CREATE TABLE rule_assignment (
  id BIGINT PRIMARY KEY,
  layer TEXT NOT NULL,
  elder BIGINT REFERENCES elder (id),
  team BIGINT REFERENCES team (id),
  age_from BIGINT,
  from_at BIGINT NOT NULL,
  until_at BIGINT,
  author BIGINT,
  reason TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  ended_at BIGINT,
  ended_by BIGINT,
  end_reason TEXT
);
CREATE INDEX rule_assignment_by_elder ON rule_assignment (elder, ended_at);
CREATE INDEX rule_assignment_by_team ON rule_assignment (team, ended_at);
CREATE INDEX rule_assignment_open ON rule_assignment (layer) WHERE ended_at IS NULL;

-- What the journal was last told: the default (elder 0), who is aged, and by which version each elder with layers is judged.
CREATE TABLE rules_told (
  elder BIGINT PRIMARY KEY,
  version BIGINT,
  aged BOOLEAN NOT NULL
);

CREATE TABLE quiet (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  elder BIGINT REFERENCES elder (id),
  device BIGINT REFERENCES device (id),
  from_at BIGINT NOT NULL,
  until_at BIGINT NOT NULL,
  author BIGINT,
  reason TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  ended_at BIGINT,
  ended_by BIGINT,
  end_reason TEXT,
  -- Its newest form is in the journal.
  told BOOLEAN NOT NULL
);
CREATE INDEX quiet_by_until ON quiet (until_at);
CREATE INDEX quiet_untold ON quiet (id) WHERE told = FALSE;
