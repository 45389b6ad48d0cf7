//! The file of refused readings ([`REFUSED_FILE`]) as those read it who come after the writer: line by line, and replaced as a whole.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, IntoInnerError, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Time;
use model::entry::Entry;
use serde::Deserialize;

use super::REFUSED_FILE;

/// What the file becomes before it takes its place.
pub(super) const NEXT_FILE: &str = "readings-refused.ndjson.next";
/// Bytes overwritten at a time.
const ZEROS: usize = 64 << 10;

/// One line: an entry of the journal, when and why it was refused.
#[derive(Deserialize)]
pub(super) struct Line {
    at_us: i64,
    pub(super) cause: String,
    entry: String,
}

impl Line {
    /// `None`: the line cannot be read, as after a crash in the middle of it.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    pub(super) const fn at(&self) -> Time {
        Time(self.at_us)
    }

    /// The entry's own bytes, if they are an entry.
    pub(super) fn entry(&self) -> Option<(Vec<u8>, Entry)> {
        let bytes = STANDARD.decode(&self.entry).ok()?;
        let entry = Entry::decode(&bytes).ok()?;
        Some((bytes, entry))
    }
}

/// Gives every line, with its end; none without a file.
pub(super) fn each_line<E: From<std::io::Error>>(
    dir: &Path,
    mut give: impl FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let file = match File::open(dir.join(REFUSED_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        give(&line)?;
        line.clear();
    }
    Ok(())
}

/// Removes what a crash left of a file that was to take the place of this one.
pub(super) fn clear(dir: &Path) -> Result<()> {
    match std::fs::remove_file(dir.join(NEXT_FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file as it will be, beside the one that is.
pub(super) struct Next<'a> {
    dir: &'a Path,
    kept: BufWriter<File>,
    lines: u64,
}

impl<'a> Next<'a> {
    pub(super) fn create(dir: &'a Path) -> Result<Self> {
        clear(dir)?;
        let file = File::options().create_new(true).write(true).mode(0o600).open(dir.join(NEXT_FILE))?;
        Ok(Self { dir, kept: BufWriter::new(file), lines: 0 })
    }

    pub(super) fn keep(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        self.kept.write_all(line)
    }

    /// Nothing was replaced, and nothing is left behind.
    pub(super) fn give_up(self) -> Result<()> {
        std::fs::remove_file(self.dir.join(NEXT_FILE))
    }

    /// Replaces the file, and overwrites the old one. Durable when it returns; after a crash the old file or the new one is there,
    /// whole. Without lines there is no file afterwards.
    pub(super) fn take_place(self) -> Result<()> {
        let Self { dir, kept, lines } = self;
        kept.into_inner().map_err(IntoInnerError::into_error)?.sync_all()?;
        let path = dir.join(REFUSED_FILE);
        let mut old = File::options().read(true).write(true).open(&path)?;
        std::fs::rename(dir.join(NEXT_FILE), &path)?;
        if lines == 0 {
            std::fs::remove_file(&path)?;
        }
        File::open(dir)?.sync_all()?;
        overwrite(&mut old)
    }
}

/// What is deleted is not left on the disk, as far as the file system writes in place.
fn overwrite(old: &mut File) -> Result<()> {
    let bytes = old.metadata()?.len();
    old.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut BufReader::with_capacity(ZEROS, std::io::repeat(0)).take(bytes), old)?;
    old.sync_all()
}
