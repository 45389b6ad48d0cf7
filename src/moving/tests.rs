//! A move that is given up at any word, with a source that goes on being written, ends with two equal stores once the target has
//! stored the journal from the place where it was held.

use ingest::writer;
use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time, Waveform};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use runtime::Clock;
use store::readings::{Batch, Config, Dsn, Moved, Original, Readings, Store, TimescaleConfig, Wave};
use store::records::Records;

use super::hold::{CURSOR, give_up, look, place};
use super::note::Note;
use super::*;

mod again;

const BAND: DeviceId = DeviceId(9);

fn subject(n: u32) -> Subject {
    if n == 0 { Subject::Unattributed(BAND) } else { Subject::Elder(ElderId(n)) }
}

fn at(i: u32) -> Time {
    Time::from_secs(1_800_000_000 + 40 * i64::from(i))
}

/// Measurement `i`, always the same.
fn sample(i: u32) -> Sample {
    match i % 5 {
        3 => Sample::absent(Metric::Systolic, at(i), Quality::MeasurementFailed),
        _ => Sample::new(Metric::Systolic, at(i), 100.5 + f64::from(i), Quality::Ok),
    }
}

fn wave(i: u32) -> Waveform {
    Waveform {
        metric: Metric::Ecg,
        lead: i % 2,
        start: at(i),
        rate: Rate::new(250, 1).unwrap(),
        scale: 0.01,
        offset: 0.0,
        counts: (0..100_u32).map(|n| (n * i % 300) as i16).collect(),
    }
}

/// The source, its journal, and everything that was written, by entry of the journal.
struct World {
    dir: tempfile::TempDir,
    stores: Stores,
    written: Vec<Batch>,
    rng: SmallRng,
    owner: Vec<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path(), Clock::system()).unwrap();
        let readings = Readings::open(dir.path(), &small()).unwrap();
        let journal = journal::Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        journal.register_cursor(writer::CURSOR).unwrap();
        let stores = Stores::opened(dir.path(), records, readings, journal, true);
        Self { dir, stores, written: Vec::new(), rng: SmallRng::seed_from_u64(seed), owner: Vec::new() }
    }

    /// One write of the server: new rows, late rows, other values of known instants, origins, waveforms, moves.
    fn write(&mut self) {
        let mut batch = Batch::default();
        for _ in 0..self.rng.random_range(0..6) {
            let (i, owner) = (self.owner.len() as u32, self.rng.random_range(0..3));
            self.owner.push(owner);
            batch.rows.push(Reading { subject: subject(owner), device: BAND, sample: sample(i) });
            if i % 4 == 0 {
                let origin = Origin { raw: Some((format!("{i}.5"), "kPa".into())), ..Origin::default() };
                batch.originals.push(Original { subject: subject(owner), metric: Metric::Systolic, at: at(i), origin });
            }
            if i % 7 == 0 {
                batch.waves.push(Wave { subject: subject(owner), device: BAND, block: wave(i) });
            }
        }
        let when = at(self.rng.random_range(0..400));
        let value = f64::from(self.rng.random_range(50..90));
        let pulse = Sample::new(Metric::HeartRate, when, value, Quality::Ok);
        batch.rows.push(Reading { subject: subject(self.rng.random_range(1..3)), device: BAND, sample: pulse });
        if !self.owner.is_empty() && self.rng.random_bool(0.3) {
            let i = self.rng.random_range(0..self.owner.len());
            let (from, to) = (self.owner[i], self.rng.random_range(0..3));
            self.owner[i] = to;
            let waveforms = if i % 7 == 0 { vec![wave(i as u32)] } else { Vec::new() };
            let samples = vec![sample(i as u32)];
            batch.moves.push(Moved { from: subject(from), to: subject(to), device: BAND, samples, waveforms });
        }
        let seq = self.stores.journal.append_blocking(vec![vec![0]]).unwrap();
        self.stores.readings.write_batch(&batch, seq).unwrap();
        self.stores.journal.commit_cursor_sync(writer::CURSOR, seq).unwrap();
        if self.rng.random_bool(0.1) {
            self.stores.readings.seal_all().unwrap();
        }
        self.written.push(batch);
    }

    /// What a server would say that starts with this store.
    fn starts_with(&self, store: Store) -> Result<(), String> {
        let Stores { dir, records, journal, .. } = &self.stores;
        check_start(dir, &in_use(store), journal, records).map_err(|error| format!("{error:#}"))
    }

    fn held(&self) -> Option<Seq> {
        place(&self.stores.journal, CURSOR)
    }

    /// What the writer of a server does that starts with the target.
    fn take_over(&self, target: &Readings) {
        let from = target.cursor();
        assert!(self.stores.journal.first() <= Seq(from.0 + 1), "the journal has kept all of it");
        for (seq, batch) in self.written.iter().enumerate().skip(from.0 as usize) {
            target.write_batch(batch, Seq(seq as u64 + 1)).unwrap();
        }
    }

    /// Runs the move and stops listening after so many words.
    fn run(&self, target: &Readings, words: usize) -> anyhow::Result<()> {
        self.run_on(Terms { sample: 10, onto_existing: false }, target, words)
    }

    fn run_on(&self, terms: Terms, target: &Readings, words: usize) -> anyhow::Result<()> {
        let (told, lines) = Told::channel();
        std::thread::scope(|scope| {
            let listener = scope.spawn(move || lines.iter().take(words).collect::<Vec<_>>());
            let moved = move_to(&way(), terms, &self.stores, target, &told);
            // The listener ends with the talker.
            drop(told);
            let said = listener.join().unwrap();
            moved.with_context(|| said.join("\n"))
        })
    }
}

