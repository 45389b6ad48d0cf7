//! What happens to the server.

use pgtest::{Disk, FullTable, Mode, Options, Postgres, Session, until};
use vigil_store::readings::{Batch, Error, Progress, Readings};

use crate::world::World;

/// As in production: what is committed is on the disk.
fn durable() -> Options {
    Options { durable: true, ..Options::default() }
}

/// Waits until a statement of the writer's waits for a lock.
fn waits_for_a_lock(server: &Postgres) {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'vigil' AND wait_event_type = 'Lock'";
    until("nobody waits for the lock", || (!server.admin(waiting).is_empty()).then_some(()));
}

/// Somebody else's transaction that keeps every write of readings waiting.
fn lock(world: &World) -> Session {
    let session = Session::open(&world.server.admin_dsn()).unwrap();
    session.query("BEGIN; LOCK TABLE vigil.reading IN EXCLUSIVE MODE").unwrap();
    session
}

#[test]
fn stopped_and_started() {
    let Some(mut world) = World::start(&durable(), |_| {}) else { return };
    world.server.stop();
    world.append_and_fail("Unreachable");
    world.server.start_again();
    world.nothing_lost_nothing_twice();
}

#[test]
fn restarted_in_the_middle_of_a_batch() {
    let Some(mut world) = World::start(&durable(), |_| {}) else { return };
    for _ in 0..3 {
        let lock = lock(&world);
        world.append(30);
        waits_for_a_lock(&world.server);
        world.server.stop();
        drop(lock);
        world.failed("Unreachable");
        world.server.start_again();
        world.drained();
    }
    world.nothing_lost_nothing_twice();
}

#[test]
fn killed_again_and_again() {
    let Some(mut world) = World::start(&durable(), |_| {}) else { return };
    for round in 0..4 {
        world.restarts(round % 2 == 1);
        world.errors();
        let before = world.done();
        world.append(150);
        until("nothing is stored", || (world.done() > before + 20 * round).then_some(()));
        world.server.kill();
        world.failed("Unreachable");
        world.server.start_again();
    }
    world.drained();
    world.nothing_lost_nothing_twice();
}

#[test]
fn read_only_after_a_failover() {
    let Some(world) = World::plain() else { return };
    world.server.set("default_transaction_read_only", "on");
    world.append_and_fail("ServerReadOnly");
    world.server.reset();
    world.drained();
    // The other order: the line breaks, and what answers afterwards takes no writes.
    world.server.set("default_transaction_read_only", "on");
    world.proxy.cut();
    world.append_and_fail("ServerReadOnly");
    world.server.reset();
    world.nothing_lost_nothing_twice();
}

/// Tomorrow's partition, for which there is no room: needs no right, so it runs everywhere.
#[test]
fn no_room_for_a_partition() {
    let Some(world) = World::plain() else { return };
    let partition = "vigil.reading_20231115";
    world.server.admin(&format!(
        "SET ROLE vigil; CREATE TABLE {partition} PARTITION OF vigil.reading FOR VALUES FROM ('2023-11-15') TO ('2023-11-16')"
    ));
    let table = FullTable::of(&world.server, partition);
    world.errors();
    // Entry 800 is the first after midnight.
    world.append(1_000);
    world.failed("DiskFull");
    let live = || world.server.one("SELECT live FROM vigil.state").parse::<u64>().unwrap();
    let before = live();
    for _ in 0..3 {
        world.errors();
        world.failed("DiskFull");
    }
    assert_eq!((live(), world.done()), (before, before));
    assert!((790..800).contains(&before), "{before}");
    table.free();
    world.drained();
    assert_ne!(world.server.one(&format!("SELECT count(*) FROM {partition}")), "0");
    world.nothing_lost_nothing_twice();
}

/// As [`no_room_for_a_partition`], of everything that is written, on a disk of its own.
#[test]
fn disk_full() {
    let Some(disk) = Disk::of_mib(32) else { return };
    let on_the_disk = |server: &Postgres| {
        server.admin(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.space().display()));
        server.admin("GRANT CREATE ON TABLESPACE small TO vigil");
        server.admin("ALTER ROLE vigil SET default_tablespace = 'small'");
    };
    let Some(world) = World::start(&Options::default(), on_the_disk) else { return };
    let place = "SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'vigil' AND tablespace = 'small'";
    assert_eq!(world.server.one(place), "t");
    disk.fill();
    world.errors();
    // Pages that are there have room for some.
    world.append(2_000);
    world.failed("DiskFull");
    disk.free();
    world.drained();
    world.nothing_lost_nothing_twice();
}

#[test]
fn somebody_holds_the_table() {
    let Some(world) = World::plain() else { return };
    let lock = lock(&world);
    world.append_and_fail("TimedOut");
    lock.query("COMMIT").unwrap();
    world.nothing_lost_nothing_twice();
}

/// An overloaded server: every statement that stores readings takes longer than it may, again and again.
#[test]
fn slow_for_long() {
    let Some(world) = World::plain() else { return };
    world.server.admin(
        "CREATE FUNCTION vigil.sleepy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
         CREATE TRIGGER sleepy BEFORE INSERT ON vigil.reading FOR EACH STATEMENT EXECUTE FUNCTION vigil.sleepy()",
    );
    let before = world.done();
    for _ in 0..3 {
        world.append_and_fail("TimedOut");
    }
    assert_eq!(world.done(), before);
    world.server.admin("DROP TRIGGER sleepy ON vigil.reading");
    world.nothing_lost_nothing_twice();
}

#[test]
fn the_connection_limit_is_reached() {
    let Some(world) = World::plain() else { return };
    let crowd: Vec<Session> = (0..3).map(|_| world.session()).collect();
    world.server.admin("ALTER ROLE vigil CONNECTION LIMIT 3");
    world.proxy.cut();
    world.append_and_fail("Unreachable");
    drop(crowd);
    world.nothing_lost_nothing_twice();
}

#[test]
fn a_second_writer_is_refused_and_takes_over_when_the_first_is_gone() {
    let Some(world) = World::plain() else { return };
    let dir = tempfile::tempdir().unwrap();
    let second = Readings::open(dir.path(), &world.direct()).unwrap();
    let nothing = || second.write_batch(&Batch::default(), Progress::default());
    let refused = || matches!(nothing(), Err(Error::WriterElsewhere { .. }));
    assert!(refused());
    world.append(30);
    world.drained();
    assert!(refused());
    // The first is cut off and cannot come back: the server lets the second in.
    world.proxy.set(Mode::Refuse);
    until("the second is not let in", || nothing().ok());
    world.append_and_fail("Unreachable");
    world.proxy.set(Mode::Pass);
    world.errors();
    world.failed("WriterElsewhere");
    drop(second);
    world.nothing_lost_nothing_twice();
}
