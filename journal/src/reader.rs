//! Reading in order: from memory when the reader keeps up, from the file when it does not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::Seq;
use rusqlite::Connection;

use crate::record::Records;
use crate::tail::Block;
use crate::{Error, Shared, file};

/// A position in the log. Any number of readers may exist; each is used by one thread.
///
/// A reader holds nothing back from being trimmed: that is what a registered cursor does.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    position: Seq,
    /// The group being read and how far into it, in bytes.
    current: Option<(Arc<Block>, usize)>,
    /// Groups that were loaded from the file together with an earlier one.
    ahead: VecDeque<Arc<Block>>,
    /// Own connection, opened by the first read that needs the file.
    conn: Option<Connection>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, position: Seq) -> Self {
        Self { shared, position, current: None, ahead: VecDeque::new(), conn: None }
    }

    /// The last entry that was read.
    pub const fn position(&self) -> Seq {
        self.position
    }

    /// Goes on after `position`, without reading what lies between.
    pub fn seek(&mut self, position: Seq) {
        self.position = position;
        self.current = None;
        self.ahead.clear();
    }

    /// The next entries, in order and without a gap: about `bytes_max` bytes of them but at least one, or none if nothing
    /// comes within `wait`. Blocks; never call it on an async task.
    ///
    /// The errors [`Error::Corrupt`], [`Error::Trimmed`] and [`Error::Ahead`] come again until the reader is moved.
    pub fn read(&mut self, bytes_max: usize, wait: Duration) -> Result<Batch, Error> {
        let ends = self.shared.tail.wait_past(self.position, wait);
        let mut batch = Batch::default();
        if self.position > ends.head {
            return Err(Error::Ahead { position: self.position, head: ends.head });
        }
        if self.position == ends.head {
            return if ends.closed { Err(Error::Closed) } else { Ok(batch) };
        }
        if self.position.0 + 1 < ends.first.0 {
            return Err(Error::Trimmed { first: ends.first });
        }
        let mut left = bytes_max;
        while self.position < ends.head && (left > 0 || batch.is_empty()) {
            match self.next_block(ends.head, left) {
                Ok((block, offset)) => self.take(&mut batch, block, offset, &mut left),
                // What was read before the trouble is handed out first.
                Err(_) if !batch.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(batch)
    }

    /// Moves records from one group into the batch.
    fn take(&mut self, batch: &mut Batch, block: Arc<Block>, offset: usize, left: &mut usize) {
        let first = Seq(self.position.0 + 1);
        let there = (block.first.0 + u64::from(block.count) - first.0) as u32;
        let rest = block.blob.len() - offset;
        let (count, end) = if rest <= *left {
            (there, block.blob.len())
        } else {
            let mut records = Records::new(&block.blob[offset..], first, there);
            let mut count = 0;
            while count < there && (count == 0 && batch.is_empty() || rest - records.rest() < *left) {
                records.next();
                count += 1;
            }
            (count, block.blob.len() - records.rest())
        };
        *left = left.saturating_sub(end - offset);
        self.position = Seq(self.position.0 + u64::from(count));
        self.current = (self.position < block.last).then(|| (Arc::clone(&block), end));
        batch.len += count as usize;
        batch.parts.push(Part { block, offset, first, count });
    }

    /// The group that holds the next entry, and where in it that entry starts.
    fn next_block(&mut self, head: Seq, bytes: usize) -> Result<(Arc<Block>, usize), Error> {
        let next = Seq(self.position.0 + 1);
        let (block, offset) = if let Some(current) = self.current.take() {
            current
        } else {
            let block = self.find(next, head, bytes)?;
            let offset = start_of(&block, next);
            (block, offset)
        };
        if next.0 >= block.first.0 + u64::from(block.count) {
            return Err(Error::Corrupt { seq: next, last: block.last });
        }
        Ok((block, offset))
    }

    fn find(&mut self, next: Seq, head: Seq, bytes: usize) -> Result<Arc<Block>, Error> {
        while let Some(block) = self.ahead.pop_front() {
            if block.holds(next) {
                return Ok(block);
            }
        }
        if let Some(block) = self.shared.tail.find(next) {
            return Ok(block);
        }
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.shared.place.connect_to_read()?,
        };
        let loaded = file::load(&conn, next, head, bytes).map_err(|source| self.shared.place.error("read", source))?;
        self.conn = Some(conn);
        self.ahead = loaded.into_iter().map(Arc::new).collect();
        match self.ahead.pop_front() {
            Some(block) if block.holds(next) => Ok(block),
            // Trimmed between the look at the ends and the look at the file.
            _ if self.shared.tail.ends().first > next => Err(Error::Trimmed { first: self.shared.tail.ends().first }),
            other => {
                Err(Error::Corrupt { seq: next, last: other.map_or(next, |block| Seq(block.first.0 - 1).max(next)) })
            }
        }
    }
}

/// Where in the group's bytes `seq` starts.
fn start_of(block: &Block, seq: Seq) -> usize {
    let before = (seq.0 - block.first.0).min(u64::from(block.count)) as u32;
    let mut records = Records::new(&block.blob, block.first, before);
    records.by_ref().for_each(drop);
    block.blob.len() - records.rest()
}

/// Entries read together. Cheap to clone and to send: it shares the groups' memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    parts: Vec<Part>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Part {
    block: Arc<Block>,
    offset: usize,
    first: Seq,
    count: u32,
}

impl Batch {
    pub fn iter(&self) -> impl Iterator<Item = (Seq, &[u8])> {
        self.parts.iter().flat_map(|part| Records::new(&part.block.blob[part.offset..], part.first, part.count))
    }

    /// The last entry's position: what to commit once the batch is dealt with.
    pub fn last(&self) -> Option<Seq> {
        self.parts.last().map(|part| Seq(part.first.0 + u64::from(part.count) - 1))
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
