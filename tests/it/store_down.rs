//! The readings store stops for a while under load. Alarms and SOS keep flowing, PUBACKs go on, and afterwards everything
//! is stored.

use std::time::Duration;

use model::{Event, EventKind, Lane, Metric, Quality, Sample, Time};
use mqtt::load::LoadClient;
use runtime::Clock;

use crate::world::{World, frame};

const FRAMES: u64 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn alarms_flow_while_the_readings_store_stands_still() {
    let world = World::new(1, 4);
    let server = world.serve().await;
    let gateway = world.gateways[0].clone();
    let mut events = server.parts.records.watch_alarm_events();
    server.parts.readings.pause_writes(true);
    let mut client =
        LoadClient::connect(server.mqtt_addr, gateway.name.as_str(), gateway.name.as_str(), gateway.token.as_bytes())
            .await
            .unwrap();
    let base = Clock::system().now().plus_us(-200_000_000);
    let mut acked = Vec::new();
    for seq in 0..FRAMES {
        while client.waiting() >= 50 {
            client.turn(Duration::from_millis(100), &mut acked).await.unwrap();
        }
        let (topic, payload) = vitals(&gateway, seq, base);
        client.queue(&topic, &payload, seq).unwrap();
    }
    let press = vec![Event { kind: EventKind::Sos, at: base }];
    let (topic, payload) = frame(&gateway, 0, Lane::Sos, 0, vec![], press);
    client.queue(&topic, &payload, FRAMES).unwrap();
    while client.waiting() > 0 {
        client.turn(Duration::from_millis(100), &mut acked).await.unwrap();
    }
    assert_eq!(acked.len() as u64, FRAMES + 1, "every publish is acknowledged while the store stands still");
    // The SOS and the desaturation are on the list, and nothing is stored.
    let expected = ["sos", "spo2_low"];
    loop {
        let open = server.parts.records.alarms_open(100).unwrap();
        if expected.iter().all(|rule| open.iter().any(|alarm| alarm.rule.starts_with(rule))) {
            break;
        }
        tokio::time::timeout(Duration::from_secs(20), events.changed()).await.expect("the alarms do not come").unwrap();
    }
    assert_eq!(server.parts.readings.count(), 0);
    server.parts.readings.pause_writes(false);
    tokio::time::timeout(Duration::from_secs(30), async {
        while server.parts.readings.count() < FRAMES {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("what was acknowledged must be stored when the store is back");
    assert_eq!(server.parts.readings.count(), FRAMES);
    server.stop().await;
}

/// One reading a frame, four elders in turn; the second elder's oxygen is low all the time.
fn vitals(gateway: &vigil::seed::Gateway, seq: u64, base: Time) -> (String, Vec<u8>) {
    let device = seq as usize % 4;
    let at = base.plus_us(seq as i64 / 4 * 300_000);
    let sample = Sample::new(Metric::Spo2, at, if device == 1 { 85.0 } else { 97.0 }, Quality::Ok);
    frame(gateway, device, Lane::Vit, seq, vec![sample], vec![])
}
