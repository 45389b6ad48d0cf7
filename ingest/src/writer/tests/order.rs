//! Whatever comes in between: every entry is stored, and moves take effect in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Seq;
use proptest::prelude::*;
use store::readings::Progress;

use crate::writer::plan::{Lane, PENDING_MAX, Plan};

#[derive(Clone, Debug)]
enum Step {
    /// Entries come; the bits say which of them are moves.
    Arrive(Vec<bool>),
    /// The writer stores a batch of at most so many entries.
    Store(u64),
    /// A batch is stored, and the process ends before it knows.
    StoreAndCrash(u64),
    Crash,
    /// As with the embedded store, which keeps only what the journal may forget.
    CrashToDone,
    /// An outage was long.
    GoLive,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(prop::bool::weighted(0.1), 1..40).prop_map(Step::Arrive),
        6 => (1_u64..30).prop_map(Step::Store),
        1 => (1_u64..30).prop_map(Step::StoreAndCrash),
        1 => Just(Step::Crash),
        1 => Just(Step::CrashToDone),
        2 => Just(Step::GoLive),
        1 => (1_u64..500).prop_map(Step::Pass),
    ]
}

/// A journal, a store that keeps what it is told, and the writer's plan.
#[derive(Default)]
struct World {
    /// Of entry `i + 1`: it is a move.
    moves: Vec<bool>,
    stored: BTreeSet<u64>,
    kept: Progress,
    /// When each move was last carried out, in steps.
    carried_out: BTreeMap<u64, u64>,
    writes: u64,
    now: Duration,
}

impl World {
    fn head(&self) -> Seq {
        Seq(self.moves.len() as u64)
    }

    fn is_move(&self, seq: u64) -> bool {
        self.moves[seq as usize - 1]
    }

    /// One batch as the writer makes it. Returns the progress that is stored now.
    fn store(&mut self, plan: &mut Plan, most: u64) -> Option<Progress> {
        let lane = plan.turn(self.now, self.head(), most);
        let (after, upto) = match lane {
            Lane::Live => (plan.progress().live, self.head()),
            Lane::Backlog => plan.backlog().expect("the backlog has its turn only when there is one"),
        };
        let upto = Seq(upto.0.min(after.0 + most));
        if upto <= after {
            return None;
        }
        let leave = lane == Lane::Live && plan.is_draining();
        let mut left = Vec::new();
        for seq in after.0 + 1..=upto.0 {
            if self.is_move(seq) && leave {
                left.push(Seq(seq));
            } else {
                self.stored.insert(seq);
            }
        }
        // In a batch moves come after the rows.
        for seq in (after.0 + 1..=upto.0).filter(|seq| self.moves[*seq as usize - 1] && !leave) {
            self.writes += 1;
            self.carried_out.insert(seq, self.writes);
            let missing = (1..seq).find(|older| !self.stored.contains(older));
            assert_eq!(missing, None, "move {seq} overtook an older entry");
        }
        let progress = plan.after(lane, upto, &left);
        assert!(progress.pending.len() <= PENDING_MAX);
        assert!(progress.pending.windows(2).all(|pair| pair[0].1 < pair[1].0), "{progress:?}");
        assert!(progress.done() >= self.kept.done() || progress.live > self.kept.live);
        self.kept = progress.clone();
        Some(progress)
    }

    fn check(&self) {
        let waits = |seq: u64| self.kept.pending.iter().any(|(after, upto)| seq > after.0 && seq <= upto.0);
        for seq in 1..=self.kept.live.0 {
            assert!(self.stored.contains(&seq) || waits(seq), "{seq} is lost: {:?}", self.kept);
        }
    }
}

fn run(steps: Vec<Step>) {
    let mut world = World::default();
    let mut plan = Plan::new(Progress::default());
    for step in steps {
        match step {
            Step::Arrive(moves) => world.moves.extend(moves),
            Step::Store(most) => {
                if let Some(progress) = world.store(&mut plan, most) {
                    plan.moved_on(progress);
                }
            }
            Step::StoreAndCrash(most) => {
                world.store(&mut plan, most);
                plan = Plan::new(world.kept.clone());
            }
            Step::Crash => plan = Plan::new(world.kept.clone()),
            Step::CrashToDone => {
                world.kept = Progress::at(world.kept.done());
                plan = Plan::new(world.kept.clone());
            }
            Step::GoLive => plan.go_live(world.head()),
            Step::Pass(ms) => world.now += Duration::from_millis(ms),
        }
        world.check();
    }
    let mut rounds = 0;
    while plan.is_draining() || plan.progress().live < world.head() {
        world.now += Duration::from_millis(50);
        if let Some(progress) = world.store(&mut plan, 7) {
            plan.moved_on(progress);
        }
        rounds += 1;
        assert!(rounds < 100_000, "it does not end");
    }
    assert_eq!(world.kept, Progress::at(world.head()));
    assert_eq!(world.stored.len(), world.moves.len());
    // Each move's last time is after that of the moves before it.
    let last: Vec<u64> = world.carried_out.values().copied().collect();
    assert_eq!(world.carried_out.len(), world.moves.iter().filter(|is_move| **is_move).count());
    assert!(last.is_sorted(), "moves out of order: {:?}", world.carried_out);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_entry_is_stored_and_moves_keep_their_order(steps in prop::collection::vec(step(), 1..120)) {
        run(steps);
    }
}

#[test]
fn many_outages_in_a_row_stay_within_the_limit() {
    let mut steps = vec![Step::Arrive(vec![false; 5])];
    for i in 0..400_usize {
        steps.push(Step::Arrive((0..i % 7 + 2).map(|at| i % 3 == 0 && at == 1).collect()));
        steps.push(Step::GoLive);
        steps.push(Step::Arrive(vec![false; 3]));
        steps.push(Step::Pass(300));
        steps.push(Step::Store(3));
    }
    run(steps);
}

/// A store may hold what another program wrote.
#[test]
fn an_odd_progress_is_put_right() {
    let range = |after, upto| (Seq(after), Seq(upto));
    let odd = Progress {
        pending: vec![range(50, 60), range(7, 7), range(10, 20), range(15, 30), range(90, 200)],
        live: Seq(100),
    };
    let plan = Plan::new(odd);
    assert_eq!(plan.progress().pending, [range(10, 30), range(50, 60), range(90, 100)]);
}
