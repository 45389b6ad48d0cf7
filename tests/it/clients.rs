//! Clients that are not ours talk to the front door: mosquitto's and paho.

use std::process::{Command, Stdio};
use std::time::Duration;

use model::{Lane, Name};
use mqtt::{topic, wire};

use crate::world::{World, tool};

fn frame_text() -> String {
    String::from_utf8(wire::encode_json(&wire::typical_frame(3))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_publishes_and_subscribes() {
    let Some(publisher) = tool("mosquitto_pub") else { return };
    let world = World::new(2, 1);
    let server = world.serve().await;
    let gateway = &world.gateways[0];
    let port = server.mqtt_addr.port().to_string();
    let up = topic::up(&gateway.site, &gateway.name, Lane::Vit, &gateway.devices[0]);
    let base = ["-h", "127.0.0.1", "-p", &port, "-i", gateway.name.as_str(), "-u", gateway.name.as_str()];
    let publish = |version: &str, token: &str, topic: &str, payload: &str| {
        Command::new(&publisher)
            .args(base)
            .args(["-P", token, "-V", version, "-q", "1", "-t", topic, "-m", payload])
            .output()
            .unwrap()
    };
    for version in ["mqttv311", "mqttv5"] {
        let output = publish(version, &gateway.token, &up, &frame_text());
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output = publish("mqttv5", "a wrong token", &up, "{}");
    assert!(!output.status.success(), "a wrong token must be refused");
    let other = topic::up(&gateway.site, &world.gateways[1].name, Lane::Vit, &gateway.devices[0]);
    publish("mqttv5", &gateway.token, &other, &frame_text());
    let counters = server.parts.ingest.counters();
    assert_eq!(
        counters.get("frames").unwrap() + counters.get("duplicate_frames").unwrap(),
        2,
        "not for another gateway"
    );

    let down = topic::down_filter(&gateway.site, &gateway.name);
    let subscriber = Command::new("mosquitto_sub")
        .args(base)
        .args(["-P", &gateway.token, "-V", "mqttv5", "-q", "1", "-t", &down, "-C", "1", "-W", "20", "-F", "%t %p"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = server.parts.records.gateway_by_name(&gateway.name).unwrap().unwrap().id;
    // `down` says whether the gateway is there and subscribed.
    while !server.parts.door.down(id, "cmd", "ring".into(), 1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = tokio::task::spawn_blocking(move || subscriber.wait_with_output()).await.unwrap().unwrap();
    let expected = format!("{} ring\n", topic::down(&gateway.site, &gateway.name, topic::Down::Command));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_from_pypi_publishes_and_is_told_why_not() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/paho/bin/python");
    let Some(python) = tool(python) else { return };
    let world = World::new(1, 1);
    let server = world.serve().await;
    let gateway = world.gateways[0].clone();
    let up = topic::up(&gateway.site, &gateway.name, Lane::Vit, &Name::new("d000").unwrap());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/paho_client.py");
    let mut command = Command::new(python);
    command.args([
        script,
        &server.mqtt_addr.port().to_string(),
        gateway.name.as_str(),
        &gateway.token,
        &up,
        &frame_text(),
    ]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "v3.1.1 acknowledged\nv5 Success\nv5 Payload format invalid\n");
    assert_eq!(server.parts.records.quarantine_list(10).unwrap().len(), 1, "the refused frame is kept");
    server.stop().await;
}
