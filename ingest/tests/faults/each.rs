//! Each way in which a server goes away, under load, and back again.

use model::Time;
use pgtest::{Disk, Mode, Session, until};
use runtime::Clock;

use crate::bed::{Server, World, stored_behind_what_is_new};

/// Frames more during a fault: 30,000 readings, many batches.
const BULK: u64 = 1_500;

/// The writer, fed, before a server that it can reach.
fn begin() -> Option<(Server, World)> {
    let server = Server::start()?;
    let world = World::open(&server.dsn());
    world.append(200);
    stored_so_far(&world);
    Some((server, world))
}

fn stored_so_far(world: &World) {
    let head = world.journal.head();
    until("what came so far", || (world.writing().done >= head.0).then_some(()));
}

/// Waits until the writer has failed for `cause` and much waits, all of it still in the journal.
fn fails_for_long(world: &World, cause: &str) {
    let before = world.writing().done;
    until(&format!("no trouble {cause}"), || world.writing().retries.get(cause).copied());
    world.append(BULK);
    until("an outage long enough", || {
        let wait = world.writing();
        let waits = wait.oldest_unstored_s > 2.0 && wait.live.entries + wait.backlog.entries >= BULK;
        (world.keeps_what_waits() && waits).then_some(())
    });
    let wait = world.writing();
    let trouble = wait.trouble.unwrap();
    assert_eq!((wait.state, trouble.cause), ("failing", cause), "{}", trouble.text);
    // What was under way may have been stored, and not been answered.
    assert!(wait.done < before + BULK, "stored while the server was away: {} after {before}", wait.done);
}

/// All there once, and what came after `mended` did not wait for what was older.
fn ends_well(server: &Server, world: World, mended: Time) {
    world.nothing_lost_nothing_twice(server);
    let waited = stored_behind_what_is_new(server, mended);
    assert!(waited > 0, "what was new waited for all that was older");
    world.end();
}

/// The whole story of a fault that lasts until somebody mends it.
fn survives(
    server: &mut Server,
    world: World,
    cause: &str,
    breaks: impl FnOnce(&mut Server),
    mends: impl FnOnce(&mut Server),
) {
    let feeder = world.feed(2);
    breaks(server);
    fails_for_long(&world, cause);
    let mended = Clock::system().now();
    mends(server);
    until("something new", || (world.newer_than(mended) > 0).then_some(()));
    drop(feeder);
    ends_well(server, world, mended);
}

fn lock(server: &Server) -> Session {
    let session = Session::open(&server.postgres.admin_dsn()).unwrap();
    session.query("BEGIN; LOCK TABLE vigil.reading IN EXCLUSIVE MODE").unwrap();
    session
}

fn somebody_waits_for_the_lock(server: &Server) {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'vigil' AND wait_event_type = 'Lock'";
    until("nobody waits for the lock", || (!server.postgres.admin(waiting).is_empty()).then_some(()));
}

#[test]
fn refused() {
    let Some((mut server, world)) = begin() else { return };
    survives(&mut server, world, "unreachable", |it| it.proxy.set(Mode::Refuse), |it| it.proxy.set(Mode::Pass));
}

/// In the middle of messages, and in place of the answer to a commit, again and again; short, so that nothing becomes late.
#[test]
fn reset() {
    let Some((server, world)) = begin() else { return };
    let feeder = world.feed(2);
    let modes = [100, 2_000, 9_000].map(Mode::ResetAfter).into_iter();
    for mode in modes.chain([Mode::ResetAtWord("COMMIT"), Mode::ResetAtAnswer("COMMIT")]) {
        let before = server.proxy.resets();
        server.proxy.set(mode);
        until(&format!("{mode:?} never came"), || (server.proxy.resets() > before).then_some(()));
        stored_so_far(&world);
    }
    drop(feeder);
    assert!(world.writing().retries.get("unreachable").is_some_and(|tries| *tries >= 5), "{:?}", world.writing());
    world.nothing_lost_nothing_twice(&server);
    world.end();
}

#[test]
fn read_only_after_a_failover() {
    let Some((mut server, world)) = begin() else { return };
    let breaks = |it: &mut Server| it.postgres.set("default_transaction_read_only", "on");
    survives(&mut server, world, "read_only", breaks, |it| it.postgres.reset());
}

#[test]
fn disk_full() {
    let Some(disk) = Disk::of_mib(48) else { return };
    let Some(mut server) = Server::start() else { return };
    let postgres = &server.postgres;
    postgres.admin(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.space().display()));
    postgres.admin("GRANT CREATE ON TABLESPACE small TO vigil");
    postgres.admin("ALTER ROLE vigil SET default_tablespace = 'small'");
    let world = World::open(&server.dsn());
    world.append(200);
    stored_so_far(&world);
    survives(&mut server, world, "disk_full", |_| disk.fill(), |_| disk.free());
}

#[test]
fn a_lock_is_held() {
    let Some((mut server, world)) = begin() else { return };
    let held = lock(&server);
    survives(&mut server, world, "timed_out", |_| {}, |_| drop(held));
}

/// Every statement that stores readings takes longer than it may.
#[test]
fn slow() {
    let Some((mut server, world)) = begin() else { return };
    let breaks = |it: &mut Server| {
        it.postgres.admin(
            "CREATE FUNCTION vigil.sleepy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
             CREATE TRIGGER sleepy BEFORE INSERT ON vigil.reading FOR EACH STATEMENT EXECUTE FUNCTION vigil.sleepy()",
        );
    };
    let mends = |it: &mut Server| drop(it.postgres.admin("DROP TRIGGER sleepy ON vigil.reading"));
    survives(&mut server, world, "timed_out", breaks, mends);
}

/// A write is under way when the server ends, in good order or as a crash.
fn ends_in_the_middle(end: fn(&mut Server)) {
    let Some((mut server, world)) = begin() else { return };
    let breaks = |it: &mut Server| {
        let held = lock(it);
        somebody_waits_for_the_lock(it);
        end(it);
        drop(held);
    };
    survives(&mut server, world, "unreachable", breaks, |it| it.postgres.start_again());
}

#[test]
fn restarted_in_the_middle_of_a_write() {
    ends_in_the_middle(|it| it.postgres.stop());
}

#[test]
fn killed_in_the_middle_of_a_write() {
    ends_in_the_middle(|it| it.postgres.kill());
}

/// A rule of the server that no reading of one elder passes: its entries are set aside, everything else goes on, and when the rule is
/// gone they are put through the store again.
#[test]
fn refused_for_good_and_put_again() {
    let Some((server, world)) = begin() else { return };
    server.postgres.admin("ALTER TABLE vigil.reading ADD CONSTRAINT nobody CHECK (subject <> 13) NOT VALID");
    world.append(500);
    stored_so_far(&world);
    // One elder of fifty.
    assert_eq!(world.writing().refused_entries, 10);
    server.postgres.admin("ALTER TABLE vigil.reading DROP CONSTRAINT nobody");
    world.puts_refused_again(10);
    world.nothing_lost_nothing_twice(&server);
    world.end();
}