/// The target is another embedded store: what it is called does not matter to the move.
fn way() -> Way {
    Way {
        from: Store::Embedded,
        to: Store::Timescale,
        server: "localhost port 5432, database readings, schema vigil".into(),
    }
}

fn in_use(store: Store) -> Config {
    let timescale =
        TimescaleConfig { dsn: Some(Dsn::new("host=localhost user=x dbname=readings")), ..TimescaleConfig::default() };
    Config { store, timescale, ..Config::default() }
}

fn small() -> Config {
    Config { seal_rows: 8, block_rows_max: 16, head_rows_max: 60, ..Config::default() }
}

/// Everything that a store holds.
fn content(store: &Readings) -> Vec<String> {
    let mut found = Vec::new();
    for series in store.series(None, 1_000).unwrap() {
        let page = store.page(series.subject, series.metric, BEGINNING, 100_000).unwrap();
        found.extend(page.rows.iter().map(|row| format!("{:?} {row:?}", series.subject)));
    }
    for series in store.wave_series(None, 1_000).unwrap() {
        let waves = store.wave_page(series.subject, series.metric, None, 1_000).unwrap();
        found.extend(waves.iter().map(|wave| format!("{wave:?}")));
    }
    found
}

#[test]
fn given_up_at_any_word_and_begun_again_nothing_is_lost_or_doubled() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        (0..60).for_each(|_| world.write());
        let other = tempfile::tempdir().unwrap();
        let mut target = Readings::open(other.path(), &small()).unwrap();
        let mut tries = 0;
        loop {
            let words = world.rng.random_range(0..=tries * 8);
            let Err(error) = world.run(&target, words) else { break };
            assert!(error.root_cause().to_string().contains("given up"), "seed {seed}, try {tries}: {error:#}");
            assert!([Seq(0), Seq(60)].contains(&target.cursor()), "the place of the first try, or nothing");
            (0..4).for_each(|_| world.write());
            if tries % 3 == 0 {
                drop(target);
                target = Readings::open(other.path(), &small()).unwrap();
            }
            tries += 1;
        }
        assert!(tries > 0, "without a word it never ends");
        (0..10).for_each(|_| world.write());
        let place = target.cursor();
        assert_eq!(place, Seq(60), "the journal is held where the first try began");
        let (journal, dir) = (&world.stores.journal, world.dir.path());
        look(journal, dir, &world.stores.readings, true).unwrap();
        assert!(world.held().is_some(), "while the old store is in use");
        world.starts_with(Store::Timescale).unwrap();
        look(journal, dir, &target, true).unwrap();
        assert_eq!((world.held(), writer_at(journal)), (None, Some(place)), "the new one goes on from there by itself");
        world.take_over(&target);
        let (here, there) = (content(&world.stores.readings), content(&target));
        assert_eq!(here.len(), there.len(), "seed {seed}");
        for (here, there) in here.iter().zip(&there) {
            assert_eq!(here, there, "seed {seed}");
        }
    }
}

