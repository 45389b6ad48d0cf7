//! A move after one that was given up, to a target that has something already; and what must not open a gate.

use super::*;

#[test]
fn a_store_in_use_that_has_not_caught_up_is_waited_for() {
    let mut world = World::new(8);
    (0..5).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.stores.journal.append_blocking(vec![vec![0]]).unwrap();
    target.write(&[], Seq(6)).unwrap();
    let said = world.run(&target, 1_000).unwrap_err().root_cause().to_string();
    assert!(said.contains("has not caught up yet (5 of 6)"), "{said}");
}

#[test]
fn waveforms_that_changed_their_owner_after_a_move_that_was_given_up_are_there_once() {
    let mut world = World::new(10);
    let waves: Vec<Wave> = (1..300).map(|i| Wave { subject: subject(1), device: BAND, block: wave(i) }).collect();
    let write = |world: &mut World, batch: Batch| {
        let seq = world.stores.journal.append_blocking(vec![vec![0]]).unwrap();
        world.stores.readings.write_batch(&batch, seq).unwrap();
        world.stores.journal.commit_cursor_sync(writer::CURSOR, seq).unwrap();
        world.written.push(batch);
    };
    let all = waves.clone();
    write(&mut world, Batch { waves, ..Batch::default() });
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    give_up(&world.stores.journal, world.dir.path()).unwrap();
    let moved = |from: u32, to: u32, some: &[Wave]| Moved {
        from: subject(from),
        to: subject(to),
        device: BAND,
        samples: Vec::new(),
        waveforms: some.iter().map(|wave| wave.block.clone()).collect(),
    };
    write(&mut world, Batch { moves: vec![moved(1, 2, &all[100..200])], ..Batch::default() });
    world.run(&target, usize::MAX).unwrap();
    assert_eq!(content(&world.stores.readings), content(&target));
    // The last of the owner's go too: the target has the series, the source has not.
    give_up(&world.stores.journal, world.dir.path()).unwrap();
    let rest = [&all[..100], &all[200..]].concat();
    write(&mut world, Batch { moves: vec![moved(1, 2, &rest)], ..Batch::default() });
    world.run(&target, usize::MAX).unwrap();
    assert_eq!(content(&world.stores.readings), content(&target));
}

#[test]
fn somebody_who_was_forgotten_does_not_come_back_unasked() {
    let mut world = World::new(11);
    (0..60).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    give_up(&world.stores.journal, world.dir.path()).unwrap();
    world.stores.readings.forget(subject(2)).unwrap();
    let before = target.cursor();
    world.stores.readings.write(&[], Seq(60)).unwrap();
    let refused = world.run(&target, usize::MAX).unwrap_err().root_cause().to_string();
    assert!(refused.contains("numbers 2)") && refused.contains("--onto-existing"), "{refused}");
    assert_eq!(Note::read(world.dir.path()).unwrap().unwrap().state(), State::Copying);
    assert_eq!(target.cursor(), before);
    // Still in care: what is new of them does not make the old theirs again.
    let now = world.written.iter().flat_map(|batch| &batch.rows).map(|row| row.sample.taken_at).max().unwrap();
    let sample = Sample::new(Metric::HeartRate, now.plus_us(1_000_000), 71.0, Quality::Ok);
    world.stores.readings.write(&[Reading { subject: subject(2), device: BAND, sample }], Seq(60)).unwrap();
    world.stores.records.audit(None, "forget_readings", "elder/2", "").unwrap();
    let refused = world.run(&target, usize::MAX).unwrap_err().root_cause().to_string();
    assert!(refused.contains("numbers 2)"), "{refused}");
    world.run_on(Terms { sample: 10, onto_existing: true }, &target, usize::MAX).unwrap();
    assert_eq!(Note::read(world.dir.path()).unwrap().unwrap().state(), State::Complete);
}

#[test]
fn other_values_of_the_same_instants_are_counted_and_refused_also_when_it_is_said_again() {
    let mut world = World::new(12);
    (0..40).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    // One that nobody took away since: of those no value is left to differ.
    let stays = |row: &&Reading| {
        let page = world.stores.readings.page(row.subject, row.sample.metric, row.sample.taken_at.plus_us(-1), 1);
        page.unwrap().rows.iter().all(|stored| !stored.moved)
    };
    let first = world.written.iter().flat_map(|batch| &batch.rows).find(stays).unwrap();
    let odd = Sample::new(first.sample.metric, first.sample.taken_at, 61.0, Quality::Questionable);
    target.write(&[Reading { sample: odd, ..*first }], Seq(0)).unwrap();
    // Not compared one by one: found while it was copied.
    let blind = |onto_existing| Terms { sample: 0, onto_existing };
    for _ in 0..2 {
        let refused = world.run_on(blind(false), &target, usize::MAX).unwrap_err().root_cause().to_string();
        assert!(refused.contains("1 rows have another value"), "{refused}");
        assert_eq!(target.cursor(), Seq(0));
    }
    world.run_on(blind(true), &target, usize::MAX).unwrap();
}

#[test]
fn a_note_that_cannot_be_read_opens_no_gate() {
    let mut world = World::new(13);
    (0..10).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    std::fs::write(world.dir.path().join(note::FILE), "{").unwrap();
    for store in [Store::Embedded, Store::Timescale] {
        let refused = world.starts_with(store).unwrap_err();
        assert!(refused.contains("moving.json") && refused.contains("cannot be read"), "{refused}");
        assert!(before_changing(world.dir.path(), store).is_err());
    }
    assert!(look(&world.stores.journal, world.dir.path(), &world.stores.readings, true).is_err());
    assert_eq!(world.held(), Some(Seq(10)), "the hold stays");
    assert!(world.run(&target, usize::MAX).is_err());
}

#[test]
fn what_was_given_up_meanwhile_stays_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut note = Note::begin(dir.path(), &way(), Seq(3)).unwrap();
    Note::read(dir.path()).unwrap().unwrap().enter(State::GivenUp).unwrap();
    assert!(note.enter(State::Complete).is_err());
    assert!(note.keep().is_err());
    assert_eq!(Note::read(dir.path()).unwrap().unwrap().state(), State::GivenUp);
    Note::begin(dir.path(), &way(), Seq(4)).unwrap();
    assert_eq!(Note::read(dir.path()).unwrap().unwrap().state(), State::Copying);
}

#[test]
fn a_copy_leaves_room_on_the_disk_of_the_data_directory() {
    assert!(copy::leave_room(1 << 30).is_ok());
    let refused = copy::leave_room((1 << 30) - 1).unwrap_err().to_string();
    assert!(refused.contains("1023 MiB left"), "{refused}");
}
