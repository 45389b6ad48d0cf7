//! The gateway's memory of what it has not delivered: one journal a lane, and one for what the server refused.
//!
//! An entry is one publish ([`Entry`]). It leaves the outbox when the server has custody of it, or when the disk budget gave
//! it up and that is declared, and for no other reason ([`Book`]). Why a journal a lane: `docs/adr/0005-custody-by-lane.md`.

mod book;
mod entry;

pub use book::{Book, CURSOR};
pub use entry::{Entry, decode, encode};

use std::path::Path;
use std::sync::Arc;

use journal::{AppendError, Journal};
use model::{Lane, Seq, Time};

/// File names, in the order of [`Lane::ALL`]. Those of events and readings are older than the others: an outbox of a gateway
/// that knew only two lanes is read on, its SOS among the events and its history among the readings.
const FILES: [&str; 5] = ["outbox-sos", "outbox-urgent", "outbox", "outbox-hist", "outbox-wav"];
const REFUSED: &str = "outbox-refused";

/// The files of one gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    lanes: [Journal; 5],
    books: [Arc<Book>; 5],
    /// What the server will never take (reason 0x99, or larger than its packet limit): kept for a person to look at.
    pub refused: Journal,
}

impl Outbox {
    /// Opens or creates the files in `dir`. Blocking.
    pub fn open(dir: &Path, config: &journal::Config) -> Result<Self, journal::Error> {
        let [sos, evt, vit, hist, wav] = FILES.map(|file| Journal::open(dir, file, config));
        let lanes = [sos?, evt?, vit?, hist?, wav?];
        let [sos, evt, vit, hist, wav] = lanes.each_ref().map(|journal| Book::open(journal).map(Arc::new));
        let books = [sos?, evt?, vit?, hist?, wav?];
        Ok(Self { lanes, books, refused: Journal::open(dir, REFUSED, config)? })
    }

    /// An outbox was created in `dir` before.
    pub fn exists(dir: &Path) -> bool {
        dir.join(format!("{}.db", FILES[Lane::Vit as usize])).exists()
    }

    pub const fn lane(&self, lane: Lane) -> &Journal {
        &self.lanes[lane as usize]
    }

    pub const fn book(&self, lane: Lane) -> &Arc<Book> {
        &self.books[lane as usize]
    }

    /// Bytes on disk that some cursor still needs, all files together.
    pub fn disk_bytes(&self) -> u64 {
        self.lanes.iter().chain([&self.refused]).map(|journal| journal.pressure().disk_bytes).sum()
    }

    /// Everything put in so far has left the outbox.
    pub fn is_empty(&self) -> bool {
        self.books.iter().all(|book| book.oldest().is_none())
    }

    /// Stores one publish; durable when it returns. When full it says so and stores nothing: the caller holds back.
    pub async fn put(&self, lane: Lane, at: Time, topic: &str, payload: &[u8]) -> Result<Seq, AppendError> {
        self.lane(lane).append_wait(vec![encode(at, topic, payload)]).await
    }
}
