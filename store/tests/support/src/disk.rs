//! No room left for a server: on a small disk that can be filled, where this user may mount one; and, by no right at all, for a single
//! table, whose file is the device that is always full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Postgres;
use crate::place::{Owner, Watchdog};

const UNMOUNT: &str = r#"umount -l "$1"; rmdir "$1" "${1%/*}""#;

/// A disk in memory that the server's user owns. It goes with the test.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    _watchdog: Watchdog,
    _folder: TempDir,
}

impl Disk {
    /// `None`, after saying so, where this user may not mount one: [`FullTable`] needs no right.
    pub fn of_mib(mib: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("vigil-disk-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let at = folder.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&at).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            eprintln!(
                "SKIPPED: this user may not mount a small disk; what a full disk does is shown by no_room_for_a_partition"
            );
            return None;
        }
        let watchdog = Watchdog::set(UNMOUNT, &at);
        let space = at.join("space");
        std::fs::create_dir(&space).unwrap();
        Owner::find()?.give(&space);
        Some(Self { at, _watchdog: watchdog, _folder: folder })
    }

    /// A folder on it for the server: for a tablespace.
    pub fn space(&self) -> PathBuf {
        self.at.join("space")
    }

    /// Takes all room that is left.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        let block = [0_u8; 4_096];
        while ballast.write_all(&block).is_ok() {}
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        Path::new(&self.at).join("ballast")
    }
}

/// An empty table for which there is no room: the system answers every write into it as a full disk does.
#[derive(Debug)]
pub struct FullTable<'a> {
    server: &'a Postgres,
    name: String,
    file: PathBuf,
}

impl<'a> FullTable<'a> {
    /// `name` with its schema; nobody has used it yet. The server must not be durable: the device cannot be synced.
    pub fn of(server: &'a Postgres, name: &str) -> Self {
        let file = server.file(&server.one(&format!("SELECT pg_relation_filepath('{name}')")));
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 0, "{name} is empty");
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        Self { server, name: name.to_owned(), file }
    }

    /// Now there is room.
    pub fn free(self) {
        std::fs::remove_file(&self.file).unwrap();
        self.server.give_empty(&self.file);
        // Sessions that have the device open look again.
        self.server.admin(&format!("ALTER TABLE {} SET (autovacuum_enabled = off)", self.name));
    }
}