#[test]
fn a_server_starts_only_with_a_store_that_lacks_nothing() {
    let mut world = World::new(3);
    (0..30).for_each(|_| world.write());
    assert_eq!(world.starts_with(Store::Timescale), Ok(()), "no move, no question");
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, 0).unwrap_err();
    assert!(world.starts_with(Store::Timescale).unwrap_err().contains("is not finished"));
    assert_eq!(world.starts_with(Store::Embedded), Ok(()), "where it stores now");
    let data = world.dir.path().to_owned();
    let forget = |store| before_changing(&data, store).map_err(|error| error.to_string());
    assert!(forget(Store::Embedded).unwrap_err().contains("--give-up"));

    // The journal's room runs out, or somebody does not want it any more.
    give_up(&world.stores.journal, world.dir.path()).unwrap();
    assert_eq!(world.held(), None);
    let refused = world.starts_with(Store::Timescale).unwrap_err();
    assert!(refused.contains("given up") && refused.contains("--from embedded --to timescale"), "{refused}");
    assert_eq!(world.starts_with(Store::Embedded), Ok(()));
    assert_eq!(forget(Store::Embedded), Ok(Elsewhere::Server(way().server)), "what was copied is still there");
    assert!(forget(Store::Timescale).is_err(), "it is not the store in use");

    // The next one begins where the source is now.
    (0..10).for_each(|_| world.write());
    world.run(&target, usize::MAX).unwrap();
    assert_eq!((target.cursor(), world.held()), (Seq(40), Some(Seq(40))));
    assert!(before_changing(world.dir.path(), Store::Embedded).is_err());
    let elsewhere = Config {
        timescale: TimescaleConfig { schema: "other".into(), ..in_use(Store::Timescale).timescale },
        ..in_use(Store::Timescale)
    };
    let Stores { dir, records, journal, .. } = &world.stores;
    let refused = check_start(dir, &elsewhere, journal, records).unwrap_err().to_string();
    assert!(refused.contains("schema vigil") && refused.contains("schema other"), "{refused}");
    assert_eq!(world.starts_with(Store::Embedded), Ok(()), "nothing has happened yet");
    assert_eq!(world.starts_with(Store::Timescale), Ok(()));
    assert_eq!(world.starts_with(Store::Timescale), Ok(()), "and every time after");
    let Stores { dir, records, journal, .. } = &world.stores;
    let other_database =
        TimescaleConfig { dsn: Some(Dsn::new("host=localhost user=x dbname=b")), ..TimescaleConfig::default() };
    let elsewhere = Config { timescale: other_database, ..in_use(Store::Timescale) };
    let refused = check_start(dir, &elsewhere, journal, records).unwrap_err().to_string();
    assert!(refused.contains("database readings") && refused.contains("database b"), "{refused}");
    let refused = world.starts_with(Store::Embedded).unwrap_err();
    assert!(refused.contains("--from timescale --to embedded"), "{refused}");
    assert!(forget(Store::Embedded).is_err(), "the person is still in the store in use");
    assert_eq!(forget(Store::Timescale), Ok(Elsewhere::Nowhere));
    let audit = world.stores.records.audit_list(None, 10).unwrap();
    let actions: Vec<&str> = audit.iter().rev().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["move_readings", "move_readings", "move_readings_done", "move_readings_taken_over"]);
    assert!(audit.iter().all(|row| row.subject == "store/timescale" && row.detail.contains("localhost port 5432")));
}

