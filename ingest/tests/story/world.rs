//! A gateway with one device of one elder, on everything real.

use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use model::entry::Entry;
use model::{Lane, Metric, Name, Quality, Sample, Seq, Time};
use mqtt::door::{Gatekeeper, Identity, Intake, Login, Publish, Verdict};
use mqtt::{topic, wire};
use runtime::{Clock, Tasks};
use store::readings::Readings;
use store::records::{Dialect, NewElder, Records};
use vigil_ingest::{Config, Ingest};

pub(crate) const NOON: Time = Time::from_secs(1_800_000_000);

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) records: Records,
    pub(crate) readings: Readings,
    pub(crate) ingest: Ingest,
    pub(crate) tasks: Tasks,
    pub(crate) gateway: Arc<Identity>,
    pub(crate) token: String,
    pub(crate) elder: model::ElderId,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let site = records.create_site(&name("home")).unwrap();
        let (gateway, token) = records.create_gateway(site, &name("gw1"), Dialect::Vigil).unwrap();
        let device = records.ensure_device(gateway, &name("band")).unwrap();
        let elder = records.create_elder(&new_elder()).unwrap();
        records.bind(device, elder, Time::from_secs(0), None).unwrap();
        Self::open(dir, clock, records, token, elder)
    }

    pub(crate) fn open(
        dir: tempfile::TempDir,
        clock: Clock,
        records: Records,
        token: String,
        elder: model::ElderId,
    ) -> Self {
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let readings = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let tasks = Tasks::new();
        let config = Config { tick_s: 60, writer_linger_ms: 1, ..Config::default() };
        let ingest = Ingest::start(config, dir.path(), &journal, &records, &readings, clock.clone(), &tasks).unwrap();
        let gateway = Arc::new(Gatekeeper::login(&ingest, &login("gw1", "gw1", &token)).unwrap());
        Self { dir, clock, journal, records, readings, ingest, tasks, gateway, token, elder }
    }

    pub(crate) async fn restart(self) -> Self {
        let Self { dir, clock, journal, records, readings, ingest, tasks, token, elder, .. } = self;
        assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
        drop((ingest, readings));
        tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
        Self::open(dir, clock, records, token, elder)
    }

    pub(crate) async fn submit(&self, publishes: Vec<Publish>) -> Vec<Verdict> {
        let (done, verdicts) = tokio::sync::oneshot::channel();
        self.ingest.submit(&self.gateway, publishes, Box::new(move |got| done.send(got).unwrap()));
        verdicts.await.unwrap()
    }

    pub(crate) fn journalled(&self) -> Vec<Entry> {
        let mut reader = self.journal.reader(Seq(self.journal.first().0.saturating_sub(1)));
        let batch = reader.read(1 << 20, Duration::ZERO).unwrap();
        batch.iter().map(|(_, bytes)| Entry::decode(bytes).unwrap()).filter(|e| !matches!(e, Entry::Tick(_))).collect()
    }

    pub(crate) async fn until_stored(&self, count: u64) {
        while self.readings.count() < count {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.readings.count(), count);
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn new_elder() -> NewElder {
    let (name, sex) = ("测试".to_owned(), model::people::Sex::Unknown);
    NewElder {
        name,
        sex,
        birth_date: None,
        phone: String::new(),
        address: String::new(),
        notes: String::new(),
        team: None,
    }
}

pub(crate) fn login<'a>(client_id: &'a str, username: &'a str, token: &'a str) -> Login<'a> {
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    Login { client_id, username: Some(username), password: Some(token.as_bytes()), peer, tls: false }
}

pub(crate) fn publish(topic: String, payload: Vec<u8>) -> Publish {
    Publish { topic, payload: payload.into(), qos: 1, retain: false, dup: false, received_at: NOON, will: None }
}

pub(crate) fn frame(device: &str, seq: u64, value: f64) -> Publish {
    let at = NOON.plus_us(seq as i64 * 1_000_000);
    let samples = vec![Sample::new(Metric::HeartRate, at, value, Quality::Ok)];
    let frame = wire::WireFrame { epoch: 1, seq, gateway_time: NOON, samples, ..wire::WireFrame::default() };
    publish(topic::up(&name("home"), &name("gw1"), Lane::Vit, &name(device)), wire::encode_cbor(&frame))
}
