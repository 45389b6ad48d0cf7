-- The records store, first version. One text for SQLite and PostgreSQL: BIGINT, TEXT, BOOLEAN, BYTEA only; times are
-- microseconds since 1970 UTC; numbers are handed out by the table `counter` (never a sequence, so the numbers of
-- alarm events become visible in their order); no functions of one database.

CREATE TABLE counter (name TEXT PRIMARY KEY, last BIGINT NOT NULL);
CREATE TABLE cursor (name TEXT PRIMARY KEY, seq BIGINT NOT NULL);

CREATE TABLE site (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL);
CREATE TABLE team (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL);

CREATE TABLE elder (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  sex TEXT NOT NULL,
  birth_date TEXT,
  phone TEXT NOT NULL,
  address TEXT NOT NULL,
  notes TEXT NOT NULL,
  team BIGINT REFERENCES team (id),
  created_at BIGINT NOT NULL
);
CREATE INDEX elder_by_team ON elder (team);

CREATE TABLE gateway (
  id BIGINT PRIMARY KEY,
  site BIGINT NOT NULL REFERENCES site (id),
  name TEXT NOT NULL UNIQUE,
  dialect TEXT NOT NULL,
  token_sha256 TEXT NOT NULL UNIQUE,
  disabled BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE device (
  id BIGINT PRIMARY KEY,
  gateway BIGINT NOT NULL REFERENCES gateway (id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  eui TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (gateway, name)
);

-- A device belongs to an elder for a stretch of time: [bound_from, bound_until). History is never deleted.
CREATE TABLE binding (
  id BIGINT PRIMARY KEY,
  device BIGINT NOT NULL REFERENCES device (id),
  elder BIGINT NOT NULL REFERENCES elder (id),
  bound_from BIGINT NOT NULL,
  bound_until BIGINT,
  bound_by BIGINT,
  unbound_by BIGINT
);
CREATE UNIQUE INDEX binding_open ON binding (device) WHERE bound_until IS NULL;
CREATE INDEX binding_by_elder ON binding (elder);
CREATE INDEX binding_by_device ON binding (device);

CREATE TABLE person (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  phone TEXT NOT NULL,
  role TEXT NOT NULL,
  login TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  team BIGINT REFERENCES team (id),
  language TEXT NOT NULL,
  on_call_order BIGINT,
  failures BIGINT NOT NULL,
  locked_until BIGINT,
  disabled BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX person_by_team ON person (team);

CREATE TABLE session (
  token_sha256 TEXT PRIMARY KEY,
  person BIGINT NOT NULL REFERENCES person (id),
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
CREATE INDEX session_by_person ON session (person);

-- Every version ever in force stays; the newest of an elder (or of the default, elder NULL) is the current one.
CREATE TABLE rule_set (
  version BIGINT PRIMARY KEY,
  elder BIGINT,
  body TEXT NOT NULL,
  author BIGINT,
  reason TEXT NOT NULL,
  saved_at BIGINT NOT NULL
);
CREATE INDEX rule_set_by_elder ON rule_set (elder, version);

-- No reference to elder or device: an alarm must be recorded even when its elder is not known here (restored backup).
CREATE TABLE alarm (
  id BIGINT PRIMARY KEY,
  subject BIGINT NOT NULL,
  elder BIGINT,
  device BIGINT,
  rule TEXT NOT NULL,
  rule_zh TEXT NOT NULL,
  rule_en TEXT NOT NULL,
  rules_version BIGINT NOT NULL,
  latching BOOLEAN NOT NULL,
  kind TEXT NOT NULL,
  priority TEXT NOT NULL,
  condition TEXT NOT NULL,
  handling TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  raised_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  late BOOLEAN NOT NULL,
  repeats BIGINT NOT NULL,
  claimed_by BIGINT REFERENCES person (id),
  claim_until BIGINT,
  accepted_by BIGINT REFERENCES person (id),
  accepted_at BIGINT,
  outcome TEXT,
  outcome_note TEXT,
  resolved_by BIGINT REFERENCES person (id),
  resolved_at BIGINT,
  closed_at BIGINT,
  -- When somebody must be paged again. Set on every paged alarm that waits for a human, and only there.
  page_due_at BIGINT,
  last_event BIGINT NOT NULL
);
CREATE INDEX alarm_by_handling ON alarm (handling, priority);
CREATE INDEX alarm_by_elder ON alarm (elder, started_at);
CREATE INDEX alarm_by_time ON alarm (started_at);
CREATE INDEX alarm_by_lease ON alarm (claim_until) WHERE claim_until IS NOT NULL;
CREATE INDEX alarm_by_page_due ON alarm (page_due_at) WHERE page_due_at IS NOT NULL;

-- `seq` is the id of the console's event stream. `change_key` names a transition of the engine, so that a replay of
-- the same log writes it once; people's actions have none.
CREATE TABLE alarm_event (
  seq BIGINT PRIMARY KEY,
  alarm BIGINT NOT NULL REFERENCES alarm (id),
  kind TEXT NOT NULL,
  at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  by_person BIGINT REFERENCES person (id),
  detail TEXT NOT NULL,
  change_key TEXT UNIQUE
);
CREATE INDEX alarm_event_by_alarm ON alarm_event (alarm, seq);

CREATE TABLE page (
  id BIGINT PRIMARY KEY,
  alarm BIGINT NOT NULL REFERENCES alarm (id),
  person BIGINT NOT NULL REFERENCES person (id),
  channel TEXT NOT NULL,
  state TEXT NOT NULL,
  round BIGINT NOT NULL,
  queued_at BIGINT NOT NULL,
  due_at BIGINT,
  updated_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  provider_ref TEXT
);
CREATE INDEX page_by_alarm ON page (alarm, id);
CREATE INDEX page_by_person ON page (person, id);
CREATE INDEX page_by_due ON page (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE page_attempt (
  id BIGINT PRIMARY KEY,
  page BIGINT NOT NULL REFERENCES page (id),
  at BIGINT NOT NULL,
  finished_at BIGINT,
  result TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX page_attempt_by_page ON page_attempt (page, id);

CREATE TABLE retained (
  topic TEXT PRIMARY KEY,
  gateway BIGINT NOT NULL,
  payload BYTEA NOT NULL,
  at BIGINT NOT NULL
);

CREATE TABLE quarantine (
  id BIGINT PRIMARY KEY,
  gateway BIGINT NOT NULL,
  topic TEXT NOT NULL,
  payload BYTEA NOT NULL,
  cause TEXT NOT NULL,
  at BIGINT NOT NULL,
  replayed_at BIGINT
);

CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  person BIGINT,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

CREATE TABLE idempotency (
  person BIGINT NOT NULL,
  idem_key TEXT NOT NULL,
  action TEXT NOT NULL,
  subject BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (person, idem_key)
);
CREATE INDEX idempotency_by_time ON idempotency (at);
