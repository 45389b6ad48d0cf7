//! The way down, gate G8, and the client's own limits (row 20).

use bytes::Bytes;
use model::GatewayId;
use vigil_mqtt::door::{CloseReason, Config};

use crate::support::*;

async fn subscriber(house: &House, connect: &Connect<'_>, qos: u8) -> Client<tokio::net::TcpStream> {
    let mut client = house.client(connect).await;
    client.send(&subscribe(connect.v5, 1, &[("vigil/1/s1/gw1/d/#", qos)])).await;
    assert_eq!(client.packet().await, suback(0x90, connect.v5, 1, &[qos]));
    client
}

#[tokio::test]
async fn g8_every_value_comes_under_its_own_topic() {
    let house = House::open().await;
    // A v5 client that accepts aliases: we never use them.
    let connect = Connect { properties: vec![0x22, 0, 10], ..Connect::v5("gw1") };
    let mut client = subscriber(&house, &connect, 0).await;
    for round in 0..20 {
        for suffix in ["cfg", "cmd", "time"] {
            assert!(house.handle.down(GatewayId(1), suffix, Bytes::from(format!("{suffix} {round}")), 1));
        }
    }
    for round in 0..20 {
        for suffix in ["cfg", "cmd", "time"] {
            let expected =
                publish(true, 0, 0, &format!("vigil/1/s1/gw1/d/{suffix}"), format!("{suffix} {round}").as_bytes());
            let got = client.packet().await;
            assert_eq!(packet(got.first, &got.body), expected, "QoS is the lower of both (row 15)");
        }
    }
}

#[tokio::test]
async fn down_link_reaches_only_whom_it_is_for() {
    let house = House::open().await;
    let down = |suffix| house.handle.down(GatewayId(1), suffix, Bytes::from_static(b"x"), 1);
    assert!(!down("cmd"), "not connected");
    let mut client = house.client(&Connect::v3("gw1")).await;
    assert!(!down("cmd"), "not subscribed");
    client.send(&subscribe(false, 1, &[("vigil/1/s1/gw1/d/cmd", 1)])).await;
    client.packet().await;
    assert!(down("cmd"));
    assert!(!down("cfg"));
    assert_eq!(client.packet().await.first, 0x32);
    client.send(&unsubscribe(false, 2, &["vigil/1/s1/gw1/d/cmd"])).await;
    client.packet().await;
    assert!(!down("cmd"), "no longer subscribed");
    assert_eq!(house.handle.connected(), [GatewayId(1)]);
    assert!(house.handle.kick(GatewayId(1), CloseReason::Kicked));
    client.closed().await;
    house.stats("gone", |stats| stats.links == 0).await;
    assert!(!house.handle.kick(GatewayId(1), CloseReason::Kicked));
}

#[tokio::test]
async fn row_20_the_clients_receive_maximum_and_packet_size_are_kept() {
    let house = House::with(Config { down_queue_max: 8, ..test_config() }).await;
    // Receive Maximum 2, Maximum Packet Size 64.
    let connect = Connect { properties: vec![0x21, 0, 2, 0x27, 0, 0, 0, 64], ..Connect::v5("gw1") };
    let mut client = subscriber(&house, &connect, 1).await;
    let down = |payload: &str| house.handle.down(GatewayId(1), "cmd", Bytes::from(payload.to_owned()), 1);
    for n in 0..4 {
        assert!(down(&n.to_string()));
    }
    let first = [client.packet().await, client.packet().await];
    assert_eq!(first.each_ref().map(|packet| packet.body.last().copied()), [Some(b'0'), Some(b'1')]);
    client.ping().await; // no third one
    // Acknowledged in the other order: fine.
    let id = |packet: &Packet| packet.body[22..24].to_vec();
    let (one, two) = (id(&first[0]), id(&first[1]));
    client.send(&packet(0x40, &two)).await;
    assert_eq!(client.packet().await.body.last(), Some(&b'2'));
    client.send(&packet(0x40, &one)).await;
    assert_eq!(client.packet().await.body.last(), Some(&b'3'));
    // Window full: what waits is bounded, and what does not fit is refused at once.
    let queued = (0..40).filter(|_| down("x")).count();
    assert!((8..=16).contains(&queued), "{queued}");
    assert_eq!(house.handle.stats().down_dropped, 40 - queued as u64);
    client.send(&packet(0x40, &[0, 3])).await;
    client.packet().await;

    let mut client = subscriber(&house, &connect, 0).await;
    assert!(down(&"y".repeat(100)));
    assert!(down("fits"));
    assert!(client.packet().await.body.ends_with(b"fits"));
    assert_eq!(house.handle.stats().down_too_large, 1);
}
