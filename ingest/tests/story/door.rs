//! What a gateway is told over its own connection.

use std::sync::Arc;
use std::time::Duration;

use crate::waves::wave;
use crate::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_told_the_time_after_its_birth_and_what_was_refused() {
    let world = World::new();
    let at_door = Arc::new(world.ingest.clone());
    let config = mqtt::door::Config { listen: ([127, 0, 0, 1], 0).into(), ..mqtt::door::Config::default() };
    let (gate, intake, states) = (at_door.clone(), at_door.clone(), at_door);
    let door = mqtt::door::Door::bind(&config, gate, intake, states, world.clock.clone()).await.unwrap();
    world.ingest.attach(door.handle());
    let address = door.local_addr();
    world.tasks.spawn("mqtt.door", move |stop| door.run(stop));
    let token = world.token.clone();
    // A client of a few lines: the two messages must be what a gateway's own reader takes (gateway/src/down.rs).
    let heard = tokio::task::spawn_blocking(move || {
        let mut wire = std::net::TcpStream::connect(address).unwrap();
        let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        let login = [text("gw1"), text("gw1"), text(&token)].concat();
        send(&mut wire, 0x10, &[text("MQTT"), vec![4, 0xc2, 0, 60], login].concat());
        assert_eq!(packet(&mut wire), (0x20, vec![0, 0]));
        send(&mut wire, 0x82, &[vec![0, 1], text("vigil/1/home/gw1/d/#"), vec![1]].concat());
        assert_eq!(packet(&mut wire).0, 0x90);
        send(&mut wire, 0x30, &[text("vigil/1/home/gw1/st"), br#"{"state":"up"}"#.to_vec()].concat());
        let time = packet(&mut wire);
        send(
            &mut wire,
            0x30,
            &[text("vigil/1/home/gw1/u/wav/band"), wave(7, r#"{"hz":250}"#, "").payload.to_vec()].concat(),
        );
        [time, packet(&mut wire)].map(|(_, body)| {
            let (topic, rest) = body[2..].split_at(usize::from(body[1]));
            let json: serde_json::Value = serde_json::from_slice(&rest[2..]).unwrap();
            (String::from_utf8(topic.to_vec()).unwrap(), json)
        })
    });
    let [(time_topic, time), (ack_topic, ack)] = heard.await.unwrap();
    assert_eq!((&*time_topic, &*ack_topic), ("vigil/1/home/gw1/d/time", "vigil/1/home/gw1/d/ack"));
    assert_eq!(time, serde_json::json!({ "ms": NOON.millis() }));
    let rejected = serde_json::json!([{ "seq": 7, "code": "waveform" }]);
    assert_eq!(ack, serde_json::json!({ "e": 1, "lane": "wav", "upto": 0, "holes": [], "rej": rejected }));
    assert!(world.tasks.stop(Duration::from_secs(10)).await.is_empty());
}

fn send(wire: &mut std::net::TcpStream, kind: u8, body: &[u8]) {
    let length = [(body.len() % 128) as u8 | if body.len() > 127 { 0x80 } else { 0 }, (body.len() / 128) as u8];
    let length = &length[..if body.len() > 127 { 2 } else { 1 }];
    std::io::Write::write_all(wire, &[&[kind], length, body].concat()).unwrap();
}

/// The next packet of fewer than 16 KiB: its type (without flags) and its body.
fn packet(wire: &mut std::net::TcpStream) -> (u8, Vec<u8>) {
    let mut byte = || {
        let mut one = [0];
        std::io::Read::read_exact(wire, &mut one).unwrap();
        one[0]
    };
    let (kind, low) = (byte(), byte());
    let length = usize::from(low & 0x7f) + if low & 0x80 == 0 { 0 } else { 128 * usize::from(byte()) };
    (kind & 0xf0, std::iter::repeat_with(byte).take(length).collect())
}

/// A door in front of the world, and a socket of the world's gateway that is logged in.
async fn connected(world: &World) -> (mqtt::door::DoorHandle, tokio::net::TcpStream) {
    let at_door = Arc::new(world.ingest.clone());
    let config = mqtt::door::Config { listen: ([127, 0, 0, 1], 0).into(), ..mqtt::door::Config::default() };
    let door = mqtt::door::Door::bind(&config, at_door.clone(), at_door.clone(), at_door, world.clock.clone());
    let door = door.await.unwrap();
    let (handle, addr) = (door.handle(), door.local_addr());
    world.ingest.attach(door.handle());
    world.tasks.spawn("door", move |stop| door.run(stop));
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    let mut body = b"\0\x04MQTT\x04\xC2\0\x3C\0\x03gw1\0\x03gw1\0".to_vec();
    body.push(u8::try_from(world.token.len()).unwrap());
    body.extend_from_slice(world.token.as_bytes());
    let connect = [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut socket, &connect).await.unwrap();
    let mut connack = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    (handle, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_rights_change_is_put_out() {
    let world = World::new();
    let (door, mut socket) = connected(&world).await;
    world.ingest.refresh().unwrap();
    assert!(door.is_connected(world.gateway.gateway), "an unchanged registry disturbs nobody");
    world.records.rotate_token(world.gateway.gateway).unwrap();
    world.ingest.refresh().unwrap();
    // The link ends without waiting for the device.
    let mut rest = [0; 8];
    let ended = tokio::io::AsyncReadExt::read(&mut socket, &mut rest);
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap(), 0);
    assert_eq!(door.stats().closed(mqtt::door::CloseReason::Kicked), 1);
}
