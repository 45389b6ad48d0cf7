//! `vigil migrate-store` as an operator uses it: from the file to PostgreSQL and back, with the server killed in the middle and
//! readings that come all the time. Nothing that was acknowledged is missing afterwards, and nothing is there twice.

use std::path::{Path, PathBuf};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use store::readings::{Config, Dsn, Readings, Store};
use vigil::moving::{Terms, Way, move_to};
use vigil::seed::Gateway;
use vigil::stores::{Stores, Told};

use crate::load::{self, Steady, caught_up, readings_of};
use crate::moving::{run, words};
use crate::world::{Process, World, vigil};

/// Elders that had readings before, and how many each: enough that a move is killed in the middle.
const OLD_ELDERS: u32 = 60;
const OLD_ROWS: i64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_moves_under_load_and_the_next_server_goes_on_with_it() {
    let world = World::new(2, 2);
    let server = world.serve().await;
    let loads: Vec<Steady> = world.gateways.iter().map(|gateway| Steady::start(server.mqtt_addr, gateway)).collect();
    for load in &loads {
        load.until(500).await;
    }
    let other = tempfile::tempdir_in(world.dir.path()).unwrap();
    let (parts, dir, to) = (server.parts.clone(), world.data_dir(), other.path().to_owned());
    let moved = tokio::task::spawn_blocking(move || {
        let target = Readings::open(&to, &Config::default()).unwrap();
        let stores = Stores::opened(&dir, parts.records, parts.readings, parts.journal, true);
        let (told, lines) = Told::channel();
        let listener = std::thread::spawn(move || lines.iter().collect::<Vec<_>>());
        // The target becomes the embedded store of the second server below.
        let way = Way { from: Store::Timescale, to: Store::Embedded, server: "nowhere".into() };
        let moved = move_to(&way, Terms { sample: 50, onto_existing: false }, &stores, &target, &told);
        drop(told);
        (moved, listener.join().unwrap())
    });
    let (moved, said) = moved.await.unwrap();
    moved.unwrap_or_else(|error| panic!("{error:#} {said:#?}"));
    // The old store goes on; then the server stops for the change of the configuration.
    for load in &loads {
        let now = load.acked();
        load.until(now + 200).await;
    }
    let mut sent = Vec::new();
    for load in loads {
        let (gateway, base) = (load.gateway.clone(), load.base);
        let (acked, ended) = load.stop().await;
        ended.unwrap();
        sent.push((gateway, base, acked));
    }
    server.stop().await;
    std::fs::rename(other.path().join("readings.db"), world.data_dir().join("readings.db")).unwrap();
    for beside in ["readings.db-wal", "readings.db-shm"] {
        let _old = std::fs::remove_file(world.data_dir().join(beside));
    }
    let config = world.config_file();
    let second = Process::start(&["serve", "--config", config.to_str().unwrap()]);
    caught_up(second.console).await;
    second.stop();
    let readings = readings_of(&world.data_dir());
    for (gateway, base, acked) in sent {
        load::assert_stored(&readings, &gateway, base, acked);
    }
}

/// One installation with a PostgreSQL server beside it, and what was sent to it.
struct Story {
    world: World,
    config: config::Server,
    dsn_file: PathBuf,
    dsn: String,
    sent: Vec<Sent>,
}

/// What was sent of one gateway: one row of frames, from its base on, over all sessions.
#[derive(Clone)]
struct Sent {
    gateway: Gateway,
    base: Time,
    acked: u64,
}

impl Story {
    fn new(dsn: String) -> Self {
        let world = World::new(1, 2);
        let readings = Readings::open(&world.data_dir(), &Config::default()).unwrap();
        let row = |elder: u32, i: i64| Reading {
            subject: Subject::Elder(ElderId(1_000 + elder)),
            device: DeviceId(1),
            sample: Sample::new(Metric::Spo2, load::base().plus_us((i - OLD_ROWS) * 60_000_000), 95.0, Quality::Ok),
        };
        let rows: Vec<Reading> = (0..OLD_ELDERS).flat_map(|elder| (0..OLD_ROWS).map(move |i| row(elder, i))).collect();
        readings.write(&rows, Seq(0)).unwrap();
        let dsn_file = world.dir.path().join("readings.dsn");
        std::fs::write(&dsn_file, &dsn).unwrap();
        // Long enough ago that no frame is ahead of the clock, however many are sent.
        let base = load::base().plus_us(-3_600_000_000);
        let begin = |gateway: &Gateway| Sent { gateway: gateway.clone(), base, acked: 0 };
        let sent = world.gateways.iter().map(begin).collect();
        let mut config = world.config();
        config.readings.timescale.schema = "moved".into();
        Self { world, config, dsn_file, dsn, sent }
    }

