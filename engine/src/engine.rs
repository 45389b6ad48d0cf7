//! [`Engine`]: takes journal entries one by one and says what they mean for the alarms.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use model::alarm::Transition;
use model::entry::{Entry, Flags, Frame};
use model::rule::{Level, RuleSet, Test};
use model::{AlarmId, AlarmKind, ElderId, EventKind, Lane, Priority, Seq, Subject, Time};

use crate::Counters;
use crate::calm::{Calm, Spans};
use crate::clock::Stop;
use crate::hash::ElderMap;
use crate::plan::Plan;
use crate::state::{NEVER, Person, State};

/// Interned plans are swept when their number reaches this, then at each doubling.
const PLANS_SWEEP: usize = 64;

/// Judges journal entries.
///
/// - A call for help, a fall or a fault of a device that belongs to nobody is an alarm about the device: somebody must look.
///   Its values are never judged.
/// - What a gateway sounded while the server was out of reach is the alarm of that rule and episode, raised by the gateway's
///   word if the data are not here yet; the data that come later belong to it (`sounded.rs`).
/// - Several devices measuring one stream of an elder (a band and a finger clip) each have their hold times; what they find
///   is one alarm, and it is over when none of them finds it any more.
/// - While a P1 or P2 level is still reached half an hour after it was last told, it is told again (`Repeated`): an alarm
///   closed by a person does not stay closed while the values stay bad.
/// - Only good values are judged (`Quality::is_judged`), rounded as screens show them. Absent, doubtful and unattributed
///   readings never raise and never end a condition; a sensor that comes off breaks off running hold times.
/// - Event time rules: holds and episode starts go by `taken_at`. A time ahead of the server's counts as "when received".
/// - Late data (older than [`crate::LATE_US`] when received) are judged apart: a P1 or P2 episode in them raises one
///   review item of priority P3 with `late: true`; a late SOS keeps its priority. They never touch live conditions.
/// - A live value that is not newer than the last judged one of its metric is counted; only levels without a hold time
///   look at it.
/// - One alarm per episode: worse is `Worsened`, the same level again after ten minutes of relief is `Repeated`.
/// - Frames marked as a test count as a sign of life and are otherwise not judged; frames of a device under maintenance
///   are judged for events only (an SOS is an SOS).
/// - A quiet period ([`Entry::Quiet`]) mutes silences of a traveller, silences and values of an elder in hospital, values and
///   technical events of a device under maintenance; never a call for help or a fall. It ends by itself.
/// - Outside the hours of its rule nothing is raised; what stands goes on, and a silence that comes due waits for them.
/// - Timers (silence, data lost, a second measurement that does not come) run on [`Entry::Tick`] only, in log time.
#[derive(Debug)]
pub struct Engine {
    /// The last entry stepped.
    pub(crate) seq: Seq,
    /// Log time: the greatest receive or tick time seen.
    pub(crate) now: Time,
    pub(crate) default: Arc<Plan>,
    /// The default for elders of 65 years and older.
    pub(crate) default_aged: Arc<Plan>,
    pub(crate) aged: BTreeSet<u32>,
    /// Elders with rules of their own.
    pub(crate) own: ElderMap<Arc<Plan>>,
    plans: HashMap<u64, Vec<Weak<Plan>>>,
    plans_sweep: usize,
    index: ElderMap<usize>,
    pub(crate) people: Vec<Person>,
    /// Per person: log time before which no timer can be due. Apart from `people`, so that a tick reads one array.
    pub(crate) due: Vec<Time>,
    /// Quiet periods.
    pub(crate) calm: Spans,
    /// Holes in log time, oldest first.
    pub(crate) stops: Vec<Stop>,
    pub(crate) counters: Counters,
}

/// Where transitions and counts of one entry go.
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a mut Vec<Transition>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) subject: Subject,
    /// When the entry was received.
    pub(crate) received_at: Time,
    /// Log time.
    pub(crate) now: Time,
    pub(crate) calm: Calm<'a>,
    /// A timer was started or came nearer.
    pub(crate) rewind: bool,
    /// An input of a score is new.
    pub(crate) scored: bool,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<Transition>,
        counters: &'a mut Counters,
        subject: Subject,
        (received_at, now): (Time, Time),
        calm: Calm<'a>,
    ) -> Self {
        Self { out, counters, subject, received_at, now, calm, rewind: false, scored: false }
    }

    pub(crate) fn put(&mut self, plan: &Plan, rule: u8, alarm: AlarmId, at: Time, change: model::alarm::Change) {
        self.say(plan, plan.slug(rule), alarm, at, change);
    }

    /// As [`Sink::put`], for a rule that may not be in force here.
    pub(crate) fn say(&mut self, plan: &Plan, rule: &str, alarm: AlarmId, at: Time, change: model::alarm::Change) {
        self.out.push(Transition {
            alarm,
            subject: self.subject.to_u32(),
            rule: rule.to_owned(),
            rules_version: plan.set.version,
            change,
            at,
            received_at: self.received_at,
        });
    }
}

