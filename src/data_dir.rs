//! Is this a data directory that a server has used? A file system that is not mounted looks like an empty one, and in an empty one nothing is wrong: whoever asks
//! about it is to hear that, not "all sound".

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use store::records::FILE;

/// Refuses a directory without `records.db`, and makes nothing there. For every command but `vigil serve` and `vigil demo`, which make what is not there.
pub fn must_be_used(dir: &Path) -> anyhow::Result<()> {
    if is_used(dir)? {
        return Ok(());
    }
    bail!("no {FILE} in {}: is it mounted? `vigil serve` makes a new one", dir.display())
}

/// What `vigil check-config` says of a data directory that is not used yet: right before the first start, wrong ever after.
pub(crate) fn warning(dir: &Path) -> Option<String> {
    match is_used(dir) {
        Ok(true) => None,
        Ok(false) if dir.is_dir() => Some(format!(
            "warning: no {FILE} in {}: right before the first start, which makes it; later it means that the directory is not mounted",
            dir.display()
        )),
        Ok(false) => {
            Some(format!("warning: the data directory {} does not exist: create it, or mount it", dir.display()))
        }
        Err(error) => Some(format!("warning: {error:#}")),
    }
}

/// `records.db` is there. An error when nobody can tell.
fn is_used(dir: &Path) -> anyhow::Result<bool> {
    match std::fs::metadata(dir.join(FILE)) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot look into the data directory {}", dir.display())),
    }
}
