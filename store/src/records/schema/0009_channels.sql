-- Paging channels: how a person is reached by each, what was sent and what came back, and how each channel fares.

-- `refused_at`: the provider said that this address cannot be reached at all.
CREATE TABLE contact (
  person BIGINT NOT NULL REFERENCES person (id),
  channel TEXT NOT NULL,
  address TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  refused_at BIGINT,
  PRIMARY KEY (person, channel)
);

-- One row for each message that counts against a limit; kept for two days. `target` is the person, or empty for a channel whose
-- limit is the channel's own.
CREATE TABLE channel_send (
  id BIGINT PRIMARY KEY,
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX channel_send_by_target ON channel_send (channel, target, at);
CREATE INDEX channel_send_by_time ON channel_send (at);

-- `failures`: in a row. `dead_since` and `alarm` stand until the channel works again.
CREATE TABLE channel_health (
  channel TEXT PRIMARY KEY,
  ok_at BIGINT,
  failed_at BIGINT,
  failures BIGINT NOT NULL,
  detail TEXT NOT NULL,
  dead_since BIGINT,
  alarm BIGINT,
  canary_at BIGINT,
  canary_ok_at BIGINT
);

-- The digits by which a page can be answered as long as it waits.
CREATE TABLE page_code (
  page BIGINT PRIMARY KEY REFERENCES page (id),
  code TEXT NOT NULL,
  issued_at BIGINT NOT NULL
);
CREATE INDEX page_code_by_code ON page_code (code);

CREATE INDEX page_by_ref ON page (channel, provider_ref) WHERE provider_ref IS NOT NULL;

-- Signs the links in pages. Made once.
CREATE TABLE link_key (id BIGINT PRIMARY KEY, secret BYTEA NOT NULL, made_at BIGINT NOT NULL);
