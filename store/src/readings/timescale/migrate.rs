//! Brings the schema to the format this program knows: numbered SQL files, embedded, each applied once and remembered with its
//! checksum. A file may differ between the two kinds of schema. A newer or a foreign schema is refused and left untouched.
//!
//! A file is applied in one transaction. One that begins with `-- no transaction` is applied statement by statement (cut at `;` at
//! the end of a line), because some of TimescaleDB's refuse to run inside one; each of its statements must be harmless when repeated.
//! `{chunk_hours}` stands for the setting.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;

use super::Error;
use super::config::Timescale;
use super::session::{LOCK_MIGRATE, search_path};
use super::version::Server;

/// Which kind of schema: with TimescaleDB's tables, or with PostgreSQL's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Timescale,
}

impl Kind {
    /// As it stands in `state.kind`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Timescale => "timescale",
        }
    }
}

/// One numbered change. Empty text: nothing to do for this kind.
struct Migration {
    number: i32,
    plain: &'static str,
    timescale: &'static str,
}

/// Ascending. Applied files never change; add a new one.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, plain: include_str!("sql/0001_base.sql"), timescale: include_str!("sql/0001_base.sql") },
    Migration {
        number: 2,
        plain: include_str!("sql/0002_reading.plain.sql"),
        timescale: include_str!("sql/0002_reading.timescale.sql"),
    },
    Migration {
        number: 3,
        plain: include_str!("sql/0003_rollup.plain.sql"),
        timescale: include_str!("sql/0003_rollup.timescale.sql"),
    },
    Migration { number: 4, plain: include_str!("sql/0004_origin.sql"), timescale: include_str!("sql/0004_origin.sql") },
    Migration { number: 5, plain: include_str!("sql/0005_marks.sql"), timescale: include_str!("sql/0005_marks.sql") },
];

/// First line of a file whose statements must stand alone.
const ALONE: &str = "-- no transaction";
/// Making or changing a schema takes at most so long.
pub(super) const LIMIT: Duration = Duration::from_hours(1);

impl Migration {
    fn text(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Plain => self.plain,
            Kind::Timescale => self.timescale,
        }
    }
}

/// What a schema is before anything is changed.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Missing, or without any table.
    Empty,
    Ours {
        kind: Kind,
        format: i32,
    },
}

/// The kind of a schema that is as new as this program; `None` when there is something to make. Reads only.
pub(super) async fn check(db: &ClientWrapper, config: &Timescale, server: &Server) -> Result<Option<Kind>, Error> {
    match look(db, config, newest()).await? {
        Found::Ours { kind, format } if format == newest() => usable(kind, server).map(Some),
        _ if server.standby => Err(Error::ServerReadOnly),
        _ => Ok(None),
    }
}

/// Makes the schema, or brings it up to date. Returns its kind. Whoever comes second waits and finds it done.
pub(super) async fn run(db: &ClientWrapper, config: &Timescale, server: &Server) -> Result<Kind, Error> {
    db.batch_execute(&format!("SET statement_timeout = {0}; SET lock_timeout = {0}", LIMIT.as_millis())).await?;
    db.query("SELECT pg_advisory_lock($1, hashtext($2))", &[&LOCK_MIGRATE, &config.schema]).await?;
    let made = bring(db, config, server).await;
    if made.is_err() {
        db.batch_execute("ROLLBACK").await?;
    }
    db.query("SELECT pg_advisory_unlock($1, hashtext($2))", &[&LOCK_MIGRATE, &config.schema]).await?;
    let Timescale { statement_timeout_ms, lock_timeout_ms, .. } = config;
    db.batch_execute(&format!("SET statement_timeout = {statement_timeout_ms}; SET lock_timeout = {lock_timeout_ms}"))
        .await?;
    made
}

fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// Under the lock: looks again, and applies what is missing.
async fn bring(db: &ClientWrapper, config: &Timescale, server: &Server) -> Result<Kind, Error> {
    let (kind, format) = match look(db, config, newest()).await? {
        Found::Ours { kind, format } => (usable(kind, server)?, format),
        Found::Empty => {
            let kind = server.kind_of_new()?;
            let exists = "SELECT FROM pg_namespace WHERE nspname = $1";
            if db.query_opt(exists, &[&config.schema]).await?.is_none() {
                db.batch_execute(&format!("CREATE SCHEMA \"{}\"", config.schema)).await?;
            }
            db.batch_execute(&search_path(&config.schema)).await?;
            (kind, 0)
        }
    };
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > format) {
        apply(db, migration, kind, config).await?;
        tracing::info!(
            schema = config.schema,
            format = migration.number,
            "the schema of the readings was brought forward"
        );
    }
    Ok(kind)
}

