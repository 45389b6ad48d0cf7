//! Gate G10: silence is what did not come in, whatever goes out; and a link that we do not read is not silent.

use std::time::Duration;

use bytes::Bytes;
use model::GatewayId;
use vigil_mqtt::door::CloseReason;

use crate::support::*;

#[tokio::test]
async fn g10_a_silent_subscriber_on_a_busy_topic_is_closed_and_its_will_fires() {
    for v5 in [false, true] {
        let house = House::open().await;
        let topic = state("gw1");
        let connect = Connect { keep_alive: 1, will: Some((&topic, "lost", 1, true, 0)), ..Connect::of(v5, "gw1") };
        let mut client = house.client(&connect).await;
        client.send(&subscribe(v5, 1, &[("vigil/1/s1/gw1/d/#", 0)])).await;
        client.packet().await;
        let handle = house.handle.clone();
        let busy = tokio::spawn(async move {
            let mut pause = tokio::time::interval(Duration::from_millis(100));
            loop {
                pause.tick().await;
                handle.down(GatewayId(1), "cmd", Bytes::from_static(b"busy"), 0);
            }
        });
        let mut heard = 0;
        let end = loop {
            match client.next().await {
                Some(packet) if packet.first == 0x30 => heard += 1,
                end => break end,
            }
        };
        busy.abort();
        assert_eq!(end, v5.then(|| Packet { first: 0xE0, body: vec![0x8D] }));
        assert!(heard > 5, "the topic was busy: {heard}");
        house.intake.until("its will", |intake| intake.wills().len() == 1).await;
        assert_eq!(house.intake.wills()[0].will, Some(CloseReason::KeepAlive));
    }
}

#[tokio::test]
async fn g10_one_byte_at_a_time_is_not_silence() {
    let house = House::open().await;
    let mut client = house.client(&Connect { keep_alive: 1, ..Connect::v3("gw1") }).await;
    let bytes = publish(false, 1, 1, "vigil/1/s1/gw1/st", b"");
    let (head, tail) = bytes.split_at(4);
    for byte in head {
        client.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    client.send(tail).await;
    assert_eq!(client.packet().await, puback(1));
}

#[tokio::test]
async fn keep_alive_is_suspended_while_we_do_not_read() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect { keep_alive: 1, ..Connect::v3("gw1") }).await;
    let many: Vec<u8> = (1..=64).flat_map(|id| publish(false, 1, id, &up("gw1"), b"x")).collect();
    client.send(&many).await;
    house.intake.until_count(64).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(house.handle.is_connected(GatewayId(1)));
    while house.intake.release(false) {}
    for id in 1..=64 {
        assert_eq!(client.packet().await, puback(id));
    }
    client.ping().await;
    client.closed().await;
    assert_eq!(house.handle.stats().closed(CloseReason::KeepAlive), 1);
}

#[tokio::test]
async fn keep_alive_0_of_3_1_1_is_never_silent() {
    let house = House::open().await;
    let mut client = house.client(&Connect { keep_alive: 0, ..Connect::v3("gw1") }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.ping().await;
}
