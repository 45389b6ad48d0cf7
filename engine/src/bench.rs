//! The engine's bare speed, for `vigil bench` and the criterion bench: how many readings a second one core judges.

use std::time::Instant;

use model::entry::{Entry, Flags, Frame};
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

/// Frames of one round over all elders, ready to be stepped again and again.
#[derive(Debug)]
pub struct Load {
    frames: Vec<Entry>,
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
        self.round += 1;
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
    let mut judged = 0;
    while judged < readings {
        load.round(&mut engine);
        judged += load.readings().max(1);
    }
    judged as f64 / started.elapsed().as_secs_f64().max(1e-9)
}
