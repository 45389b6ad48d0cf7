//! Whose a measurement is: what people decide goes to the records first and then, in the same order, to the journal, from which
//! readings and alarms learn it. What a crash left out of the journal is put there at the next start; twice changes nothing.

use std::sync::PoisonError;

use model::entry::{BadEntry, Entry, Flags};
use model::{Lane, Time};
use store::records::{self, NewMove, WaitingMove};

use crate::Shared;
use crate::stats::add;

/// Decisions put into the journal as one group.
const TOGETHER: usize = 128;

impl Shared {
    /// Writes a decision down and tells it to the journal. Once this has returned it stands, whatever happens next: what the
    /// journal does not take now it is given later. Returns how many measurements moved.
    pub(crate) fn decide(&self, decision: &NewMove) -> Result<usize, records::Error> {
        // One after the other: the journal must have them in the order of the records.
        let _one = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = self.records.move_measurements(decision)?;
        self.tell_moves();
        Ok(moved)
    }

    /// Gives the journal the decisions it does not have yet.
    pub(crate) fn catch_up_moves(&self) {
        let _one = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell_moves();
    }

    fn tell_moves(&self) {
        loop {
            match self.tell_some() {
                Ok(TOGETHER) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(error, "decisions about measurements are not in the journal yet; tried again soon");
                    return;
                }
            }
        }
    }

    fn tell_some(&self) -> Result<usize, String> {
        let waiting = self.records.moves_waiting(TOGETHER).map_err(|error| error.to_string())?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let mut entries = Vec::with_capacity(waiting.len());
        for one in &waiting {
            match entry(one) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    add(&self.counters.bad_entries, 1);
                    tracing::error!(move.id = one.id, %error, "a kept measurement does not decode; its decision has no effect");
                }
            }
        }
        if !entries.is_empty() {
            self.journal.append_blocking(entries).map_err(|error| error.to_string())?;
        }
        let ids: Vec<i64> = waiting.iter().map(|one| one.id).collect();
        self.records.moves_journalled(&ids).map_err(|error| error.to_string())?;
        add(&self.counters.moved_measurements, waiting.len() as u64);
        Ok(waiting.len())
    }
}

/// The measurement told again for its new owner. Its events stay where they are: an SOS is not pressed twice.
fn entry(moved: &WaitingMove) -> Result<Vec<u8>, BadEntry> {
    let Entry::Frame(mut frame) = Entry::decode(&moved.frame)? else {
        return Err(BadEntry::Unknown { what: "kept measurement", id: 0 });
    };
    frame.subject = moved.to;
    frame.lane = Lane::Hist;
    frame.flags = Flags(frame.flags.0 | Flags::HIST);
    frame.received_at = Time(moved.at.0.max(frame.received_at.0));
    frame.events.clear();
    frame.extras.clock = None;
    Ok(Entry::Moved { from: moved.from, frame }.to_bytes())
}
