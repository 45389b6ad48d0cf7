//! How far the stored records of each glucose meter have been fetched: the one thing this link keeps on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::Name;

use crate::{Error, whole};

const FILE: &str = "ble-records.json";

/// The sequence number after the last record that is durable in the outbox, by device.
#[derive(Debug)]
pub(super) struct Progress {
    path: PathBuf,
    next: Mutex<BTreeMap<Name, u16>>,
}

impl Progress {
    /// Reads what earlier lives of the gateway have written. A file that cannot be read is an error: records would come twice.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let fault = |source| Error::Dir { path: path.clone(), source };
        let next = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| fault(error.into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(fault(error)),
        };
        Ok(Self { path, next: Mutex::new(next) })
    }

    pub(super) fn next(&self, device: &Name) -> Option<u16> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).get(device).copied()
    }

    /// Notes that everything before `next` is durable; `None`: nothing is. On disk when this returns. Blocking.
    pub(super) fn set(&self, device: &Name, next: Option<u16>) -> Result<(), Error> {
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match next {
            Some(next) => all.insert(device.clone(), next),
            None => all.remove(device),
        };
        if before == next {
            return Ok(());
        }
        let text = serde_json::to_vec(&*all).map_err(std::io::Error::from);
        let written = text.and_then(|text| whole::replace(&self.path, &text));
        written.map_err(|source| Error::Dir { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_and_damage_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let meter = Name::new("meter-1").unwrap();
        let progress = Progress::open(dir.path()).unwrap();
        progress.set(&meter, Some(17)).unwrap();
        assert_eq!(Progress::open(dir.path()).unwrap().next(&meter), Some(17));
        progress.set(&meter, None).unwrap();
        assert_eq!(Progress::open(dir.path()).unwrap().next(&meter), None);
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(Progress::open(dir.path()).is_err());
    }
}
