//! The harness holds what it promises: servers start, crash, come back and end with their test; the proxy cuts where it says.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

use vigil_pgtest::{Mode, Options, Pglite, Postgres, Proxy, Session, sqlstate, until};

const CHILD: &str = "VIGIL_TEST_SUPPORT_CHILD";

#[test]
fn a_server_keeps_its_rows_over_a_crash_and_a_stop() {
    let Some(mut server) = Postgres::with(&Options { durable: true, ..Options::default() }) else { return };
    eprintln!("PostgreSQL {}", server.version());
    let session = Session::open(&server.dsn()).unwrap();
    session.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").unwrap();
    server.kill();
    assert!(session.query("SELECT 1").is_err());
    server.start_again();
    assert_eq!(server.one("SELECT n FROM kept"), "1");
    server.stop();
    assert!(Session::open(&server.dsn()).is_err());
    server.start_again();
    server.set("default_transaction_read_only", "on");
    let error = Session::open(&server.dsn()).unwrap().query("INSERT INTO kept VALUES (2)").unwrap_err();
    assert_eq!(sqlstate(&error), "25006");
}

/// Not a test by itself: a process that is killed with its server running.
#[test]
fn child_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let server = Postgres::start().unwrap();
    eprintln!("pid {}", server.pid());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_leaves_no_server_behind() {
    if Postgres::start().is_none() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = child.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let pid: u32 = lines.find_map(|line| line.unwrap().strip_prefix("pid ")?.parse().ok()).unwrap();
    let running = || std::path::Path::new(&format!("/proc/{pid}/stat")).exists();
    assert!(running());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the server outlives its test", || (!running()).then_some(()));
}

#[test]
fn the_proxy_cuts_where_it_says() {
    let Some(server) = Postgres::start() else { return };
    server.admin("CREATE TABLE cut (n int); GRANT ALL ON cut TO vigil");
    let proxy = Proxy::to(server.port());
    let dsn = server.dsn_through(proxy.port());
    let insert = "BEGIN; INSERT INTO cut VALUES (1); COMMIT";
    let count = || server.one("SELECT count(*) FROM cut");

    Session::open(&dsn).unwrap().query(insert).unwrap();
    assert_eq!(count(), "1");

    let session = Session::open(&dsn).unwrap();
    proxy.set(Mode::ResetAtWord("INSERT"));
    assert!(session.query(insert).is_err());
    assert_eq!(count(), "1", "it never arrived");

    let session = Session::open(&dsn).unwrap();
    proxy.set(Mode::ResetAfter(20));
    assert!(session.query(insert).is_err());
    assert_eq!(count(), "1", "half of it arrived");

    let session = Session::open(&dsn).unwrap();
    proxy.set(Mode::ResetAtAnswer("COMMIT"));
    assert!(session.query(insert).is_err());
    assert_eq!(count(), "2", "it was done, and the client does not know");
    assert_eq!(proxy.resets(), 3);

    let session = Session::open(&dsn).unwrap();
    proxy.set(Mode::Refuse);
    assert!(session.query(insert).is_err());
    assert!(Session::open(&dsn).is_err());
    proxy.set(Mode::Slow(4_000));
    Session::open(&dsn).unwrap().query(insert).unwrap();
    assert_eq!(count(), "3");
}

#[test]
fn a_silent_connection_answers_nothing_until_it_passes_again() {
    let Some(server) = Postgres::start() else { return };
    let proxy = Proxy::to(server.port());
    let session = Session::open(&server.dsn_through(proxy.port())).unwrap();
    for (mode, comes_back) in [(Mode::Stall, true), (Mode::HalfOpen, false)] {
        proxy.set(mode);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| session.query("SELECT 1").is_ok());
            if mode == Mode::HalfOpen {
                let others = "SELECT 1 FROM pg_stat_activity WHERE usename = 'vigil'";
                until("the server's side stays open", || server.admin(others).is_empty().then_some(()));
                proxy.set(Mode::Refuse);
            }
            proxy.set(Mode::Pass);
            assert_eq!(asked.join().unwrap(), comes_back);
        });
    }
}

#[test]
fn pglite_is_timescale_and_every_client_finds_it_clean() {
    let Some(mut pglite) = Pglite::start() else { return };
    let (postgres, timescale) = pglite.versions();
    eprintln!("PGlite: PostgreSQL {postgres}, TimescaleDB {timescale}");
    let first = Session::open(&pglite.dsn()).unwrap();
    first.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1); SET search_path = nowhere").unwrap();
    first.query("SELECT pg_advisory_lock(7); PREPARE s AS SELECT 1; BEGIN; DELETE FROM public.kept").unwrap();
    drop(first);
    let second = Session::open(&pglite.dsn()).unwrap();
    let found = "SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')";
    let found: Vec<String> = second.query(found).unwrap().remove(0).into_iter().flatten().collect();
    assert_eq!(found, ["1", "0", "0"]);
    assert!(pglite.alive());
}
