//! The engine's bare speed and size, for `vigil bench`, the criterion bench and `examples/figures.rs`: how many readings a second
//! one core judges, how much it remembers, how long a checkpoint takes.

use std::time::Instant;

use model::entry::{Entry, Flags, Frame};
use model::rule::{Rule, RuleSet};
use model::{DeviceId, ElderId, GatewayId, Lane, Metric, Quality, Sample, Seq, Subject, Time};

use crate::{Engine, SECOND_US, default_rules};

/// Metrics of one frame of the load, with a value inside all limits and the spread around it.
const LOAD: [(Metric, f64, f64); 5] = [
    (Metric::HeartRate, 72.0, 20.0),
    (Metric::Spo2, 97.0, 1.0),
    (Metric::RespiratoryRate, 16.0, 3.0),
    (Metric::BodyTemperature, 36.8, 0.5),
    (Metric::PulseRate, 72.0, 20.0),
];
/// One elder in this many has a condition that comes and goes.
const SICK_EVERY: u32 = 100;

/// One rule of each costly kind, for the goal "five rules an elder".
const FIVE: &str = r#"
rules = [
  { slug = "rate", zh = "1", en = "1", test.threshold = { metric = "heart_rate", side = "high", clear_margin = 4.0, levels = [
    { priority = "P1", limit = 131.0, hold_s = 60 }, { priority = "P2", limit = 111.0, hold_s = 60 } ] } },
  { slug = "oxygen", zh = "1", en = "1", test.threshold = { metric = "spo2", side = "low", clear_margin = 0.5, levels = [
    { priority = "P1", limit = 91.0, hold_s = 30 } ] } },
  { slug = "news2", zh = "1", en = "1", test.score = { score = "news2", window_s = 900, hold_s = 60, single_three = "P2",
    levels = [{ priority = "P1", at_least = 7 }, { priority = "P2", at_least = 5 }] } },
  { slug = "lows", zh = "1", en = "1", test.count = { metric = "spo2", side = "low", limit = 96.0, count = 16,
    within_s = 3600, priority = "P3" } },
  { slug = "pulse_rise", zh = "1", en = "1", test.trend = { metric = "pulse_rate", side = "high", by = 15.0, priority = "P3",
    against = { baseline = { days = 60, at_least = 5 } } } },
]
"#;

/// Two thresholds, a score, a count of 16 and a baseline of 60 days. `None` only if this program is broken: a test reads it.
pub fn five_rules() -> Option<RuleSet> {
    #[derive(serde::Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    let rules = toml::from_str::<Rules>(FIVE).ok()?.rules;
    let set = RuleSet { name: "five".into(), version: 1, source: "the benchmark".into(), rules };
    set.check().is_ok().then_some(set)
}

/// Frames of one round over all elders, ready to be stepped again and again.
#[derive(Debug)]
pub struct Load {
    frames: Vec<Entry>,
    /// Seconds of event time gone by.
    round: i64,
    seq: Seq,
}

impl Load {
    /// `elders` with one frame of five readings each.
    pub fn new(elders: u32) -> Self {
        // A fixed stride visits the elders in an order that caches cannot foresee.
        let frames = (0..elders).map(|i| frame((i.wrapping_mul(2_654_435_761) % elders.max(1)) + 1)).collect();
        Self { frames, round: 0, seq: Seq(0) }
    }

    /// Readings in one round.
    pub fn readings(&self) -> u64 {
        (self.frames.len() * LOAD.len()) as u64
    }

    /// Steps every frame once, a second of event time after the round before. Returns the number of transitions.
    pub fn round(&mut self, engine: &mut Engine) -> usize {
        self.round_after(engine, 1)
    }

