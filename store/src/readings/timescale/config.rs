//! Settings of the `timescale` store. The defaults suit a county's server beside its database.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::Error;
use super::dsn::Target;

/// Where the database is, with its password. Nothing prints the password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Dsn(String);

impl Dsn {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Dsn {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("(hidden)")
    }
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// In the clear: on this machine only.
    Disable,
    /// Encrypted when the server can, without asking who it is: keeps out who only listens.
    Prefer,
    /// Encrypted, and the server proves with a certificate that it is the host of the DSN.
    Verify,
}

/// Whether TimescaleDB is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// When the server has it. What is missing otherwise is said at start.
    #[default]
    Auto,
    /// Always: a server without it is refused.
    Require,
    /// Never.
    Off,
}

/// Settings of the store on a PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timescale {
    /// Where the database is: `host=db.example port=5432 user=vigil password=.. dbname=vigil`, or `postgresql://..`. Several hosts
    /// separated by commas: the one that takes writes is used. Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsn: Option<Dsn>,
    /// A file with that text, which only this user can read. Either this or `dsn`. Path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsn_file: Option<PathBuf>,
    /// Schema of the tables; made when it is missing. One server writes into one schema. `[a-z_][a-z0-9_]*`, at most 40 bytes.
    pub schema: String,
    /// Connections at most. One writes, the others read; with 1 both take turns. 1 to 100.
    pub pool_max: usize,
    /// Making a connection takes at most so long. Milliseconds.
    pub connect_timeout_ms: u64,
    /// A statement takes at most so long, on the server and on the way. Milliseconds.
    pub statement_timeout_ms: u64,
    /// Waiting for a lock of the database takes at most so long. Milliseconds.
    pub lock_timeout_ms: u64,
    /// Longest wait before the next try when the server cannot be reached; the first tries come faster. Milliseconds.
    pub retry_max_ms: u64,
    /// `disable`, `prefer` or `verify`. When absent: `verify`, but `disable` for this machine (a socket, `localhost`, 127.0.0.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Certificates (PEM) of who may vouch for the server; when absent those that this machine trusts. Path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// `auto`: TimescaleDB when the server has it; `require`; `off`. Decided when the schema is made.
    pub extension: Extension,
    /// Span of one chunk of a new schema with TimescaleDB (without it: always a day). The indexes of the newest chunk should fit in a
    /// quarter of the database's memory, 72 bytes a reading. 1 to 168. Hours.
    pub chunk_hours: u32,
    /// Chunks this old are compressed (only with TimescaleDB). The days before dominate the disk. 1 to 365. Days.
    pub compress_after_days: u32,
}

impl Default for Timescale {
    fn default() -> Self {
        Self {
            dsn: None,
            dsn_file: None,
            schema: "vigil".to_owned(),
            pool_max: 8,
            connect_timeout_ms: 3_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 5_000,
            retry_max_ms: 1_000,
            tls: None,
            ca_file: None,
            extension: Extension::Auto,
            chunk_hours: 24,
            compress_after_days: 2,
        }
    }
}

/// Longest schema name, bytes: names of partitions and chunks come behind it.
const SCHEMA_LEN_MAX: usize = 40;

impl Timescale {
    /// Where the readings are, for people and the audit: hosts, port, database and schema, neither user nor password. Reads
    /// `dsn_file`.
    pub fn place(&self) -> Result<String, Error> {
        let target = Target::of(self)?;
        Ok(format!("{}, database {}, schema {}", target.shown(), target.database(), self.schema))
    }

    /// The first setting that makes no sense, as a sentence. Reads no file.
    pub fn problem(&self) -> Option<String> {
        match (&self.dsn, &self.dsn_file) {
            (None, None) => return Some("timescale: give dsn or dsn_file, where the database is".to_owned()),
            (Some(_), Some(_)) => return Some("timescale: give either dsn or dsn_file, not both".to_owned()),
            (Some(dsn), None) => {
                if let Err(text) = Target::parse(dsn) {
                    return Some(format!("timescale.dsn: {text}"));
                }
            }
            (None, Some(_)) => {}
        }
        let ranges = [
            ("pool_max", self.pool_max as u64, 1..=100),
            ("connect_timeout_ms", self.connect_timeout_ms, 100..=60_000),
            ("statement_timeout_ms", self.statement_timeout_ms, 1_000..=600_000),
            ("lock_timeout_ms", self.lock_timeout_ms, 100..=600_000),
            ("retry_max_ms", self.retry_max_ms, 100..=600_000),
            ("chunk_hours", u64::from(self.chunk_hours), 1..=168),
            ("compress_after_days", u64::from(self.compress_after_days), 1..=365),
        ];
        if let Some((name, _, range)) = ranges.into_iter().find(|(_, value, range)| !range.contains(value)) {
            return Some(format!("timescale.{name} must be {} to {}", range.start(), range.end()));
        }
        if self.lock_timeout_ms > self.statement_timeout_ms {
            return Some("timescale: lock_timeout_ms must not be longer than statement_timeout_ms".to_owned());
        }
        if self.ca_file.is_some() && matches!(self.tls, Some(Tls::Disable | Tls::Prefer)) {
            return Some("timescale: ca_file is only for tls = \"verify\"; set that, or leave ca_file out".to_owned());
        }
        (!is_schema(&self.schema)).then(|| {
            format!("timescale.schema must be {SCHEMA_LEN_MAX} bytes or less of a-z, 0-9 and _, and not begin with a digit or pg_")
        })
    }
}

/// Safe to stand in a statement as it is.
fn is_schema(name: &str) -> bool {
    let word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let first = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    first && name.len() <= SCHEMA_LEN_MAX && name.bytes().all(word) && !name.starts_with("pg_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Timescale {
        Timescale { dsn: Some(Dsn::new("host=localhost user=vigil password=s3cret")), ..Timescale::default() }
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(good().problem(), None);
        let file = Some(PathBuf::from("/etc/vigil/dsn"));
        for (config, says) in [
            (Timescale::default(), "dsn or dsn_file"),
            (Timescale { dsn_file: file.clone(), ..good() }, "not both"),
            (Timescale { dsn: Some(Dsn::new("hots=x")), ..good() }, "timescale.dsn"),
            (Timescale { dsn: Some(Dsn::new("user=x")), ..good() }, "host"),
            (Timescale { dsn: Some(Dsn::new("host=x sslmode=require")), ..good() }, "tls"),
            (Timescale { pool_max: 0, ..good() }, "pool_max"),
            (Timescale { statement_timeout_ms: 0, ..good() }, "statement_timeout_ms"),
            (Timescale { lock_timeout_ms: 40_000, ..good() }, "lock_timeout_ms"),
            (Timescale { schema: "Vigil\"; DROP".to_owned(), ..good() }, "schema"),
            (Timescale { schema: "pg_x".to_owned(), ..good() }, "schema"),
            (Timescale { schema: String::new(), ..good() }, "schema"),
            (Timescale { tls: Some(Tls::Disable), ca_file: file, ..good() }, "ca_file"),
            (Timescale { chunk_hours: 0, ..good() }, "chunk_hours"),
        ] {
            let text = config.problem().unwrap_or_default();
            assert!(text.contains(says), "{says} is not in: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn nothing_prints_the_password() {
        let config = good();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&config).unwrap().contains("s3cret"));
        assert_eq!(config.place().unwrap(), "localhost port 5432, database (named as the user), schema vigil");
        let bad = Dsn::new("host=x password='s3cret");
        assert!(!Target::parse(&bad).unwrap_err().contains("s3cret"));
    }
}
