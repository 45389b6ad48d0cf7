//! Who passes a trial, and what is not tried twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::note::Push;
use model::push::Pushed;
use model::{Lane, Name, Note, Seq, Time};
use mqtt::outbox::{self, Outbox};
use mqtt::wire;
use runtime::{Clock, Stop};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::kept::Version;
use super::{Care, CareConfig, Kept, Outcome};
use crate::config::{Config, Encoding};
use crate::edge::{Edge, EdgeConfig};
use crate::framer::Framer;

const START: Time = Time::from_secs(1_700_000_000);
const STUCK: Duration = Duration::from_mins(1);

struct House {
    dir: tempfile::TempDir,
    outbox: Outbox,
    care: Care,
    _framing: JoinSet<Result<(), crate::Error>>,
}

fn version(version: u64, port: u16) -> Version {
    Version { version, body: json!({ "port": port }) }
}

/// A configuration that is pushed.
fn push(version: u64, port: u16) -> Pushed<Box<RawValue>> {
    let body = RawValue::from_string(json!({ "port": port }).to_string()).unwrap();
    Pushed { what: Push::Config, version, body }
}

impl House {
    /// Care of parts that were put together with what is kept after `change`.
    fn new(change: impl FnOnce(&mut Kept)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (outbox, lanes) = crate::lanes::open(dir.path(), &journal::Config::default(), START).unwrap();
        let (clock, mut framing) = (Clock::manual(START), JoinSet::new());
        let framer = Framer {
            site: Name::new("home").unwrap(),
            gateway: Name::new("gw").unwrap(),
            encoding: Encoding::Cbor,
            outbox: outbox.clone(),
            lanes: Arc::new(Mutex::new(lanes)),
            clock: clock.clone(),
            flush: Duration::ZERO,
            bytes_max: u64::MAX,
        };
        let inlet = framer.start(&mut framing, &Stop::new(), &Stop::new());
        let edge = Edge::open(&EdgeConfig::default(), dir.path(), outbox.clone(), clock).unwrap();
        let own = Config { token: "t".to_owned(), care: CareConfig { trial_s: 1 }, ..Config::default() };
        let mut kept = Kept::load(dir.path());
        change(&mut kept);
        Self { care: Care::new(own, kept, Arc::new(edge), inlet), dir, outbox, _framing: framing }
    }

    fn on_disk(&self) -> Kept {
        Kept::load(self.dir.path())
    }

    /// What the server will be told.
    fn notes(&self) -> Vec<Note> {
        let journal = self.outbox.lane(Lane::Evt);
        let mut reader = journal.reader(Seq(journal.first().0 - 1));
        let mut notes = Vec::new();
        while reader.position() < journal.head() {
            for (_, bytes) in reader.read(1 << 20, Duration::ZERO).unwrap().iter() {
                let frame = wire::decode(outbox::decode(bytes).unwrap().payload).unwrap();
                notes.extend(frame.notes.iter().filter_map(|text| Note::parse(text)));
            }
        }
        notes
    }
}

/// The server is told of a configuration that failed while the one before is connected; just then it pushes another. The
/// connection that is there is not that of the other: it must not pass it, or the gateway would never be reached again.
#[tokio::test]
async fn the_connection_of_the_configuration_before_passes_no_trial() {
    let house = House::new(|kept| {
        kept.config = Some(version(1, 1883));
        kept.failed = Some((2, "it did not connect".to_owned()));
    });
    let watching = house.care.watch(|| true);
    tokio::pin!(watching);
    tokio::select! {
        biased;
        () = &mut watching => panic!("nothing is on trial"),
        () = std::future::ready(()) => {}
    }
    assert!(matches!(house.care.keep(&push(3, 1)), Ok(Outcome::OnTrial)));
    let told = async {
        while !house.care.kept().told {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = &mut watching => panic!("these parts are not on trial"),
        told = tokio::time::timeout(STUCK, told) => told.unwrap(),
    }
    for kept in [house.care.kept().clone(), house.on_disk()] {
        assert_eq!(kept.on_trial(), Some(3), "it has to connect itself");
        assert_eq!(kept.before, Some(version(1, 1883)), "what works is not given up");
    }
    let reason = "it did not connect".to_owned();
    assert_eq!(house.notes(), [Note::Refused { what: Push::Config, version: 2, reason }]);
}

/// The trial of one ends when another was pushed meanwhile: the other is neither passed nor taken back.
#[tokio::test]
async fn a_trial_takes_back_only_what_was_on_it() {
    let house = House::new(|kept| {
        kept.before = Some(version(1, 1883));
        kept.config = Some(version(2, 1));
        kept.trial = true;
    });
    assert!(matches!(house.care.keep(&push(3, 2)), Ok(Outcome::OnTrial)));
    tokio::time::timeout(STUCK, house.care.watch(|| false)).await.unwrap();
    let kept = house.on_disk();
    assert_eq!((kept.on_trial(), kept.before), (Some(3), Some(version(1, 1883))));
    assert_eq!(kept.failed, None);
}

/// The server sends it again when the gateway is born before it has read why it was refused.
#[tokio::test]
async fn what_has_failed_is_answered_and_not_tried_again() {
    let house = House::new(|kept| {
        kept.before = Some(version(1, 1883));
        kept.config = Some(version(2, 1));
        kept.trial = true;
    });
    tokio::time::timeout(STUCK, house.care.watch(|| false)).await.unwrap();
    let kept = house.on_disk();
    assert_eq!((kept.config.clone(), kept.on_trial(), kept.told), (Some(version(1, 1883)), None, false));
    let (failed, reason) = kept.failed.unwrap();
    assert_eq!((failed, reason.as_str()), (2, "it did not connect within 1 s"));
    assert_eq!(house.care.keep(&push(2, 1)).err(), Some(reason));
    assert_eq!(house.on_disk().config, Some(version(1, 1883)), "what works stays in force");
    assert!(matches!(house.care.keep(&push(3, 1)), Ok(Outcome::OnTrial)), "a new version is tried");
}
