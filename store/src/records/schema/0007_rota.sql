-- Who is on call: rotas of teams in versions, overrides, leave, years of holidays, who goes to an elder.

-- Every version stays. At an instant the highest version of the team with in_force_from <= it is in force; in_force_from is never
-- before saved_at, so that the past does not change. A body without layers: the team has no rota any more.
CREATE TABLE rota (
  version BIGINT PRIMARY KEY,
  team BIGINT NOT NULL REFERENCES team (id),
  in_force_from BIGINT NOT NULL,
  body TEXT NOT NULL,
  author BIGINT,
  reason TEXT NOT NULL,
  saved_at BIGINT NOT NULL
);
CREATE INDEX rota_by_team ON rota (team, version);

-- `in_person` for `out_person` (or for whoever has `post`), from starts_at to ends_at or until it was cancelled, if that was earlier.
CREATE TABLE rota_override (
  id BIGINT PRIMARY KEY,
  team BIGINT NOT NULL REFERENCES team (id),
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  out_person BIGINT REFERENCES person (id),
  post TEXT,
  in_person BIGINT NOT NULL REFERENCES person (id),
  in_duty TEXT NOT NULL,
  reason TEXT NOT NULL,
  author BIGINT,
  saved_at BIGINT NOT NULL,
  cancelled_at BIGINT
);
CREATE INDEX rota_override_by_team ON rota_override (team, ends_at);

CREATE TABLE leave (
  id BIGINT PRIMARY KEY,
  person BIGINT NOT NULL REFERENCES person (id),
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  author BIGINT,
  saved_at BIGINT NOT NULL,
  cancelled_at BIGINT
);
CREATE INDEX leave_by_end ON leave (ends_at, person);

-- Imported years, beside those that come with the program. A corrected file is one more row: days that began are judged by what
-- was known then.
CREATE TABLE holiday_year (
  id BIGINT PRIMARY KEY,
  year BIGINT NOT NULL,
  body TEXT NOT NULL,
  author BIGINT,
  known_at BIGINT NOT NULL
);

-- Those who can go to an elder (key holder, grid worker, family), in the order of `rank`.
CREATE TABLE elder_contact (
  elder BIGINT NOT NULL REFERENCES elder (id),
  person BIGINT NOT NULL REFERENCES person (id),
  relation TEXT NOT NULL,
  rank BIGINT NOT NULL,
  author BIGINT,
  saved_at BIGINT NOT NULL,
  PRIMARY KEY (elder, person)
);
CREATE INDEX elder_contact_by_person ON elder_contact (person);

-- Place of a person in the team; NULL: what goes with the role.
ALTER TABLE person ADD COLUMN duty TEXT;
-- The unit above (township hospital, county), to which a hole falls through.
ALTER TABLE team ADD COLUMN parent BIGINT REFERENCES team (id);
