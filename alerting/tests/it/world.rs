//! A small care service: one team with two doctors, one elder, a journal, records, and a clock set by hand.

use std::path::Path;
use std::time::Duration;

use journal::Journal;
use model::alarm::AlarmEventKind;
use model::entry::{Entry, Flags, Frame};
use model::page::PageState;
use model::people::{Role, Sex};
use model::{DeviceId, ElderId, Event, EventKind, GatewayId, Metric, PersonId, Quality, Sample, Seq, Subject, Time};
use runtime::{Clock, Tasks};
use store::records::{AlarmDetail, AlarmFilter, NewElder, NewPerson, Records};
use tempfile::TempDir;
use vigil_alerting::{Alerting, ChannelConfigs, Config, Deps, Secret, start, webhook};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The key, as bytes for checking signatures.
pub(crate) const KEY: &[u8] = b"vigil-test-secret-0123456789abcd";
pub(crate) const KEY_TEXT: &str = "whsec_dmlnaWwtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2Q=";

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) journal: Journal,
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    pub(crate) elder: ElderId,
    pub(crate) doctors: [PersonId; 2],
}

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn webhook(url: &str) -> webhook::Config {
    webhook::Config {
        url: url.to_owned(),
        secret: Secret::new(KEY_TEXT),
        allow_private: true,
        timeout_s: 1,
        template: None,
    }
}

/// Pages go to this address.
pub(crate) fn by_webhook(webhook: webhook::Config) -> Config {
    Config { channels: ChannelConfigs { webhook: Some(webhook), ..ChannelConfigs::default() }, ..Config::default() }
}

pub(crate) fn frame(elder: ElderId, received: i64) -> Frame {
    Frame {
        gateway: GatewayId(1),
        device: DeviceId(1),
        subject: Subject::Elder(elder),
        lane: model::Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: 0,
        received_at: at(received),
        events: vec![],
        samples: vec![],
        extras: model::Extras::default(),
    }
}

pub(crate) fn sos(elder: ElderId, second: i64) -> Entry {
    let events = vec![Event { kind: EventKind::Sos, at: at(second) }];
    Entry::Frame(Frame { events, lane: model::Lane::Sos, ..frame(elder, second) })
}

pub(crate) fn reads(elder: ElderId, second: i64, metric: Metric, value: f64) -> Entry {
    Entry::Frame(Frame { samples: vec![Sample::new(metric, at(second), value, Quality::Ok)], ..frame(elder, second) })
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(at(0));
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let team = records.create_team("城东一队").unwrap();
        let doctors = ["doctor1", "doctor2"].map(|login| {
            let new = NewPerson {
                name: format!("李{login}"),
                phone: "13800000000".into(),
                role: Role::Doctor,
                login: login.into(),
                password: "Langes-Wort-7".into(),
                team: Some(team),
                language: "zh".into(),
                on_call_order: Some(if login == "doctor1" { 1 } else { 2 }),
            };
            records.create_person(&new).unwrap()
        });
        let new = NewElder {
            name: "王小明".into(),
            sex: Sex::Male,
            birth_date: Some("1940-02-03".into()),
            phone: "13900000000".into(),
            address: "幸福路1号".into(),
            notes: String::new(),
            team: Some(team),
        };
        let elder = records.create_elder(&new).unwrap();
        Self { dir, journal, records, clock, elder, doctors }
    }

    /// One more elder, of no team.
    pub(crate) fn another(born: &str) -> NewElder {
        NewElder {
            name: "张三".into(),
            sex: Sex::Female,
            birth_date: Some(born.into()),
            phone: String::new(),
            address: "和平路2号".into(),
            notes: String::new(),
            team: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn deps(&self) -> Deps {
        Deps {
            journal: self.journal.clone(),
            records: self.records.clone(),
            clock: self.clock.clone(),
            dir: self.path().to_owned(),
        }
    }

    pub(crate) fn start(&self, config: &Config) -> (Alerting, Tasks) {
        let tasks = Tasks::new();
        let alerting = start(config, &self.deps(), &tasks).unwrap();
        (alerting, tasks)
    }

    pub(crate) async fn say(&self, entry: &Entry) -> Seq {
        self.journal.append_wait(vec![entry.to_bytes()]).await.unwrap()
    }

    /// Moves the clock and wakes the pager.
    pub(crate) fn later(&self, seconds: i64) {
        self.clock.set(at(seconds));
        self.records.pages_notify().notify_one();
    }

    pub(crate) fn alarms(&self) -> Vec<AlarmDetail> {
        let all = self.records.alarms(AlarmFilter::default(), 1_000).unwrap();
        all.iter().map(|alarm| self.records.alarm(alarm.id).unwrap().unwrap()).collect()
    }

    /// Whether a page was queued and the pager has nothing left to do at this time. What is under way shows in the alarms or
    /// in the lists of what is due, but may go from one to the other meanwhile: a look counts when nothing changed around it.
    pub(crate) fn is_at_rest(&self) -> bool {
        let (records, now) = (&self.records, self.clock.now());
        let before = self.alarms();
        let is_due = !records.steps_due(now, 10).unwrap().is_empty() || !records.pages_due(now, 10).unwrap().is_empty();
        let mut pages = before.iter().flat_map(|alarm| &alarm.pages).peekable();
        let is_paged = pages.peek().is_some();
        let is_waiting = pages.any(|page| match page.state {
            PageState::Sending => true,
            PageState::ProviderAccepted => page.due_at.is_some_and(|due| due <= now),
            _ => false,
        });
        is_paged && !is_due && !is_waiting && !records.is_dead() && before == self.alarms()
    }

    /// The only alarm, once `test` holds for it.
    pub(crate) async fn alarm_when(&self, what: &str, test: impl Fn(&AlarmDetail) -> bool) -> AlarmDetail {
        let mut events = self.records.watch_alarm_events();
        let pages = self.records.pages_notify();
        let found = async {
            loop {
                let poked = pages.notified();
                tokio::pin!(poked);
                poked.as_mut().enable();
                if let [alarm] = self.alarms().as_slice()
                    && test(alarm)
                {
                    // The notification may have been meant for the pager.
                    pages.notify_one();
                    return alarm.clone();
                }
                tokio::select! {
                    changed = events.changed() => changed.unwrap(),
                    () = poked => {
                        pages.notify_one();
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        if let Ok(alarm) = tokio::time::timeout(PATIENCE, found).await {
            return alarm;
        }
        panic!("{what} did not come: {:#?}", self.alarms())
    }
}

pub(crate) fn kinds(alarm: &AlarmDetail) -> Vec<AlarmEventKind> {
    alarm.events.iter().map(|event| event.kind).collect()
}

pub(crate) async fn judged(alerting: &Alerting, upto: Seq) {
    let mut position = alerting.watch_position();
    let waited = tokio::time::timeout(PATIENCE, position.wait_for(|seen| *seen >= upto)).await;
    assert!(waited.is_ok(), "entry {upto} was not judged: {:?}", alerting.stats());
}

pub(crate) async fn stop(tasks: Tasks) {
    assert!(tasks.stop(PATIENCE).await.is_empty());
}
