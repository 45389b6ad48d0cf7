//! Entries whose readings the store refuses for good: a file in the data directory, so that the rest goes on and nothing is lost.
//!
//! One JSON object a line: position in the journal, time, cause, and the entry's own bytes. It holds readings of persons: its
//! owner alone may read it, and no log line says what is in it.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Seq, Time};
use serde::Serialize;

/// The file in the data directory.
pub const REFUSED_FILE: &str = "readings-refused.ndjson";
/// Bytes it may have. When it is full the writer waits: so much that is refused has a cause that somebody must see to.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Serialize)]
struct Line<'a> {
    journal_seq: u64,
    at_us: i64,
    cause: &'a str,
    entry: String,
}

/// Where refused entries go.
#[derive(Debug)]
pub(crate) struct Aside(PathBuf);

impl Aside {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self(dir.join(REFUSED_FILE))
    }

    /// Durable when it returns. After a crash the same entry may be there twice.
    pub(super) fn put(&self, seq: Seq, entry: &[u8], cause: &str, now: Time) -> std::io::Result<()> {
        let line = Line { journal_seq: seq.0, at_us: now.0, cause, entry: STANDARD.encode(entry) };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        let mut file = File::options().create(true).read(true).append(true).mode(0o600).open(&self.0)?;
        let len = file.metadata()?.len();
        if len + line.len() as u64 > BYTES_MAX {
            return Err(Error::new(ErrorKind::StorageFull, "the file of refused readings is full"));
        }
        // A crash in the middle of a line must not cost the next one.
        let mut last = [b'\n'];
        if len > 0 {
            file.read_exact_at(&mut last, len - 1)?;
        }
        if last != [b'\n'] {
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_all()
    }

    /// Entries in the file.
    pub(crate) fn count(&self) -> u64 {
        let Ok(file) = File::open(&self.0) else { return 0 };
        BufReader::new(file).split(b'\n').map_while(Result::ok).count() as u64
    }
}
