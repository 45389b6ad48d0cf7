//! The promise: a PUBACK leaves after the intake is done, in order, inside the window. And QoS 2, gate G9.

use vigil_mqtt::door::{CloseReason, Config, Verdict};

use crate::support::*;

#[tokio::test]
async fn no_puback_before_the_intake_is_done() {
    for v5 in [false, true] {
        let house = House::open().await;
        house.intake.set(Mode::Hold);
        let mut client = house.client(&Connect::of(v5, "gw1")).await;
        client.send(&publish(v5, 1, 7, &up("gw1"), b"a")).await;
        house.intake.until_count(1).await;
        // A round trip shows that nothing else was written.
        client.ping().await;
        assert!(house.intake.release(false));
        assert_eq!(client.packet().await, puback(7));
    }
}

#[tokio::test]
async fn pubacks_keep_the_order_of_arrival() {
    for v5 in [false, true] {
        let house = House::open().await;
        house.intake.set(Mode::Hold);
        let mut client = house.client(&Connect::of(v5, "gw1")).await;
        for id in 1..=5_u16 {
            client.send(&publish(v5, 1, id, &up("gw1"), id.to_string().as_bytes())).await;
            house.intake.until_count(usize::from(id)).await;
        }
        assert_eq!(house.intake.held(), 5);
        // The last batch is done first: nothing may be said yet.
        while house.intake.held() > 1 {
            house.intake.release(true);
        }
        client.ping().await;
        house.intake.release(true);
        for id in 1..=5 {
            assert_eq!(client.packet().await, puback(id));
        }
    }
}

#[tokio::test]
async fn publishes_of_one_read_are_one_batch() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v3("gw1")).await;
    let many: Vec<u8> = (1..=50).flat_map(|id| publish(false, 1, id, &up("gw1"), b"x")).collect();
    client.send(&many).await;
    house.intake.until_count(50).await;
    assert!(house.intake.held() <= 2, "{} batches", house.intake.held());
    while house.intake.release(false) {}
    for id in 1..=50 {
        assert_eq!(client.packet().await, puback(id));
    }
}

#[tokio::test]
async fn a_3_1_1_client_is_not_read_beyond_the_window() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v3("gw1")).await;
    let many: Vec<u8> = (1..=300).flat_map(|id| publish(false, 1, id, &up("gw1"), id.to_string().as_bytes())).collect();
    client.send(&many).await;
    house.stats("paused", |stats| stats.paused == 1).await;
    assert_eq!(house.intake.payloads().len(), 64);
    // Nothing is dropped: all arrives, in order, as the acknowledgements go out.
    house.intake.set(Mode::Answer(stored));
    while house.intake.release(false) {}
    for id in 1..=300 {
        assert_eq!(client.packet().await, puback(id));
    }
    assert_eq!(house.intake.payloads(), (1..=300).map(|id| id.to_string()).collect::<Vec<_>>());
    client.ping().await;
}

#[tokio::test]
async fn a_v5_client_that_ignores_receive_maximum_is_closed() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v5("gw1")).await;
    let many: Vec<u8> = (1..=64).flat_map(|id| publish(true, 1, id, &up("gw1"), b"x")).collect();
    client.send(&many).await;
    house.intake.until_count(64).await;
    client.ping().await;
    client.send(&publish(true, 1, 65, &up("gw1"), b"x")).await;
    client.disconnected(0x93).await;
    // The same packet id over and over is no way around it.
    let mut client = house.client(&Connect::v5("gw1")).await;
    let same: Vec<u8> = (1..=65).flat_map(|_| publish_flags(true, 10, 1, &up("gw1"), b"x")).collect();
    client.send(&same).await;
    client.disconnected(0x93).await;
    house.stats("counted", |stats| stats.closed(CloseReason::ReceiveMaximum) == 2).await;
}

#[tokio::test]
async fn a_flood_of_qos_0_is_paused_not_lost() {
    for v5 in [false, true] {
        let house = House::open().await;
        house.intake.set(Mode::Hold);
        let mut client = house.client(&Connect::of(v5, "gw1")).await;
        let flood: Vec<u8> = (0..2_000).flat_map(|_| publish(v5, 0, 0, &up("gw1"), b"x")).collect();
        client.send(&flood).await;
        house.stats("paused", |stats| stats.paused > 0).await;
        assert!(house.intake.payloads().len() <= 256);
        house.intake.set(Mode::Answer(stored));
        while house.intake.release(false) {}
        house.intake.until_count(2_000).await;
        client.ping().await;
    }
}

