//! The way to the database: a runtime of its own for the driver, the writer's connection, and a pool of connections for questions.
//!
//! Calls come from any thread and wait; the work runs on the runtime. Everything has a limit, also when the server accepts what is
//! sent and never answers. A connection whose work was cut off is closed, never used again.
//!
//! First contact makes or checks the schema and loads what is kept in memory. It happens in the background from the start, again
//! and again while the server is away, and on the first call that needs it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, Object, Pool, PoolError, Timeouts};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::config::Timescale as Config;
use super::dsn::Target;
use super::failure;
use super::limits::Limits;
use super::memory::Memory;
use super::migrate::{self, Kind};
use super::session::{Dial, Session, Slot, take_writer_lock};
use super::tls;
use super::types::Micros;
use super::version::{self, Server};
use super::{Config as Settings, Error, Time};

/// Beyond the server's own limit on a statement, for the way there and back.
const SLACK: Duration = Duration::from_secs(2);
/// Loading what is kept in memory takes at most so long.
pub(super) const LOAD_LIMIT: Duration = Duration::from_mins(5);

/// What first contact found out.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub(super) server: Server,
    pub(super) kind: Kind,
}

/// The way to one schema of one database.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) config: Config,
    target: Target,
    /// How this process is known on the server: tells it from another one.
    name: String,
    dial: Dial,
    /// For questions. None when `pool_max` is 1: then they take turns with the writer.
    pool: Option<Pool>,
    slot: Arc<AsyncMutex<Slot>>,
    contact: RwLock<Option<Arc<Contact>>>,
    memory: Mutex<Memory>,
    /// What is too old to be stored.
    limits: RwLock<Limits>,
    runtime: tokio::runtime::Handle,
}

/// A connection for a question. A transaction on it is `BEGIN` .. `COMMIT` by `batch_execute`; after an error it is rolled back.
pub(super) type Db = Arc<Client>;

/// The connection itself.
#[derive(Debug)]
pub(super) enum Client {
    Pooled(Box<Object>),
    /// The writer's, for as long as it is held.
    Turn(Arc<ClientWrapper>, OwnedMutexGuard<Slot>),
}

impl std::ops::Deref for Client {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        match self {
            Self::Pooled(object) => object,
            Self::Turn(client, _) => client,
        }
    }
}

impl Client {
    /// Ends the connection: what was in hand on it is not known to have ended.
    fn close(self) {
        match self {
            Self::Pooled(object) => drop(Object::take(*object)),
            Self::Turn(_, mut slot) => slot.session = None,
        }
    }
}

/// What is written with the writer's connection while its lock is held.
pub(super) type Writing = OwnedMutexGuard<Slot>;

impl Link {
    pub(super) fn new(settings: &Settings, runtime: tokio::runtime::Handle) -> Result<Arc<Self>, Error> {
        let config = &settings.timescale;
        let target = Target::of(config)?;
        let mut tag = [0_u8; 4];
        getrandom::fill(&mut tag).map_err(|_| Error::Config("the system gives no random numbers".to_owned()))?;
        let name = format!("vigil {:08x}", u32::from_be_bytes(tag));
        let dial = Dial::new(target.driver(config, &name), tls::connector(config, target.tls(config))?, config);
        let link = Self {
            pool: pool(config, &dial)?,
            config: config.clone(),
            target,
            name,
            dial,
            slot: Arc::default(),
            contact: RwLock::new(None),
            memory: Mutex::default(),
            limits: RwLock::new(Limits::new(settings.retention.clone(), i64::MIN)),
            runtime,
        };
        Ok(Arc::new(link))
    }

