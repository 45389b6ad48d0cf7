//! From a history and a moment to a directory: what is certainly there, and what may be.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::trace::{FileId, Op, Trace};

/// The unit in which a disk writes.
const SECTOR: usize = 512;
/// One surviving sector in so many is torn.
const TORN_ONE_IN: u32 = 32;

/// What is certain about one file, and what is not yet.
#[derive(Clone, Debug, Default)]
struct Image {
    exists: bool,
    data: Vec<u8>,
    /// Operations that no sync has covered, with their place in the history.
    pending: Vec<(usize, Arc<Op>)>,
}

impl Image {
    fn settle(&mut self, upto: usize) {
        let later = self.pending.split_off(self.pending.partition_point(|(at, _)| *at < upto));
        for (_, op) in std::mem::replace(&mut self.pending, later) {
            match &*op {
                Op::Create { .. } => self.exists = true,
                Op::Delete { .. } => self.delete(),
                Op::Write { offset, data, .. } => write(&mut self.data, *offset as usize, data),
                Op::Truncate { size, .. } => self.data.resize(*size as usize, 0),
                Op::Existing { .. } | Op::Sync { .. } | Op::Mark(_) => {}
            }
        }
    }

    /// The directory was synced: names are certain, contents are as uncertain as before.
    fn settle_name(&mut self) {
        if let Some(last) = self.pending.iter().rposition(|(_, op)| matches!(**op, Op::Delete { .. })) {
            self.pending.drain(..=last);
            self.delete();
        }
        let pending = self.pending.len();
        self.pending.retain(|(_, op)| !matches!(**op, Op::Create { .. }));
        self.exists |= self.pending.len() < pending;
    }

    fn delete(&mut self) {
        self.exists = false;
        self.data.clear();
    }

    /// One of the ways in which the file may be found. `None`: not there.
    fn found(&self, how: Survival, rng: &mut SmallRng) -> Option<Vec<u8>> {
        let mut found = Image { exists: self.exists, data: self.data.clone(), pending: Vec::new() };
        let whole = match how {
            Survival::Sectors(_) => 0,
            Survival::Prefix => rng.random_range(0..=self.pending.len()),
        };
        for (n, (_, op)) in self.pending.iter().enumerate() {
            let share = match how {
                Survival::Sectors(share) => share,
                Survival::Prefix if n < whole => 1.0,
                Survival::Prefix if n == whole => 0.5,
                Survival::Prefix => break,
            };
            match &**op {
                Op::Create { .. } => found.exists |= rng.random_bool(share),
                Op::Delete { .. } if rng.random_bool(share) => found.delete(),
                Op::Truncate { size, .. } if rng.random_bool(share) => found.data.resize(*size as usize, 0),
                Op::Write { offset, data, .. } => write_some(&mut found.data, *offset as usize, data, share, rng),
                _ => {}
            }
        }
        found.exists.then_some(found.data)
    }
}

/// How much of what was not synced survives.
#[derive(Clone, Copy, Debug)]
enum Survival {
    /// Each sector by itself, with this probability.
    Sectors(f64),
    /// The disk wrote in order, and stopped in the middle of one write.
    Prefix,
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if file.len() < offset + data.len() {
        file.resize(offset + data.len(), 0);
    }
    file[offset..offset + data.len()].copy_from_slice(data);
}

/// Writes a random subset of the sectors, some of them only in part.
fn write_some(file: &mut Vec<u8>, offset: usize, data: &[u8], share: f64, rng: &mut SmallRng) {
    let mut start = 0;
    while start < data.len() {
        // Sectors are counted from the start of the file, not of the write.
        let end = data.len().min(start + SECTOR - (offset + start) % SECTOR);
        if rng.random_bool(share) {
            let torn = share < 1.0 && rng.random_ratio(1, TORN_ONE_IN);
            let until = if torn { rng.random_range(start..end) } else { end };
            write(file, offset + start, &data[start..until]);
        }
        start = end;
    }
}

/// A disk after a power cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The cut came after so many operations of the trace.
    pub at: usize,
    /// Everything that was marked before the cut, in that order.
    pub marks: Vec<u64>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Cut {
    /// Lays the files out below `dir`, which must exist and should be empty.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        for (path, data) in &self.files {
            let path = dir.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, data)?;
        }
        Ok(())
    }
}

/// Power cuts, in the order of time.
#[derive(Debug)]
pub struct Cuts<'t> {
    trace: &'t Trace,
    root: PathBuf,
    rng: SmallRng,
    /// Moments still to come, latest first.
    moments: Vec<usize>,
    at: usize,
    images: Vec<Image>,
    marks: Vec<u64>,
}

impl<'t> Cuts<'t> {
    pub(crate) fn new(trace: &'t Trace, root: &Path, seed: u64, count: usize) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut moments: Vec<usize> = (0..count).map(|_| rng.random_range(0..=trace.ops.len())).collect();
        moments.sort_unstable_by(|a, b| b.cmp(a));
        let images = vec![Image::default(); trace.files.len()];
        // Recorded paths are what SQLite made of them: absolute, links resolved.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self { trace, root, rng, moments, at: 0, images, marks: Vec::new() }
    }

    fn replay(&mut self, op: &Arc<Op>) {
        match **op {
            Op::Mark(mark) => self.marks.push(mark),
            Op::Existing { file, ref data } => {
                self.images[file] = Image { exists: true, data: data.clone(), pending: Vec::new() };
            }
            Op::Create { file } | Op::Write { file, .. } | Op::Truncate { file, .. } => self.pend(file, op),
            Op::Delete { file, synced } => {
                self.pend(file, op);
                if synced {
                    self.sync_directory_of(file);
                }
            }
            Op::Sync { file, upto } => {
                let new = self.images[file].pending.iter().any(|(_, op)| matches!(**op, Op::Create { .. }));
                self.images[file].settle(upto);
                // SQLite syncs the directory together with a new log's or journal's first sync.
                if new {
                    self.sync_directory_of(file);
                }
            }
        }
    }

    fn pend(&mut self, file: FileId, op: &Arc<Op>) {
        self.images[file].pending.push((self.at, Arc::clone(op)));
    }

    fn sync_directory_of(&mut self, file: FileId) {
        let parent = self.trace.files[file].parent();
        for (image, path) in self.images.iter_mut().zip(&self.trace.files) {
            if path.parent() == parent {
                image.settle_name();
            }
        }
    }

    fn cut(&mut self) -> Cut {
        let how = match self.rng.random_range(0..6) {
            0 => Survival::Sectors(0.0),
            1 => Survival::Sectors(1.0),
            2 => Survival::Sectors(0.1),
            3 => Survival::Sectors(0.9),
            4 => Survival::Sectors(0.5),
            _ => Survival::Prefix,
        };
        let mut files = Vec::new();
        for (image, path) in self.images.iter().zip(&self.trace.files) {
            if let Ok(below) = path.strip_prefix(&self.root)
                && let Some(data) = image.found(how, &mut self.rng)
            {
                files.push((below.to_owned(), data));
            }
        }
        Cut { at: self.at, marks: self.marks.clone(), files }
    }
}

impl Iterator for Cuts<'_> {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        let moment = self.moments.pop()?;
        while self.at < moment {
            let op = Arc::clone(&self.trace.ops[self.at]);
            self.replay(&op);
            self.at += 1;
        }
        Some(self.cut())
    }
}
