//! Plain questions to a server, for a test's arrangements and its counting. Every call has a thread of its own, so that they
//! work inside asynchronous tests too.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use crate::STUCK;

/// One row of an answer, as text.
pub type Row = Vec<Option<String>>;

/// A connection that stays open: for locks and for taking places of a pool.
#[derive(Debug)]
pub struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    /// Connects. The DSN is one of `postgresql://` or of `key=value`.
    pub fn open(dsn: &str) -> Result<Self, Error> {
        apart(|| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let client = runtime.block_on(in_time(connect(dsn)))?;
            Ok(Self { runtime, client })
        })
    }

    /// One or more statements; the rows of all of them.
    pub fn query(&self, sql: &str) -> Result<Vec<Row>, Error> {
        apart(|| self.runtime.block_on(in_time(rows(&self.client, sql))))
    }
}

/// The SQLSTATE of a server's answer, "" when it was not the server that failed.
pub fn sqlstate(error: &Error) -> &str {
    error.code().map_or("", |code| code.code())
}

async fn connect(dsn: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    // It ends when the client is dropped; what goes wrong is what the client's calls answer.
    tokio::spawn(connection);
    Ok(client)
}

async fn rows(client: &Client, sql: &str) -> Result<Vec<Row>, Error> {
    let answer = client.simple_query(sql).await?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    };
    Ok(answer.into_iter().filter_map(row).collect())
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, work).await.expect("stuck: the server does not answer")
}

/// In a thread that no runtime owns.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
