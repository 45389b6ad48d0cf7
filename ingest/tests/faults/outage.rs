//! A server stops under load for long, the process that writes ends meanwhile, and both come back.

use pgtest::until;
use runtime::Clock;

use crate::bed::{Server, World, stored_behind_what_is_new};

/// Frames more during the outage: 200,000 readings.
const BULK: u64 = 10_000;

#[test]
fn postgresql_stops_under_load_and_nothing_is_lost_or_late() {
    let Some(mut server) = Server::start() else { return };
    let world = World::open(&server.dsn());
    let feeder = world.feed(10);
    until("the first readings", || (world.readings.count() > 0).then_some(()));
    let before = world.sent();
    server.postgres.stop();
    until("the writer notices", || (world.writing().state == "failing").then_some(()));
    // Paging and the door do not wait for the store, and neither does the journal.
    until("an outage long enough", || {
        let wait = world.writing();
        (wait.oldest_unstored_s > 4.0 && wait.live.entries + wait.backlog.entries > 1_500).then_some(())
    });
    drop(feeder);
    assert!(world.sent() > before + 1_500);
    world.append(BULK);
    // The process ends in the middle of it, too.
    let world = World::open_again(world.end(), &server.dsn());
    let behind = world.writing();
    assert!(behind.live.entries + behind.backlog.entries > 1_500, "{behind:?}");
    let feeder = world.feed(10);
    let back = Clock::system().now();
    server.postgres.start_again();
    // What comes after the server is back is there while older entries still wait.
    until("what waited", || (world.writing().done > behind.done + BULK).then_some(()));
    drop(feeder);
    world.nothing_lost_nothing_twice(&server);
    let waited = stored_behind_what_is_new(&server, back);
    assert!(waited > BULK, "only {waited} readings of the outage waited for what was new");
    eprintln!("the newest readings were stored before {waited} older ones");
    world.end();
}
