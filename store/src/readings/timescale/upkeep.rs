//! What waits for a quiet moment: rollups, late days, retention, compression, and partitions made ahead of need. And what must not run
//! beside that: deleting a person's data.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use model::Quality;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::Forgotten;
use super::chunk;
use super::columns::day_of;
use super::compress::{self, Again};
use super::limits::believe;
use super::link::{Contact, Db, Link, within};
use super::migrate::Kind;
use super::partitions::ensure_partitions;
use super::retention::{self, Gone};
use super::row::MOVED;
use super::{Error, Retention, Subject, Time, check, forget, rollup};

/// New work is begun for so long in one call.
const BUDGET: Duration = Duration::from_secs(5);
/// One statement of this work, and one call, takes at most so long: compressing the largest chunk.
const LIMIT: Duration = Duration::from_mins(30);
/// When all was done, the next look at what is due comes so much later. Microseconds.
const QUIET: i64 = 60_000_000;
/// Days for which there are partitions ahead of need.
const DAYS_AHEAD: i32 = 3;

/// Waits for a deletion that was cut off here and is still being committed there.
const COUNT: &str = "SELECT rows FROM state FOR UPDATE";

/// Looks after one schema.
#[derive(Debug)]
pub(super) struct Upkeep {
    keep: Retention,
    again: Again,
    /// One at a time.
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Turn {
    /// `now` of the last look at which nothing was left to do.
    quiet_since: i64,
    /// A backlog was being stored at the last look.
    was_draining: bool,
    /// It was said that the clock is too far ahead.
    is_clock_doubted: bool,
}

impl Upkeep {
    pub(super) fn new(keep: Retention) -> Self {
        Self {
            keep,
            again: Again::default(),
            turn: Mutex::new(Turn { quiet_since: i64::MIN, was_draining: false, is_clock_doubted: false }),
        }
    }

    /// A bounded piece of what is due.
    pub(super) fn maintain(self: &Arc<Self>, link: &Arc<Link>, now: Time) -> Result<(), Error> {
        let upkeep = Arc::clone(self);
        let gone = Arc::new(Gone::default());
        let (counted, this) = (Arc::clone(&gone), Arc::clone(link));
        own(link)?;
        let done = link.ask_within(LIMIT, async move |db| {
            let mut turn = upkeep.turn.lock().await;
            let is_draining = !this.memory().progress.pending.is_empty();
            // The same instant again: somebody wants it done. What waited for the end of a backlog is due at once.
            let is_over = turn.was_draining && !is_draining;
            if !is_over && (1..QUIET).contains(&now.0.saturating_sub(turn.quiet_since)) {
                return Ok(());
            }
            let newest = this.memory().newest_at();
            let now = (now.0, believe(now.0, newest, &mut turn.is_clock_doubted));
            let contact = contact(&this)?;
            if patiently(&db, &this, upkeep.pass(&db, &this, &contact, (now, is_draining), &counted)).await? {
                turn.quiet_since = now.0;
            }
            turn.was_draining = is_draining;
            Ok(())
        });
        settle(link, &gone, done.is_ok());
        done
    }

    /// True when nothing is left to do, but for what waits while a backlog is stored. By what the clock says (`now`) nothing is deleted,
    /// only by as much of it as is believed.
    async fn pass(
        &self,
        db: &ClientWrapper,
        link: &Link,
        contact: &Contact,
        ((now, believed), is_draining): ((i64, Option<i64>), bool),
        gone: &Gone,
    ) -> Result<bool, Error> {
        let until = Instant::now() + BUDGET;
        if contact.kind == Kind::Plain {
            let today = day_of(believed.unwrap_or(now));
            for table in ["reading", "waveform"] {
                ensure_partitions(db, table, today..=today.saturating_add(DAYS_AHEAD)).await?;
            }
        }
        let mut made = true;
        if let Some(believed) = believed {
            link.advance(db, Time(believed)).await?;
            made = rollup::make(db, contact, (believed, is_draining), until).await?;
            made &= rollup::make_late(db, contact.kind, until).await?;
            retention::sweep(db, contact.kind, &self.keep, believed, gone).await?;
        }
        // Compressing takes what the backlog needs, and is undone where the backlog's rows belong.
        let mut more = contact.kind == Kind::Timescale && !is_draining;
        if more {
            compress::set_policy(db, link.config.compress_after_days).await?;
        }
        while more && Instant::now() < until {
            more = compress::step(db, contact, link.config.compress_after_days, &self.again, now).await?;
        }
        Ok(made && !more)
    }

