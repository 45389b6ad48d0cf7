//! The readings store stops for a while under load, or for good while the server is killed. Alarms, SOS and pages keep
//! flowing, PUBACKs go on, and afterwards everything is stored.

use std::time::Duration;

use model::{Event, EventKind, Lane, Metric, Quality, Sample, Time};
use mqtt::load::LoadClient;
use runtime::Clock;
use vigil::bench::phone::{Call, Phone};

use crate::load::{STUCK, caught_up, publish, sos};
use crate::world::{Process, World, frame};

const FRAMES: u64 = 2_000;
/// By the shipped policy people are paged again from here on.
const SECOND_STEP_US: i64 = 30_000_000;

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

/// A page of an alarm that is not in `known`.
async fn page(phone: &Phone, known: &[Call]) -> Call {
    let mut count = phone.watch();
    let found = async {
        loop {
            let calls = phone.calls();
            if let Some(call) = calls.iter().find(|call| known.iter().all(|one| one.alarm != call.alarm)) {
                return call.clone();
            }
            count.changed().await.unwrap();
        }
    };
    tokio::time::timeout(STUCK, found).await.expect("nobody is paged")
}

/// Somebody else holds the readings database for good: nothing can be stored. The server is killed right after it acknowledged
/// an SOS, and again after it paged one.
#[tokio::test(flavor = "multi_thread")]
async fn an_sos_pages_while_nothing_can_be_stored_and_the_server_is_killed() {
    let world = World::new(1, 3);
    let gateway = &world.gateways[0];
    let phone = Phone::bind().await.unwrap();
    let file = world.config_file();
    // As text: a configuration that is written out does not give its secrets away.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[alerting.channels.webhook]\n{}", phone.config())).unwrap();
    let serve = || Process::start(&["serve", "--config", file.to_str().unwrap()]);
    // The first start makes the databases.
    serve().stop();
    let readings = rusqlite::Connection::open(world.data_dir().join("readings.db")).unwrap();
    readings.execute_batch("BEGIN IMMEDIATE").unwrap();

    let server = serve();
    assert_eq!(publish(server.mqtt, gateway, vec![(0, sos(gateway, 0, 0))]).await, [0]);
    server.kill();
    let server = serve();
    let first = page(&phone, &[]).await;
    assert_eq!(publish(server.mqtt, gateway, vec![(1, sos(gateway, 1, 1))]).await, [1]);
    let second = page(&phone, std::slice::from_ref(&first)).await;
    server.kill();
    let server = serve();
    assert_eq!(publish(server.mqtt, gateway, vec![(2, sos(gateway, 2, 2))]).await, [2]);
    let third = page(&phone, &[first.clone(), second.clone()]).await;
    for (which, call) in [("over a kill", &first), ("the next", &second), ("after another kill", &third)] {
        eprintln!("{which}: paged {} ms after the press", call.came_at.since_us(call.pressed_at) / 1_000);
    }
    // One page an alarm in its first step, whatever was killed; under the same number when it went out twice.
    for alarm in [first.alarm, second.alarm, third.alarm] {
        let in_first_step =
            |call: &Call| call.alarm == alarm && call.came_at.since_us(call.pressed_at) < SECOND_STEP_US;
        let ids: std::collections::HashSet<_> =
            phone.calls().into_iter().filter(in_first_step).map(|call| call.id).collect();
        assert!(ids.len() <= 1, "{ids:?}");
    }
    readings.execute_batch("ROLLBACK").unwrap();
    caught_up(server.console).await;
    server.stop();
}
