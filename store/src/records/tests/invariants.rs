//! Invariants I1, I2, I3, I5 (a crash loses nothing), I6, I7 and I9 (facts: alarms, section 12) over random histories of data,
//! people and crashes.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Raise {
        slot: u8,
        priority: u8,
        late: bool,
        sos: bool,
    },
    Worsen {
        slot: u8,
        priority: u8,
    },
    Change {
        slot: u8,
        what: u8,
    },
    Claim {
        slot: u8,
        other: bool,
    },
    Release {
        slot: u8,
        other: bool,
    },
    Resolve {
        slot: u8,
        outcome: bool,
    },
    Answer {
        slot: u8,
        nurse: bool,
        accept: bool,
    },
    HandOver {
        slot: u8,
        other: bool,
    },
    Offered {
        slot: u8,
        other: bool,
        accept: bool,
    },
    Park {
        slot: u8,
        minutes: u8,
        doctor: bool,
    },
    Dispatch {
        slot: u8,
        other: bool,
        ours: bool,
    },
    Arrive {
        slot: u8,
    },
    Reopen {
        slot: u8,
    },
    Void {
        slot: u8,
    },
    Send {
        result: u8,
    },
    Repeat,
    Pass {
        seconds: u16,
    },
    /// The server dies and comes back.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..3_u8;
    prop_oneof![
        4 => (slot.clone(), 0..4_u8, prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(slot, priority, late, sos)| Step::Raise { slot, priority, late, sos }),
        2 => (slot.clone(), 0..4_u8).prop_map(|(slot, priority)| Step::Worsen { slot, priority }),
        4 => (slot.clone(), 0..4_u8).prop_map(|(slot, what)| Step::Change { slot, what }),
        3 => (slot.clone(), any::<bool>()).prop_map(|(slot, other)| Step::Claim { slot, other }),
        1 => (slot.clone(), any::<bool>()).prop_map(|(slot, other)| Step::Release { slot, other }),
        2 => (slot.clone(), any::<bool>()).prop_map(|(slot, outcome)| Step::Resolve { slot, outcome }),
        3 => (slot.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(slot, nurse, accept)| Step::Answer { slot, nurse, accept }),
        2 => (slot.clone(), any::<bool>()).prop_map(|(slot, other)| Step::HandOver { slot, other }),
        2 => (slot.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(slot, other, accept)| Step::Offered { slot, other, accept }),
        2 => (slot.clone(), 0..70_u8, any::<bool>())
            .prop_map(|(slot, minutes, doctor)| Step::Park { slot, minutes, doctor }),
        2 => (slot.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(slot, other, ours)| Step::Dispatch { slot, other, ours }),
        1 => slot.clone().prop_map(|slot| Step::Arrive { slot }),
        1 => slot.clone().prop_map(|slot| Step::Reopen { slot }),
        1 => slot.prop_map(|slot| Step::Void { slot }),
        3 => (0..5_u8).prop_map(|result| Step::Send { result }),
        1 => Just(Step::Repeat),
        2 => (0..1_200_u16).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Crash),
    ]
}

/// The house and the log that was applied so far.
struct World {
    house: House,
    /// A look at the tables past the store's own code.
    raw: Connection,
    log: Vec<Transition>,
    began: [Time; 3],
}

impl World {
    fn alarm(&self, slot: u8) -> AlarmId {
        AlarmId::of(Subject::Elder(self.house.elder), &format!("rule_{slot}"), self.began[usize::from(slot)])
    }

    fn log(&mut self, slot: u8, change: Change) {
        let transition = self.house.change(&format!("rule_{slot}"), self.began[usize::from(slot)], change);
        self.house.apply(std::slice::from_ref(&transition));
        self.log.push(transition);
    }