    /// Runs something on the driver's runtime and waits for it, from any thread.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Nobody listens any more only when the caller's thread is gone.
            let _gone = tell.send(work.await);
        });
        told.recv().unwrap_or_else(|_| Err(stopping()))
    }

    /// As [`wait`](Self::wait), but goes on without an answer after some time.
    pub(super) fn wait_at_most(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let _gone = tell.send(work.await);
        });
        told.recv_timeout(limit).unwrap_or_else(|_| Err(stopping()))
    }

    /// Asks something on a connection, within the time a statement may take and a little more.
    pub(super) fn ask<T, Fut>(self: &Arc<Self>, work: impl FnOnce(Db) -> Fut + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        self.ask_within(self.statement_limit(), work)
    }

    /// As [`ask`](Self::ask), for work of many statements or one whose `statement_timeout` was set longer (`SET LOCAL`).
    pub(super) fn ask_within<T, Fut>(
        self: &Arc<Self>,
        limit: Duration,
        work: impl FnOnce(Db) -> Fut + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        let link = Arc::clone(self);
        self.wait(async move {
            let db = link.lend().await?;
            let answer = within(limit, work(Arc::clone(&db))).await;
            let clean = match &answer {
                Ok(_) => true,
                Err(error) if failure::ends_session(error) => false,
                Err(_) => matches!(timeout(SLACK, db.batch_execute("ROLLBACK")).await, Ok(Ok(()))),
            };
            match Arc::try_unwrap(db) {
                Ok(client) if !clean => client.close(),
                _ => {}
            }
            answer
        })
    }

    async fn lend(&self) -> Result<Db, Error> {
        if self.contact().is_none() {
            let mut slot = Arc::clone(&self.slot).lock_owned().await;
            self.reach(&mut slot).await?;
        }
        if let Some(pool) = &self.pool {
            return pool.get().await.map(|object| Arc::new(Client::Pooled(Box::new(object)))).map_err(pool_error);
        }
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        let client = Arc::clone(self.reach(&mut slot).await?);
        Ok(Arc::new(Client::Turn(client, slot)))
    }

    /// What is known of the server; `None` before first contact.
    pub(super) fn contact(&self) -> Option<Arc<Contact>> {
        self.contact.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The writer's connection with the writer's lock; waits for its turn.
    pub(super) async fn writer(&self) -> Result<Writing, Error> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        let db = Arc::clone(self.reach(&mut slot).await?);
        let owns = slot.session.as_ref().is_some_and(|session| session.writes);
        if owns && self.memory().loaded {
            return Ok(slot);
        }
        if !owns {
            let patience = Duration::from_millis(self.config.lock_timeout_ms);
            let lock = take_writer_lock(&db, &self.config.schema, &self.name, patience);
            within(patience + self.statement_limit(), lock).await?;
        }
        // Somebody else may have written until now.
        self.load(&db).await?;
        if let Some(session) = &mut slot.session {
            session.writes = true;
        }
        Ok(slot)
    }

    /// Runs something of the writer's, and closes the connection when its outcome is not known.
    pub(super) async fn with_writer<T, Fut>(
        &self,
        limit: Duration,
        work: impl FnOnce(Arc<ClientWrapper>) -> Fut,
    ) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let mut slot = self.writer().await?;
        let Some(db) = slot.session.as_ref().map(|session| Arc::clone(&session.db)) else {
            return Err(Error::Unreachable { what: "the connection just ended".to_owned() });
        };
        let answer = timeout(limit, work(Arc::clone(&db))).await;
        // A commit may be under way: a rollback behind it would succeed and say nothing about it.
        let is_known = answer.is_ok();
        let answer = answer.unwrap_or_else(|_| Err(no_answer(limit)));
        if let Err(error) = &answer {
            let rolled_back = is_known
                && !failure::ends_session(error)
                && matches!(timeout(SLACK, db.batch_execute("ROLLBACK")).await, Ok(Ok(())));
            if !rolled_back {
                slot.session = None;
                self.memory().loaded = false;
            }
        }
        answer
    }

    /// The writer's connection, made when there is none. Not more often than the pause between tries allows.
    async fn reach<'a>(&self, slot: &'a mut Slot) -> Result<&'a Arc<ClientWrapper>, Error> {
        if slot.live().is_none() {
            slot.pause.check()?;
            match self.connect().await {
                Ok(session) => {
                    slot.session = Some(session);
                    slot.pause.over();
                }
                Err(error) => {
                    slot.pause.failed(&error, Duration::from_millis(self.config.retry_max_ms));
                    return Err(error);
                }
            }
        }
        match &slot.session {
            Some(session) => Ok(&session.db),
            None => Err(Error::Unreachable { what: "the connection just ended".to_owned() }),
        }
    }

    async fn connect(&self) -> Result<Session, Error> {
        let dial_limit = Duration::from_millis(self.config.connect_timeout_ms) + SLACK;
        let dial = || async { within(dial_limit, async { Ok(self.dial.dial().await?) }).await };
        let mut db = dial().await?;
        let server = match within(self.statement_limit(), version::probe(&db, &self.config, true)).await {
            Err(_) if db.is_closed() => {
                // Making the extension ended the connection: go on as if it were not there.
                db = dial().await?;
                within(self.statement_limit(), version::probe(&db, &self.config, false)).await?
            }
            found => found?,
        };
        let known = within(self.statement_limit(), migrate::check(&db, &self.config, &server)).await?;
        let kind = match known {
            Some(kind) => kind,
            None => within(migrate::LIMIT, migrate::run(&db, &self.config, &server)).await?,
        };
        if self.contact().is_none() {
            server.announce(&self.config.schema, kind);
        }
        let loaded = self.memory().loaded;
        if !loaded {
            self.load(&db).await?;
        }
        *self.contact.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Contact { server, kind }));
        Ok(Session { db: Arc::new(db), writes: false })
    }

    async fn load(&self, db: &ClientWrapper) -> Result<(), Error> {
        let memory = within(LOAD_LIMIT, Memory::load(db, &self.config)).await?;
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        limits.advance(memory.upkeep_at);
        memory.gone.iter().for_each(|(metric, until)| limits.set_gone(*metric, *until));
        drop(limits);
        *self.memory() = memory;
        Ok(())
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Time went on: what is too old by now is not stored any more, also after a restart.
    pub(super) async fn advance(&self, db: &ClientWrapper, now: Time) -> Result<(), Error> {
        let sql = "UPDATE state SET upkeep_at = $1 WHERE upkeep_at < $1";
        db.execute(sql, &[&Micros::from(now)]).await?;
        self.limits.write().unwrap_or_else(PoisonError::into_inner).advance(now.0);
        Ok(())
    }

    pub(super) fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries for first contact until it is made, in the background.
    pub(super) async fn introduce(self: Arc<Self>) {
        let mut said = false;
        while self.contact().is_none() {
            let pause = {
                let mut slot = Arc::clone(&self.slot).lock_owned().await;
                match self.reach(&mut slot).await {
                    Ok(_) => return,
                    Err(error) if !said => {
                        said = true;
                        tracing::warn!(%error, server = %self.target.shown(), "the readings' database is not there yet; it is tried again and again");
                    }
                    Err(_) => {}
                }
                slot.pause.length()
            };
            tokio::time::sleep(pause.max(Duration::from_millis(50))).await;
        }
    }

    /// Gives the writer's lock back, so that another process need not wait until the server notices that we are gone.
    pub(super) async fn leave(&self) {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if let Some(session) = slot.session.take().filter(|session| session.writes) {
            let _late = timeout(SLACK, session.db.batch_execute("SELECT pg_advisory_unlock_all()")).await;
        }
    }

    /// How long a statement may take, there and back.
    pub(super) fn statement_limit(&self) -> Duration {
        Duration::from_millis(self.config.statement_timeout_ms) + SLACK
    }

    /// How long a whole write may take: some statements.
    pub(super) fn write_limit(&self) -> Duration {
        self.statement_limit() * 2
    }
}

