//! What the tests of the records store share: a store in a temporary directory, people, an elder, transitions.

#![allow(clippy::unwrap_used)]

mod actions;
mod anew;
mod apply;
mod channels;
mod custody;
mod handling;
mod incidents;
mod invariants;
mod layers;
mod measurements;
mod pages;
mod past;
mod people;
mod policies;
mod quiet;
mod receipts;
mod registry;
mod rota;
mod sounded;
mod store;

use model::alarm::{Change, Transition};
use model::people::{Role, Sex};
use model::{AlarmId, AlarmKind, ElderId, EventKind, Metric, Outcome, PersonId, Priority, Subject, TeamId, Time};
use runtime::Clock;

use model::Seq;

use super::*;

pub(super) const START: Time = Time(1_790_000_000_000_000);
pub(super) const PASSWORD: &str = "Correct-horse-1";

/// A store with one team, one elder, two dispatchers, two people on call, a supervisor and a responder.
pub(super) struct House {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Clock,
    pub(super) records: Records,
    pub(super) team: TeamId,
    pub(super) elder: ElderId,
    pub(super) dispatcher: PersonId,
    pub(super) other_dispatcher: PersonId,
    pub(super) doctor: PersonId,
    pub(super) nurse: PersonId,
    pub(super) supervisor: PersonId,
    pub(super) responder: PersonId,
}

pub(super) fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let records = Records::open(dir.path(), clock.clone()).unwrap();
    let team = records.create_team("一队").unwrap();
    let elder = records.create_elder(&new_elder("张三", Some(team))).unwrap();
    let person = |login: &str, role, order| records.create_person(&new_person(login, role, Some(team), order)).unwrap();
    let dispatcher = person("wang", Role::Dispatcher, None);
    let other_dispatcher = person("zhao", Role::Dispatcher, None);
    let doctor = person("li", Role::Doctor, Some(1));
    let nurse = person("chen", Role::Nurse, Some(2));
    let supervisor = person("ban", Role::Supervisor, None);
    let responder = person("wu", Role::Responder, None);
    House { dir, clock, records, team, elder, dispatcher, other_dispatcher, doctor, nurse, supervisor, responder }
}

impl House {
    pub(super) fn pass(&self, seconds: i64) {
        self.clock.set(self.clock.now().plus_us(seconds * 1_000_000));
    }

    /// Pages the doctor by webhook at once.
    pub(super) fn plan(&self) -> impl Fn(&AlarmView) -> Vec<NewPage> + use<> {
        let doctor = self.doctor;
        move |view| {
            if view.priority <= Priority::P2 { vec![page_to(doctor)] } else { Vec::new() }
        }
    }

    /// Applies transitions with the cursor after the stored one.
    pub(super) fn apply(&self, transitions: &[Transition]) -> Applied {
        let cursor = Seq(self.records.alerting_cursor().unwrap().0 + 1);
        self.records.apply(transitions, cursor, self.clock.now(), &self.plan()).unwrap()
    }

    pub(super) fn view(&self, id: AlarmId) -> AlarmView {
        self.records.alarm_view(id).unwrap().unwrap()
    }

    /// An SOS, raised now.
    pub(super) fn sos(&self) -> AlarmId {
        let raised = self.change("sos", self.clock.now(), raised(Priority::P1, SOS, self.clock.now(), false));
        self.apply(std::slice::from_ref(&raised));
        raised.alarm
    }

    /// A change of this elder's alarm of the rule that started at `started_at`; it happens now.
    pub(super) fn change(&self, rule: &str, started_at: Time, change: Change) -> Transition {
        let subject = Subject::Elder(self.elder);
        Transition {
            alarm: AlarmId::of(subject, rule, started_at),
            subject: subject.to_u32(),
            rule: rule.to_owned(),
            rules_version: 1,
            change,
            at: self.clock.now(),
            received_at: self.clock.now(),
        }
    }

    /// Does what has come due; overdue arrivals page the supervisor.
    pub(super) fn due(&self) -> Vec<(AlarmId, Deadline)> {
        let supervisor = self.supervisor;
        self.records.handling_due(self.clock.now(), &|_: &AlarmView| vec![supervisor]).unwrap().done
    }

    /// Runs every step that is due, which pages the nurse; the answer is of how many alarms.
    pub(super) fn steps(&self) -> usize {
        let now = self.clock.now();
        let due = self.records.steps_due(now, 10).unwrap();
        let policy = policies::policy("repeats", &[Priority::P1, Priority::P2], &[0]);
        for one in &due {
            self.records.run_step(one, &policy, &[page_to(self.nurse)], now).unwrap();
        }
        due.len()
    }

    /// The same, after closing the store and opening it again: as after a crash.
    pub(super) fn reopen(&mut self) {
        self.records = Records::open(self.dir.path(), self.clock.clone()).unwrap();
    }

    /// The only page of the alarm that waits for `person`.
    pub(super) fn page_of(&self, alarm: AlarmId, person: PersonId) -> PageView {
        let mut pages = self.records.alarm(alarm).unwrap().unwrap().pages;
        pages.retain(|page| page.person.id == person.0);
        assert_eq!(pages.len(), 1, "{pages:?}");
        pages.remove(0)
    }

    pub(super) fn kinds(&self, alarm: AlarmId) -> Vec<&'static str> {
        self.records.alarm(alarm).unwrap().unwrap().events.iter().map(|event| event.kind.slug()).collect()
    }
}

pub(super) const SOS: AlarmKind = AlarmKind::Event { kind: EventKind::Sos };
pub(super) const PRESSURE: AlarmKind =
    AlarmKind::Threshold { metric: Metric::Systolic, high: true, value: 186.0, limit: 180.0 };

pub(super) fn raised(priority: Priority, kind: AlarmKind, started_at: Time, late: bool) -> Change {
    Change::Raised { priority, kind, started_at, late }
}

pub(super) fn page_to(person: PersonId) -> NewPage {
    NewPage::to(person, "webhook")
}

pub(super) fn new_elder(name: &str, team: Option<TeamId>) -> NewElder {
    NewElder {
        name: name.into(),
        sex: Sex::Female,
        birth_date: Some("1940-02-29".into()),
        phone: "13800000000".into(),
        address: "幸福路 1 号".into(),
        notes: String::new(),
        team,
    }
}

pub(super) fn new_person(login: &str, role: Role, team: Option<TeamId>, on_call_order: Option<u32>) -> NewPerson {
    NewPerson {
        name: format!("{login} 某"),
        phone: "13900000000".into(),
        role,
        login: login.into(),
        password: PASSWORD.into(),
        team,
        language: "zh".into(),
        on_call_order,
    }
}