#[tokio::test]
async fn verdicts_and_their_answers() {
    fn by_payload(publish: &vigil_mqtt::door::Publish) -> Verdict {
        match &*publish.payload {
            b"duplicate" => Verdict::Duplicate,
            b"malformed" => Verdict::Malformed("not a frame"),
            b"unauthorised" => Verdict::NotAuthorised,
            b"busy" => Verdict::Busy,
            b"failed" => Verdict::Failed,
            _ => Verdict::Stored,
        }
    }
    let house = House::with(Config { busy_close_ms: 20, ..test_config() }).await;
    house.intake.set(Mode::Answer(by_payload));
    let mut client = house.client(&Connect::v5("gw1")).await;
    for (id, payload, answer) in [
        (1, "fine", puback(1)),
        (2, "duplicate", puback(2)),
        (3, "malformed", puback_code(3, 0x99)),
        (4, "unauthorised", puback_code(4, 0x87)),
        (5, "busy", puback_code(5, 0x97)),
        (6, "fine", puback(6)),
    ] {
        client.send(&publish(true, 1, id, &up("gw1"), payload.as_bytes())).await;
        assert_eq!(client.packet().await, answer, "{payload}");
    }
    client.send(&publish(true, 1, 7, &up("gw1"), b"failed")).await;
    client.disconnected(0x89).await;
    // 3.1.1 has no codes: what cannot be stored later either is acknowledged, the rest ends the link unacknowledged.
    for (payload, acknowledged, reason) in [
        ("fine", true, None),
        ("duplicate", true, None),
        ("malformed", true, None),
        ("unauthorised", false, Some(CloseReason::NotAuthorised)),
        ("busy", false, Some(CloseReason::Busy)),
        ("failed", false, Some(CloseReason::StorageFailed)),
    ] {
        let before = reason.map(|reason| house.handle.stats().closed(reason));
        let mut client = house.client(&Connect::v3("gw1")).await;
        // The one behind it is stored; its acknowledgement must not overtake.
        client.send(&publish(false, 1, 1, &up("gw1"), payload.as_bytes())).await;
        client.send(&publish(false, 1, 2, &up("gw1"), b"fine")).await;
        if acknowledged {
            assert_eq!((client.packet().await, client.packet().await), (puback(1), puback(2)), "{payload}");
        } else {
            client.closed().await;
        }
        drop(client);
        if let Some(reason) = reason {
            house.stats(payload, |stats| Some(stats.closed(reason)) == before.map(|before| before + 1)).await;
        }
    }
}

#[tokio::test]
async fn an_intake_that_forgets_to_answer_counts_as_failed() {
    let house = House::open().await;
    house.intake.set(Mode::Drop);
    let mut client = house.client(&Connect::v5("gw1")).await;
    client.send(&publish(true, 1, 1, &up("gw1"), b"x")).await;
    client.disconnected(0x89).await;
}

#[tokio::test]
async fn topic_aliases_come_in_resolved() {
    let house = House::open().await;
    let mut client = house.client(&Connect::v5("gw1")).await;
    let alias = |n: u16| [&[0x23][..], &n.to_be_bytes()].concat();
    let topics = ["vigil/1/s1/gw1/u/vit/a", "vigil/1/s1/gw1/u/vit/b"];
    client.send(&publish_properties(Some(&alias(1)), 2, 1, topics[0], b"a")).await;
    client.send(&publish_properties(Some(&alias(16)), 2, 2, topics[1], b"b")).await;
    client.send(&publish_properties(Some(&alias(1)), 2, 3, "", b"a")).await;
    client.send(&publish_properties(Some(&alias(16)), 2, 4, "", b"b")).await;
    client.send(&publish_properties(Some(&alias(1)), 2, 5, topics[1], b"b")).await;
    client.send(&publish_properties(Some(&alias(1)), 2, 6, "", b"b")).await;
    for id in 1..=6 {
        assert_eq!(client.packet().await, puback(id));
    }
    for (_, publish) in house.intake.publishes.lock().unwrap().iter() {
        assert!(publish.topic.as_bytes().ends_with(&publish.payload), "{publish:?}");
    }
    // Rights are checked on the resolved topic: a forbidden one stays forbidden under its alias.
    client.send(&publish_properties(Some(&alias(2)), 2, 7, "vigil/1/s1/gw2/u/vit/a", b"x")).await;
    assert_eq!(client.packet().await, puback_code(7, 0x87));
    client.send(&publish_properties(Some(&alias(2)), 2, 8, "", b"x")).await;
    assert_eq!(client.packet().await, puback_code(8, 0x87));
    assert_eq!(house.intake.payloads().len(), 6);
    for (number, code) in [(0, 0x94), (17, 0x94), (9, 0x82)] {
        let mut client = house.client(&Connect::v5("gw1")).await;
        client.send(&publish_properties(Some(&alias(number)), 2, 1, "", b"x")).await;
        client.disconnected(code).await;
    }
    let mut client = house.client(&Connect::v5("gw1")).await;
    client.send(&publish(true, 1, 1, "", b"x")).await;
    client.disconnected(0x82).await;
}