fn stopping() -> Error {
    Error::Unreachable { what: "this program is stopping".to_owned() }
}

/// Ends what takes too long.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(no_answer(limit)))
}

fn no_answer(limit: Duration) -> Error {
    Error::TimedOut { what: format!("no answer in {} ms", limit.as_millis()) }
}

fn pool(config: &Config, dial: &Dial) -> Result<Option<Pool>, Error> {
    if config.pool_max < 2 {
        return Ok(None);
    }
    let wait = Duration::from_millis(config.statement_timeout_ms);
    let create = Duration::from_millis(config.connect_timeout_ms) + SLACK;
    let pool = Pool::builder(Manager::from_connect(
        dial.driver().clone(),
        dial.clone(),
        deadpool_postgres::ManagerConfig::default(),
    ))
    .max_size(config.pool_max - 1)
    .timeouts(Timeouts { wait: Some(wait), create: Some(create), recycle: Some(SLACK) })
    .runtime(deadpool_postgres::Runtime::Tokio1)
    .build();
    pool.map(Some).map_err(|error| Error::Config(format!("timescale: {error}")))
}

fn pool_error(error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => error.into(),
        PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
            Error::TimedOut { what: "every connection is in use; raise timescale.pool_max".to_owned() }
        }
        PoolError::Timeout(_) => Error::Unreachable { what: "no connection in time".to_owned() },
        other => Error::Unreachable { what: other.to_string() },
    }
}