    fn take(&mut self, step: Step) {
        // Time moves a little with every step, as it does in life.
        self.house.pass(1);
        let (records, now) = (self.house.records.clone(), self.house.clock.now());
        let seat = |other| if other { self.house.other_dispatcher } else { self.house.dispatcher };
        match step {
            Step::Raise { slot, priority, late, sos } => {
                self.began[usize::from(slot)] = now;
                let kind = if sos { SOS } else { PRESSURE };
                self.log(slot, raised(Priority::ALL[usize::from(priority)], kind, now, late));
            }
            Step::Worsen { slot, priority } => {
                self.log(slot, Change::Worsened { priority: Priority::ALL[usize::from(priority)], kind: PRESSURE });
            }
            // An engine tells of the end only of what it told before.
            Step::Change { what: 0..=2, slot } if records.alarm_view(self.alarm(slot)).unwrap().is_none() => {}
            Step::Change { slot, what } => {
                let change = match what {
                    0 => Change::Cleared,
                    1 => Change::DataLost,
                    2 => Change::StillPresent,
                    _ => Change::Repeated { kind: SOS },
                };
                self.log(slot, change);
            }
            // Refusals are part of life: whatever is refused must change nothing, which the invariants tell.
            Step::Claim { slot, other } => drop(records.claim(self.alarm(slot), seat(other), None)),
            Step::Release { slot, other } => drop(records.release(self.alarm(slot), seat(other), None)),
            Step::Resolve { slot, outcome } => {
                let outcome = outcome.then_some(Outcome::TrueHandled);
                drop(records.resolve(self.alarm(slot), self.house.dispatcher, outcome, "", None));
            }
            Step::HandOver { slot, other } => {
                drop(records.hand_over(self.alarm(slot), seat(other), seat(!other), None));
            }
            Step::Offered { slot, other, accept: true } => {
                drop(records.accept_hand_over(self.alarm(slot), seat(other), None));
            }
            Step::Offered { slot, other, .. } => drop(records.decline_hand_over(self.alarm(slot), seat(other), None)),
            Step::Park { slot, minutes, doctor } => {
                let by = if doctor { self.house.doctor } else { self.house.supervisor };
                let until = now.plus_us(i64::from(minutes) * 60_000_000);
                drop(records.park(self.alarm(slot), by, until, "later", None));
            }
            Step::Dispatch { slot, other, ours } => {
                let who = if ours { Dispatch::Person(self.house.responder) } else { Dispatch::Words("120") };
                drop(records.dispatch(self.alarm(slot), seat(other), who, None));
            }
            Step::Arrive { slot } => drop(records.arrived(self.alarm(slot), self.house.supervisor, None)),
            Step::Reopen { slot } => drop(records.reopen(self.alarm(slot), self.house.doctor, "again", None)),
            Step::Void { slot } => {
                drop(records.void(self.alarm(slot), self.house.supervisor, VoidReason::Test, "", None));
            }
            Step::Answer { slot, nurse, accept } => self.answer(slot, nurse, accept),
            Step::Send { result } => self.send(result),
            Step::Repeat => drop(self.house.steps()),
            Step::Crash => self.crash(),
            Step::Pass { seconds } => {
                self.house.pass(i64::from(seconds));
                // The tasks of alerting run all the time: a deadline that passes is seen to.
                self.house.due();
                self.house.steps();
            }
        }
    }

    /// Whatever was open stays open: the same alarms, and what was being sent is in doubt, not lost.
    fn crash(&mut self) {
        let picture = |records: &Records| records.alarms(AlarmFilter::default(), 100).unwrap();
        let before = picture(&self.house.records);
        self.house.reopen();
        assert_eq!(picture(&self.house.records), before);
    }

