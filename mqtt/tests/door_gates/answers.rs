//! Gates G4 and the answers of G12 (rows 12 to 20), each as one row of a table.

use vigil_mqtt::door::CloseReason;

use crate::support::*;

#[tokio::test]
async fn g12_protocol_errors_end_the_link_with_the_right_code() {
    let house = House::open().await;
    let topic = up("gw1");
    // What is sent after login, the v5 DISCONNECT code, the counted reason. 3.1.1 is just closed.
    let mut bad_filter = subscribe(false, 0, &[("a", 0)]);
    bad_filter[0] = 0x82;
    for (what, v3, v5, code, reason) in [
        ("row 12: UNSUBACK", vec![0xB5, 1, 0], vec![0xB5, 1, 0], 0x81, CloseReason::Malformed),
        ("UNSUBACK, flags right", vec![0xB0, 2, 0, 1], vec![0xB0, 2, 0, 1], 0x82, CloseReason::Protocol),
        ("second CONNECT", Connect::v3("gw1").bytes(), Connect::v5("gw1").bytes(), 0x82, CloseReason::Protocol),
        ("AUTH or reserved type", vec![0xF0, 0], vec![0xF0, 0], 0x82, CloseReason::Protocol),
        ("type 0", vec![0, 0], vec![0, 0], 0x81, CloseReason::Malformed),
        (
            "packet id 0",
            publish(false, 1, 0, &topic, b"x"),
            publish(true, 1, 0, &topic, b"x"),
            0x81,
            CloseReason::Malformed,
        ),
        (
            "QoS 3",
            publish_flags(false, 6, 1, &topic, b"x"),
            publish_flags(true, 6, 1, &topic, b"x"),
            0x81,
            CloseReason::Malformed,
        ),
        (
            "QoS 0 with DUP",
            publish_flags(false, 8, 0, &topic, b"x"),
            publish_flags(true, 8, 0, &topic, b"x"),
            0x81,
            CloseReason::Malformed,
        ),
        (
            "NUL in a topic",
            publish(false, 1, 1, "vigil/1/s1/gw1/u/\0", b"x"),
            publish(true, 1, 1, "vigil/1/s1/gw1/u/\0", b"x"),
            0x90,
            CloseReason::BadTopic,
        ),
        (
            "SUBSCRIBE flags",
            packet(0x80, &bad_filter[2..]),
            packet(0x80, &bad_filter[2..]),
            0x81,
            CloseReason::Malformed,
        ),
        ("PUBREC of nothing", vec![0x50, 2, 0, 1], vec![0x50, 2, 0, 1], 0x82, CloseReason::Protocol),
        (
            "endless length",
            vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            0x81,
            CloseReason::Malformed,
        ),
        ("10 MB", vec![0x30, 0x80, 0xAD, 0xE2, 4], vec![0x30, 0x80, 0xAD, 0xE2, 4], 0x95, CloseReason::TooLarge),
    ] {
        for (is_v5, bytes) in [(false, v3), (true, v5)] {
            let before = house.handle.stats().closed(reason);
            let mut client = house.client(&Connect::of(is_v5, "gw1")).await;
            client.send(&bytes).await;
            match client.next().await {
                Some(packet) => assert_eq!(packet, Packet { first: 0xE0, body: vec![code] }, "{what}"),
                None => assert!(!is_v5, "{what}: a v5 client is told why"),
            }
            drop(client);
            house.stats(what, |stats| stats.closed(reason) == before + 1 && stats.tasks == 0).await;
        }
    }
    assert_eq!(house.intake.payloads(), [""; 0]);
    house.probe().await;
}

#[tokio::test]
async fn a_ten_megabyte_payload_hurts_only_its_sender() {
    let house = House::open().await;
    let mut neighbour = house.client(&Connect::v3("gw2")).await;
    let mut client = house.client(&Connect::v5("gw1")).await;
    let large = publish(true, 1, 1, &up("gw1"), &vec![b'x'; 10_000_000]);
    let (mut read, mut write) = tokio::io::split(client.io);
    let sending = tokio::spawn(async move {
        // The server hangs up in the middle of it.
        let _sent = tokio::io::AsyncWriteExt::write_all(&mut write, &large).await;
    });
    let mut answer = [0; 3];
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut answer).await.unwrap();
    assert_eq!(answer, [0xE0, 1, 0x95]);
    neighbour.ping().await;
    sending.await.unwrap();
    assert_eq!(house.handle.stats().closed(CloseReason::TooLarge), 1);
    // The largest allowed payload does get through.
    client = house.client(&Connect::v5("gw1")).await;
    client.send(&publish(true, 1, 1, &up("gw1"), &vec![b'x'; 65_536])).await;
    assert_eq!(client.packet().await, puback(1));
}