impl Engine {
    /// `default` judges everybody without rules of their own, until the log says otherwise.
    pub fn new(default: RuleSet) -> Self {
        Self {
            seq: Seq(0),
            now: NEVER,
            default_aged: Arc::new(Plan::new(default.for_aged())),
            aged: BTreeSet::new(),
            default: Arc::new(Plan::new(default)),
            own: ElderMap::default(),
            plans: HashMap::new(),
            plans_sweep: PLANS_SWEEP,
            index: ElderMap::default(),
            people: Vec::new(),
            due: Vec::new(),
            calm: Spans::default(),
            stops: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// As [`Engine::new`], with the own rules of some elders: for a log whose beginning, with the rules in it, is gone.
    /// Sets that do not pass their check are left out and counted.
    pub fn with_rules(default: RuleSet, own: impl IntoIterator<Item = (ElderId, RuleSet)>) -> Self {
        let mut engine = Self::new(default);
        for (elder, set) in own {
            if set.check().is_err() {
                engine.counters.rules_refused += 1;
                continue;
            }
            let plan = engine.intern(set);
            engine.own.insert(elder.0, plan);
        }
        engine
    }

    /// Judges the entry at `seq` and appends what changed to `out`. Entries at or before [`Engine::position`] are ignored.
    pub fn step(&mut self, seq: Seq, entry: &Entry, out: &mut Vec<Transition>) {
        if seq <= self.seq {
            self.counters.replayed += 1;
            return;
        }
        self.seq = seq;
        match entry {
            // A measurement that a person gave to an elder is judged like any other that is told late.
            Entry::Frame(frame) | Entry::Moved { frame, .. } => self.frame(frame, out),
            Entry::Tick(at) => self.tick(*at, out),
            Entry::Rules { elders, at, set } => self.rules(elders, *at, set, out),
            Entry::Aged { aged, at, elders } => self.ages(*aged, *at, elders, out),
            Entry::Sounded(sounded) => self.sounded(sounded, out),
            Entry::Quiet(quiet) => self.quiet(quiet),
            Entry::Link { .. } => {}
        }
    }

    /// The last entry stepped; 0 before the first.
    pub const fn position(&self) -> Seq {
        self.seq
    }

    /// Elders heard so far.
    pub fn subjects(&self) -> usize {
        self.people.len()
    }

    /// Live conditions whose hold time is running.
    pub fn pending(&self) -> usize {
        self.people.iter().map(|person| person.state.tracks.iter().filter(|track| track.is_pending()).count()).sum()
    }

    /// What is remembered of people, bytes: heap and all, rules not. For capacity plans and a test of the bound.
    pub fn state_bytes(&self) -> usize {
        let person = |person: &Person| person.state.bytes() + size_of::<Person>() - size_of::<State>();
        self.people.iter().map(person).sum::<usize>() + self.due.len() * size_of::<Time>()
    }

    /// Live conditions and silences that stand.
    pub fn present(&self) -> usize {
        let more = |state: &State| state.more.as_ref().map_or(0, |more| more.stands.len());
        let tracks = |state: &State| state.tracks.iter().filter(|track| !track.is_pending()).count();
        let of = |state: &State| tracks(state) + state.silent.len() + more(state);
        self.people.iter().map(|person| of(&person.state)).sum()
    }

    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When the condition or call behind an alarm that stands began. `None`: this engine knows of none.
    pub fn began(&self, subject: Subject, alarm: AlarmId) -> Option<Time> {
        let state = &self.people.get(self.person(subject.to_u32())?)?.state;
        let present = state.tracks.iter().filter_map(|track| track.present).find(|present| present.alarm == alarm);
        let events = state.happenings.iter().flat_map(|happening| [happening.live, happening.late]).flatten();
        let event = || events.into_iter().find(|event| event.alarm == alarm).map(|event| event.first_at);
        let mut stands = state.more.iter().flat_map(|more| &more.stands);
        let stand = || stands.find(|stand| stand.alarm == alarm).map(|stand| stand.started_at);
        present.map(|present| present.started_at).or_else(event).or_else(stand)
    }

    /// The priority of the level or event that this kind is about, by the rules of the subject.
    pub fn priority_of(&self, subject: Subject, rule: &str, kind: &AlarmKind) -> Option<Priority> {
        let set = &self.plan_of(subject.to_u32()).set;
        match (&set.rules.iter().find(|known| known.slug == rule)?.test, kind) {
            (Test::Event(test), _) => Some(test.priority),
            (Test::Silence(test), _) => Some(test.priority),
            (Test::Trend(test), _) => Some(test.priority),
            (Test::Count(test), _) => Some(test.priority),
            (Test::Score(test), AlarmKind::Score { at_least, .. }) => {
                let level = test.levels.iter().find(|level| level.at_least == *at_least);
                level.map(|level| level.priority).or(test.single_three)
            }
            (Test::Threshold(test), AlarmKind::Threshold { limit, .. }) => {
                let same = |level: &&Level| (level.limit - limit).abs() < f64::EPSILON;
                test.levels.iter().find(same).map(|level| level.priority)
            }
            _ => None,
        }
    }

    /// The set that judges everybody without rules of their own.
    pub fn default_set(&self) -> &RuleSet {
        &self.default.set
    }

    /// The elder's own set. `None`: the default judges.
    pub fn own_set(&self, elder: ElderId) -> Option<&RuleSet> {
        self.own.get(&elder.0).map(|plan| &plan.set)
    }

    /// The set that judges this elder.
    pub fn set_of(&self, elder: ElderId) -> &RuleSet {
        &self.plan_of(elder.0).set
    }

    /// Elders judged by the default of 65 years and older (unless they have rules of their own).
    pub const fn aged(&self) -> &BTreeSet<u32> {
        &self.aged
    }

    pub(crate) fn plan_of(&self, elder: u32) -> &Arc<Plan> {
        let default = if self.aged.contains(&elder) { &self.default_aged } else { &self.default };
        self.own.get(&elder).unwrap_or(default)
    }

    fn frame(&mut self, frame: &Frame, out: &mut Vec<Transition>) {
        let said = (frame.samples.len() + frame.events.len()) as u64;
        let stranger = matches!(frame.subject, Subject::Unattributed(_));
        if stranger {
            self.counters.unattributed += said;
            if !frame.events.iter().any(|event| is_about_device(event.kind)) {
                return;
            }
        }
        self.advance(frame.received_at);
        let slot = self.slot(frame.subject.to_u32());
        let (Some(person), Some(due)) = (self.people.get_mut(slot), self.due.get_mut(slot)) else { return };
        let Person { plan, state, .. } = person;
        let (counters, now) = (&mut self.counters, self.now);
        let calm = Calm::of(&self.calm, &self.stops, frame.subject, frame.device);
        let mut sink = Sink::new(out, counters, frame.subject, (frame.received_at, now), calm);
        // What is heard soon after a stop ends the time that was given for it.
        sink.rewind = *due == Time(i64::MAX) || calm.is_returning(now);
        if !stranger && matches!(frame.lane, Lane::Sos | Lane::Evt | Lane::Vit) {
            state.heard(plan, &mut sink);
        }
        if frame.flags.has(Flags::TEST) {
            sink.counters.test += said;
        } else {
            state.judge(plan, frame, &mut sink);
        }
        if sink.rewind {
            *due = state.deadline(plan, calm, now);
        }
    }

    /// The elder's place in `people`; made at the first frame.
    pub(crate) fn slot(&mut self, elder: u32) -> usize {
        if let Some(slot) = self.index.get(&elder) {
            return *slot;
        }
        let plan = Arc::clone(self.plan_of(elder));
        self.admit(Person { elder, plan, state: State::new() })
    }

    pub(crate) fn admit(&mut self, person: Person) -> usize {
        let slot = self.people.len();
        self.index.insert(person.elder, slot);
        self.people.push(person);
        // The earliest possible: the next tick looks and sets the true deadline.
        self.due.push(NEVER);
        slot
    }

    pub(crate) fn person(&self, elder: u32) -> Option<usize> {
        self.index.get(&elder).copied()
    }

    /// The compiled form of `set`, shared with everyone who has an equal one.
    pub(crate) fn intern(&mut self, set: RuleSet) -> Arc<Plan> {
        if self.default.set == set {
            return Arc::clone(&self.default);
        }
        if self.plans.len() >= self.plans_sweep {
            self.plans.retain(|_, plans| {
                plans.retain(|plan| plan.strong_count() > 0);
                !plans.is_empty()
            });
            self.plans_sweep = (self.plans.len() * 2).max(PLANS_SWEEP);
        }
        let key = fingerprint(&set);
        let same = self.plans.entry(key).or_default();
        if let Some(plan) = same.iter().filter_map(Weak::upgrade).find(|plan| plan.set == set) {
            return plan;
        }
        let plan = Arc::new(Plan::new(set));
        same.push(Arc::downgrade(&plan));
        plan
    }
}

impl State {
    /// Judges what a frame says. Of a device that belongs to nobody only what is about the device.
    fn judge(&mut self, plan: &Plan, frame: &Frame, sink: &mut Sink<'_>) {
        let stranger = matches!(frame.subject, Subject::Unattributed(_));
        for event in frame.events.iter().filter(|event| !stranger || is_about_device(event.kind)) {
            self.event(plan, frame.device, *event, sink);
        }
        let served = frame.flags.has(Flags::MAINTENANCE);
        for sample in frame.samples.iter().filter(|_| !stranger) {
            if served {
                sink.counters.not_judged += 1;
            } else {
                self.sample(plan, frame.device, sample, sink);
            }
        }
        if sink.scored {
            self.score(plan, sink);
        }
    }
}

/// Events of a device that belongs to nobody that are judged all the same, as an alarm about the device.
const fn is_about_device(kind: EventKind) -> bool {
    kind.calls_for_help() || kind.is_technical() || matches!(kind, EventKind::Cancelled)
}

/// Groups equal sets; unequal ones that collide are told apart by comparing.
fn fingerprint(set: &RuleSet) -> u64 {
    let bytes = postcard::to_allocvec(set).unwrap_or_default();
    (u64::from(crc32c::crc32c(&bytes)) << 32) | bytes.len() as u64
}