    /// The same, `pause_s` seconds after.
    pub fn round_after(&mut self, engine: &mut Engine, pause_s: i64) -> usize {
        self.round += pause_s;
        let now = Time::from_secs(1_800_000_000 + self.round);
        let mut out = Vec::new();
        let mut transitions = 0;
        for entry in &mut self.frames {
            let Entry::Frame(frame) = entry else { continue };
            frame.received_at = now;
            for (index, sample) in frame.samples.iter_mut().enumerate() {
                sample.taken_at = now.plus_us(index as i64 - SECOND_US / 10);
            }
            self.seq.0 += 1;
            engine.step(self.seq, entry, &mut out);
            transitions += out.len();
            out.clear();
        }
        self.seq.0 += 1;
        engine.step(self.seq, &Entry::Tick(now), &mut out);
        transitions + out.len()
    }
}

fn frame(elder: u32) -> Entry {
    let samples = LOAD
        .iter()
        .enumerate()
        .map(|(i, (metric, middle, spread))| {
            let sick = elder.is_multiple_of(SICK_EVERY) && *metric == Metric::HeartRate;
            let value = if sick { 150.0 } else { middle + spread * (f64::from((elder + i as u32) % 7) - 3.0) / 4.0 };
            Sample::new(*metric, Time(0), value, Quality::Ok)
        })
        .collect();
    Entry::Frame(Frame {
        gateway: GatewayId(1),
        device: DeviceId(elder),
        subject: Subject::Elder(ElderId(elder)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: 0,
        received_at: Time(0),
        events: Vec::new(),
        samples,
        extras: model::Extras::default(),
    })
}

/// Readings judged a second with the default rules, on this core: at least `readings` of them, over `elders` people.
pub fn step_rate(elders: u32, readings: u64) -> f64 {
    let mut engine = Engine::new(default_rules());
    let mut load = Load::new(elders);
    load.round(&mut engine);
    let started = Instant::now();
    rate(&mut engine, &mut load, readings, || started.elapsed().as_secs_f64())
}

fn rate(engine: &mut Engine, load: &mut Load, readings: u64, seconds: impl Fn() -> f64) -> f64 {
    let started = seconds();
    let mut judged = 0;
    while judged < readings {
        load.round(engine);
        judged += load.readings().max(1);
    }
    judged as f64 / (seconds() - started).max(1e-9)
}

/// What many elders cost.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Figures {
    pub elders: u32,
    /// Readings judged a second.
    pub steps_per_s: f64,
    /// Remembered of one elder on average, bytes in memory, rules not.
    pub state_bytes: f64,
    pub saved_bytes: usize,
    pub save_ms: f64,
    pub load_ms: f64,
}

/// Measures with `set` for everybody, after 61 days in which every elder was heard, every window and baseline filled. `seconds` is
/// a stopwatch: the caller says whether other work on the machine counts.
pub fn figures(elders: u32, set: RuleSet, readings: u64, seconds: impl Fn() -> f64) -> Figures {
    const DAY_S: i64 = 86_400;
    let mut engine = Engine::new(set);
    let mut load = Load::new(elders);
    for pause_s in std::iter::repeat_n(DAY_S, 61).chain([1; 20]) {
        load.round_after(&mut engine, pause_s);
    }
    let steps_per_s = rate(&mut engine, &mut load, readings, &seconds);
    let ms = |started: f64| (seconds() - started) * 1e3;
    let started = seconds();
    let saved = engine.save();
    let save_ms = ms(started);
    let started = seconds();
    let loaded = Engine::load(&saved);
    let load_ms = ms(started);
    let state_bytes = loaded.map_or(f64::NAN, |_| engine.state_bytes() as f64 / f64::from(elders.max(1)));
    Figures { elders, steps_per_s, state_bytes, saved_bytes: saved.len(), save_ms, load_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The goal of 2 kB an elder, of real vectors with everything in them that the five rules can remember.
    #[test]
    fn the_state_of_five_rules_is_bounded() {
        let measured = figures(500, five_rules().unwrap(), 1, || 0.0);
        assert!(measured.state_bytes < 2_048.0, "{measured:?}");
        assert!(measured.state_bytes > 700.0, "the baseline is not filled: {measured:?}");
    }
}
