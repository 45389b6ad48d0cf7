//! Where a case stores its readings: a directory, or a schema of its own on a server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use model::Time;
use pgtest::{Pglite, Postgres, until};
use tempfile::TempDir;
use vigil_store::readings::{Config, Dsn, Extension, Readings, Retention, Store};

use crate::world::BASE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Postgres,
    Timescale,
}

/// A store that can be opened again and again.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    dir: TempDir,
    dsn: String,
    schema: String,
}

/// Ample for every case: after so long a store has had its time to settle.
const SETTLED: Time = Time(BASE + 30 * 86_400_000_000);
/// How often `maintain` is called to settle, on the embedded store and on a server: each call does a bounded piece.
const PIECES: (usize, usize) = (20, 8);

impl Place {
    fn new(kind: Kind, dsn: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Unique a process: tests of one process share a server.
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_ascii_lowercase();
        let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { kind, dir, dsn, schema: format!("v_{word}") }
    }

    /// An empty one of the same kind on the same server.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.kind, self.dsn.clone())
    }

    /// With small limits, so that little is enough to reach sealing; and nothing is ever too old.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config {
            seal_rows: 16,
            block_rows_max: 24,
            head_rows_max: 60,
            log_bytes_max: 4_096,
            seal_series_max: 2,
            seal_budget_ms: 1_000,
            cache_rows_max: 64,
            page_bytes: 4_096,
            retention: Retention {
                raw_days: 0,
                minute_days: 0,
                hour_days: 0,
                waveform_days: 0,
                raw_days_of: [].into(),
            },
            ..Config::default()
        };
        if self.kind != Kind::Embedded {
            config.store = Store::Timescale;
            config.timescale.dsn = Some(Dsn::new(&*self.dsn));
            config.timescale.schema.clone_from(&self.schema);
        }
        match self.kind {
            Kind::Embedded => {}
            Kind::Postgres => config.timescale.extension = Extension::Off,
            Kind::Timescale => {
                config.timescale.extension = Extension::Require;
                config.timescale.pool_max = 1;
            }
        }
        config
    }

    pub(crate) fn open(&self) -> Readings {
        self.open_with(&self.config())
    }

    /// Returns when the store knows what it holds.
    pub(crate) fn open_with(&self, config: &Config) -> Readings {
        let store = until("the store cannot be opened", || Readings::open(self.dir.path(), config).ok());
        until("the store is not there", || store.progress().ok());
        if self.kind == Kind::Timescale {
            // The first maintenance sets the policies, of which the integrity check asks. Nothing is due that early.
            store.maintain(Time(0)).unwrap();
        }
        store
    }

    /// Tries to open and to write a second time, while the first is open.
    pub(crate) fn try_open(&self) -> Result<Readings, vigil_store::readings::Error> {
        Readings::open(self.dir.path(), &self.config())
    }

    /// Everything that can be sealed, rolled up and compressed is.
    pub(crate) fn settle(&self, store: Readings) -> Readings {
        self.settle_at(store, SETTLED)
    }

    pub(crate) fn settle_at(&self, store: Readings, now: Time) -> Readings {
        store.seal_all().unwrap();
        for _ in 0..if self.kind == Kind::Embedded { PIECES.0 } else { PIECES.1 } {
            store.maintain(now).unwrap();
        }
        store
    }

    /// Questions to the server itself, with `search_path` at this place's schema. On PGlite only while the store is closed.
    pub(crate) fn sql(&self, sql: &str) -> Vec<pgtest::Row> {
        let session = pgtest::Session::open(&self.dsn).unwrap();
        session.query(&format!("SET search_path = {}, public", self.schema)).unwrap();
        session.query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Whether this value stands anywhere: in a byte of the embedded store's files, in a row of the server's tables and rollups.
    /// On PGlite only while the store is closed.
    pub(crate) fn holds(&self, value: f64) -> bool {
        if self.kind == Kind::Embedded {
            let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
            let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
            let found = |bytes: Vec<u8>| bytes.windows(8).any(|window| window == little || window == big);
            return files.into_iter().any(|file| found(std::fs::read(file).unwrap()));
        }
        let columns = "SELECT table_name, column_name FROM information_schema.columns
                       WHERE table_schema = current_schema() AND data_type = 'double precision'";
        let columns = self.sql(columns);
        assert!(columns.len() > 5, "{columns:?}");
        columns.iter().any(|column| {
            let (table, column) = (column[0].as_ref().unwrap(), column[1].as_ref().unwrap());
            self.one(&format!("SELECT count(*) FROM \"{table}\" WHERE \"{column}\" = {value}")) != "0"
        })
    }

    /// The one value of a question.
    pub(crate) fn one(&self, sql: &str) -> String {
        self.sql(sql).first().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
    }
}

pub(crate) fn embedded() -> Place {
    Place::new(Kind::Embedded, String::new())
}

/// One server a process: under nextest a test is a process.
fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start).as_ref()
}

pub(crate) fn postgres() -> Option<Place> {
    Some(Place::new(Kind::Postgres, server()?.dsn()))
}

pub(crate) fn postgres_version() -> Option<String> {
    Some(server()?.version())
}

/// Name and body of a case.
pub(crate) type Case = (&'static str, fn(&Place));

/// The PGlite of all TimescaleDB cases.
pub(crate) struct Timescale(Pglite);

impl Timescale {
    pub(crate) fn start() -> Option<Self> {
        Pglite::start().map(Self)
    }

    /// Runs a case in a schema of its own; false when it failed.
    pub(crate) fn run(&self, (name, case): &Case) -> bool {
        let start = std::time::Instant::now();
        let place = Place::new(Kind::Timescale, self.0.dsn());
        let passed = catch_unwind(AssertUnwindSafe(|| case(&place))).is_ok();
        eprintln!(
            "pglite {name}: {} in {:.1} s",
            if passed { "passed" } else { "FAILED" },
            start.elapsed().as_secs_f64()
        );
        passed
    }
}
