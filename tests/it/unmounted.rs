//! A data directory that is not mounted looks empty. No command calls it sound, and none but the server makes anything there.

use std::path::Path;

use crate::world::{World, vigil};

/// Exit status, standard output and standard error together.
fn run(words: &[&str]) -> (bool, String) {
    let output = vigil(words).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

/// A configuration whose data directory holds nothing, and the folder of both.
fn empty() -> (tempfile::TempDir, std::path::PathBuf, String) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = dir.path().join("vigil.toml");
    std::fs::write(&file, toml::to_string(&config::Server::in_dir(data.clone())).unwrap()).unwrap();
    (dir, data, file.to_str().unwrap().to_owned())
}

#[test]
fn no_command_takes_an_empty_directory_for_a_healthy_one() {
    let (dir, data, config) = empty();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in [("in.csv", ""), ("map.toml", ""), ("push.toml", ""), ("rota.toml", "")] {
        std::fs::write(file(name), text).unwrap();
    }
    let (out, csv, map, push, rota) =
        (file("out"), file("in.csv"), file("map.toml"), file("push.toml"), file("rota.toml"));
    let commands: [&[&str]; 19] = [
        &["doctor"],
        &["doctor", "--repair"],
        &["backup", &out],
        &["export", "--all", "--out", &out],
        &["import", "--csv", &csv, "--map", &map],
        &["migrate-store", "--from", "embedded", "--to", "timescale"],
        &["migrate-store", "--give-up"],
        &["readings", "refused"],
        &["readings", "refused", "--retry"],
        &["forget-elder", "1"],
        &["forget-elder", "1", "--yes"],
        &["add", "team", "--name", "一队"],
        &["add", "elder", "--name", "王秀兰"],
        &["roster", "show", "--team", "一队"],
        &["roster", "save", "--file", &rota],
        &["push", "status"],
        &["push", "config", "--gateway", "gw1", "--file", &push],
        &["simulate", "--for-s", "1"],
        &["replay", "--csv", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/unmounted.csv"), "--elder", "1"],
    ];
    for words in commands {
        let (done, said) = run(&[words, &["--config", &config]].concat());
        let why = format!("no records.db in {}: is it mounted? `vigil serve` makes a new one", data.display());
        assert!(!done && said.contains(&why), "{words:?}: {said}");
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "{words:?} made something");
        assert!(!Path::new(&out).exists(), "{words:?}");
    }
    std::fs::remove_dir(&data).unwrap();
    for words in [&["doctor"][..], &["readings", "refused"], &["export", "--all", "--out", &out]] {
        let (done, said) = run(&[words, &["--config", &config]].concat());
        assert!(!done && said.contains("is it mounted?"), "{words:?}: {said}");
    }
}

#[test]
fn a_configuration_for_the_first_start_is_good_and_says_what_is_not_there() {
    let (_dir, data, config) = empty();
    let (good, said) = run(&["check-config", &config]);
    assert!(good && said.contains("is a good server configuration"), "{said}");
    assert!(said.contains("warning: no records.db in") && said.contains("mounted"), "{said}");
    std::fs::remove_dir(&data).unwrap();
    let (good, said) = run(&["check-config", &config]);
    assert!(good && said.contains("does not exist: create it, or mount it"), "{said}");
    let used = World::new(1, 1);
    let (good, said) = run(&["check-config", used.config_file().to_str().unwrap()]);
    assert!(good && !said.contains("warning"), "{said}");
}

#[test]
fn the_doctor_makes_no_file_and_misses_one_that_was_there() {
    let world = World::new(1, 1);
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let (sound, said) = run(&["doctor", "--config", config]);
    assert!(sound && said.contains("no server has run here") && said.contains("all sound"), "{said}");
    let made = |name: &str| world.data_dir().join(name).exists();
    assert!(!made("journal.db") && !made("readings.db"));
    let server = world.spawn();
    server.stop();
    assert!(run(&["doctor", "--config", config]).0);
    for name in ["readings.db", "journal.db"] {
        std::fs::remove_file(world.data_dir().join(name)).unwrap();
        let (sound, said) = run(&["doctor", "--config", config]);
        assert!(!sound && said.contains(&format!("no {name}, and a server has run here")), "{said}");
        assert!(!made(name));
    }
}
