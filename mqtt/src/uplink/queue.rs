//! One lane of the outbox as a queue of publishes: what is sent next, what was handed over, where to go on.
//!
//! A lane that is sent in order has one end: the oldest entry that waits. A lane with a history age has two. What is younger
//! than the age goes out in order from its oldest on ([`End::Live`]); what has waited longer goes out block by block,
//! the newest block first ([`End::Back`]), so that after an outage the present is shown before the past. Where the two
//! meet is found by the entries' times; an error there (a clock that jumped) costs order, never an entry: what is done is
//! kept by number in the [`Book`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::{Journal, Reader};
use model::entry::Flags;
use model::{Lane, Seq, Time};
use tokio::sync::watch;

use crate::outbox::{self, Book, Entry, Outbox};
use crate::wire;

/// Bytes read from the outbox at once.
const READ_BYTES: usize = 128 * 1024;
/// Entries of one block, and bytes after which it ends early: what a lane holds in memory is two of them and the window.
const BLOCK_ENTRIES: u64 = 128;
const BLOCK_BYTES: usize = 512 * 1024;

/// One publish on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) seq: Seq,
    pub(super) queued_at: Time,
    number: Option<(u32, u64)>,
    thinned: bool,
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

impl Item {
    /// As an entry again, for the local quarantine.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { queued_at, number, thinned, topic, payload, .. } = self;
        Entry { queued_at: *queued_at, number: *number, thinned: *thinned, topic, payload }.encode()
    }

    /// Says that the frame waited: same number, one flag more. A payload that is not a whole frame of ours goes as it is.
    fn say_history(&mut self) {
        let Ok(mut frame) = wire::decode(&self.payload) else { return };
        if frame.flags.has(Flags::HIST) || frame.unknown_metrics + frame.unknown_events > 0 {
            return;
        }
        frame.flags = Flags(frame.flags.0 | Flags::HIST);
        let json = self.payload.first() == Some(&b'{');
        self.payload = if json { wire::encode_json(&frame) } else { wire::encode_cbor(&frame) }.into();
    }
}

/// Which end of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Live,
    Back,
}

pub(super) struct Queue {
    journal: Journal,
    book: Arc<Book>,
    head: watch::Receiver<Seq>,
    /// Entries that have waited longer are history, microseconds. `None`: the lane is sent in order whatever it waited.
    history_after_us: Option<i64>,
    /// Taken out only while it reads on a blocking thread.
    reader: Option<Reader>,
    /// Claimed and being read: given back if the read never ends.
    reading: Option<(u64, u64)>,
    /// Where the live end goes on reading. 0: to be found.
    live_from: u64,
    live: VecDeque<Item>,
    back: VecDeque<Item>,
    /// Handed over and not in custody. Bounded by the window.
    out: BTreeMap<Seq, (End, Item)>,
    /// The oldest entry that waits, and since when.
    oldest: Option<(u64, Time)>,
}

/// What one read brought.
#[derive(Default)]
struct Block {
    items: Vec<Item>,
    /// Entries that cannot be read, both ends included.
    damaged: Vec<(u64, u64)>,
    /// All up to here was looked at.
    upto: u64,
}

