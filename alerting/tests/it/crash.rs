//! The process ends before, or right after, any one of its writes, and the story goes on in the next: nobody is missed, nobody is
//! paged twice for one step, except under the same number when the answer of the provider was not written down.

use std::collections::BTreeMap;
use std::time::Duration;

use journal::Journal;
use model::PersonId;
use runtime::{Clock, Tasks};
use store::records::{FILE, PageView, Records};
use vigil_alerting::start;

use crate::receiver::Receiver;
use crate::story::Story;
use crate::world::{PATIENCE, World, at, by_webhook, sos, stop, webhook};

/// Times of the story, in seconds, with who is paged then for the first time in which step.
const PAGES: [(i64, Who, u32); 6] = [
    (0, Who::First, 0),
    (5, Who::Second, 0),
    (30, Who::Supervisor, 1),
    // The doctor on call declined and is left out: the turn of the one after, a minute after their last ring.
    (65, Who::Second, 3),
    (180, Who::Supervisor, 4),
    (480, Who::First, 5),
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    First,
    Second,
    Supervisor,
}

/// The house as it stands before the story, to be copied.
struct Template {
    story: Story,
    file: std::path::PathBuf,
}

impl Template {
    async fn new() -> Self {
        let story = Story::new(&[]).await;
        let file = story.world.path().join("template.db");
        story.world.records.backup_to(&file).unwrap();
        Self { story, file }
    }

    fn person(&self, who: Who) -> PersonId {
        match who {
            Who::First => self.story.world.doctors[0],
            Who::Second => self.story.world.doctors[1],
            Who::Supervisor => self.story.supervisor,
        }
    }

    fn copy(&self) -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(&self.file, dir.path().join(FILE)).unwrap();
        let clock = Clock::manual(at(0));
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let World { elder, doctors, .. } = &self.story.world;
        World { dir, journal, records, clock, elder: *elder, doctors: *doctors }
    }
}

/// One telling of the story.
struct Telling<'a> {
    template: &'a Template,
    world: World,
    receiver: Receiver,
    tasks: Option<Tasks>,
    /// Ids of the requests that the paging service got.
    sent: BTreeMap<String, usize>,
    crashes: usize,
}

impl Telling<'_> {
    /// A process; when it dies while it starts, the next one.
    async fn start(&mut self) {
        loop {
            let tasks = Tasks::new();
            // A busy machine must not look like a provider that does not answer.
            let patient = vigil_alerting::webhook::Config { timeout_s: 30, ..webhook(&self.receiver.url) };
            let config = by_webhook(patient);
            if start(&config, &self.world.deps(), &tasks).is_ok() {
                self.tasks = Some(tasks);
                return;
            }
            stop(tasks).await;
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        assert!(self.world.records.is_dead(), "a process failed by itself");
        self.crashes += 1;
        self.world.records = Records::open(self.world.path(), self.world.clock.clone()).unwrap();
    }

    /// Waits until nothing is left to do at this time, over a crash if there is one.
    async fn settle(&mut self) {
        let patience = tokio::time::Instant::now() + PATIENCE;
        while !self.world.is_at_rest() {
            assert!(tokio::time::Instant::now() < patience, "never settles: {:#?}", self.pages());
            if self.world.records.is_dead() {
                stop(self.tasks.take().unwrap()).await;
                self.reopen();
                self.start().await;
            }
            let notify = self.world.records.pages_notify();
            notify.notify_one();
            // Whatever comes first: a request, or time for another look.
            if let Ok(request) = tokio::time::timeout(Duration::from_millis(20), self.receiver.request()).await {
                *self.sent.entry(request.id).or_default() += 1;
            }
        }
    }

    fn pages(&self) -> Vec<PageView> {
        self.world.alarms().pop().map(|alarm| alarm.pages).unwrap_or_default()
    }

    /// The first doctor declines; when the process dies meanwhile, again.
    async fn decline(&mut self) {
        let first = self.template.person(Who::First);
        loop {
            let page = self.pages()[0].id;
            if self.world.records.decline_page(page, first, "", None).is_ok() {
                return;
            }
            stop(self.tasks.take().unwrap()).await;
            self.reopen();
            self.start().await;
        }
    }

    async fn tell(&mut self) {
        self.start().await;
        self.world.say(&sos(self.world.elder, 0)).await;
        self.settle().await;
        for second in [5, 29, 30, 60, 65, 179, 180, 479] {
            self.world.clock.set(at(second));
            if second == 5 {
                self.decline().await;
            }
            self.settle().await;
        }
        // The last step means three people; two are away, so that one page is under way at any time.
        for who in [Who::Second, Who::Supervisor] {
            while self.world.records.set_disabled(self.template.person(who), true).is_err() {
                stop(self.tasks.take().unwrap()).await;
                self.reopen();
                self.start().await;
            }
        }
        self.world.clock.set(at(480));
        self.settle().await;
        stop(self.tasks.take().unwrap()).await;
        while let Ok(request) = tokio::time::timeout(Duration::ZERO, self.receiver.request()).await {
            *self.sent.entry(request.id).or_default() += 1;
        }
    }

    fn check(&self, when: &str) {
        let pages = self.pages();
        let mut paged: Vec<_> = pages.iter().map(|page| (page.queued_at, page.person.id, page.step)).collect();
        paged.sort_unstable();
        let people: Vec<_> = paged.iter().map(|(_, person, step)| (*person, *step)).collect();
        let expected: Vec<_> = PAGES.iter().map(|(_, who, step)| (self.template.person(*who).0, *step)).collect();
        assert_eq!(people, expected, "{when}: each once, and nobody else");
        for page in &pages {
            let times = self.sent.get(&format!("page-{}", page.id)).copied().unwrap_or(0);
            assert!((1..=1 + self.crashes).contains(&times), "{when}: {page:?} went out {times} times");
        }
        let sent: usize = self.sent.values().sum();
        assert!(sent <= PAGES.len() + self.crashes, "{when}: {sent} requests, {} crashes", self.crashes);
        let now = self.world.clock.now();
        assert!(self.world.records.audit_pages(now).unwrap().is_empty(), "{when}");
        assert!(self.world.alarms()[0].view.page_due_at.is_some(), "{when}: it goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_of_an_escalation_misses_nobody_and_doubles_nothing() {
    let template = Template::new().await;
    let mut crashes = 0;
    for half in [false, true] {
        for commits in 0.. {
            let world = template.copy();
            world.records.die_after(commits, half);
            let receiver = Receiver::new(&[]).await;
            let sent = BTreeMap::new();
            let mut telling = Telling { template: &template, world, receiver, tasks: None, sent, crashes: 0 };
            telling.tell().await;
            telling.check(&format!("killed {} write {commits}", if half { "after" } else { "before" }));
            crashes += telling.crashes;
            if telling.crashes == 0 {
                break;
            }
        }
    }
    eprintln!("{crashes} crashes");
    assert!(crashes > 40, "the story has more writes than that: {crashes}");
}
