//! The harness is right: plain rumqttc, with every `publish().await` Ok, loses on the scripts our uplink must survive.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, MqttOptions};
use tokio::task::JoinSet;

use crate::broker::{Answer, Broker, Script};

const MESSAGES: u32 = 1_000;
const LAST: &[u8] = b"last";

/// Publishes all, then starts the loop; after the reconnect publishes one more. What has not arrived when that one
/// arrives (or does not arrive at all) is lost: rumqttc sends in order.
async fn run(script: Script, clean: bool, last_arrives: bool) -> usize {
    let mut broker = Broker::start(script).await;
    let mut options = MqttOptions::new("plain", "127.0.0.1", broker.addr.port());
    options.set_clean_start(clean).set_session_expiry_interval(Some(3_600)).set_outgoing_inflight_upper_limit(20);
    let (client, mut event_loop) = AsyncClient::new(options, MESSAGES as usize * 2);
    for id in 0..MESSAGES {
        client.publish("t", QoS::AtLeastOnce, false, id.to_be_bytes().to_vec()).await.unwrap();
    }
    let mut turning = JoinSet::new();
    turning.spawn(async move {
        loop {
            if event_loop.poll().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    broker.until("a reconnect", |held| held.connections >= 2).await;
    client.publish("t", QoS::AtLeastOnce, false, LAST).await.unwrap();
    let last = |held: &crate::broker::Held| held.payloads.contains_key(LAST);
    if last_arrives {
        broker.until("the last message", last).await;
    } else {
        assert!(!broker.holds(Duration::from_secs(1), last).await, "it is not frozen");
    }
    MESSAGES as usize - broker.look(|held| held.payloads.keys().filter(|payload| payload.as_slice() != LAST).count())
}

#[tokio::test]
async fn l1_broker_dies_and_forgets_the_session() {
    for clean in [true, false] {
        let script = Script { cuts: vec![200], freeze: Duration::from_millis(100), ..Script::default() };
        let lost = run(script, clean, true).await;
        assert!(lost > 0, "clean start {clean}: nothing was lost");
    }
}

#[tokio::test]
async fn l2_link_breaks_and_the_broker_is_well() {
    let script = Script { cuts: vec![200], keep_session: true, ..Script::default() };
    assert!(run(script, true, true).await > 0, "nothing was lost");
}

#[tokio::test]
async fn l3_link_breaks_and_the_session_is_kept() {
    let rtt = Duration::from_millis(20);
    let script = Script { cuts: vec![200], keep_session: true, rtt, ..Script::default() };
    assert!(run(script, false, true).await > 0, "nothing was lost");
}

#[tokio::test]
async fn l4_one_ack_is_missing_when_the_link_breaks() {
    let answer = |seen: &crate::broker::Seen| {
        if seen.connection == 1 && seen.packet_id == 1 { Answer::Withhold } else { Answer::Ack(0) }
    };
    // 20 in flight, the 21st collides with packet id 1; then the link breaks by itself at the 20th.
    let script = Script { answer: Box::new(answer), ..Script::default() };
    let lost = run_l4(script).await;
    assert!(lost > 0, "nothing was lost");
}

/// L4 needs the break after the collision, which the broker cannot see: a relay of one connection closes it on time.
async fn run_l4(script: Script) -> usize {
    let broker = Broker::start(script).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (cut, mut cutting) = tokio::sync::mpsc::channel::<()>(1);
    let target = broker.addr;
    let mut relay = JoinSet::new();
    relay.spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(target).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = cutting.recv() => {}
            }
        }
    });
    let mut options = MqttOptions::new("plain", "127.0.0.1", port);
    options.set_clean_start(false).set_session_expiry_interval(Some(3_600)).set_outgoing_inflight_upper_limit(20);
    let (client, mut event_loop) = AsyncClient::new(options, MESSAGES as usize * 2);
    for id in 0..MESSAGES {
        client.publish("t", QoS::AtLeastOnce, false, id.to_be_bytes().to_vec()).await.unwrap();
    }
    let (collided, mut collision) = tokio::sync::mpsc::channel(1);
    let mut turning = JoinSet::new();
    turning.spawn(async move {
        loop {
            match event_loop.poll().await {
                Ok(rumqttc::v5::Event::Outgoing(rumqttc::Outgoing::AwaitAck(_))) => _ = collided.try_send(()),
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    collision.recv().await.unwrap();
    cut.send(()).await.unwrap();
    let mut broker = broker;
    broker.until("a reconnect", |held| held.connections >= 2).await;
    client.publish("t", QoS::AtLeastOnce, false, LAST).await.unwrap();
    let last = |held: &crate::broker::Held| held.payloads.contains_key(LAST);
    assert!(!broker.holds(Duration::from_secs(1), last).await, "it is not frozen");
    MESSAGES as usize - broker.look(|held| held.payloads.len())
}
