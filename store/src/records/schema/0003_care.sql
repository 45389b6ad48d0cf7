-- Care of gateways from afar, and alarms that a gateway sounded while the server was out of reach.

ALTER TABLE alarm ADD COLUMN sounded_at BIGINT;
ALTER TABLE alarm ADD COLUMN sounded_ok BOOLEAN;

-- What a gateway is to have: every version ever pushed, the newest of each kind (`what`: config, rules, devices) is wanted.
-- `sha256` is of the body; `refused` is the gateway's reason. Bodies may hold keys of devices: they are read by nobody but
-- the gateway.
CREATE TABLE gateway_push (
  gateway BIGINT NOT NULL REFERENCES gateway (id),
  what TEXT NOT NULL,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  by_person BIGINT,
  saved_at BIGINT NOT NULL,
  sent_at BIGINT,
  acked_at BIGINT,
  refused TEXT,
  PRIMARY KEY (gateway, what, version)
);
