//! A gateway that is alone with an alarm: it is heard at the elder's place, that is said later, and no end of the process
//! loses it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{AlarmKind, EventKind, Lane, Name, Note, Priority};
use mqtt::outbox::{self, Outbox};
use mqtt::wire;
use runtime::{Clock, Stop};
use vigil_gateway::sim::{self, Planned, Scenario};
use vigil_gateway::{Command, Config, EdgeConfig, Gpio, Hook, Link, Stats, run_with};

use crate::server::{Server, TOKEN};

const PATIENCE: Duration = Duration::from_mins(1);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn command(script: &str, timeout_s: u64, tries: u32) -> Hook {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Hook::Command(Command { argv, timeout_s, tries })
}

/// A gateway whose server nobody listens for, unless a port is given; an SOS is pressed right after the start.
fn config(dir: &Path, port: u16, hooks: Vec<Hook>) -> Config {
    let scenarios = vec![Planned { at_s: 1, person: 1, kind: Scenario::Sos, for_s: 0, every_s: 0 }];
    Config {
        port,
        site: name("s"),
        name: name("g"),
        token: TOKEN.to_owned(),
        data_dir: dir.join("gateway"),
        edge: EdgeConfig { grace_s: 0, hooks },
        links: vec![Link::Sim(sim::Config { elders: 1, interval_s: 1, scenarios, ..sim::Config::default() })],
        ..Config::default()
    }
}

struct Running {
    stop: Stop,
    stats: Stats,
    task: tokio::task::JoinHandle<Result<(), vigil_gateway::Error>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let (stop, stats) = (Stop::new(), Stats::default());
        let task = tokio::spawn(run_with(config, Clock::system(), stats.clone(), stop.clone()));
        Self { stop, stats, task }
    }

    async fn stop(self) {
        self.stop.request();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits until the file has so many lines.
async fn lines(file: &Path, count: usize) -> Vec<String> {
    let read = async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.lines().count() >= count {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the hook is not heard")
}

fn owed(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("gateway/edge-owed.json")).unwrap_or_default()
}

async fn settled(dir: &Path) {
    let wait = async {
        while owed(dir) != "[]" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it is owed still");
}

/// The notes that lie in the outbox of a gateway that has stopped.
fn notes(dir: &Path) -> Vec<Note> {
    let outbox = Outbox::open(&dir.join("gateway"), &journal::Config::default()).unwrap();
    let journal = outbox.lane(Lane::Evt);
    let mut reader = journal.reader(model::Seq(0));
    let batch = reader.read(1 << 20, Duration::ZERO).unwrap();
    let of = |bytes: &[u8]| wire::decode(outbox::decode(bytes).unwrap().payload).unwrap().notes;
    batch.iter().flat_map(|(_, bytes)| of(bytes)).map(|text| Note::parse(&text).unwrap()).collect()
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sos_nobody_takes_sounds_by_every_hook_and_each_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (heard, pin) = (file(dir.path(), "heard"), file(dir.path(), "pin"));
    std::fs::write(&pin, "1").unwrap();
    let script = format!("echo $VIGIL_RULE $VIGIL_PRIORITY $VIGIL_DEVICE $VIGIL_ZH $HOME >> {}", heard.display());
    let hooks = vec![
        command(&script, 30, 3),
        Hook::Gpio(Gpio { file: pin.clone(), seconds: 1, tries: 3 }),
        command("exit 3", 30, 2),
        // A path that is no output: nothing sounds there, and nothing is made of it.
        Hook::Gpio(Gpio { file: file(dir.path(), "no-pin"), seconds: 1, tries: 1 }),
    ];
    let gateway = Running::start(config(dir.path(), 1, hooks));
    assert_eq!(lines(&heard, 1).await, ["sos P1 band-001 紧急呼叫"], "and nothing of our own surroundings");
    settled(dir.path()).await;
    let off = async {
        while std::fs::read_to_string(&pin).unwrap() != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, off).await.expect("the output stays on");
    gateway.stop().await;
    let notes = notes(dir.path());
    let mut said: Vec<(&str, bool)> = notes
        .iter()
        .map(|note| match note {
            Note::Sounded { rule, priority: Priority::P1, kind, by, ok, elder: None, .. } => {
                assert_eq!((rule.as_str(), kind), ("sos", &AlarmKind::Event { kind: EventKind::Sos }));
                (by.as_str(), *ok)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    said.sort_unstable();
    assert_eq!(said, [("command", false), ("command", true), ("gpio", false), ("gpio", true)]);
    assert!(!file(dir.path(), "no-pin").exists());
}

/// The process ends while the hook sounds: nobody can know whether somebody heard it, so it is sounded again, and said.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_between_hook_and_note_sounds_again() {
    let dir = tempfile::tempdir().unwrap();
    let heard = file(dir.path(), "heard");
    let slow = format!("echo once >> {}; sleep 100", heard.display());
    let gateway = Running::start(config(dir.path(), 1, vec![command(&slow, 300, 1)]));
    lines(&heard, 1).await;
    gateway.stop().await;
    assert!(notes(dir.path()).is_empty(), "nothing is said that is not certain");
    let quick = format!("echo again >> {}", heard.display());
    let config = Config { links: vec![], ..config(dir.path(), 1, vec![command(&quick, 30, 1)]) };
    let gateway = Running::start(config);
    assert_eq!(lines(&heard, 2).await, ["once", "again"]);
    settled(dir.path()).await;
    gateway.stop().await;
    assert_eq!(notes(dir.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_has_taken_is_the_server_s() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let heard = file(dir.path(), "heard");
    let hook = command(&format!("echo >> {}", heard.display()), 30, 1);
    let grace = |config: Config| Config { edge: EdgeConfig { grace_s: 600, ..config.edge }, ..config };
    let gateway = Running::start(grace(config(dir.path(), server.addr.port(), vec![hook.clone()])));
    let taken = async {
        // Owed, and then not any more, because the server has the frame.
        while owed(dir.path()) != "[]" || gateway.stats.uplink().acked == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("it is owed still");
    gateway.stop().await;
    // The line drops: what stands is no news, whatever the grace.
    let config = Config { links: vec![], ..config(dir.path(), 1, vec![hook]) };
    let gateway = Running::start(config);
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.stop().await;
    assert!(!heard.exists());
    assert!(notes(dir.path()).is_empty());
}
