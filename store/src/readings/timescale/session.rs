//! One connection to the database: how it is made, what is set on it, and the lock of the one writer.

use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Connect};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Timescale;
use super::{Error, failure};

/// Class of our advisory locks, "VGRD"; the second number is a hash of the schema.
pub(super) const LOCK_CLASS: i32 = 0x5647_5244;
/// Added to the class for the lock under which a schema is made.
pub(super) const LOCK_MIGRATE: i32 = LOCK_CLASS + 1;
/// Between two tries for the writer's lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

type Made = Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>;

/// Makes connections with the settings every statement of ours relies on.
#[derive(Clone)]
pub(super) struct Dial {
    driver: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    settings: String,
}

impl Dial {
    pub(super) fn new(driver: tokio_postgres::Config, tls: MakeRustlsConnect, config: &Timescale) -> Self {
        let Timescale { schema, statement_timeout_ms, lock_timeout_ms, .. } = config;
        let settings = format!(
            "SET statement_timeout = {statement_timeout_ms}; SET lock_timeout = {lock_timeout_ms};
             SET idle_in_transaction_session_timeout = {statement_timeout_ms};
             SET timezone = 'UTC'; SET client_min_messages = error; SET jit = off;
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
             {}",
            search_path(schema)
        );
        Self { driver, tls, settings }
    }

    /// A new connection, ready for statements.
    pub(super) async fn dial(&self) -> Result<ClientWrapper, tokio_postgres::Error> {
        let (client, task) = self.connect(&self.driver).await?;
        Ok(ClientWrapper::new(client, task))
    }

    pub(super) fn driver(&self) -> &tokio_postgres::Config {
        &self.driver
    }
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Our schema, and behind it the one where TimescaleDB's functions are.
pub(super) fn search_path(schema: &str) -> String {
    format!(
        "SELECT set_config('search_path', '\"{schema}\"' || coalesce((SELECT ', ' || quote_ident(n.nspname) FROM pg_extension e
           JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'), ''), false);"
    )
}

impl Connect for Dial {
    fn connect(&self, driver: &tokio_postgres::Config) -> Pin<Box<dyn Future<Output = Made> + Send + '_>> {
        let driver = driver.clone();
        Box::pin(async move {
            let (client, connection) = driver.connect(self.tls.clone()).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the readings' database ended");
                }
            });
            if let Err(error) = client.batch_execute(&self.settings).await {
                task.abort();
                return Err(error);
            }
            Ok((client, task))
        })
    }
}

/// The writer's place: its connection while there is one, and when the next may be made.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) session: Option<Session>,
    pub(super) pause: Pause,
}

/// The writer's connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) db: std::sync::Arc<ClientWrapper>,
    /// It holds the lock of the schema's one writer.
    pub(super) writes: bool,
}

impl Slot {
    /// The connection, if it still stands.
    pub(super) fn live(&mut self) -> Option<&mut Session> {
        if self.session.as_ref().is_some_and(|session| session.db.is_closed()) {
            self.session = None;
        }
        self.session.as_mut()
    }
}

/// Waiting between failed tries, longer each time.
#[derive(Debug, Default)]
pub(super) struct Pause {
    length: Duration,
    until: Option<(Instant, Error)>,
}

/// The first wait after a failure.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

impl Pause {
    /// An error while it is too early for the next try.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.until {
            Some((until, why)) if Instant::now() < *until => Err(failure::once_more(why)),
            _ => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, error: &Error, max: Duration) {
        self.length = (self.length * 2).clamp(PAUSE_FIRST, max.max(PAUSE_FIRST));
        self.until = Some((Instant::now() + self.length, failure::once_more(error)));
    }

    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    pub(super) fn length(&self) -> Duration {
        self.length
    }
}

/// Takes the lock of the schema's one writer. What this process left behind on the server, when it lost a connection that the server
/// still believes in, is ended; `name` is how it is known there.
pub(super) async fn take_writer_lock(
    db: &ClientWrapper,
    schema: &str,
    name: &str,
    patience: Duration,
) -> Result<(), Error> {
    let until = Instant::now() + patience;
    loop {
        let row = db.query_one("SELECT pg_try_advisory_lock($1, hashtext($2))", &[&LOCK_CLASS, &schema]).await?;
        if row.get::<_, bool>(0) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::WriterElsewhere { schema: schema.to_owned() });
        }
        db.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.classid::int8 = $1::int4::int8 AND l.pid <> pg_backend_pid()
               AND l.objid::int8 = hashtext($2)::int8 & 4294967295 AND a.application_name = $3",
            &[&LOCK_CLASS, &schema, &name],
        )
        .await?;
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}
