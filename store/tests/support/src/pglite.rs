//! PGlite with TimescaleDB in a Node process behind `../pglite/bridge.mjs`: real TimescaleDB SQL, one connection at a time, no
//! background workers, no time-outs. Never for figures.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Row, Session, skipped};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pglite");

/// A running PGlite. It ends with the test: the bridge goes when its standard input ends.
#[derive(Debug)]
pub struct Pglite {
    bridge: Child,
    port: u16,
}

impl Pglite {
    /// A database with nothing but the extension. About 2 s and 0.5 GB. `None`, after saying why, where it is not installed.
    pub fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// As [`start`](Self::start), but nobody made the extension in the database.
    pub fn bare() -> Option<Self> {
        Self::with(&["bare"])
    }

    fn with(words: &[&str]) -> Option<Self> {
        let folder = Path::new(FOLDER);
        if !folder.join("node_modules").exists() || Command::new("node").arg("--version").output().is_err() {
            skipped("PGlite with TimescaleDB is not installed");
            return None;
        }
        let mut bridge = Command::new("node");
        bridge
            .arg(folder.join("bridge.mjs"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut bridge = bridge.spawn().unwrap();
        let mut lines = BufReader::new(bridge.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("ready ")?.parse().ok());
        let port = port.expect("the bridge says at which port it listens");
        Some(Self { bridge, port })
    }

    /// Address of the superuser: there is no other.
    pub fn dsn(&self) -> String {
        format!("postgresql://postgres:any@127.0.0.1:{}/postgres", self.port)
    }

    /// Statements, once every other client is gone.
    pub fn admin(&self, sql: &str) -> Vec<Row> {
        Session::open(&self.dsn()).unwrap().query(sql).unwrap()
    }

    /// The first value of a question.
    pub fn one(&self, sql: &str) -> String {
        self.admin(sql).first().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
    }

    /// Versions of PostgreSQL and of TimescaleDB.
    pub fn versions(&self) -> (String, String) {
        let extension = self.one("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'");
        (self.one("SHOW server_version"), extension)
    }

    /// False after the engine failed.
    pub fn alive(&mut self) -> bool {
        self.bridge.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Pglite {
    fn drop(&mut self) {
        let _gone = self.bridge.kill();
        let _status = self.bridge.wait();
    }
}