async fn apply(db: &ClientWrapper, migration: &Migration, kind: Kind, config: &Timescale) -> Result<(), Error> {
    let text = migration.text(kind);
    let sql = text.replace("{chunk_hours}", &config.chunk_hours.to_string());
    let alone = text.starts_with(ALONE);
    if alone {
        for statement in sql.split(";\n").filter(|statement| !is_blank(statement)) {
            db.batch_execute(statement).await?;
        }
    }
    db.batch_execute("BEGIN").await?;
    if !alone {
        db.batch_execute(&sql).await?;
    }
    db.batch_execute(
        "CREATE TABLE IF NOT EXISTS migration (number int4 PRIMARY KEY, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
    )
    .await?;
    db.execute("INSERT INTO migration (number, sha256) VALUES ($1, $2)", &[&migration.number, &checksum(text)]).await?;
    db.execute(
        "INSERT INTO state (kind, format) VALUES ($1, $2) ON CONFLICT (one) DO UPDATE SET format = excluded.format",
        &[&kind.word(), &migration.number],
    )
    .await?;
    db.batch_execute("COMMIT").await?;
    Ok(())
}

fn is_blank(statement: &str) -> bool {
    statement.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"))
}

/// A schema made with the extension cannot be used without it.
fn usable(kind: Kind, server: &Server) -> Result<Kind, Error> {
    match (kind, &server.without) {
        (Kind::Timescale, Some(why)) => {
            Err(Error::NoExtension { what: format!("this schema was made with it, but {why}") })
        }
        _ => Ok(kind),
    }
}

/// Refuses a schema this program must not touch. Reads only.
async fn look(db: &ClientWrapper, config: &Timescale, newest: i32) -> Result<Found, Error> {
    let schema = &config.schema;
    let tables = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname IN ('state', 'migration')";
    let any = "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') LIMIT 1";
    let foreign = || Error::ForeignSchema { schema: schema.clone() };
    match db.query(tables, &[schema]).await?.len() {
        0 if db.query_opt(any, &[schema]).await?.is_some() => return Err(foreign()),
        0 => return Ok(Found::Empty),
        2 => {}
        _ => return Err(foreign()),
    }
    let sql = format!("SELECT application, kind, format FROM \"{schema}\".state");
    let rows = match db.query(&sql, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => return Err(foreign()),
        Err(error) => return Err(error.into()),
    };
    let [row] = rows.as_slice() else { return Err(foreign()) };
    let (application, word, format): (String, String, i32) = (row.get(0), row.get(1), row.get(2));
    let kind = [Kind::Plain, Kind::Timescale].into_iter().find(|kind| kind.word() == word);
    let (Some(kind), "vigil readings") = (kind, application.as_str()) else { return Err(foreign()) };
    if format > newest {
        return Err(Error::NewerSchema { schema: schema.clone(), found: format, known: newest });
    }
    for row in db.query(&format!("SELECT number, sha256 FROM \"{schema}\".migration"), &[]).await? {
        let (number, sha256): (i32, String) = (row.get(0), row.get(1));
        let known = MIGRATIONS.iter().find(|migration| migration.number == number);
        if known.is_none_or(|known| checksum(known.text(kind)) != sha256) {
            return Err(Error::NewerSchema { schema: schema.clone(), found: number, known: newest });
        }
    }
    Ok(Found::Ours { kind, format })
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_statements_that_stand_alone_can_be_cut() {
        assert!(MIGRATIONS.windows(2).all(|pair| pair[0].number < pair[1].number));
        for migration in MIGRATIONS {
            for kind in [Kind::Plain, Kind::Timescale] {
                let text = migration.text(kind);
                assert!(!text.starts_with(ALONE) || !text.contains("$$"), "{}: cannot be cut", migration.number);
            }
        }
    }
}
