//! One lane's place in the journal: reads ahead in large pieces and gives out entry by entry.

use std::ops::ControlFlow;
use std::time::Duration;

use journal::Journal;
use model::Seq;

/// Bytes of journal entries read at once.
const READ_BYTES_MAX: usize = 1 << 20;

/// A reader with what it has read and not yet given out.
#[derive(Debug)]
pub(super) struct Tape {
    reader: journal::Reader,
    read: journal::Batch,
    /// Of `read`, entries given out.
    given: usize,
    /// The last entry given out.
    position: Seq,
}

impl Tape {
    pub(super) fn new(journal: &Journal, position: Seq) -> Self {
        Self { reader: journal.reader(position), read: journal::Batch::default(), given: 0, position }
    }

    /// Goes on after `position`.
    pub(super) fn seek(&mut self, position: Seq) {
        if position != self.position {
            self.reader.seek(position);
            self.read = journal::Batch::default();
            self.given = 0;
            self.position = position;
        }
    }

    /// Gives out what was read and not given out, or else what comes within `wait`, until `each` breaks. The entry at which it
    /// breaks counts as given out. Returns how many entries there were.
    pub(super) fn give(
        &mut self,
        wait: Duration,
        mut each: impl FnMut(Seq, &[u8]) -> ControlFlow<()>,
    ) -> Result<usize, journal::Error> {
        if self.given >= self.read.len() {
            self.read = journal::Batch::default();
            self.given = 0;
            self.read = self.reader.read(READ_BYTES_MAX, wait)?;
        }
        let before = self.given;
        for (seq, bytes) in self.read.iter().skip(before) {
            self.given += 1;
            self.position = seq;
            if each(seq, bytes).is_break() {
                break;
            }
        }
        Ok(self.given - before)
    }
}
