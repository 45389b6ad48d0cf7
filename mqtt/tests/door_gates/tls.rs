//! Gate G5: idle sockets and half handshakes hold nobody up; and a certificate can be renewed while running.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use vigil_mqtt::door::{CloseReason, Config, TlsConfig};

use crate::support::*;

fn write_certificate(dir: &std::path::Path) -> CertificateDer<'static> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap()
}

fn config(dir: &std::path::Path, login_timeout_ms: u64) -> Config {
    let tls = TlsConfig { listen: test_config().listen, certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    Config { tls: Some(tls), login_timeout_ms, ..test_config() }
}

async fn connect(house: &House, trusted: &CertificateDer<'static>) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(house.tls_addr.unwrap()).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Client::new(tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await.unwrap()?))
}

#[tokio::test]
async fn g5_idle_links_and_half_handshakes_hold_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = write_certificate(dir.path());
    let house = House::with(config(dir.path(), 1_500)).await;
    let mut idle = Vec::new();
    for n in 0..128 {
        let mut client = Client::new(TcpStream::connect(house.tls_addr.unwrap()).await.unwrap());
        if n % 2 == 0 {
            client.send(&[0x16, 3, 1, 2, 0, 1, 0]).await; // the first bytes of a ClientHello
        }
        idle.push(client);
    }
    house.stats("they wait", |stats| stats.tasks == 128).await;
    let mut honest = connect(&house, &certificate).await.unwrap();
    for v5 in [false, true] {
        honest = connect(&house, &certificate).await.unwrap();
        honest.send(&Connect::of(v5, "gw1").bytes()).await;
        assert_eq!(honest.packet().await.first, 0x20);
        honest.send(&publish(v5, 1, 1, &up("gw1"), &vec![b'x'; 40_000])).await;
        assert_eq!(honest.packet().await, puback(1));
    }
    // All of that while the idle ones were still there.
    assert!(house.handle.stats().tasks >= 128);
    assert_eq!(house.handle.stats().closed(CloseReason::TlsHandshake), 0);
    for mut client in idle {
        client.closed().await;
    }
    let stats = house.stats("closed", |stats| stats.closed(CloseReason::TlsHandshake) == 128).await;
    assert_eq!(stats.links, 1);
    honest.ping().await;
}

#[tokio::test]
async fn g5_on_the_plain_port_as_well() {
    let house = House::with(Config { login_timeout_ms: 1_500, ..test_config() }).await;
    let mut idle = Vec::new();
    for n in 0..128 {
        let mut client = house.socket().await;
        if n % 2 == 0 {
            client.send(&Connect::v5("gw1").bytes()[..12]).await; // half a CONNECT
        }
        idle.push(client);
    }
    house.stats("they wait", |stats| stats.tasks == 128).await;
    house.probe().await;
    // All of that while the idle ones were still there.
    assert_eq!(house.handle.stats().closed(CloseReason::ConnectTimeout), 0);
    for mut client in idle {
        client.closed().await;
    }
    house.stats("closed", |stats| stats.closed(CloseReason::ConnectTimeout) == 128 && stats.tasks == 0).await;
}

#[tokio::test]
async fn idle_handshakes_give_way_to_newcomers() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = write_certificate(dir.path());
    let house = House::with(Config { strangers_max: 8, ..config(dir.path(), 15_000) }).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(Client::new(TcpStream::connect(house.tls_addr.unwrap()).await.unwrap()));
    }
    house.stats("they wait", |stats| stats.tasks == 8).await;
    let mut honest = connect(&house, &certificate).await.unwrap();
    honest.send(&Connect::v5("gw1").bytes()).await;
    assert_eq!(honest.packet().await.first, 0x20);
    // Long before its time was up.
    idle.remove(0).closed().await;
    assert_eq!(house.handle.stats().closed(CloseReason::TooManyLinks), 1);
    // Stopping does not wait for those who say nothing.
    house.stop.request();
    honest.disconnected(0x8B).await;
    for mut client in idle {
        client.closed().await;
    }
    drop(honest);
    house.stopped().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_certificate(dir.path());
    let house = House::with(config(dir.path(), 5_000)).await;
    let mut before = connect(&house, &first).await.unwrap();
    before.send(&Connect::v5("gw1").bytes()).await;
    before.packet().await;
    let second = write_certificate(dir.path());
    house.handle.reload_tls().unwrap();
    connect(&house, &second).await.unwrap();
    assert!(connect(&house, &first).await.is_err());
    // A broken file leaves the last good one in place, and says which file it is.
    std::fs::write(dir.path().join("key.pem"), "nonsense").unwrap();
    let error = house.handle.reload_tls().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    connect(&house, &second).await.unwrap();
    before.ping().await;
}
