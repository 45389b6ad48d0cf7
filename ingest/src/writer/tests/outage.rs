//! A county beside a store that is gone for a while, in virtual time: how late what is new becomes, and that the backlog ends.

use std::time::Duration;

use model::Seq;
use proptest::prelude::*;
use store::readings::Progress;

use crate::writer::pace::tests::server;
use crate::writer::plan::{Lane, Plan};

const LINGER: f64 = 0.05;
const RETRY: f64 = 1.0;

/// All in seconds and entries; one entry is 30 readings.
#[derive(Clone, Debug)]
struct County {
    arrive_per_s: f64,
    /// What the store takes, as a multiple of that.
    spare: f64,
    /// Of the time that a transaction of 1,000 readings takes: what does not depend on its size.
    fixed: f64,
    /// Beginning and length.
    outages: Vec<(f64, f64)>,
}

const ROWS: f64 = 30.0;

impl County {
    fn head(&self, now: f64) -> u64 {
        (now * self.arrive_per_s) as u64
    }

    fn came(&self, seq: u64) -> f64 {
        seq as f64 / self.arrive_per_s
    }

    fn is_out(&self, now: f64) -> bool {
        self.outages.iter().any(|(from, length)| (*from..from + length).contains(&now))
    }

    /// Runs until the end of all outages is digested. Returns the worst live lag beyond outages, and when the backlog was empty.
    fn run(&self) -> (f64, f64) {
        let end = self.outages.iter().map(|(from, length)| from + length).fold(0.0, f64::max);
        let mut plan = Plan::new(Progress::default());
        let (mut live, mut backlog) = (server(), server());
        let (mut now, mut worst, mut steps) = (0.0_f64, 0.0_f64, 0);
        while now < end + 1.0 || plan.is_draining() {
            steps += 1;
            assert!(steps < 2_000_000 && now < end * 50.0 + 100.0, "the backlog does not end: {self:?}");
            let head = self.head(now);
            let lane = plan.turn(Duration::from_secs_f64(now), Seq(head), live.batch_entries());
            let (from, to) = match lane {
                Lane::Live => (plan.progress().live.0, head),
                Lane::Backlog => plan.backlog().map(|(after, upto)| (after.0, upto.0)).unwrap(),
            };
            let pace = if lane == Lane::Live { &mut live } else { &mut backlog };
            let upto = to.min(from + pace.batch_entries());
            if upto == from || (lane == Lane::Live && !plan.is_draining() && upto - from < pace.batch_entries()) {
                now += LINGER;
                if upto == from {
                    continue;
                }
            }
            if lane == Lane::Live {
                let age = Some(Duration::from_secs_f64((now - self.came(from + 1)).max(0.0)));
                if plan.is_late(age, self.head(now) - upto, upto - from) {
                    plan.go_live(Seq(self.head(now)));
                    continue;
                }
            }
            let entries = (upto - from) as usize;
            let entry_s = 1.0 / (self.arrive_per_s * self.spare);
            let took = 1_000.0 / ROWS * entry_s * self.fixed + entries as f64 * entry_s * (1.0 - self.fixed);
            if self.is_out(now) {
                now += RETRY;
                continue;
            }
            now += took;
            pace.stored((entries as f64 * ROWS) as usize, entries, Duration::from_secs_f64(took));
            let progress = plan.after(lane, Seq(upto), &[]);
            plan.moved_on(progress);
            if lane == Lane::Live && plan.is_draining() {
                worst = worst.max(now - self.came(from + 1));
            }
        }
        (worst, now)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// With twice as much capacity as load, or more.
    #[test]
    fn what_is_new_is_never_late_while_an_outage_is_made_good(
        arrive_per_s in 100.0..3_000.0_f64,
        spare in 2.0..12.0_f64,
        fixed in 0.05..0.8_f64,
        outages in prop::collection::vec((1.0..600.0_f64, 1.0..300.0_f64), 1..6),
    ) {
        let county = County { arrive_per_s, spare, fixed, outages };
        let (worst, _) = county.run();
        prop_assert!(worst < 2.0, "{worst} s late: {county:?}");
    }
}

/// 20,000 readings a second, a store that takes six times as many, away for an hour: the backlog goes at more than four times the
/// live rate beside the live lane.
#[test]
fn an_hour_is_made_good_in_a_quarter_of_an_hour() {
    let county = County { arrive_per_s: 20_000.0 / ROWS, spare: 6.0, fixed: 0.2, outages: vec![(60.0, 3_600.0)] };
    let (worst, empty) = county.run();
    let drained_in = empty - 3_660.0;
    assert!(worst < 1.5 && drained_in < 900.0, "{worst} {drained_in}");
}
