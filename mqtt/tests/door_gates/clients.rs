//! Clients that others wrote: rumqttc in both versions, as our own uplink uses it.

use std::time::Duration;

use bytes::Bytes;
use model::GatewayId;

use crate::support::*;

#[tokio::test]
async fn rumqttc_3_1_1_publishes_and_hears() {
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet as Got, QoS};
    let house = House::open().await;
    let mut options = MqttOptions::new("gw1", house.addr.ip().to_string(), house.addr.port());
    options.set_credentials("gw1", PASSWORD).set_keep_alive(Duration::from_secs(5)).set_inflight(20);
    let (client, mut events) = AsyncClient::new(options, 200);
    client.subscribe("vigil/1/s1/gw1/d/#", QoS::AtLeastOnce).await.unwrap();
    for n in 0..100 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        client.publish(up("gw1"), qos, false, n.to_string()).await.unwrap();
    }
    let (mut acked, mut heard) = (0, false);
    let handle = house.handle.clone();
    let talk = async {
        while acked < 66 || !heard {
            match events.poll().await.unwrap() {
                Event::Incoming(Got::SubAck(_)) => {
                    assert!(handle.down(GatewayId(1), "cmd", Bytes::from_static(b"hello"), 1));
                }
                Event::Incoming(Got::PubAck(_) | Got::PubComp(_)) => acked += 1,
                Event::Incoming(Got::Publish(publish)) => heard = publish.payload == "hello",
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap();
    house.intake.until_count(100).await;
    assert_eq!(house.intake.payloads(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn rumqttc_5_publishes_and_hears() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Packet as Got;
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let house = House::open().await;
    let mut options = MqttOptions::new("gw1", house.addr.ip().to_string(), house.addr.port());
    options.set_credentials("gw1", PASSWORD).set_keep_alive(Duration::from_secs(5));
    options.set_outgoing_inflight_upper_limit(20);
    let (client, mut events) = AsyncClient::new(options, 200);
    client.subscribe("vigil/1/s1/gw1/d/#", QoS::AtLeastOnce).await.unwrap();
    for n in 0..100 {
        client.publish(up("gw1"), QoS::AtLeastOnce, false, n.to_string()).await.unwrap();
    }
    let (mut acked, mut heard, mut custody) = (0, false, false);
    let handle = house.handle.clone();
    let talk = async {
        while acked < 100 || !heard {
            match events.poll().await.unwrap() {
                Event::Incoming(Got::ConnAck(connack)) => {
                    let property = ("vigil-custody".to_owned(), "puback".to_owned());
                    custody = connack.properties.unwrap().user_properties.contains(&property);
                }
                Event::Incoming(Got::SubAck(_)) => {
                    assert!(handle.down(GatewayId(1), "cmd", Bytes::from_static(b"hello"), 1));
                }
                Event::Incoming(Got::PubAck(_)) => acked += 1,
                Event::Incoming(Got::Publish(publish)) => heard = publish.payload == "hello",
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap();
    assert!(custody, "the uplink can tell that a PUBACK from here is custody");
    assert_eq!(house.intake.payloads(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}
