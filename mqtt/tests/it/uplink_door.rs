//! The uplink against our own front door, over TLS: custody, birth, and a refusal that is not hammered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::{GatewayId, Lane, Name, Seq, Time};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;
use vigil_mqtt::door::{
    Config as DoorConfig, Dialect, Done, Door, Gatekeeper, Identity, Intake, LinkChange, Login, LoginError, Publish,
    Retained, RetainedStore, TlsConfig, Verdict,
};
use vigil_mqtt::outbox::{self, CURSOR, Outbox};
use vigil_mqtt::uplink::{self, Config, Hello, Stats};

/// Takes everything from whoever knows the token.
#[derive(Default)]
struct Hall(Mutex<Vec<Publish>>);

impl Gatekeeper for Hall {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        if login.password != Some(b"token") {
            return Err(LoginError::BadCredentials);
        }
        let name = |text: &str| Name::new(text).unwrap();
        let (site, name) = (name("s"), name(login.client_id));
        Ok(Identity { gateway: GatewayId(1), site, name, dialect: Dialect::Vigil, open_acl: false })
    }
}

impl Intake for Hall {
    fn submit(&self, _: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let verdicts = vec![Verdict::Stored; publishes.len()];
        self.0.lock().unwrap().extend(publishes);
        done(verdicts);
    }
    fn link(&self, _: &Arc<Identity>, _: LinkChange) {}
}

impl RetainedStore for Hall {
    fn put(&self, _: &Arc<Identity>, _: &str, _: &Bytes) {}
    fn remove(&self, _: &Arc<Identity>, _: &str) {}
    fn matching(&self, _: &str, _: usize) -> Vec<Retained> {
        Vec::new()
    }
}

fn hello() -> Hello {
    Hello {
        down_filter: "vigil/1/s/g/d/#".to_owned(),
        state_topic: "vigil/1/s/g/st".to_owned(),
        birth: Arc::new(|| b"birth".to_vec()),
        will: b"lost".to_vec(),
    }
}

async fn wait_for(condition: impl Fn() -> bool) {
    let polled = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::broker::PATIENCE, polled).await.expect("the condition never held");
}

#[tokio::test]
async fn frames_arrive_over_tls_and_a_wrong_token_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let tls = TlsConfig { listen: any, certificate: certificate.clone(), key };
    let config = DoorConfig { listen: any, tls: Some(tls), ..DoorConfig::default() };
    let hall = Arc::new(Hall::default());
    let door = Door::bind(&config, hall.clone(), hall.clone(), hall.clone(), Clock::system()).await.unwrap();
    let port = door.tls_addr().unwrap().port();
    let door_stop = Stop::new();
    let serving = tokio::spawn(door.run(door_stop.clone()));

    let outbox = Outbox::open(dir.path(), &journal::Config::default()).unwrap();
    let entries = (0..300_u32).map(|id| outbox::encode(Time(0), "vigil/1/s/g/u/vit/d", &id.to_be_bytes()));
    outbox.lane(Lane::Vit).append_wait(entries.collect()).await.unwrap();
    let config = |password: &str| Config {
        host: "localhost".to_owned(),
        port,
        client_id: "g".to_owned(),
        username: "g".to_owned(),
        password: password.to_owned(),
        tls_ca_file: Some(certificate.clone()),
        reconnect_min_ms: 10,
        reconnect_max_ms: 40,
        ..Config::default()
    };
    for (password, upto) in [("wrong", Seq(0)), ("token", Seq(300))] {
        let (stats, stop, (down, _heard)) = (Arc::new(Stats::default()), Stop::new(), mpsc::channel(1));
        let (clock, counters) = (Clock::system(), Arc::clone(&stats));
        let uplink = uplink::run(config(password), outbox.clone(), hello(), down, counters, clock, stop.clone());
        let running = tokio::spawn(uplink);
        let cursor = || outbox.lane(Lane::Vit).stats().cursors.iter().find(|(name, _)| name == CURSOR).unwrap().1;
        if password == "wrong" {
            wait_for(|| stats.snapshot().reconnects >= 3).await;
        } else {
            wait_for(|| cursor() == upto).await;
        }
        stop.request();
        running.await.unwrap().unwrap();
        assert_eq!((cursor(), stats.snapshot().acked), (upto, upto.0));
    }
    let held = hall.0.lock().unwrap().iter().filter(|publish| publish.topic.contains("/u/vit/")).count();
    assert_eq!(held, 300);
    door_stop.request();
    serving.await.unwrap();
}