    /// The configuration file, with this store in use.
    fn config_file(&mut self, store: Store) -> PathBuf {
        self.config.readings.store = store;
        self.config.readings.timescale.dsn_file = Some(self.dsn_file.clone());
        self.world.write_config(&self.config)
    }

    fn serve(&mut self, store: Store) -> Process {
        let config = self.config_file(store);
        Process::start(&["serve", "--config", config.to_str().unwrap()])
    }

    /// What a server says that does not start with this store.
    fn refused(&mut self, store: Store) -> String {
        let config = self.config_file(store);
        let output = vigil(&["serve", "--config", config.to_str().unwrap()]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    /// Sends some frames more and waits until all are acknowledged.
    async fn send(&mut self, server: &Process, frames: u64) {
        for Sent { gateway, base, acked } in &mut self.sent {
            let some = (*acked..*acked + frames).map(|seq| (seq, load::calm(gateway, *base, seq))).collect();
            assert_eq!(load::publish(server.mqtt, gateway, some).await.len() as u64, frames);
            *acked += frames;
        }
    }

    fn migrate(&self, from: &str, to: &str) -> Vec<String> {
        let config = self.world.dir.path().join("vigil.toml");
        words(&["migrate-store", "--from", from, "--to", to], &config)
    }

    /// Begins a move and kills the server when it has begun and took some readings more.
    async fn kill_in_the_middle(&mut self, server: Process, from: &str, to: &str) {
        let moving = tokio::spawn(run(self.migrate(from, to)));
        let begun = std::time::Instant::now();
        let copying = format!("\"from\":\"{from}\",\"to\":\"{to}\"");
        while !self.note().contains(&copying) {
            assert!(begun.elapsed() < load::STUCK && !moving.is_finished(), "it never begins");
            tokio::task::yield_now().await;
        }
        self.send(&server, 20).await;
        server.kill();
        let (done, said, complaint) = moving.await.unwrap();
        assert!(!done && !said.contains("now set"), "killed in the middle: {said}{complaint}");
        assert!(self.note().contains("\"copying\""), "{}", self.note());
    }

    /// `user:password`, never to be seen anywhere.
    fn secret(&self) -> &str {
        self.dsn.split_once("//").unwrap().1.split_once('@').unwrap().0
    }

    fn note(&self) -> String {
        std::fs::read_to_string(self.world.data_dir().join("moving.json")).unwrap_or_default()
    }

    /// Moves to the end while readings come.
    async fn migrate_under_load(&mut self, server: &Process, from: &str, to: &str) {
        let moving = tokio::spawn(run(self.migrate(from, to)));
        while !moving.is_finished() {
            self.send(server, 20).await;
        }
        let (done, said, complaint) = moving.await.unwrap();
        assert!(done && said.contains(" 0 differ") && said.contains("now set [readings] store"), "{said}{complaint}");
        assert!(!format!("{said}{complaint}").contains(self.secret()));
        self.send(server, 100).await;
    }

    /// All that was acknowledged, and all that was there before, is in a store that no server uses.
    async fn assert_stored(&self, store: Store) {
        let mut config = self.config.readings.clone();
        (config.store, config.timescale.dsn_file) = (store, None);
        config.timescale.dsn = Some(Dsn::new(&self.dsn));
        let (dir, sent) = (self.world.data_dir(), self.sent.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let readings = Readings::open(&dir, &config).unwrap();
            for Sent { gateway, base, acked } in &sent {
                load::assert_stored(&readings, gateway, *base, *acked);
            }
            let series = readings.series(None, 1_000).unwrap();
            let old: Vec<u64> = series.iter().filter(|one| one.metric == Metric::Spo2).map(|one| one.rows).collect();
            assert_eq!(old, [OLD_ROWS as u64; OLD_ELDERS as usize]);
        });
        checked.await.unwrap();
    }

    /// Neither in the note nor in the audit.
    fn assert_no_password(&self) {
        assert!(self.note().contains("127.0.0.1 port") && !self.note().contains(self.secret()));
        let audit = self.world.records().audit_list(None, 100).unwrap();
        assert!(audit.iter().any(|row| row.action == "move_readings_done" && row.detail.contains("\"rows\":")));
        assert!(audit.iter().all(|row| !row.detail.contains(self.secret())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_to_postgresql_and_back_with_kills_in_the_middle() {
    let Some(postgres) = tokio::task::spawn_blocking(pgtest::Postgres::start).await.unwrap() else { return };
    let mut story = Story::new(postgres.dsn());
    let server = story.serve(Store::Embedded);
    story.send(&server, 300).await;
    story.kill_in_the_middle(server, "embedded", "timescale").await;
    let refused = story.refused(Store::Timescale);
    assert!(refused.contains("is not finished") && refused.contains("migrate-store"), "{refused}");
    let config = story.config_file(Store::Embedded);
    let (done, _, complaint) = run(words(&["forget-elder", "1001", "--yes"], &config)).await;
    assert!(!done && complaint.contains("under way") && complaint.contains("--give-up"), "{complaint}");

    let server = story.serve(Store::Embedded);
    story.migrate_under_load(&server, "embedded", "timescale").await;
    // The old store goes on, and the journal keeps what it gets.
    story.send(&server, 300).await;
    server.kill();
    // The new one is killed while it takes over.
    story.serve(Store::Timescale).kill();
    let refused = story.refused(Store::Embedded);
    assert!(refused.contains("--from timescale --to embedded"), "{refused}");
    let server = story.serve(Store::Timescale);
    story.send(&server, 300).await;
    caught_up(server.console).await;
    story.kill_in_the_middle(server, "timescale", "embedded").await;
    assert!(story.refused(Store::Embedded).contains("is not finished"));

    // Back into the file, which still holds what it held.
    let server = story.serve(Store::Timescale);
    story.migrate_under_load(&server, "timescale", "embedded").await;
    server.stop();
    let server = story.serve(Store::Embedded);
    story.send(&server, 300).await;
    caught_up(server.console).await;
    server.stop();
    story.assert_stored(Store::Embedded).await;
    story.assert_no_password();

    // Deleting somebody afterwards says where else they may be.
    let config = story.config_file(Store::Embedded);
    let (done, said, complaint) = run(words(&["forget-elder", "1001", "--yes"], &config)).await;
    assert!(done && said.contains("schema moved") && said.contains("drop the schema"), "{said}{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_can_be_ended_and_without_a_server_the_command_does_it() {
    let Some(postgres) = tokio::task::spawn_blocking(pgtest::Postgres::start).await.unwrap() else { return };
    let mut story = Story::new(postgres.dsn());
    let config = story.config_file(Store::Embedded);
    let give_up = || run(words(&["migrate-store", "--give-up"], &config));
    let (done, _, complaint) = give_up().await;
    assert!(!done && complaint.contains("no move of the readings is under way"), "{complaint}");
    let (done, said, complaint) = run(story.migrate("timescale", "embedded")).await;
    assert!(!done && complaint.contains("the store in use is embedded"), "{said}{complaint}");
    let (done, said, complaint) = run(story.migrate("embedded", "timescale")).await;
    assert!(done && said.contains("90000 rows") && said.contains("now set"), "{said}{complaint}");
    let server = story.serve(Store::Embedded);
    story.send(&server, 300).await;
    let (done, said, complaint) = give_up().await;
    assert!(done && said.contains("still in") && said.contains("schema moved"), "{said}{complaint}");
    story.send(&server, 300).await;
    server.stop();
    assert!(story.refused(Store::Timescale).contains("given up"));
    let server = story.serve(Store::Embedded);
    story.migrate_under_load(&server, "embedded", "timescale").await;
    server.stop();
    let server = story.serve(Store::Timescale);
    caught_up(server.console).await;
    let backup = |name: &str| {
        let target = story.world.dir.path().join(name);
        let asked = run(words(&["backup", target.to_str().unwrap()], &config));
        async move {
            let (done, said, complaint) = asked.await;
            assert!(done && said.contains("on a server") && said.contains("complete and sound"), "{said}{complaint}");
            assert!(!target.join("readings.db").exists());
        }
    };
    backup("of a running server").await;
    server.stop();
    backup("of a stopped one").await;
    story.assert_stored(Store::Timescale).await;
    // Another installation's readings do not become one with these.
    let mut stranger = Story::new(postgres.dsn());
    stranger.config_file(Store::Embedded);
    let (done, said, complaint) = run(stranger.migrate("embedded", "timescale")).await;
    assert!(!done && complaint.contains("--onto-existing"), "{said}{complaint}");
    assert_eq!(stranger.note(), "");
    // The file that the move left is cleaned as well.
    let config = story.config_file(Store::Timescale);
    let (done, said, complaint) = run(words(&["forget-elder", "1001", "--yes"], &config)).await;
    assert!(done && said.contains("series 2 rows 3000") && said.contains(" 0 after"), "{said}{complaint}");
}

#[test]
fn a_wrong_word_is_explained() {
    let world = World::new(1, 1);
    let config = world.config_file();
    let said = |more: &[&str]| {
        let words = words(&[&["migrate-store"], more].concat(), Path::new(&config));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = vigil(&words).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&[]).contains("--from"));
    assert!(said(&["--from", "embedded", "--to", "embedded"]).contains("the same store"));
    assert!(said(&["--from", "embedded", "--to", "oracle"]).contains("oracle"));
    assert!(said(&["--from", "embedded", "--to", "timescale"]).contains("dsn"), "where the server is, is not known");
    assert!(!world.data_dir().join("moving.json").exists());
}