    /// The levels that escalation has reached.
    fn levels(&self) -> Vec<(i64, i64)> {
        let mut rows = self.raw.prepare("SELECT id, level FROM alarm ORDER BY id").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    fn answer(&self, slot: u8, nurse: bool, accept: bool) {
        let person = if nurse { self.house.nurse } else { self.house.doctor };
        let Some(detail) = self.house.records.alarm(self.alarm(slot)).unwrap() else { return };
        let Some(page) = detail.pages.iter().rev().find(|page| page.person.id == person.0) else { return };
        if accept {
            drop(self.house.records.accept_page(page.id, person, None));
        } else {
            drop(self.house.records.decline_page(page.id, person, "", None));
        }
    }

    fn send(&self, result: u8) {
        let records = &self.house.records;
        let now = self.house.clock.now();
        let Some(job) = records.pages_due(now, 1).unwrap().pop() else { return };
        let Some(attempt) = records.start_attempt(job.page, now).unwrap() else { return };
        let result = match result {
            0 => SendResult::Accepted { provider_ref: None },
            1 => SendResult::Retry { after: std::time::Duration::from_secs(15) },
            2 => SendResult::RefusedPerson,
            3 => SendResult::RefusedConfig,
            _ => SendResult::InDoubt,
        };
        records.finish_attempt(attempt, &result, "", None).unwrap();
    }

    /// Counts the rows that break an invariant.
    fn broken(&self) -> Vec<(&'static str, i64)> {
        const RULES: [(&str, &str); 5] = [
            (
                "I1: a live deadline or lease, and not both",
                "SELECT COUNT(*) FROM alarm WHERE priority IN ('P1', 'P2') AND late = 0 AND (\
                 (handling = 'open' AND (page_due_at IS NULL OR claim_until IS NOT NULL)) \
                 OR (handling = 'claimed' AND (claim_until IS NULL OR page_due_at IS NOT NULL)))",
            ),
            (
                "I2: a paged alarm has its first pages",
                "SELECT COUNT(*) FROM alarm a WHERE priority IN ('P1', 'P2') AND late = 0 \
                 AND NOT EXISTS (SELECT 1 FROM page g WHERE g.alarm = a.id AND g.round = 0)",
            ),
            ("I3: no page without an alarm", "SELECT COUNT(*) FROM page WHERE alarm NOT IN (SELECT id FROM alarm)"),
            (
                "I6: a finished P1 or P2 has outcome, actor and time",
                "SELECT COUNT(*) FROM alarm WHERE priority IN ('P1', 'P2') AND handling IN ('resolved', 'closed') \
                 AND (outcome IS NULL OR resolved_by IS NULL OR resolved_at IS NULL)",
            ),
            (
                "a finished alarm has no deadline, lease or page to send",
                "SELECT COUNT(*) FROM alarm a WHERE handling IN ('resolved', 'closed') AND (page_due_at IS NOT NULL \
                 OR claim_until IS NOT NULL OR EXISTS (SELECT 1 FROM page g WHERE g.alarm = a.id AND g.due_at IS NOT NULL))",
            ),
        ];
        RULES
            .iter()
            .map(|(what, sql)| (*what, self.raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

proptest! {
    // Each case is some dozens of durable commits; more cases run with PROPTEST_CASES.
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants(steps in prop::collection::vec(step(), 1..60)) {
        let house = house();
        let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
        let mut world = World { house, raw, log: Vec::new(), began: [START; 3] };
        for step in steps {
            let levels = world.levels();
            world.take(step);
            // I7: time, machines and crashes never lower a level; only people do.
            if matches!(step, Step::Pass { .. } | Step::Send { .. } | Step::Repeat | Step::Crash) {
                let after = world.levels();
                let lower = |(id, level): &&(i64, i64)| after.iter().any(|(known, now)| known == id && now < level);
                prop_assert_eq!(levels.iter().find(lower), None, "after {:?}", step);
            }
            prop_assert_eq!(world.broken(), vec![], "after {:?}", step);
            prop_assert_eq!(world.house.records.audit_alarms(world.house.clock.now()).unwrap(), vec![], "after {:?}", step);
        }
        // I9: the whole log again changes nothing.
        let records = &world.house.records;
        let picture = || (records.alarms(AlarmFilter::default(), 100).unwrap(), records.last_alarm_event().unwrap());
        let before = picture();
        let again = world.house.apply(&world.log);
        prop_assert_eq!(again, Applied::default());
        prop_assert_eq!(picture(), before);
        prop_assert_eq!(records.integrity_check().unwrap(), Vec::<String>::new());
    }
}
