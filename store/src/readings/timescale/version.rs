//! What the server is and has, and what follows from what is missing.

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::config::{Extension, Timescale};
use super::migrate::Kind;

/// Oldest PostgreSQL, by its major number.
const POSTGRES_MIN: u32 = 14;
/// Newest PostgreSQL this was tried with.
const POSTGRES_TRIED: u32 = 18;
/// Oldest TimescaleDB that is used.
const TIMESCALE_MIN: (u32, u32) = (2, 11);

/// What was found on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Major number of PostgreSQL.
    pub(super) postgres: u32,
    /// Its own words, e.g. `15.20 (Debian 15.20-1)`.
    pub(super) postgres_full: String,
    /// TimescaleDB that can be used: its (major, minor).
    pub(super) timescale: Option<(u32, u32)>,
    /// Why TimescaleDB is not used, as half a sentence.
    pub(super) without: Option<String>,
    /// The server has it, but it is not made in this database and this login could not make it.
    pub(super) unmade: bool,
    /// A standby: it can only be read.
    pub(super) standby: bool,
}

/// Looks at the server. Makes the extension when it is there to be made and `make` allows it.
pub(super) async fn probe(db: &ClientWrapper, config: &Timescale, make: bool) -> Result<Server, Error> {
    let row = db
        .query_one(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), pg_is_in_recovery(),
               current_setting('fsync')",
            &[],
        )
        .await?;
    let (number, full): (i32, String) = (row.get(0), row.get(1));
    let postgres = number.max(0) as u32 / 10_000;
    if postgres < POSTGRES_MIN {
        return Err(Error::OldServer { found: full, needed: POSTGRES_MIN });
    }
    if row.get::<_, String>(3) == "off" {
        tracing::warn!("the database runs with fsync = off: what it says is stored can be lost in a power cut");
    }
    let standby: bool = row.get(2);
    let (timescale, without) = match extension(db, config, make && !standby).await? {
        Ok(version) => (Some(version), None),
        Err(lack) => (None, Some(lack)),
    };
    let (without, unmade) = without.map_or((None, false), |Lack { why, unmade }| (Some(why), unmade));
    if config.extension == Extension::Require
        && let Some(what) = without
    {
        return Err(Error::NoExtension { what });
    }
    Ok(Server { postgres, postgres_full: full, timescale, without, unmade, standby })
}

/// Why TimescaleDB cannot be used.
struct Lack {
    why: String,
    /// See [`Server::unmade`].
    unmade: bool,
}

fn lack<T>(why: impl Into<String>) -> Result<T, Lack> {
    Err(Lack { why: why.into(), unmade: false })
}

fn unmade<T>(why: impl Into<String>) -> Result<T, Lack> {
    Err(Lack { why: why.into(), unmade: true })
}

/// TimescaleDB's version when it can be used, or why it cannot.
async fn extension(db: &ClientWrapper, config: &Timescale, make: bool) -> Result<Result<(u32, u32), Lack>, Error> {
    if config.extension == Extension::Off {
        return Ok(lack("timescale.extension is off"));
    }
    let sql = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'timescaledb'";
    let Some(found) = db.query_opt(sql, &[]).await? else {
        return Ok(lack("this server does not have the extension"));
    };
    let mut installed: Option<String> = found.get(1);
    if installed.is_none() {
        if !make {
            return Ok(unmade("it is there but not made in this database"));
        }
        // With a server that did not load it at start this ends the connection; the next one comes without `make`.
        // Where it goes is said: our own schema, first in the search path, need not be there yet.
        if let Err(error) = db.batch_execute("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public").await {
            let why = error.as_db_error().map_or_else(|| "the connection ended".to_owned(), |e| e.message().to_owned());
            return if db.is_closed() {
                Err(Error::NoExtension { what: why })
            } else {
                Ok(unmade(format!("CREATE EXTENSION timescaledb failed: {why}")))
            };
        }
        installed = found.get(0);
    }
    let Some(version) = installed.as_deref().and_then(version) else {
        return Ok(lack("its version is not understood"));
    };
    if version < TIMESCALE_MIN {
        let (major, minor) = TIMESCALE_MIN;
        return Ok(lack(format!("it is older than {major}.{minor}")));
    }
    let license = db.query_one("SELECT coalesce(current_setting('timescaledb.license', true), '')", &[]).await?;
    match license.get::<_, String>(0).as_str() {
        "timescale" => Ok(Ok(version)),
        other => {
            Ok(lack(format!("timescaledb.license is {other:?}, which has no compression and no continuous aggregates")))
        }
    }
}

/// (major, minor) of `2.23.0-dev`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl Server {
    /// The kind of a schema that is made here. It stays what it is, so a missing right must not decide it.
    pub(super) fn kind_of_new(&self) -> Result<Kind, Error> {
        match (&self.timescale, &self.without) {
            (Some(_), _) => Ok(Kind::Timescale),
            (None, Some(why)) if self.unmade => Err(Error::NoExtension {
                what: format!(
                    "{why}; create it in this database as an administrator (CREATE EXTENSION timescaledb), or set \
                     timescale.extension = \"off\" to do without it for good"
                ),
            }),
            _ => Ok(Kind::Plain),
        }
    }

    /// Says once what this server is and what it lacks.
    pub(super) fn announce(&self, schema: &str, kind: Kind) {
        let (postgres, timescale) = (self.postgres_full.as_str(), self.timescale.map(|(a, b)| format!("{a}.{b}")));
        tracing::info!(postgres, timescale, schema, kind = kind.word(), "readings are in a database");
        if self.postgres > POSTGRES_TRIED {
            tracing::warn!(postgres, "this PostgreSQL is newer than any this program was tried with");
        }
        if let (Kind::Plain, why) = (kind, &self.without) {
            let why = why.as_deref().unwrap_or("the schema was made without it");
            tracing::warn!(
                why,
                "readings are kept without TimescaleDB: nothing is compressed, so they take about 40 times the disk \
                 (150 bytes a reading instead of 4), and rollups are made by this program; `vigil migrate-store` moves to the embedded store, and from there to a server with it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_write() {
        assert_eq!(version("2.23.0-dev"), Some((2, 23)));
        assert_eq!(version("2.9.3"), Some((2, 9)));
        assert_eq!(version("dev"), None);
        assert!(version("2.9.3") < Some(TIMESCALE_MIN) && version("2.11.0") >= Some(TIMESCALE_MIN));
    }
}