    /// Asks something that may take longer than what somebody waits for.
    pub(super) fn ask<T, Fut>(link: &Arc<Link>, work: impl FnOnce(Db) -> Fut + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        let this = Arc::clone(link);
        link.ask_within(LIMIT, async move |db| patiently(&db, &this, work(Arc::clone(&db))).await)
    }

    /// Compresses every chunk of readings.
    pub(super) fn seal_all(self: &Arc<Self>, link: &Arc<Link>) -> Result<(), Error> {
        let (upkeep, this) = (Arc::clone(self), Arc::clone(link));
        link.ask_within(LIMIT, async move |db| {
            let _turn = upkeep.turn.lock().await;
            let contact = contact(&this)?;
            patiently(&db, &this, async {
                for chunk in chunk::list(&db, contact.kind, "reading").await? {
                    if contact.kind == Kind::Timescale {
                        compress::seal(&db, &contact, &chunk).await?;
                    }
                }
                Ok(())
            })
            .await
        })
    }

    /// Deletes all of one person, in the tables and in memory.
    pub(super) fn forget(self: &Arc<Self>, link: &Arc<Link>, subject: Subject) -> Result<Forgotten, Error> {
        let upkeep = Arc::clone(self);
        let gone = Arc::new(Gone::default());
        let (counted, this) = (Arc::clone(&gone), Arc::clone(link));
        own(link)?;
        let done = link.ask_within(LIMIT, async move |db| {
            let _turn = upkeep.turn.lock().await;
            let kind = contact(&this)?.kind;
            patiently(&db, &this, forget::forget(&db, kind, subject, &counted)).await
        });
        settle(link, &gone, done.is_ok());
        if done.is_ok() {
            link.memory().forget(subject);
        }
        done
    }

    pub(super) fn check(link: &Arc<Link>) -> Result<Vec<String>, Error> {
        let this = Arc::clone(link);
        let known: Vec<u8> = Quality::ALL.iter().map(|quality| quality.id()).chain([MOVED]).collect();
        link.ask_within(LIMIT, async move |db| {
            let contact = contact(&this)?;
            patiently(&db, &this, check::check(&db, &contact, &known)).await
        })
    }
}

/// What is known of the server: there is a connection, so there was first contact.
pub(super) fn contact(link: &Link) -> Result<Arc<Contact>, Error> {
    link.contact().ok_or_else(|| Error::Unreachable { what: "no contact yet".to_owned() })
}

/// Takes the lock of the schema's one writer if this process does not have it: nobody else may delete.
fn own(link: &Arc<Link>) -> Result<(), Error> {
    let this = Arc::clone(link);
    // The connection is left to the writer meanwhile; its lock stays.
    link.wait(async move { this.writer().await.map(drop) })
}

/// Asks for the count when something was deleted: memory may have been loaded anew in between, with or without it. After an error
/// a deletion may have been committed and not answered.
fn settle(link: &Arc<Link>, gone: &Gone, is_known: bool) {
    if is_known && gone.total() == 0 {
        return;
    }
    let this = Arc::clone(link);
    let counted = link.wait(async move { recount(&this).await });
    if let Err(error) = counted {
        tracing::debug!(%error, "how many readings there are is asked for again before the next write");
        link.memory().loaded = false;
    }
}

/// Takes the number of readings from the database, while nobody writes.
async fn recount(link: &Link) -> Result<(), Error> {
    // The writer's place is held until the memory is set, or a write between would be forgotten.
    let slot = link.writer().await?;
    let Some(db) = slot.session.as_ref().map(|session| Arc::clone(&session.db)) else {
        return Err(Error::Unreachable { what: "the connection just ended".to_owned() });
    };
    let count = async { Ok(db.query_one(COUNT, &[]).await?.try_get(0)?) };
    let counted = within(link.statement_limit(), count).await?;
    link.memory().rows = counted;
    Ok(())
}

/// Runs statements that may take longer than those somebody waits for.
async fn patiently<T>(
    db: &ClientWrapper,
    link: &Link,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let set =
        |limit: u64| format!("SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}");
    db.batch_execute(&set(u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX))).await?;
    let answer = work.await;
    if answer.is_err() {
        db.batch_execute("ROLLBACK").await?;
    }
    db.batch_execute(&set(link.config.statement_timeout_ms)).await?;
    answer
}
