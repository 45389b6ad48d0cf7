//! What happens on the way to the server.

use std::time::Duration;

use pgtest::{Mode, until};

use crate::world::World;

/// What a writer does after an error.
#[derive(Clone, Copy)]
enum Writer {
    GoesOn,
    /// As a process that is started again.
    StartsAgain,
}

fn survives(writer: Writer, fault: fn(&World)) {
    let Some(world) = World::plain() else { return };
    world.restarts(matches!(writer, Writer::StartsAgain));
    fault(&world);
    world.nothing_lost_nothing_twice();
}

#[test]
fn refused() {
    survives(Writer::GoesOn, |world| {
        world.proxy.set(Mode::Refuse);
        world.append_and_fail("Unreachable");
        world.proxy.set(Mode::Pass);
    });
}

/// Before anything is sent, in the middle of messages of every size, and at each end of the commit.
fn cut_at_every_phase(world: &World) {
    let bytes = [1, 4, 5, 6, 40, 200, 1_000, 3_000, 6_000, 12_000, 20_000].map(Mode::ResetAfter);
    let words = ["BEGIN", "COMMIT"].into_iter().flat_map(|word| [Mode::ResetAtWord(word), Mode::ResetAtAnswer(word)]);
    for mode in bytes.into_iter().chain(words) {
        let before = world.proxy.resets();
        world.proxy.set(mode);
        // Long enough for the longest of these.
        world.append(30);
        until(&format!("{mode:?} never came"), || (world.proxy.resets() > before).then_some(()));
        world.drained();
        assert!(world.errors().iter().all(|error| error.starts_with("Unreachable")), "{mode:?}");
    }
}

#[test]
fn reset_at_every_phase() {
    survives(Writer::GoesOn, cut_at_every_phase);
}

#[test]
fn reset_at_every_phase_and_started_again() {
    survives(Writer::StartsAgain, cut_at_every_phase);
}

#[test]
fn silent() {
    survives(Writer::GoesOn, |world| {
        world.proxy.set(Mode::Stall);
        world.append_and_fail("TimedOut");
        // What hangs on the server hangs until the network says that nobody is there.
        world.proxy.cut();
    });
}

/// The store gives up while its commit is under way; the answer comes a second later, behind which a rollback would seem to succeed.
#[test]
fn a_commit_answered_too_late() {
    survives(Writer::GoesOn, |world| {
        let before = world.done();
        world.proxy.set(Mode::HoldAnswer("COMMIT", world.write_limit() + Duration::from_secs(1)));
        world.append_and_fail("TimedOut");
        world.drained();
        assert!(world.done() > before);
    });
}

#[test]
fn half_open() {
    survives(Writer::StartsAgain, |world| {
        world.proxy.set(Mode::HalfOpen);
        world.append_and_fail("TimedOut");
        world.proxy.set(Mode::Pass);
    });
}

#[test]
fn a_slow_line() {
    survives(Writer::StartsAgain, |world| {
        // A batch has about 20 kB: not in the time that a write may take. Who gives up first, store or server, is all the same.
        world.proxy.set(Mode::Slow(2_000));
        world.append_and_fail("TimedOut|Unreachable");
        world.errors();
        world.failed("TimedOut|Unreachable");
        world.proxy.set(Mode::Pass);
    });
}

/// Ten cuts one after another while a backlog is stored.
#[test]
fn a_line_that_keeps_breaking() {
    survives(Writer::GoesOn, |world| {
        for i in 0..10 {
            world.proxy.set(Mode::ResetAfter(7_000 + 3_001 * i));
            let before = world.proxy.resets();
            world.append(20);
            until("the line did not break", || (world.proxy.resets() > before).then_some(()));
        }
        world.drained();
        assert!(world.done() >= 250);
    });
}
