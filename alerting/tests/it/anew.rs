//! Stories of alarms that somebody has, or had: they get worse, come back, are called for again. Who is paged then, and who is not.

use model::entry::{Entry, Frame};
use model::{Condition, Event, EventKind, Handling, Metric, Outcome, PersonId, Priority};

use crate::story::Story;
use crate::world::{at, frame, judged, reads, sos};

impl Story {
    /// The log says this at that second, and it has been judged.
    async fn told(&self, second: i64, entry: &Entry) {
        self.world.later(second);
        let seq = self.world.say(entry).await;
        judged(&self.running.as_ref().unwrap().0, seq).await;
    }

    /// One value a minute, from one second to another.
    async fn values(&self, metric: Metric, value: f64, from: i64, to: i64) {
        for second in (from..=to).step_by(60) {
            self.told(second, &reads(self.world.elder, second, metric, value)).await;
        }
    }

    /// The task looks at the wall's pace; here it is asked at once.
    fn look(&self, second: i64) {
        self.world.later(second);
        self.world.records.handling_due(at(second), &|_: &_| Vec::new()).unwrap();
    }

    fn accept(&self, second: i64, by: PersonId) {
        self.world.clock.set(at(second));
        self.world.records.accept_page(self.page_of(by).id, by, None).unwrap();
    }

    fn resolve(&self, second: i64, by: PersonId) {
        self.world.clock.set(at(second));
        let id = self.alarm().view.id;
        self.world.records.resolve(id, by, Some(Outcome::TrueHandled), "", None).unwrap();
    }

    fn unattended(&self) -> usize {
        let (records, now) = (&self.world.records, self.world.clock.now());
        records.audit_alarms(now).unwrap().len() + records.audit_pages(now).unwrap().len()
    }
}

/// 93 % for ten minutes is a P2, and a doctor accepts it. Twenty minutes later it is 80 %, and another doctor is on call.
#[tokio::test]
async fn an_accepted_p2_that_becomes_a_p1_pages_escalates_and_is_anybodys_to_accept() {
    let mut story = Story::new(&[]).await;
    let ([first, second], supervisor) = (story.world.doctors, story.supervisor);
    story.start();
    story.values(Metric::Spo2, 93.0, 0, 600).await;
    story.expect(600, &[first]).await;
    story.world.clock.set(at(605));
    story.world.records.decline_page(story.page_of(first).id, first, "在手术", None).unwrap();
    story.expect(605, &[second]).await;
    story.accept(610, second);
    story.values(Metric::Spo2, 93.0, 660, 1_140).await;
    assert_eq!((story.alarm().view.priority, story.alarm().view.handling), (Priority::P2, Handling::Engaged));

    story.values(Metric::Spo2, 80.0, 1_200, 1_260).await;
    story.expect(1_260, &[first, second]).await;
    let view = story.alarm().view;
    assert_eq!((view.priority, view.handling, view.accepted_by), (Priority::P1, Handling::Open, None));
    assert_eq!(story.history()["returned"], 1);
    story.expect(1_290, &[supervisor]).await;
    assert_eq!(story.unattended(), 0);
    story.accept(1_295, first);
    let view = story.alarm().view;
    assert_eq!((view.handling, view.accepted_by.unwrap().id), (Handling::Engaged, first));
    story.expect(1_800, &[]).await;
    story.stop().await;
}

/// 85 %, resolved; then 95 %, which is inside the urgent limits and not yet beyond the margin: still "present", and no news.
#[tokio::test]
async fn a_resolved_p1_that_is_better_but_not_over_pages_nobody() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    story.start();
    story.values(Metric::Spo2, 85.0, 0, 60).await;
    story.expect(60, &[first]).await;
    story.resolve(90, first);
    for hour in 0..3 {
        story.values(Metric::Spo2, 95.0, 3_600 * hour + 120, 3_600 * (hour + 1) + 60).await;
        story.look(3_600 * (hour + 1) + 100);
        story.expect(3_600 * (hour + 1) + 100, &[]).await;
    }
    let view = story.alarm().view;
    assert_eq!((view.condition, view.handling), (Condition::Present, Handling::Resolved));
    assert_eq!(story.history().get("reopened"), None);
    story.stop().await;
}