const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

fn ack(first: u8, id: u16) -> Packet {
    Packet { first, body: id.to_be_bytes().to_vec() }
}

fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

#[tokio::test]
async fn g9_qos_2_of_3_1_1_each_message_once_and_in_order() {
    let house = House::open().await;
    let topic = up("gw1");
    let mut client = house.client(&Connect::v3("gw1")).await;
    // (a) A resend of a known id is only told PUBREC.
    client.send(&publish(false, 2, 1, &topic, b"first")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    client.send(&publish_flags(false, 8 | 4, 1, &topic, b"first")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    for (id, text) in [(2, b"second" as &[u8]), (3, b"third")] {
        client.send(&publish(false, 2, id, &topic, text)).await;
        assert_eq!(client.packet().await, ack(PUBREC, id));
    }
    for id in [1, 2, 3] {
        client.send(&pubrel(id)).await;
        assert_eq!(client.packet().await, ack(PUBCOMP, id));
    }
    // PUBREL of an unknown id is PUBCOMP.
    client.send(&pubrel(77)).await;
    assert_eq!(client.packet().await, ack(PUBCOMP, 77));
    assert_eq!(house.intake.payloads(), ["first", "second", "third"]);
    // An id is free again after PUBREL.
    client.send(&publish(false, 2, 1, &topic, b"fourth")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    assert_eq!(house.intake.payloads().len(), 4);
}

#[tokio::test]
async fn g9_qos_2_survives_a_reconnect_between_pubrec_and_pubrel() {
    let house = House::open().await;
    let connect = Connect { clean: false, ..Connect::v3("gw1") };
    let mut client = house.client(&connect).await;
    client.send(&publish(false, 2, 1, &up("gw1"), b"first")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    client.send(&publish(false, 2, 2, &up("gw1"), b"second")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 2));
    drop(client);
    house.stats("gone", |stats| stats.tasks == 0).await;
    let mut client = house.client(&connect).await;
    // It did not see the PUBREC of 1 and sends it again; of 2 it did.
    client.send(&publish_flags(false, 8 | 4, 1, &up("gw1"), b"first")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    client.send(&pubrel(1)).await;
    assert_eq!(client.packet().await, ack(PUBCOMP, 1));
    client.send(&pubrel(2)).await;
    assert_eq!(client.packet().await, ack(PUBCOMP, 2));
    assert_eq!(house.intake.payloads(), ["first", "second"]);
    // A client that forgot its session starts its ids again: a new message is never taken for an old one.
    client.send(&publish(false, 2, 3, &up("gw1"), b"third")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 3));
    drop(client);
    house.stats("gone", |stats| stats.tasks == 0).await;
    let mut client = house.client(&connect).await;
    client.send(&publish(false, 2, 3, &up("gw1"), b"fourth")).await;
    assert_eq!(client.packet().await, ack(PUBREC, 3));
    assert_eq!(house.intake.payloads(), ["first", "second", "third", "fourth"]);
}

#[tokio::test]
async fn g9_pubrec_waits_for_the_disk_and_pubrel_for_pubrec() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v3("gw1")).await;
    client.send(&publish(false, 2, 1, &up("gw1"), b"first")).await;
    client.send(&publish_flags(false, 8 | 4, 1, &up("gw1"), b"first")).await;
    house.intake.until_count(1).await;
    client.ping().await;
    house.intake.release(false);
    assert_eq!(client.packet().await, ack(PUBREC, 1));
    client.ping().await;
    client.send(&publish(false, 2, 2, &up("gw1"), b"second")).await;
    house.intake.until_count(2).await;
    client.send(&pubrel(2)).await;
    client.closed().await;
    assert_eq!(house.handle.stats().closed(CloseReason::Protocol), 1);
}

#[tokio::test]
async fn g9_qos_2_of_v5_is_refused_as_announced() {
    let house = House::open().await;
    let mut client = house.client(&Connect::v5("gw1")).await;
    client.send(&publish(true, 2, 1, &up("gw1"), b"x")).await;
    client.disconnected(0x9B).await;
    // Row 9c: PUBREL with properties, of an id that cannot be known.
    let mut client = house.client(&Connect::v5("gw1")).await;
    client.send(&packet(0x62, &[0, 5, 0, 0])).await;
    assert_eq!(client.packet().await, Packet { first: PUBCOMP, body: vec![0, 5, 0x92] });
}
