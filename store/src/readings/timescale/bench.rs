//! What the same server takes without Vigil: the same rows by the same statement into a table of the same shape, and nothing else
//! in the transaction. The bare limit that `vigil bench` prints beside its own figure. And the way to a server by another port.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::columns::Columns;
use super::config::Timescale;
use super::dsn::Target;
use super::link::{Db, Link};
use super::row::{Row, key_of};
use super::{Config, Error, Reading};

/// Limit of one question around it.
const LIMIT: Duration = Duration::from_mins(30);

const MAKE: &str = "DROP TABLE IF EXISTS bench_bare;
  CREATE TABLE bench_bare (ts timestamptz NOT NULL, value float8 NOT NULL, subject int8 NOT NULL, device int8 NOT NULL,
    metric int4 NOT NULL, quality int2 NOT NULL);
  CREATE UNIQUE INDEX ON bench_bare (subject, metric, ts)";
const INSERT: &str = "INSERT INTO bench_bare (ts, value, subject, device, metric, quality)
  SELECT * FROM unnest($1::timestamptz[], $2::float8[], $3::int8[], $4::int8[], $5::int4[], $6::int2[])
  ON CONFLICT DO NOTHING";

/// Runs `work` on a connection to the schema of these settings.
fn with<T, Fut>(config: &Config, work: impl FnOnce(Db) -> Fut + Send + 'static) -> Result<T, Error>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, Error>> + Send,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| Error::io("the database driver's threads", source))?;
    let link: Arc<Link> = Link::new(config, runtime.handle().clone())?;
    let answer = link.ask_within(LIMIT, work);
    runtime.shutdown_background();
    answer
}

/// Readings a second that the server takes, batch by batch, one connection. Only the statements count, not the making of what they
/// carry. Removes what it wrote.
pub fn bench_bare_unnest(
    config: &Config,
    batches: impl Iterator<Item = Vec<Reading>> + Send + 'static,
) -> Result<f64, Error> {
    with(config, move |db| async move {
        db.batch_execute(MAKE).await?;
        let insert = db.prepare(INSERT).await?;
        let (mut spent, mut stored) = (Duration::ZERO, 0);
        for batch in batches {
            let mut columns = Columns::default();
            for reading in &batch {
                columns.push(key_of(reading.subject, reading.sample.metric), &Row::of(reading));
            }
            let Columns { at, value, subject, device, metric, quality } = &columns;
            let begun = Instant::now();
            stored += db.execute(&insert, &[at, value, subject, device, metric, quality]).await?;
            spent += begun.elapsed();
        }
        db.batch_execute("DROP TABLE bench_bare").await?;
        Ok(stored as f64 / spent.as_secs_f64())
    })
}

/// Host and port of the server, when it is one and reached by TCP.
pub fn bench_server(config: &Timescale) -> Result<Option<(String, u16)>, Error> {
    Ok(Target::of(config)?.server())
}

/// The same settings by way of a port of this machine. Only for a server on this machine: the way there is not encrypted.
pub fn bench_detour(config: &Timescale, port: u16) -> Result<Timescale, Error> {
    let far = || Error::Config("timescale.dsn: a line that is cut needs a server on this machine".to_owned());
    let dsn = Target::of(config)?.through(port).ok_or_else(far)?;
    Ok(Timescale { dsn: Some(dsn), dsn_file: None, ..config.clone() })
}

/// Removes the schema of these settings with everything in it. For a benchmark that made it: nobody else may use it.
pub fn bench_drop_schema(config: &Config) -> Result<(), Error> {
    let schema = config.timescale.schema.clone();
    with(config, move |db| async move { Ok(db.batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await?) })
}
