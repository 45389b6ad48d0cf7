//! How a house is closed, and clients that do not read.

use std::time::Duration;

use bytes::Bytes;
use model::GatewayId;
use vigil_mqtt::door::{CloseReason, Config};

use crate::support::*;

#[tokio::test]
async fn shutdown_acknowledges_what_is_stored_and_says_goodbye() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut v3 = house.client(&Connect::v3("gw1")).await;
    let mut v5 = house.client(&Connect::v5("gw2")).await;
    let mut stranger = house.socket().await;
    v3.send(&publish(false, 1, 1, &up("gw1"), b"x")).await;
    v5.send(&publish(true, 1, 2, &up("gw2"), b"x")).await;
    house.intake.until_count(2).await;
    house.stats("all in", |stats| stats.tasks == 3).await;
    let (addr, intake, handle) = (house.addr, house.intake.clone(), house.handle.clone());
    house.stop.request();
    stranger.closed().await;
    intake.release(false);
    intake.release(false);
    assert_eq!(v3.packet().await, puback(1));
    v3.closed().await;
    assert_eq!(v5.packet().await, puback(2));
    v5.disconnected(0x8B).await;
    drop((v3, v5, stranger));
    house.stopped().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "nobody listens");
    assert_eq!(handle.stats().closed(CloseReason::ShuttingDown), 3);
    assert_eq!((handle.stats().links, handle.stats().tasks), (0, 0));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let house = House::with(Config { drain_ms: 50, ..test_config() }).await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v5("gw1")).await;
    client.send(&publish(true, 1, 1, &up("gw1"), b"x")).await;
    house.intake.until_count(1).await;
    house.stop.request();
    // Not stored, so not acknowledged.
    client.disconnected(0x8B).await;
    drop(client);
    house.stopped().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let house = House::with(Config { write_timeout_ms: 200, down_queue_max: 100_000, ..test_config() }).await;
    let mut client = house.client(&Connect::v3("gw1")).await;
    client.send(&subscribe(false, 1, &[("vigil/1/s1/gw1/d/#", 0)])).await;
    client.packet().await;
    let large = Bytes::from(vec![b'x'; 60_000]);
    let mut pause = tokio::time::interval(Duration::from_millis(1));
    while house.handle.down(GatewayId(1), "cmd", large.clone(), 0) {
        pause.tick().await;
    }
    house.stats("closed", |stats| stats.closed(CloseReason::WriteTimeout) == 1 && stats.links == 0).await;
    house.probe().await;
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_sentence() {
    let house = House::open().await;
    let config = Config { listen: house.addr, ..test_config() };
    let (intake, retained) = (house.intake.clone(), house.retained.clone());
    let error =
        vigil_mqtt::door::Door::bind(&config, house.gatekeeper.clone(), intake, retained, runtime::Clock::system())
            .await
            .unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen for MQTT on {}", house.addr)), "{error}");
}
