//! Years of virtual time: what has to hold for any log, shown on a long one from a seed, with everything that happens to a server
//! in years: restarts, clocks set back, changed rules, quiet periods, duplicates, uploads that come late.
//!
//! `VIGIL_SEED=N` runs another log, `VIGIL_SIM_DAYS=N` a longer one (50 elders; the default is two years).

use std::collections::{HashMap, HashSet, VecDeque};

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame, LinkState};
use model::rule::{Against, Count, Hours, Rule, RuleSet, Side, Test, Trend};
use model::{
    AlarmId, AlarmKind, DeviceId, ElderId, Event, EventKind, GatewayId, Lane, Metric, Priority, Quality, Quiet,
    QuietKind, Sample, Seq, Subject, Time, Whose,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigil_engine::Engine;

const ELDERS: u32 = 50;
/// From this elder on every value is inside all bounds.
const WELL_FROM: u32 = 41;
const DAY_S: i64 = 86_400;
/// State at most 2 kB an elder.
const BYTES_AN_ELDER: usize = 2_048;
/// Entries between two checkpoints, on average.
const RESTART_EVERY: u32 = 700;

const VITALS: [(Metric, f64, f64, f64); 6] = [
    (Metric::HeartRate, 72.0, 30.0, 160.0),
    (Metric::Spo2, 97.0, 82.0, 100.0),
    (Metric::RespiratoryRate, 16.0, 5.0, 30.0),
    (Metric::Systolic, 125.0, 80.0, 205.0),
    (Metric::Glucose, 7.0, 2.5, 19.0),
    (Metric::Weight, 60.0, 55.0, 66.0),
];

struct Years {
    rng: SmallRng,
    /// Restarted from its own bytes again and again.
    engine: Engine,
    /// Never restarted.
    steady: Engine,
    seq: u64,
    now: Time,
    story: Story,
    /// What may be uploaded once more.
    uploads: VecDeque<Frame>,
    /// Until when each elder's values are bad.
    bad: HashMap<u32, Time>,
    quiet_id: u32,
    restarts: u32,
    said: u64,
}

/// What is known of each alarm.
#[derive(Default)]
struct Story {
    raised: HashMap<AlarmId, Transition>,
    standing: HashSet<AlarmId>,
    unknown: HashSet<AlarmId>,
    /// One live threshold alarm an elder and rule at a time.
    open: HashMap<(u32, String), AlarmId>,
}

impl Story {
    fn hear(&mut self, t: &Transition) {
        if let Change::Raised { late, kind, .. } = t.change {
            // An upload that comes once more after its episode was forgotten names the same alarm; the records know it. So does a
            // silence that goes on when its rule was taken away and came back.
            let silent = matches!(kind, AlarmKind::Silence { .. }) && !self.standing.contains(&t.alarm);
            let again = self.raised.get(&t.alarm).is_some_and(|before| silent || (late && before.change == t.change));
            assert!(again || !self.raised.contains_key(&t.alarm), "raised twice: {t:?}");
            self.raised.insert(t.alarm, t.clone());
            self.standing.insert(t.alarm);
            if matches!(kind, AlarmKind::Threshold { .. }) && !late {
                let other = self.open.insert((t.subject, t.rule.clone()), t.alarm);
                assert!(other.is_none(), "two at a time: {t:?} beside {other:?}");
            }
            return;
        }
        if matches!(t.change, Change::RemeasureAsked { .. }) {
            return;
        }
        assert!(self.standing.contains(&t.alarm), "about an alarm that does not stand: {t:?}");
        match t.change {
            Change::DataLost => assert!(self.unknown.insert(t.alarm), "{t:?}"),
            Change::StillPresent => assert!(self.unknown.remove(&t.alarm), "{t:?}"),
            _ => {}
        }
        // Late values of a ladder that go no further end what they showed; a trend waits for the next weighing.
        let ended_by_loss = self.raised.get(&t.alarm).is_some_and(|raised| {
            matches!(raised.change, Change::Raised { late: true, kind: AlarmKind::Threshold { .. }, .. })
        });
        if t.change == Change::Cleared || (ended_by_loss && t.change == Change::DataLost) {
            self.standing.remove(&t.alarm);
            self.unknown.remove(&t.alarm);
            self.open.retain(|_, alarm| *alarm != t.alarm);
        }
    }
}

impl Years {
    fn new(seed: u64) -> Self {
        let set = vigil_engine::default_rules();
        Self {
            rng: SmallRng::seed_from_u64(seed),
            engine: Engine::new(set.clone()),
            steady: Engine::new(set),
            seq: 0,
            now: Time::from_secs(1_767_196_800),
            story: Story::default(),
            uploads: VecDeque::new(),
            bad: HashMap::new(),
            quiet_id: 0,
            restarts: 0,
            said: 0,
        }
    }

    fn step(&mut self, entry: &Entry) -> Vec<Transition> {
        self.seq += 1;
        let (mut told, mut steady) = (Vec::new(), Vec::new());
        self.engine.step(Seq(self.seq), entry, &mut told);
        self.steady.step(Seq(self.seq), entry, &mut steady);
        // I9: restarts change nothing, and what was lost by none of them is not lost by any.
        assert_eq!(told, steady, "a restarted engine says something else at {}", self.now);
        for transition in &told {
            assert!(is_allowed(transition), "inside all bounds: {transition:?}");
            self.story.hear(transition);
        }
        self.said += told.len() as u64;
        told
    }

    fn wait(&mut self, longest_s: i64) {
        let us = self.rng.random_range(1..longest_s * 1_000_000);
        self.now = self.now.plus_us(us);
    }

    fn frame(&mut self, elder: u32) -> Frame {
        let device = DeviceId(elder * 4 + self.rng.random_range(0..2));
        Frame {
            gateway: GatewayId(elder),
            device,
            subject: Subject::Elder(ElderId(elder)),
            lane: Lane::Vit,
            flags: Flags::default(),
            epoch: 1,
            seq: self.seq,
            received_at: self.now,
            events: vec![],
            samples: vec![],
            extras: model::Extras::default(),
        }
    }

    fn sample(&mut self, elder: u32, taken_at: Time) -> Sample {
        let (metric, good, low, high) = VITALS[self.rng.random_range(0..VITALS.len())];
        let bad = elder < WELL_FROM && self.bad.get(&elder).is_some_and(|until| self.now < *until);
        let value = if bad && self.rng.random_bool(0.9) { self.rng.random_range(low..high) } else { good };
        let quality = if self.rng.random_bool(0.9) {
            Quality::Ok
        } else {
            Quality::ALL[self.rng.random_range(0..Quality::ALL.len())]
        };
        let sample = Sample::new(metric, taken_at, value, quality);
        // Beyond the range of a meter is beyond all bounds: the well are never.
        let beyond = elder >= WELL_FROM && sample.beyond_range().is_some();
        if beyond { Sample::absent(metric, taken_at, Quality::Absent) } else { sample }
    }

    /// A minute of a band, or a sitting with a cuff; sometimes with the same frame once more behind it.
    fn report(&mut self, elder: u32) {
        let mut frame = self.frame(elder);
        let ahead = self.rng.random_bool(0.02);
        for _ in 0..self.rng.random_range(1..4) {
            let age_us =
                if ahead { -self.rng.random_range(0..120_000_000) } else { self.rng.random_range(0..90_000_000) };
            frame.samples.push(self.sample(elder, self.now.plus_us(-age_us)));
        }
        frame.flags = Flags([0, 0, 0, 0, 0, 0, Flags::TEST, Flags::MAINTENANCE][self.rng.random_range(0..8)]);
        self.step(&Entry::Frame(frame.clone()));
        if self.rng.random_bool(0.05) {
            let told = self.step(&Entry::Frame(frame));
            assert_eq!(told, vec![], "a frame that comes twice changes nothing");
        }
    }

    /// Hours of the past at once; sometimes an upload of before once more.
    fn upload(&mut self, elder: u32) {
        if self.rng.random_bool(0.3)
            && let Some(frame) = self.uploads.front()
        {
            let frame = Frame { received_at: self.now, ..frame.clone() };
            self.step(&Entry::Frame(frame));
            return;
        }
        let mut frame = self.frame(elder);
        (frame.lane, frame.flags) = (Lane::Hist, Flags(Flags::HIST));
        let mut age_s = self.rng.random_range(700..2 * DAY_S);
        for _ in 0..self.rng.random_range(2..30) {
            age_s -= self.rng.random_range(20..120);
            frame.samples.push(self.sample(elder, self.now.plus_us(-age_s.max(605) * 1_000_000)));
        }
        self.uploads.push_back(frame.clone());
        self.uploads.truncate(8);
        self.step(&Entry::Frame(frame));
    }

    /// I8: whatever is quiet, under maintenance or late, a call is an alarm, or one press more on one.
    fn call(&mut self, elder: u32) {
        let kind = [EventKind::Sos, EventKind::Fall, EventKind::UnspecifiedAlarm][self.rng.random_range(0..3)];
        let late_s = if self.rng.random_bool(0.2) { self.rng.random_range(0..DAY_S) } else { 0 };
        let mut frame = self.frame(elder);
        let at = self.now.plus_us(-late_s * 1_000_000);
        (frame.lane, frame.events) = (Lane::Sos, vec![Event { kind, at }]);
        frame.flags = Flags([0, Flags::MAINTENANCE, Flags::HIST][self.rng.random_range(0..3)]);
        let told = self.step(&Entry::Frame(frame));
        let heard = told.iter().any(|t| {
            matches!(t.change, Change::Raised { kind: AlarmKind::Event { .. }, .. } | Change::Repeated { .. })
                && (matches!(t.change, Change::Repeated { .. })
                    || matches!(t.change, Change::Raised { priority: Priority::P1, .. }))
        });
        assert!(heard, "{kind:?} of elder {elder} at {at} was covered: {told:?}");
    }

    fn changed_rules(&mut self, elder: u32) {
        let mut set = if self.rng.random_bool(0.5) { vigil_engine::default_rules() } else { vigil_engine::for_age(80) };
        set.version = self.rng.random_range(2..9);
        if self.rng.random_bool(0.6) {
            // Never a rule about calls: I8 is about quiet, not about a set without the rule.
            let victim = self.rng.random_range(4..set.rules.len());
            if self.rng.random_bool(0.5) {
                set.rules.remove(victim);
            } else if matches!(set.rules[victim].test, Test::Threshold(_)) {
                set.rules[victim].hours = Hours::parse("07:00-22:00").ok();
            }
        }
        if self.rng.random_bool(0.5) {
            set.rules.extend(more_rules());
        }
        set.check().unwrap();
        let elders = match self.rng.random_range(0..10) {
            0 => vec![],
            1 => (1..=ELDERS).filter(|elder| elder % 7 == 0).map(ElderId).collect(),
            _ => vec![ElderId(elder)],
        };
        self.step(&Entry::Rules { elders, at: self.now, set });
    }

    fn quiet(&mut self, elder: u32) {
        self.quiet_id += 1;
        let kind = QuietKind::ALL[self.rng.random_range(0..QuietKind::ALL.len())];
        let whose = match kind {
            QuietKind::Maintenance => Whose::Device(DeviceId(elder * 4)),
            _ => Whose::Elder(ElderId(elder)),
        };
        let until = self.now.plus_us(self.rng.random_range(0..20 * DAY_S) * 1_000_000);
        let quiet = Quiet { id: self.quiet_id, kind, whose, from: self.now, until, at: self.now };
        quiet.check().unwrap();
        self.step(&Entry::Quiet(quiet));
    }

    fn moved(&mut self, elder: u32) {
        let mut frame = self.frame(elder);
        let taken_at = self.now.plus_us(-self.rng.random_range(0..3 * DAY_S) * 1_000_000);
        frame.samples.push(self.sample(elder, taken_at));
        self.step(&Entry::Moved { from: Subject::Unattributed(frame.device), frame });
    }

    /// The server ends and starts with what it had saved.
    fn restart(&mut self) {
        let bytes = self.engine.save();
        let sets: HashSet<String> = (1..=ELDERS)
            .filter_map(|elder| self.engine.own_set(ElderId(elder)))
            .chain([self.engine.default_set()])
            .filter_map(|set| serde_json::to_string(set).ok())
            .collect();
        let shared: usize = sets.iter().map(|set| set.len() + 8).sum::<usize>() + 8_192;
        assert!(
            bytes.len() <= shared + BYTES_AN_ELDER * self.engine.subjects(),
            "{} bytes for {} elders",
            bytes.len(),
            self.engine.subjects()
        );
        self.engine = Engine::load(&bytes).unwrap();
        assert_eq!(self.engine.save(), bytes, "loading and saving changes nothing");
        assert_eq!(self.engine.counters(), self.steady.counters());
        self.restarts += 1;
    }

    /// What stands by the story stands in the engine: nothing is forgotten.
    fn nothing_is_lost(&self) {
        for ((subject, rule), alarm) in &self.story.open {
            let began = self.engine.began(Subject::from_u32(*subject), *alarm);
            assert!(began.is_some(), "{rule} of {subject} stands and the engine does not know it");
        }
    }

    fn happen(&mut self) {
        let elder = self.rng.random_range(1..=ELDERS);
        match self.rng.random_range(0..1_000) {
            0..700 => self.report(elder),
            700..760 => self.upload(elder),
            760..790 => self.call(elder),
            790..800 => self.moved(elder),
            800..830 => {
                let until = self.now.plus_us(self.rng.random_range(60..2 * DAY_S) * 1_000_000);
                self.bad.insert(elder, until);
            }
            830..836 => self.changed_rules(elder),
            836..842 => self.quiet(elder),
            842..846 => {
                let aged = self.rng.random_bool(0.5);
                self.step(&Entry::Aged { aged, at: self.now, elders: vec![ElderId(elder)] });
            }
            846..850 => {
                let state = [LinkState::Up, LinkState::Lost, LinkState::Sleeping][self.rng.random_range(0..3)];
                self.step(&Entry::Link { gateway: GatewayId(elder), state, at: self.now });
            }
            850 => self.now = self.now.plus_us(-self.rng.random_range(0..3 * 3_600) * 1_000_000),
            _ => {
                self.step(&Entry::Tick(self.now));
            }
        }
    }
}

/// The well have calls, technical items and silence, and nothing else.
fn is_allowed(transition: &Transition) -> bool {
    let Change::Raised { kind, .. } = transition.change else { return true };
    transition.subject < WELL_FROM || matches!(kind, AlarmKind::Event { .. } | AlarmKind::Silence { .. })
}

/// Kinds beyond those of the shipped set.
fn more_rules() -> [Rule; 2] {
    let rule = |slug: &str, test: Test| Rule {
        slug: slug.into(),
        zh: slug.into(),
        en: slug.into(),
        test,
        latching: false,
        hours: None,
    };
    let trend = Trend {
        metric: Metric::Weight,
        side: Side::High,
        by: 2.0,
        against: Against::LastDays { days: 3 },
        priority: Priority::P2,
    };
    let count = Count {
        metric: Metric::Glucose,
        side: Side::Low,
        limit: 3.9,
        count: 3,
        within_s: 7 * 86_400,
        priority: Priority::P2,
    };
    [rule("weight_gain", Test::Trend(trend)), rule("glucose_often_low", Test::Count(count))]
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn two_virtual_years_with_everything_that_happens_in_years() {
    let (seed, days) = (number("VIGIL_SEED", 1), number("VIGIL_SIM_DAYS", 730));
    eprintln!("VIGIL_SEED={seed} VIGIL_SIM_DAYS={days}");
    let mut years = Years::new(seed);
    let end = years.now.plus_us(days as i64 * DAY_S * 1_000_000);
    while years.now < end {
        // Bursts of a minute apart, then hours of nothing.
        let pause_s = if years.rng.random_bool(0.85) { 60 } else { 3 * 3_600 };
        years.wait(pause_s);
        years.happen();
        if years.rng.random_ratio(1, RESTART_EVERY) {
            years.nothing_is_lost();
            years.restart();
        }
    }
    let counters = years.engine.counters();
    eprintln!("{} entries, {} transitions, {} restarts, {counters:?}", years.seq, years.said, years.restarts);
    // The log was one in which all of this happened.
    assert!(years.restarts > 50 || days < 365);
    assert!(counters.judged > 1_000 && counters.late > 1_000 && counters.events > 100, "{counters:?}");
    assert!(years.story.raised.len() > 500, "{}", years.story.raised.len());
}

/// The checks can fail: a set without the rule for calls covers an SOS.
#[test]
#[should_panic(expected = "was covered")]
fn a_set_without_a_rule_for_calls_is_noticed() {
    let mut years = Years::new(1);
    let set = RuleSet { name: "mute".into(), version: 9, source: String::new(), rules: vec![] };
    years.step(&Entry::Rules { elders: vec![], at: years.now, set });
    years.call(1);
}