impl Queue {
    pub(super) fn new(outbox: &Outbox, lane: Lane, history_after: Option<Duration>) -> Self {
        let journal = outbox.lane(lane).clone();
        let (head, reader) = (journal.watch(), journal.reader(Seq(0)));
        Self {
            book: Arc::clone(outbox.book(lane)),
            head,
            history_after_us: history_after.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX)),
            reader: Some(reader),
            reading: None,
            live_from: 0,
            live: VecDeque::new(),
            back: VecDeque::new(),
            out: BTreeMap::new(),
            oldest: None,
            journal,
        }
    }

    /// Reads more when nothing is at hand. Returns the number of entries that could not be read and are passed over.
    /// Must run to its end: a dropped call would lose the reader.
    pub(super) async fn fill(&mut self, now: Time) -> Result<u64, journal::Error> {
        let head = self.head.borrow_and_update().0;
        let cutoff = self.history_after_us.map_or(Time::MIN, |age| now.plus_us(-age));
        let mut damaged = 0;
        if self.live_from == 0 {
            self.live_from = self.meeting(cutoff).await?;
        }
        if self.live.is_empty()
            && self.live_from <= head
            && let Some((first, last)) = self.book.claim_first(self.live_from, head, BLOCK_ENTRIES)
        {
            let block = self.read_claimed(first, last).await?;
            damaged += self.settle(&block, last);
            if block.items.first().is_some_and(|item| item.queued_at < cutoff) {
                // Sending fell behind: the present goes first again.
                self.put_back(&block.items);
                self.live_from = self.meeting(cutoff).await?.max(block.upto + 1);
            } else {
                self.live_from = block.upto + 1;
                self.live.extend(block.items);
            }
        }
        if self.back.is_empty()
            && self.history_after_us.is_some()
            && let Some((first, last)) = self.book.claim_last(self.live_from.saturating_sub(1), BLOCK_ENTRIES)
        {
            let block = self.read_claimed(first, last).await?;
            damaged += self.settle(&block, last);
            self.back.extend(block.items);
        }
        self.look_for_oldest().await?;
        Ok(damaged)
    }

    /// The first entry that is younger than `cutoff`, by bisection over what waits; one past the head when all are older.
    async fn meeting(&mut self, cutoff: Time) -> Result<u64, journal::Error> {
        let head = self.head.borrow().0;
        let Some(oldest) = self.book.oldest() else { return Ok(head + 1) };
        let (mut low, mut high) = (oldest, head + 1);
        if self.history_after_us.is_none() {
            return Ok(oldest);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            // An entry that cannot be read counts as old: it is only looked at later.
            let young = self.time_of(middle).await?.is_some_and(|at| at >= cutoff);
            if young {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    async fn time_of(&mut self, number: u64) -> Result<Option<Time>, journal::Error> {
        Ok(self.read(number, number).await?.items.first().map(|item| item.queued_at))
    }

    async fn look_for_oldest(&mut self) -> Result<(), journal::Error> {
        let Some(oldest) = self.book.oldest() else {
            self.oldest = None;
            return Ok(());
        };
        if self.oldest.is_none_or(|(known, _)| known != oldest) {
            let items = self.out.values().map(|(_, item)| item).chain(&self.live).chain(&self.back);
            let at_hand = items.filter(|item| item.seq.0 == oldest).map(|item| item.queued_at).next();
            let at = match at_hand {
                Some(at) => Some(at),
                None => self.time_of(oldest).await?,
            };
            self.oldest = at.map(|at| (oldest, at));
        }
        Ok(())
    }

    /// Reads `first..=last`, less when it is much.
    async fn read(&mut self, first: u64, last: u64) -> Result<Block, journal::Error> {
        let mut reader = self.reader.take().unwrap_or_else(|| self.journal.reader(Seq(first - 1)));
        let read = tokio::task::spawn_blocking(move || {
            let block = read(&mut reader, first, last);
            (reader, block)
        });
        let (reader, block) = read.await.map_err(|_| journal::Error::Closed)?;
        self.reader = Some(reader);
        block
    }

    async fn read_claimed(&mut self, first: u64, last: u64) -> Result<Block, journal::Error> {
        self.reading = Some((first, last));
        let block = self.read(first, last).await;
        self.reading = None;
        block.inspect_err(|_| self.book.release(first, last))
    }

    /// Books what a claimed read has shown: the unread rest is free again, the damaged is done.
    fn settle(&self, block: &Block, last: u64) -> u64 {
        self.book.release(block.upto + 1, last);
        for (from, to) in &block.damaged {
            self.book.done(*from, *to);
        }
        block.damaged.iter().map(|(from, to)| to - from + 1).sum()
    }

    fn put_back<'a>(&self, items: impl IntoIterator<Item = &'a Item>) {
        for item in items {
            self.book.release(item.seq.0, item.seq.0);
        }
    }

    const fn end(&self, end: End) -> &VecDeque<Item> {
        match end {
            End::Live => &self.live,
            End::Back => &self.back,
        }
    }

    /// Something can be handed over from this end.
    pub(super) fn has(&self, end: End) -> bool {
        !self.end(end).is_empty()
    }

    /// Takes the next entry of one end; it counts as out until [`Queue::done`] or [`Queue::again`].
    pub(super) fn hand_over(&mut self, end: End, now: Time) -> Option<Item> {
        let items = match end {
            End::Live => &mut self.live,
            End::Back => &mut self.back,
        };
        let mut item = items.pop_front()?;
        if self.history_after_us.is_some_and(|age| item.queued_at < now.plus_us(-age)) {
            item.say_history();
        }
        self.out.insert(item.seq, (end, item.clone()));
        Some(item)
    }

    /// The server has custody (or the local quarantine has).
    pub(super) fn done(&mut self, seq: Seq) {
        self.out.remove(&seq);
        self.book.done(seq.0, seq.0);
    }

    /// The server did not take it: it goes to the front of what is sent next.
    pub(super) fn again(&mut self, seq: Seq) {
        if let Some((end, item)) = self.out.remove(&seq) {
            let items = match end {
                End::Live => &mut self.live,
                End::Back => &mut self.back,
            };
            // Those before it in the block come first; a later block is not there yet, or lies below.
            let at = items.iter().take_while(|other| other.seq < seq).count();
            items.insert(at, item);
        }
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Item> {
        self.out.get(&seq).map(|(_, item)| item)
    }

    /// A connection ended: nothing is out any more, and where the present begins is looked for anew.
    pub(super) fn rewind(&mut self) {
        if let Some((first, last)) = self.reading.take() {
            self.book.release(first, last);
        }
        let out = std::mem::take(&mut self.out);
        self.put_back(out.values().map(|(_, item)| item));
        self.put_back(&self.live);
        self.put_back(&self.back);
        self.live.clear();
        self.back.clear();
        self.live_from = 0;
    }

    /// When the oldest entry that is not in custody was queued, as of the last look.
    pub(super) fn oldest(&self) -> Option<Time> {
        let oldest = self.book.oldest()?;
        self.oldest.filter(|(known, _)| *known <= oldest).map(|(_, at)| at)
    }

    /// Resolves when there is something new to read.
    pub(super) async fn changed(&mut self) {
        if self.head.changed().await.is_err() {
            // The journal is closed: nothing new will ever come.
            std::future::pending::<()>().await;
        }
    }

    /// Makes what is done last over a restart. Blocking.
    pub(super) fn flush(&self) -> Result<(), journal::Error> {
        self.book.flush()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Whoever opens the lane next in this process finds nothing claimed.
        self.rewind();
    }
}

/// Blocking. Stops early when the block is large.
fn read(reader: &mut Reader, first: u64, last: u64) -> Result<Block, journal::Error> {
    let mut block = Block { upto: first - 1, ..Block::default() };
    let mut bytes_read = 0;
    if reader.position() != Seq(first - 1) {
        reader.seek(Seq(first - 1));
    }
    while block.upto < last && bytes_read < BLOCK_BYTES {
        let batch = match reader.read(READ_BYTES, Duration::ZERO) {
            Ok(batch) => batch,
            Err(journal::Error::Corrupt { seq, last: end }) => {
                block.damaged.push((seq.0, end.0.min(last)));
                block.upto = end.0.min(last);
                reader.seek(end);
                continue;
            }
            Err(journal::Error::Trimmed { first: kept }) => {
                let before = kept.0.saturating_sub(1).min(last);
                block.damaged.push((block.upto + 1, before));
                block.upto = before;
                reader.seek(Seq(before));
                continue;
            }
            Err(error) => return Err(error),
        };
        if batch.is_empty() {
            break;
        }
        for (seq, bytes) in batch.iter().take_while(|(seq, _)| seq.0 <= last) {
            block.upto = seq.0;
            bytes_read += bytes.len();
            match outbox::decode(bytes) {
                Some(entry) => block.items.push(Item {
                    seq,
                    queued_at: entry.queued_at,
                    number: entry.number,
                    thinned: entry.thinned,
                    topic: entry.topic.to_owned(),
                    payload: Bytes::copy_from_slice(entry.payload),
                }),
                None => block.damaged.push((seq.0, seq.0)),
            }
        }
    }
    Ok(block)
}