/// The same, but it stays at 85 %: the engine says so after half an hour, and people are paged, once.
#[tokio::test]
async fn a_resolved_p1_that_is_as_bad_as_before_is_open_again_and_pages_once() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    story.start();
    story.values(Metric::Spo2, 85.0, 0, 60).await;
    story.expect(60, &[first]).await;
    story.resolve(90, first);
    story.values(Metric::Spo2, 85.0, 120, 1_800).await;
    story.expect(1_800, &[]).await;
    story.values(Metric::Spo2, 85.0, 1_860, 1_860).await;
    story.expect(1_860, &[first]).await;
    assert_eq!((story.alarm().view.handling, story.history()["reopened"]), (Handling::Open, 1));
    story.accept(1_865, first);
    story.values(Metric::Spo2, 85.0, 1_920, 4_200).await;
    story.look(4_200);
    story.expect(4_200, &[]).await;
    assert_eq!(story.history()["reopened"], 1);
    story.stop().await;
}

/// A glucose is measured in the morning; nothing else is until the evening.
#[tokio::test]
async fn a_resolved_p1_that_nobody_measures_again_pages_nobody() {
    let mut story = Story::new(&[]).await;
    let [first, _] = story.world.doctors;
    story.start();
    story.told(0, &reads(story.world.elder, 0, Metric::Glucose, 20.0)).await;
    story.expect(0, &[first]).await;
    assert_eq!(story.alarm().view.priority, Priority::P1);
    story.resolve(20, first);
    for tick in 1..=72 {
        let second = 600 * tick;
        story.told(second, &Entry::Tick(at(second))).await;
        story.look(second);
    }
    story.expect(43_200, &[]).await;
    let view = story.alarm().view;
    assert_eq!((view.condition, view.handling), (Condition::Present, Handling::Resolved));
    assert_eq!(story.history().get("reopened"), None);
    story.stop().await;
}

/// The gateway had no line for eleven minutes.
#[tokio::test]
async fn a_fall_that_is_told_late_pages_and_escalates() {
    let mut story = Story::new(&[]).await;
    let ([first, _], supervisor) = (story.world.doctors, story.supervisor);
    story.start();
    let events = vec![Event { kind: EventKind::Fall, at: at(0) }];
    let fall = Entry::Frame(Frame { events, lane: model::Lane::Sos, ..frame(story.world.elder, 660) });
    story.told(660, &fall).await;
    story.expect(660, &[first]).await;
    let view = story.alarm().view;
    assert_eq!((view.priority, view.late), (Priority::P1, true));
    story.expect(690, &[supervisor]).await;
    assert_eq!(story.unattended(), 0);
    story.stop().await;
}

/// Somebody accepted and nobody comes: the elder presses every few minutes.
#[tokio::test]
async fn presses_after_the_acceptance_reach_who_accepted_and_the_supervisor() {
    let mut story = Story::new(&[]).await;
    let ([first, _], supervisor) = (story.world.doctors, story.supervisor);
    story.sos(&[first]).await;
    story.accept(25, first);
    let elder = story.world.elder;
    story.told(80, &sos(elder, 80)).await;
    story.expect(80, &[]).await;
    for press in [240, 480, 720] {
        story.told(press, &sos(elder, press)).await;
        story.expect(press, &[first, supervisor]).await;
        story.told(press + 100, &sos(elder, press + 100)).await;
        story.expect(press + 100, &[]).await;
    }
    assert_eq!(story.world.alarms().len(), 1);
    assert_eq!((story.alarm().view.repeats, story.history()["escalated"]), (7, 3));
    // There now: the elder is heard without a telephone, the supervisor may ask whether somebody is needed.
    let id = story.alarm().view.id;
    story.world.records.arrived(id, first, None).unwrap();
    story.told(1_000, &sos(elder, 1_000)).await;
    story.expect(1_000, &[supervisor]).await;
    story.stop().await;
}
