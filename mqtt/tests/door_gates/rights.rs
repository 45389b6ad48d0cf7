//! Rights come from the identity alone.

use vigil_mqtt::door::CloseReason;

use crate::support::*;

#[tokio::test]
async fn a_publish_elsewhere_is_refused_and_not_stored() {
    let house = House::open().await;
    for (topic, code, reason) in [
        ("vigil/1/s1/gw2/u/vit/_", 0x87, CloseReason::NotAuthorised),
        ("vigil/1/s2/gw1/u/vit/_", 0x87, CloseReason::NotAuthorised),
        ("vigil/1/s1/gw1/d/cmd", 0x87, CloseReason::NotAuthorised),
        ("$SYS/broker", 0x87, CloseReason::NotAuthorised),
        ("vigil/1/s1/gw1/u/#", 0x90, CloseReason::BadTopic),
        ("a/+/b", 0x90, CloseReason::BadTopic),
    ] {
        let mut client = house.client(&Connect::v5("gw1")).await;
        client.send(&publish(true, 1, 3, topic, b"x")).await;
        assert_eq!(client.packet().await, puback_code(3, code), "{topic}");
        // QoS 0 has no answer; the link stays.
        client.send(&publish(true, 0, 0, topic, b"x")).await;
        client.ping().await;
        for qos in [0, 1, 2] {
            let before = house.handle.stats().closed(reason);
            let mut client = house.client(&Connect::v3("gw3")).await;
            client.send(&publish(false, qos, 3, topic, b"x")).await;
            client.closed().await;
            house.stats(topic, |stats| stats.closed(reason) == before + 1).await;
        }
    }
    assert_eq!(house.intake.payloads(), [""; 0]);
    assert_eq!(house.handle.stats().publishes_refused, 6 * 5);
}

#[tokio::test]
async fn a_thingsboard_device_connects_unchanged() {
    let house = House::open().await;
    let mut client = house.client(&Connect { user: "tb1", ..Connect::v3("whatever it likes") }).await;
    client.send(&subscribe(false, 1, &[("v1/devices/me/rpc/request/+", 1), ("v1/devices/me/attributes", 0)])).await;
    assert_eq!(client.packet().await, suback(0x90, false, 1, &[1, 0]));
    for (id, topic) in [
        (2, "v1/devices/me/attributes"),
        (3, "v1/devices/me/attributes/request/1"),
        (4, "v1/devices/me/telemetry"),
        (5, "v2/t"),
    ] {
        client.send(&publish(false, 1, id, topic, topic.as_bytes())).await;
        assert_eq!(client.packet().await, puback(id), "{topic}");
    }
    assert_eq!(house.intake.payloads(), ["v1/devices/me/telemetry", "v2/t"]);
    client.send(&publish(false, 1, 6, "v1/gateway/telemetry", b"x")).await;
    client.closed().await;
}

#[tokio::test]
async fn an_open_identity_may_do_anything_but_system_topics() {
    let house = House::open().await;
    let mut client = house.client(&Connect::v5("open1")).await;
    client.send(&subscribe(true, 1, &[("TopicA/#", 2), ("+/+", 0), ("$SYS/#", 0), ("$share/g/x", 0)])).await;
    assert_eq!(client.packet().await, suback(0x90, true, 1, &[1, 0, 0x87, 0x87]));
    client.send(&publish(true, 1, 2, "TopicA/B", b"x")).await;
    assert_eq!(client.packet().await, puback(2));
    assert_eq!(house.intake.payloads(), ["x"]);
}
