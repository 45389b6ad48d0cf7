//! One outbox journal as a queue of publishes: what was handed over, what is in the server's custody, where to go on.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use journal::{Journal, Reader};
use model::{Seq, Time};
use tokio::sync::watch;

use super::CURSOR;
use crate::outbox;

/// Bytes read from the outbox at once.
const READ_BYTES: usize = 128 * 1024;

/// One publish on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) seq: Seq,
    pub(super) queued_at: Time,
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

pub(super) struct Queue {
    journal: Journal,
    head: watch::Receiver<Seq>,
    /// Taken out only while it reads on a blocking thread.
    reader: Option<Reader>,
    /// Read and not handed over yet, in order.
    next: VecDeque<Item>,
    /// Handed over and not in custody. Bounded by the window.
    out: BTreeMap<Seq, Item>,
    /// Highest entry read so far.
    read_upto: Seq,
    /// All up to here is in custody.
    committed: Seq,
}

impl Queue {
    /// Blocking.
    pub(super) fn open(journal: Journal) -> Result<Self, journal::Error> {
        let committed = journal.register_cursor(CURSOR)?;
        let (head, reader) = (journal.watch(), journal.reader(committed));
        Ok(Self {
            journal,
            head,
            reader: Some(reader),
            next: VecDeque::new(),
            out: BTreeMap::new(),
            read_upto: committed,
            committed,
        })
    }

    /// Reads more when nothing is at hand. Returns the number of entries that could not be read and are passed over.
    /// Must run to its end: a dropped call would lose the reader.
    pub(super) async fn fill(&mut self) -> Result<u64, journal::Error> {
        if !self.next.is_empty() || self.read_upto >= *self.head.borrow() {
            return Ok(0);
        }
        let mut reader = self.reader.take().unwrap_or_else(|| self.journal.reader(self.read_upto));
        let read = tokio::task::spawn_blocking(move || {
            let batch = reader.read(READ_BYTES, Duration::ZERO);
            (reader, batch)
        });
        let (mut reader, batch) = read.await.map_err(|_| journal::Error::Closed)?;
        let mut damaged = 0;
        match batch {
            Ok(batch) => {
                for (seq, bytes) in batch.iter() {
                    self.read_upto = seq;
                    if let Some(entry) = outbox::decode(bytes) {
                        let payload = Bytes::copy_from_slice(entry.payload);
                        let (queued_at, topic) = (entry.queued_at, entry.topic.to_owned());
                        self.next.push_back(Item { seq, queued_at, topic, payload });
                    } else {
                        damaged += 1;
                    }
                }
            }
            Err(journal::Error::Corrupt { seq, last }) => {
                damaged = last.0.saturating_sub(seq.0) + 1;
                reader.seek(last);
                self.read_upto = last;
            }
            Err(journal::Error::Trimmed { first }) => {
                let before = Seq(first.0.saturating_sub(1));
                damaged = before.0.saturating_sub(self.read_upto.0);
                reader.seek(before);
                self.read_upto = before;
            }
            Err(error) => {
                self.reader = Some(reader);
                return Err(error);
            }
        }
        self.reader = Some(reader);
        self.commit();
        Ok(damaged)
    }

    /// The next entry to hand over.
    pub(super) fn peek(&self) -> Option<&Item> {
        self.next.front()
    }

    /// Takes the next entry; it counts as out until [`Queue::done`] or [`Queue::again`].
    pub(super) fn hand_over(&mut self) -> Option<Item> {
        let item = self.next.pop_front()?;
        self.out.insert(item.seq, item.clone());
        Some(item)
    }

    /// The server has custody (or the local quarantine has).
    pub(super) fn done(&mut self, seq: Seq) {
        self.out.remove(&seq);
        self.commit();
    }

    /// The server did not take it: it goes to the front of what is sent next.
    pub(super) fn again(&mut self, seq: Seq) {
        if let Some(item) = self.out.remove(&seq) {
            let at = self.next.partition_point(|other| other.seq < seq);
            self.next.insert(at, item);
        }
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Item> {
        self.out.get(&seq)
    }

    /// A connection ended: whatever is out goes back into the queue, in order.
    pub(super) fn rewind(&mut self) {
        while let Some((_, item)) = self.out.pop_last() {
            let at = self.next.partition_point(|other| other.seq < item.seq);
            self.next.insert(at, item);
        }
    }

    /// When the oldest entry that is not in custody was queued, as far as it has been read.
    pub(super) fn oldest(&self) -> Option<Time> {
        let out = self.out.values().next();
        let next = self.next.front();
        [out, next].into_iter().flatten().min_by_key(|item| item.seq).map(|item| item.queued_at)
    }

    /// Resolves when there is something new to read.
    pub(super) async fn changed(&mut self) {
        if self.head.changed().await.is_err() {
            // The journal is closed: nothing new will ever come.
            std::future::pending::<()>().await;
        }
    }

    fn commit(&mut self) {
        let first_open = [self.out.keys().next(), self.next.front().map(|item| &item.seq)];
        let upto = first_open.into_iter().flatten().min().map_or(self.read_upto, |seq| Seq(seq.0.saturating_sub(1)));
        if upto > self.committed {
            self.committed = upto;
            self.journal.commit_cursor(CURSOR, upto);
        }
    }

    /// Makes the cursor durable. Blocking.
    pub(super) fn flush(&self) -> Result<(), journal::Error> {
        self.journal.commit_cursor_sync(CURSOR, self.committed)
    }
}
