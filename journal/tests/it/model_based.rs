//! Random histories against the simplest journal there is: a vector.

use journal::{Config, Error, Journal};
use model::Seq;
use proptest::prelude::*;

use crate::append::SOON;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Vec<u8>>),
    Read {
        reader: usize,
        bytes: usize,
    },
    /// Commits this cursor as far as its reader is.
    Commit {
        reader: usize,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let entry = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        5 => prop::collection::vec(entry, 0..6).prop_map(Step::Append),
        4 => (0..2_usize, 0..200_usize).prop_map(|(reader, bytes)| Step::Read { reader, bytes }),
        2 => (0..2_usize).prop_map(|reader| Step::Commit { reader }),
        1 => Just(Step::Reopen),
    ]
}

const CURSORS: [&str; 2] = ["a", "b"];

struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    log: Vec<Vec<u8>>,
    positions: [Seq; 2],
    committed: [Seq; 2],
}

fn open(dir: &std::path::Path) -> Journal {
    // A tail of a group or two, so that both ways of reading are gone.
    let config = Config { tail_bytes_max: 150, ..Config::default() };
    Journal::open(dir, "journal", &config).unwrap()
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path());
        for cursor in CURSORS {
            journal.register_cursor(cursor).unwrap();
        }
        Self { dir, journal, log: Vec::new(), positions: [Seq(0); 2], committed: [Seq(0); 2] }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Append(entries) => {
                let head = self.log.len() as u64;
                let expected = if entries.is_empty() { Seq(head) } else { Seq(head + 1) };
                self.log.extend(entries.iter().cloned());
                assert_eq!(self.journal.append_blocking(entries), Ok(expected));
            }
            Step::Read { reader, bytes } => self.read(reader, bytes),
            Step::Commit { reader } => {
                self.committed[reader] = self.positions[reader];
                self.journal.commit_cursor(CURSORS[reader], self.committed[reader]);
            }
            Step::Reopen => {
                let journal = self.journal.clone();
                journal.close();
                self.journal = open(self.dir.path());
                for (cursor, committed) in CURSORS.into_iter().zip(self.committed) {
                    assert_eq!(self.journal.register_cursor(cursor).unwrap(), committed);
                }
                // A consumer starts again from what it committed.
                self.positions = self.committed;
            }
        }
        assert_eq!(self.journal.head(), Seq(self.log.len() as u64));
        let passed = self.committed.into_iter().min().unwrap();
        assert!(self.journal.first().0 <= passed.0 + 1, "nothing that a cursor needs is trimmed");
    }

    fn read(&mut self, which: usize, bytes: usize) {
        let position = self.positions[which];
        let mut reader = self.journal.reader(position);
        let wait = if position.0 < self.log.len() as u64 { SOON } else { std::time::Duration::ZERO };
        let batch = match reader.read(bytes, wait) {
            Ok(batch) => batch,
            // The other cursor never lets this happen to a position at or after the one committed.
            Err(Error::Trimmed { first }) => panic!("position {position} is before {first}"),
            Err(error) => panic!("{error}"),
        };
        for (n, (seq, entry)) in batch.iter().enumerate() {
            assert_eq!(seq, Seq(position.0 + n as u64 + 1));
            assert_eq!(entry, self.log[seq.0 as usize - 1]);
        }
        assert_eq!(batch.is_empty(), position.0 == self.log.len() as u64);
        self.positions[which] = reader.position();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_journal_is_a_vector_with_a_memory(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
    }
}
