//! A day's story about one alarm: the clock is set by hand, the paging service is strict. A page that nobody expected fails the
//! test, when it comes or at the end.

use std::collections::BTreeMap;

use model::PersonId;
use model::people::Role;
use model::policy::{Policy, Step, StopOn, Target};
use model::{Priority, Time};
use runtime::Tasks;
use store::records::{AlarmDetail, NewPerson, PageView, StepWork};
use vigil_alerting::{Alerting, Config};

use crate::receiver::{Answer, Receiver};
use crate::world::{PATIENCE, World, at, by_webhook, kinds, sos, stop, webhook};

pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) receiver: Receiver,
    pub(crate) supervisor: PersonId,
    pub(crate) running: Option<(Alerting, Tasks)>,
}

/// A step that pages who is on call by webhook.
pub(crate) fn step(wait_s: u32) -> Step {
    Step {
        wait_s,
        targets: vec![Target::OnCall { duty: None, backup: false }],
        channels: vec!["webhook".into()],
        stop_on: StopOn::Accept,
        only_priorities: vec![],
        only_hours: None,
        skip_if_empty: true,
    }
}

pub(crate) fn to_supervisors(wait_s: u32) -> Step {
    Step { targets: vec![Target::Supervisors], ..step(wait_s) }
}

impl Story {
    pub(crate) async fn new(answers: &[Answer]) -> Self {
        let world = World::new();
        let supervisor = NewPerson {
            name: "陈值班长".into(),
            phone: "13700000000".into(),
            role: Role::Supervisor,
            login: "supervisor".into(),
            password: "Langes-Wort-7".into(),
            team: None,
            language: "zh".into(),
            on_call_order: None,
        };
        let supervisor = world.records.create_person(&supervisor).unwrap();
        Self { receiver: Receiver::new(answers).await, world, supervisor, running: None }
    }

    /// The policy of P1 is this, from now on.
    pub(crate) fn policy(&self, steps: Vec<Step>) {
        // The shipped ones first: a policy is never saved into nothing.
        let records = &self.world.records;
        records.ensure_policies(&vigil_alerting::shipped_policies(&Config::default())).unwrap();
        let version = records.policy_for(Priority::P1).unwrap().unwrap().version;
        let policy = Policy { name: "p1".into(), version, priorities: vec![Priority::P1], steps, repeat_s: 120 };
        records.save_policy(policy, &|_| true, Some(self.world.doctors[0]), "test").unwrap();
    }

    pub(crate) fn start(&mut self) {
        let config = by_webhook(webhook(&self.receiver.url));
        self.running = Some(self.world.start(&config));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((_, tasks)) = self.running.take() {
            stop(tasks).await;
        }
        self.receiver.nothing_more();
    }

    /// At 0 s the elder presses the button; these people are paged.
    pub(crate) async fn sos(&mut self, people: &[PersonId]) {
        self.start();
        self.world.say(&sos(self.world.elder, 0)).await;
        self.expect(0, people).await;
    }

    /// So many seconds after the alarm these people are paged, in whatever order, and nobody else.
    pub(crate) async fn expect(&mut self, second: i64, people: &[PersonId]) {
        self.world.later(second);
        let mut paged = Vec::new();
        for _ in people {
            let id = self.receiver.request().await.id;
            let page = self.pages().into_iter().find(|page| id == format!("page-{}", page.id)).unwrap();
            paged.push(page.person.id);
        }
        self.settled().await;
        let mut expected: Vec<u32> = people.iter().map(|person| person.0).collect();
        paged.sort_unstable();
        expected.sort_unstable();
        assert_eq!(paged, expected, "at {second} s");
        self.receiver.nothing_more();
    }

    /// Waits until the pager has nothing left to do at this time.
    pub(crate) async fn settled(&self) {
        let notify = self.world.records.pages_notify();
        let done = async {
            loop {
                let poked = notify.notified();
                tokio::pin!(poked);
                poked.as_mut().enable();
                if self.world.is_at_rest() {
                    // The notification may have been meant for the pager.
                    notify.notify_one();
                    return;
                }
                notify.notify_one();
                tokio::task::yield_now().await;
                // The pager looks every second even when it missed a word.
                drop(tokio::time::timeout(std::time::Duration::from_millis(200), poked).await);
            }
        };
        assert!(tokio::time::timeout(PATIENCE, done).await.is_ok(), "the pager never rests: {:#?}", self.pages());
    }

    pub(crate) fn alarm(&self) -> AlarmDetail {
        self.world.alarms().pop().expect("an alarm")
    }

    pub(crate) fn pages(&self) -> Vec<PageView> {
        self.world.alarms().pop().map(|alarm| alarm.pages).unwrap_or_default()
    }

    pub(crate) fn page_of(&self, person: PersonId) -> PageView {
        self.pages().into_iter().rev().find(|page| page.person.id == person.0).expect("a page")
    }

    /// Words of the history, with how often.
    pub(crate) fn history(&self) -> BTreeMap<&'static str, usize> {
        let mut count = BTreeMap::new();
        for kind in kinds(&self.alarm()) {
            *count.entry(kind.slug()).or_default() += 1;
        }
        count
    }

    pub(crate) fn due(&self) -> Option<Time> {
        self.alarm().view.page_due_at
    }
}

/// Two looks at one step, as by two pagers: it is run once.
#[tokio::test]
async fn a_step_is_run_once_however_many_look() {
    let mut story = Story::new(&[]).await;
    story.sos(&[story.world.doctors[0]]).await;
    story.stop().await;
    let records = &story.world.records;
    let due = records.steps_due(at(30), 10).unwrap().remove(0);
    let policy = records.policy_for(Priority::P1).unwrap().unwrap();
    let pages = [store::records::NewPage::to(story.supervisor, "webhook")];
    assert_eq!(records.run_step(&due, &policy, &pages, at(30)).unwrap(), StepWork::Paged);
    assert_eq!(records.run_step(&due, &policy, &pages, at(30)).unwrap(), StepWork::NotDue);
    assert_eq!(story.pages().len(), 2);
}
