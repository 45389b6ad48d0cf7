//! `vigil backup` of a server under load: a second server on the copy has every reading and alarm that was acknowledged before
//! the backup began, and goes on accepting. The same of a stopped server; and a target that is not empty is refused.

use std::path::Path;

use serde_json::Value;

use crate::load::{self, Session, Steady, caught_up, publish, readings_of, sos};
use crate::world::{Process, World, vigil};

/// Runs `vigil backup` beside the runtime. Status, standard output, standard error.
async fn backup(config: &Path, target: &Path) -> (bool, String, String) {
    let mut command = vigil(&["backup", "--config", config.to_str().unwrap(), target.to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// What must not change about an alarm when it is copied.
fn essence(alarms: &[Value]) -> Vec<Value> {
    let keys = ["id", "elder", "priority", "rule", "kind", "started_at", "raised_at", "repeats"];
    let mut all: Vec<Value> = alarms.iter().map(|alarm| keys.iter().map(|key| alarm[*key].clone()).collect()).collect();
    all.sort_by_key(Value::to_string);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_busy_server_is_complete_and_goes_on() {
    let world = World::new(3, 2);
    let config_file = world.config_file();
    let server = Process::start(&["serve", "--config", config_file.to_str().unwrap()]);
    let presser = &world.gateways[2];
    assert_eq!(publish(server.mqtt, presser, vec![(0, sos(presser, 0, 0)), (1, sos(presser, 1, 1))]).await, [0, 1]);
    let dispatcher = Session::open(server.console, "zuoxi").await;
    let alarms = dispatcher.alarms(server.console, 2).await;
    let loads: Vec<Steady> = world.gateways[..2].iter().map(|gateway| Steady::start(server.mqtt, gateway)).collect();
    for load in &loads {
        load.until(500).await;
    }

    let before: Vec<u64> = loads.iter().map(Steady::acked).collect();
    let target = world.dir.path().join("copy");
    let (done, said, complaint) = backup(&config_file, &target).await;
    assert!(done && said.contains("complete and sound"), "{said}{complaint}");
    assert!(!said.contains("no server is running"), "the running server made the copy: {said}");
    for (load, before) in loads.iter().zip(&before) {
        load.until(before + 100).await;
    }
    let (mut gateways, mut bases) = (Vec::new(), Vec::new());
    for load in loads {
        gateways.push(load.gateway.clone());
        bases.push(load.base);
        load.stop().await.1.expect("the backup cost a client its link");
    }

    // The first server still runs while the second opens the copy.
    let mut config = world.config();
    config.data_dir.clone_from(&target);
    let second = Process::start(&["serve", "--config", world.write_config(&config).to_str().unwrap()]);
    caught_up(second.console).await;
    let dispatcher = Session::open(second.console, "zuoxi").await;
    let copied = dispatcher.get(second.console, "/api/alarms?state=all").await;
    assert_eq!(essence(copied["alarms"].as_array().unwrap()), essence(&alarms));
    // Sent again: the copy knows what it has. Then something new.
    let again = (0..50).map(|seq| (seq, load::calm(&gateways[0], bases[0], seq))).collect();
    assert_eq!(publish(second.mqtt, &gateways[0], again).await.len(), 50);
    assert_eq!(publish(second.mqtt, presser, vec![(2, sos(presser, 0, 2))]).await, [2]);
    let first_new = before[1] + 1_000_000;
    let fresh: Vec<_> = (first_new..first_new + 10).map(|seq| (seq, load::calm(&gateways[1], bases[1], seq))).collect();
    assert_eq!(publish(second.mqtt, &gateways[1], fresh).await.len(), 10);
    caught_up(second.console).await;
    second.stop();
    server.stop();
    let readings = readings_of(&target);
    load::assert_stored(&readings, &gateways[0], bases[0], before[0]);
    let found = load::stored(&readings, &gateways[1], bases[1]);
    assert!(found.starts_with(&(0..before[1]).collect::<Vec<_>>()), "{} were acknowledged before", before[1]);
    assert!(found.len() as u64 >= before[1] + 10, "what came after is there too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_copied_and_a_used_folder_is_refused() {
    let world = World::new(1, 2);
    let config_file = world.config_file();
    let server = Process::start(&["serve", "--config", config_file.to_str().unwrap()]);
    let load = Steady::start(server.mqtt, &world.gateways[0]);
    load.until(200).await;
    let base = load.base;
    let (acked, ended) = load.stop().await;
    ended.unwrap();
    server.stop();
    let target = world.dir.path().join("copy");
    let (done, said, complaint) = backup(&config_file, &target).await;
    assert!(done && said.contains("no server is running") && said.contains("complete and sound"), "{said}{complaint}");

    let copied = std::fs::read(target.join("journal.db")).unwrap();
    let (done, said, complaint) = backup(&config_file, &target).await;
    assert!(!done && said.is_empty(), "{said}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.starts_with("vigil: ") && complaint.contains("is not empty"), "{complaint}");
    assert!(std::fs::read(target.join("journal.db")).unwrap() == copied, "the older copy was touched");

    let mut config = world.config();
    config.data_dir.clone_from(&target);
    let second = Process::start(&["serve", "--config", world.write_config(&config).to_str().unwrap()]);
    caught_up(second.console).await;
    second.stop();
    load::assert_stored(&readings_of(&target), &world.gateways[0], base, acked);
}
