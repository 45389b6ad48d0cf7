//! A day of one elder, told line by line. Times are seconds after midnight of day 0.

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::rule::RuleSet;
use model::{
    AlarmKind, DeviceId, ElderId, Event, EventKind, GatewayId, Lane, Metric, Priority, Quality, Sample, Seq, Sounded,
    Subject, Time,
};
use vigil_engine::Engine;

pub(crate) struct Day {
    pub(crate) engine: Engine,
    pub(crate) seq: u64,
    /// Log time.
    pub(crate) now: Time,
}

pub(crate) const ELDER: ElderId = ElderId(7);

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn frame(received: i64) -> Frame {
    Frame {
        gateway: GatewayId(1),
        device: DeviceId(3),
        subject: Subject::Elder(ELDER),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: 0,
        received_at: at(received),
        events: vec![],
        samples: vec![],
        extras: model::Extras::default(),
    }
}

/// What a gateway says that it sounded.
pub(crate) fn word(received: i64, rule: &str, started: i64, sounded: i64) -> Sounded {
    let kind = match rule {
        "sos" => AlarmKind::Event { kind: EventKind::Sos },
        "fall" => AlarmKind::Event { kind: EventKind::Fall },
        _ => AlarmKind::Threshold { metric: Metric::Spo2, high: false, value: 85.0, limit: 91.0 },
    };
    Sounded {
        gateway: GatewayId(1),
        device: DeviceId(3),
        subject: Subject::Elder(ELDER),
        rule: rule.to_owned(),
        priority: Priority::P1,
        kind,
        started_at: at(started),
        sounded_at: at(sounded),
        by: "command".to_owned(),
        ok: true,
        at: at(received),
    }
}

/// One transition in a few words: "P1 spo2_low", "worsened P1 spo2_low", "late P3 ...", "cleared ...".
pub(crate) fn say(transition: &Transition) -> String {
    let rule = &transition.rule;
    match transition.change {
        Change::Raised { priority, late: true, .. } => format!("late {} {rule}", priority.slug()),
        Change::Raised { priority, .. } => format!("{} {rule}", priority.slug()),
        Change::Worsened { priority, .. } => format!("worsened {} {rule}", priority.slug()),
        Change::Repeated { .. } => format!("repeated {rule}"),
        Change::Cleared => format!("cleared {rule}"),
        Change::DataLost => format!("lost {rule}"),
        Change::StillPresent => format!("still {rule}"),
        Change::Sounded { ok: true, .. } => format!("sounded {rule}"),
        Change::Sounded { .. } => format!("mute {rule}"),
        Change::Cancelled => format!("cancelled {rule}"),
        Change::RemeasureAsked { .. } => format!("remeasure {rule}"),
    }
}

fn logged_at(entry: &Entry) -> Time {
    match entry {
        Entry::Frame(frame) | Entry::Moved { frame, .. } => frame.received_at,
        Entry::Tick(at) | Entry::Rules { at, .. } | Entry::Aged { at, .. } | Entry::Link { at, .. } => *at,
        Entry::Quiet(quiet) => quiet.at,
        Entry::Sounded(said) => said.at,
    }
}

impl Day {
    pub(crate) fn new() -> Self {
        Self::with(vigil_engine::default_rules())
    }

    pub(crate) fn with(set: RuleSet) -> Self {
        Self { engine: Engine::new(set), seq: 0, now: Time(i64::MIN) }
    }

    /// The same day with an engine that was saved and loaded.
    pub(crate) fn reloaded(&self) -> Self {
        Self { engine: Engine::load(&self.engine.save()).unwrap(), seq: self.seq, now: self.now }
    }

    /// An entry of a server that ran since the one before: something was written every two minutes.
    pub(crate) fn step(&mut self, entry: &Entry) -> Vec<Transition> {
        let until = logged_at(entry);
        while self.now != Time(i64::MIN) && until.since_us(self.now) > 120_000_000 {
            let at = self.now.plus_us(120_000_000);
            self.after_a_stop(&Entry::Aged { aged: true, at, elders: vec![] });
        }
        self.after_a_stop(entry)
    }

    /// The first entry of a server that stood still since the one before, if that is long ago.
    pub(crate) fn after_a_stop(&mut self, entry: &Entry) -> Vec<Transition> {
        let at = logged_at(entry);
        self.now = if matches!(entry, Entry::Tick(_)) { at } else { self.now.max(at) };
        self.seq += 1;
        let mut out = Vec::new();
        self.engine.step(Seq(self.seq), entry, &mut out);
        out
    }

    pub(crate) fn told(&mut self, entry: &Entry) -> Vec<String> {
        self.step(entry).iter().map(say).collect()
    }

    /// A value taken and received at `seconds`.
    pub(crate) fn reads(&mut self, seconds: i64, metric: Metric, value: f64) -> Vec<String> {
        self.reads_late(seconds, seconds, metric, value)
    }

    pub(crate) fn reads_late(&mut self, received: i64, taken: i64, metric: Metric, value: f64) -> Vec<String> {
        self.sample(received, Sample::new(metric, at(taken), value, Quality::Ok))
    }

    /// A band of 70 that has spoken for two hours, every 40 minutes, the last time at `until`: from now on it is missed.
    pub(crate) fn wears(&mut self, until: i64) {
        for minutes in [120, 80, 40, 0] {
            self.reads(until - minutes * 60, Metric::PulseRate, 70.0);
        }
    }

    pub(crate) fn absent(&mut self, seconds: i64, metric: Metric, cause: Quality) -> Vec<String> {
        self.sample(seconds, Sample::absent(metric, at(seconds), cause))
    }

    pub(crate) fn sample(&mut self, received: i64, sample: Sample) -> Vec<String> {
        self.told(&Entry::Frame(Frame { samples: vec![sample], ..frame(received) }))
    }

    pub(crate) fn event(&mut self, received: i64, happened: i64, kind: EventKind) -> Vec<String> {
        let events = vec![Event { kind, at: at(happened) }];
        self.told(&Entry::Frame(Frame { events, lane: kind.lane(), ..frame(received) }))
    }

    /// The gateway's word, received at `received`, that it sounded at `sounded` what had begun at `started`.
    pub(crate) fn sounded(&mut self, received: i64, rule: &str, started: i64, sounded: i64) -> Vec<String> {
        self.told(&Entry::Sounded(word(received, rule, started, sounded)))
    }

    pub(crate) fn tick(&mut self, seconds: i64) -> Vec<String> {
        self.told(&Entry::Tick(at(seconds)))
    }
}

pub(crate) const NOTHING: [&str; 0] = [];

/// A value of a given device, taken and received at once.
pub(crate) fn of_device(day: &mut Day, device: u32, second: i64, metric: Metric, value: f64) -> Vec<String> {
    let samples = vec![Sample::new(metric, at(second), value, Quality::Ok)];
    day.told(&Entry::Frame(Frame { device: DeviceId(device), samples, ..frame(second) }))
}