#[test]
fn a_journal_that_was_not_held_to_the_end_is_noticed_at_the_start() {
    let mut world = World::new(4);
    (0..10).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    (0..10).for_each(|_| world.write());
    // As if another version of the program, or a person, had let go of it.
    world.stores.journal.remove_cursor(CURSOR).unwrap();
    let mut note = Note::read(world.dir.path()).unwrap().unwrap();
    assert_eq!(note.place(), Seq(10));
    assert_eq!(world.starts_with(Store::Timescale), Ok(()), "all of it is there by luck");
    assert_eq!(world.held(), Some(Seq(10)), "and is held again");
    note.enter(State::Complete).unwrap();
    world.stores.journal.remove_cursor(CURSOR).unwrap();
    trim(&world.stores.journal);
    assert!(world.starts_with(Store::Timescale).unwrap_err().contains("let go of"));
    assert_eq!(world.starts_with(Store::Embedded), Ok(()));
}

#[test]
fn killed_before_the_cursor_was_put_in_its_place_the_move_goes_on() {
    let mut world = World::new(9);
    (0..10).for_each(|_| world.write());
    Note::begin(world.dir.path(), &way(), Seq(10)).unwrap();
    world.stores.journal.register_cursor(CURSOR).unwrap();
    assert!(world.held() < Some(Seq(10)));
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    assert_eq!((world.held(), target.cursor()), (Some(Seq(10)), Seq(10)));
}

#[test]
fn a_cursor_without_a_note_goes_when_the_store_needs_it_no_more() {
    let mut world = World::new(5);
    (0..10).for_each(|_| world.write());
    world.stores.journal.register_cursor(CURSOR).unwrap();
    look(&world.stores.journal, world.dir.path(), &world.stores.readings, true).unwrap();
    assert_eq!(world.held(), None);
    assert!(!world.dir.path().join(note::FILE).exists());
}

fn writer_at(journal: &journal::Journal) -> Option<Seq> {
    super::hold::place(journal, writer::CURSOR)
}

/// Waits until the journal has let go of everything that nobody needs.
fn trim(journal: &journal::Journal) {
    let begun = std::time::Instant::now();
    while journal.first() <= Seq(11) {
        // Trimming goes with writing.
        let seq = journal.append_blocking(vec![vec![0; 4_096]]).unwrap();
        journal.commit_cursor_sync(writer::CURSOR, seq).unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_mins(2), "it never lets go");
    }
}

#[test]
fn a_move_that_is_ended_leaves_the_server_where_it_is() {
    let mut world = World::new(6);
    (0..10).for_each(|_| world.write());
    let (told, lines) = Told::channel();
    let listener = std::thread::spawn(move || lines.iter().collect::<Vec<_>>());
    assert!(gate::give_up(&world.stores, &told).unwrap_err().to_string().contains("no move"));
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    world.run(&target, usize::MAX).unwrap();
    gate::give_up(&world.stores, &told).unwrap();
    drop(told);
    assert!(listener.join().unwrap()[0].contains("localhost port 5432, database readings, schema vigil"));
    assert_eq!(world.held(), None);
    assert!(world.starts_with(Store::Timescale).is_err());
    world.write();
}

#[test]
fn what_is_missing_in_the_target_is_noticed_and_not_handed_over() {
    let mut world = World::new(7);
    (0..40).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    // The same instant with another value: the first one stays, so the rows differ.
    let first = world.written.iter().flat_map(|batch| &batch.rows).next().unwrap();
    let odd = Sample::new(first.sample.metric, first.sample.taken_at, 61.0, Quality::Questionable);
    target.write(&[Reading { sample: odd, ..*first }], Seq(0)).unwrap();
    let refused = format!("{:#}", world.run(&target, usize::MAX).unwrap_err());
    assert!(refused.contains(" 1 differ") && refused.contains("the stores differ"), "{refused}");
    assert_eq!(target.cursor(), Seq(0));
    world.write();
    assert!(world.stores.readings.cursor() > Seq(40), "the writer goes on");
}

#[test]
fn a_target_of_another_journal_is_refused() {
    let mut world = World::new(8);
    (0..5).for_each(|_| world.write());
    let other = tempfile::tempdir().unwrap();
    let target = Readings::open(other.path(), &small()).unwrap();
    target.write(&[], Seq(9_000)).unwrap();
    assert!(world.run(&target, 1_000).unwrap_err().root_cause().to_string().contains("different journals"));
}
