//! What an operator can get wrong: a misspelt key, a busy port, a data directory that is missing, read-only, newer, damaged or
//! in use. Each time the server ends with status 1 and one sentence that says what is wrong, and changes nothing.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, vigil};

/// A server that does not refuse by then has started.
const REFUSED_WITHIN: Duration = Duration::from_mins(1);

/// Starts a server that must refuse: status 1, nothing on standard output, no panic. What it says on standard error.
pub(crate) fn refusal(config_file: &Path) -> String {
    let mut command = vigil(&["serve", "--config", config_file.to_str().unwrap()]);
    // Warnings about this machine (too few open files, say) are not the refusal.
    command.env("VIGIL_LOG", "error");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > REFUSED_WITHIN {
            child.kill().unwrap();
            panic!("the server started instead of refusing: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// As [`refusal`], and it is one line that holds all these words.
fn refused_in_one_line(config_file: &Path, words: &[&str]) {
    let said = refusal(config_file);
    assert_eq!(said.lines().count(), 1, "one sentence is enough: {said}");
    assert!(said.starts_with("vigil: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

/// Every file below a data directory but sockets, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// A world whose server has run once: all three databases are there.
fn used() -> World {
    let world = World::new(1, 1);
    world.spawn().stop();
    world
}

#[test]
fn a_misspelt_key_is_named_with_its_place() {
    let world = World::new(1, 1);
    let text = toml::to_string(&world.config()).unwrap();
    let wrong = text.replacen("receive_max =", "recieve_max =", 1);
    assert_ne!(text, wrong);
    let line = wrong.lines().position(|line| line.starts_with("recieve_max")).unwrap() + 1;
    let file = world.dir.path().join("wrong.toml");
    std::fs::write(&file, wrong).unwrap();
    let said = refusal(&file);
    let line = format!("line {line}");
    for word in [file.to_str().unwrap(), &line, "recieve_max", "receive_max", "expected"] {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_refused() {
    let world = World::new(1, 1);
    let mut config = world.config();
    config.ingest.tick_s = 0;
    let file = world.write_config(&config);
    refused_in_one_line(&file, &[file.to_str().unwrap(), "tick_s", "1 to 60"]);
    let missing = world.dir.path().join("nothing.toml");
    refused_in_one_line(&missing, &["cannot read the configuration", missing.to_str().unwrap()]);
}

#[test]
fn a_busy_port_is_named() {
    let world = World::new(1, 1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let before = files(&world.data_dir());
    let mut config = world.config();
    config.console.listen = addr.to_string();
    refused_in_one_line(&world.write_config(&config), &[&addr.to_string()]);
    let unchanged = |(path, bytes): (&PathBuf, &Vec<u8>)| std::fs::read(path).unwrap() == *bytes;
    assert!(before.iter().all(unchanged), "the console's port is tried before anything is written");
    let mut config = world.config();
    config.mqtt.listen = addr;
    refused_in_one_line(&world.write_config(&config), &[&addr.to_string(), "MQTT"]);
}

#[test]
fn a_missing_data_directory_is_named() {
    let world = World::new(1, 1);
    let mut config = world.config();
    config.data_dir = world.dir.path().join("nowhere");
    refused_in_one_line(&world.write_config(&config), &["nowhere", "does not exist"]);
    assert!(!config.data_dir.exists(), "it is not made silently");
}

#[test]
fn a_read_only_data_directory_is_named() {
    let world = World::new(1, 1);
    let dir = world.data_dir();
    let before = files(&dir);
    // Permissions do not bind root: for root the directory is mounted read-only over itself.
    let mounted = Mount::read_only(&dir);
    if mounted.is_none() {
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    }
    let mut config = world.config();
    if std::fs::write(dir.join("probe"), "").is_ok() {
        // Root without the right to mount: no file can be made here by anybody.
        std::fs::remove_file(dir.join("probe")).unwrap();
        config.data_dir = "/proc/sys".into();
    }
    let words = [config.data_dir.to_str().unwrap(), "make it writable"];
    refused_in_one_line(&world.write_config(&config), &words);
    assert_eq!(files(&dir), before);
    drop(mounted);
    // So that the directory can be removed.
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn data_of_a_newer_version_are_refused_and_left_alone() {
    let newer = "PRAGMA user_version = 9999";
    let migrated = "INSERT INTO migration SELECT 9999, sha256, at FROM migration LIMIT 1";
    for (name, change) in [("journal.db", newer), ("records.db", migrated), ("readings.db", newer)] {
        let world = used();
        let dir = world.data_dir();
        rusqlite::Connection::open(dir.join(name)).unwrap().execute_batch(change).unwrap();
        let before = files(&dir);
        refused_in_one_line(&world.config_file(), &[name, "9999", "newer"]);
        for (path, bytes) in before.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "db")) {
            assert!(std::fs::read(path).unwrap() == *bytes, "{} was changed because of {name}", path.display());
        }
    }
}

#[test]
fn a_damaged_database_is_named_and_left_alone() {
    for name in ["journal.db", "records.db", "readings.db"] {
        // Noise from the first byte on; and the head of a database whose rest is noise.
        for from in [0, 100] {
            let world = used();
            let path = world.data_dir().join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.iter_mut().skip(from).enumerate().for_each(|(i, byte)| *byte = (i * 7 + 13) as u8);
            std::fs::write(&path, &bytes).unwrap();
            refused_in_one_line(&world.config_file(), &[name]);
            assert!(std::fs::read(&path).unwrap() == bytes, "{name} was changed");
        }
    }
}

#[test]
fn a_data_directory_has_one_server() {
    let world = World::new(1, 1);
    let first = world.spawn();
    refused_in_one_line(&world.config_file(), &["in use", world.data_dir().to_str().unwrap()]);
    first.stop();
}

/// A mount, undone when dropped. Only root may mount.
pub(crate) struct Mount(PathBuf);

impl Mount {
    fn run(words: &[&str], at: &Path) -> bool {
        let output = Command::new("mount").args(words).arg(at).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// The directory, read-only. `None` when this user may not mount.
    fn read_only(dir: &Path) -> Option<Self> {
        let bound = Self::run(&["--bind", dir.to_str().unwrap()], dir);
        let mount = bound.then(|| Self(dir.to_owned()))?;
        Self::run(&["-o", "remount,ro,bind"], dir).then_some(mount)
    }

    /// A file system of so many MiB in memory. `None` when this user may not mount.
    pub(crate) fn small(dir: &Path, mib: u32) -> Option<Self> {
        let size = format!("size={mib}m");
        Self::run(&["-t", "tmpfs", "-o", &size, "vigil-test"], dir).then(|| Self(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that a failed test left behind may still hold it.
        let _done = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