#[tokio::test]
async fn g4_every_filter_gets_an_answer() {
    let house = House::open().await;
    let filters = [
        ("vigil/1/s1/gw1/d/#", 1),
        ("vigil/1/s1/gw1/d/cmd", 2),
        ("$share/group/vigil/1/s1/gw1/d/#", 1),
        ("$SYS/#", 0),
        ("vigil/1/s1/+/d/#", 1),
        ("vigil/1/s1/gw2/d/#", 1),
        ("#", 0),
    ];
    for v5 in [false, true] {
        let mut client = house.client(&Connect::of(v5, "gw1")).await;
        client.send(&subscribe(v5, 7, &filters)).await;
        let no = if v5 { 0x87 } else { 0x80 };
        assert_eq!(client.packet().await, suback(0x90, v5, 7, &[1, 1, no, no, no, no, no]));
        client.send(&subscribe(v5, 8, &[("vigil/1/s1/gw1/d/a#", 0)])).await;
        assert_eq!(client.packet().await, suback(0x90, v5, 8, &[if v5 { 0x8F } else { 0x80 }]));
        // Row 14: UNSUBSCRIBE of a filter never subscribed.
        client.send(&unsubscribe(v5, 9, &["vigil/1/s1/gw1/d/cmd", "never/seen"])).await;
        let codes: &[u8] = if v5 { &[0x00, 0x11] } else { &[] };
        assert_eq!(client.packet().await, suback(0xB0, v5, 9, codes));
        client.ping().await;
    }
    house.probe().await;
}

#[tokio::test]
async fn subscriptions_of_one_link_are_limited() {
    let house = House::open().await;
    let mut client = house.client(&Connect::v5("gw1")).await;
    let names: Vec<_> = (0..70).map(|n| format!("vigil/1/s1/gw1/d/{n}")).collect();
    let filters: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    client.send(&subscribe(true, 1, &filters)).await;
    let codes: Vec<_> = (0..70).map(|n| if n < 64 { 0 } else { 0x97 }).collect();
    assert_eq!(client.packet().await, suback(0x90, true, 1, &codes));
}

#[tokio::test]
async fn rows_18_and_19_retained_state() {
    let house = House::open().await;
    let mut gateway = house.client(&Connect::v3("gw1")).await;
    let mut watcher = house.client(&Connect::v3("open2")).await;
    let retained = || house.retained.0.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    gateway.send(&publish_flags(false, 3, 1, &state("gw1"), b"up")).await;
    assert_eq!(gateway.packet().await, puback(1));
    gateway.send(&publish_flags(false, 3, 2, &up("gw1"), b"a reading is never retained")).await;
    assert_eq!(gateway.packet().await, puback(2));
    assert_eq!(retained(), [state("gw1")]);
    // Row 18: empty without the flag removes nothing. Row 19: every subscribe sends it.
    gateway.send(&publish(false, 1, 3, &state("gw1"), b"")).await;
    assert_eq!(gateway.packet().await, puback(3));
    for qos in [0, 1] {
        watcher.send(&subscribe(false, 5, &[("vigil/1/+/+/st", qos)])).await;
        assert_eq!(watcher.packet().await, suback(0x90, false, 5, &[qos]));
        let sent = watcher.packet().await;
        assert_eq!((sent.first, sent.body.ends_with(b"up")), (0x31 | (qos << 1), true));
    }
    // With the flag it does.
    gateway.send(&publish_flags(false, 3, 4, &state("gw1"), b"")).await;
    assert_eq!(gateway.packet().await, puback(4));
    assert_eq!(retained(), [""; 0]);
    watcher.send(&subscribe(false, 6, &[("vigil/1/+/+/st", 0)])).await;
    assert_eq!(watcher.packet().await, suback(0x90, false, 6, &[0]));
    watcher.ping().await;
}

#[tokio::test]
async fn row_13_a_session_that_is_not_kept_is_not_promised() {
    use bytes::Bytes;
    use model::GatewayId;
    let house = House::open().await;
    for v5 in [false, true] {
        // Session Expiry 3600 where the version has it; no clean start: the client asks for its old session.
        let properties = if v5 { vec![0x11, 0, 0, 14, 16] } else { Vec::new() };
        let connect = Connect { clean: false, properties, ..Connect::of(v5, "gw1") };
        for _ in 0..2 {
            let mut client = house.socket().await;
            client.send(&connect.bytes()).await;
            let connack = client.packet().await;
            assert_eq!(connack.body[..2], [0, 0], "session_present is 0: nothing is kept, and nothing is claimed");
            // So nothing is sent for the subscription of the link before, and the caller is told that.
            assert!(!house.handle.down(GatewayId(1), "cmd", Bytes::from_static(b"x"), 1));
            client.send(&subscribe(v5, 1, &[("vigil/1/s1/gw1/d/#", 1)])).await;
            assert_eq!(client.packet().await, suback(0x90, v5, 1, &[1]));
            assert!(house.handle.down(GatewayId(1), "cmd", Bytes::from_static(b"x"), 1));
            assert_eq!(client.packet().await.first, 0x32);
            // Left without a PUBACK.
            drop(client);
            house.stats("gone", |stats| stats.tasks == 0).await;
        }
    }
}

#[tokio::test]
async fn row_15_the_lower_qos_of_both_is_used() {
    use bytes::Bytes;
    use model::GatewayId;
    let house = House::open().await;
    for v5 in [false, true] {
        for (sent, subscribed, first) in [(0, 0, 0x30), (0, 1, 0x30), (1, 0, 0x30), (1, 1, 0x32), (2, 2, 0x32)] {
            let mut client = house.client(&Connect::of(v5, "gw1")).await;
            client.send(&subscribe(v5, 1, &[("vigil/1/s1/gw1/d/#", subscribed)])).await;
            assert_eq!(client.packet().await, suback(0x90, v5, 1, &[subscribed.min(1)]));
            assert!(house.handle.down(GatewayId(1), "cmd", Bytes::from_static(b"x"), sent));
            assert_eq!(client.packet().await.first, first, "sent {sent}, subscribed {subscribed}");
            client.send(&[0xE0, 0]).await;
            client.closed().await;
            house.stats("gone", |stats| stats.tasks == 0).await;
        }
    }
}
