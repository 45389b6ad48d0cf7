//! One simulated elder: a body with a day and a night, noise that hangs together, and illnesses that come and go.
//!
//! Pure: time is an argument, randomness comes from the seed. The model is simple on purpose (first-order responses to
//! plausible targets); it is for demos, load and tests, not for physiology.

use std::f64::consts::TAU;

use model::{Event, EventKind, Metric, Quality, Sample, Time};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

/// Local time of the simulated day is Asia/Shanghai.
const ZONE_S: i64 = 8 * 3_600;
/// Longest step the body makes at once, seconds.
const STEP_MAX_S: f64 = 3_600.0;
/// Cuff measurements during a blood-pressure crisis come this often, seconds.
const CRISIS_CUFF_S: i64 = 10;
/// Battery, steps and temperature, seconds.
const SLOW_S: i64 = 600;

/// What may happen to an elder, or to the gateway's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    HypertensiveCrisis,
    Desaturation,
    Fall,
    DeviceRemoved,
    Sos,
    /// The gateway's line is cut; nobody's body changes.
    UplinkLost,
}

impl Scenario {
    /// Usual length, seconds.
    pub const fn usual_s(self) -> u64 {
        match self {
            Self::HypertensiveCrisis => 900,
            Self::Desaturation => 300,
            Self::Fall | Self::Sos => 120,
            Self::DeviceRemoved => 600,
            Self::UplinkLost => 60,
        }
    }

    const fn event(self) -> Option<EventKind> {
        match self {
            Self::Fall => Some(EventKind::Fall),
            Self::Sos => Some(EventKind::Sos),
            Self::DeviceRemoved => Some(EventKind::DeviceRemoved),
            _ => None,
        }
    }
}

/// Which of the elder's devices speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Worn: heart rate, SpO2, breathing, temperature, steps, battery; SOS and fall.
    Band,
    /// Blood pressure and pulse.
    Cuff,
}

impl Part {
    pub const ALL: [Self; 2] = [Self::Band, Self::Cuff];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Band => "band",
            Self::Cuff => "cuff",
        }
    }
}

/// What a device says at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub part: Part,
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
}

/// A first-order random walk around zero.
#[derive(Clone, Copy, Debug, Default)]
struct Noise(f64);

impl Noise {
    /// `sd` is the spread in the long run, `tau_s` how long it remembers.
    fn step(&mut self, rng: &mut SmallRng, dt: f64, sd: f64, tau_s: f64) -> f64 {
        let keep = (-dt / tau_s).exp();
        // Sum of three uniforms: near enough to a bell, and never far out.
        let bell: f64 = (0..3).map(|_| rng.random_range(-1.0..1.0)).sum();
        self.0 = self.0 * keep + bell * sd * (1.0 - keep * keep).sqrt();
        self.0
    }
}

/// Something going on.
#[derive(Clone, Copy, Debug)]
struct Episode {
    kind: Scenario,
    until: Time,
    announced: bool,
    /// 0 = nothing, 1 = fully there.
    strength: f64,
}

/// An elder and what they wear.
#[derive(Debug)]
pub struct Person {
    rng: SmallRng,
    heart: f64,
    systolic: f64,
    diastolic: f64,
    oxygen: f64,
    breath: f64,
    warmth: f64,
    common: Noise,
    own: [Noise; 6],
    activity: Noise,
    episodes: Vec<Episode>,
    last: Option<Time>,
    next: [Time; 3],
    band_every_s: i64,
    cuff_every_s: i64,
    steps: f64,
    /// Local day the steps are counted for.
    day: i64,
    battery: f64,
}

/// Vital signs at one moment.
#[derive(Clone, Copy, Debug)]
struct Vitals {
    heart: f64,
    systolic: f64,
    diastolic: f64,
    oxygen: f64,
    breath: f64,
    warmth: f64,
}

impl Person {
    /// The `index`-th elder of a seed.
    pub fn new(seed: u64, index: u32, band_every_s: u32, cuff_every_s: u32) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index.into()));
        let heart = rng.random_range(66.0..80.0);
        let systolic = rng.random_range(112.0..124.0);
        let diastolic = rng.random_range(68.0..76.0);
        let oxygen = rng.random_range(96.6..98.2);
        let breath = rng.random_range(13.5..16.0);
        let warmth = rng.random_range(36.45..36.75);
        let battery = rng.random_range(55.0..99.0);
        Self {
            rng,
            heart,
            systolic,
            diastolic,
            oxygen,
            breath,
            warmth,
            common: Noise::default(),
            own: [Noise::default(); 6],
            activity: Noise::default(),
            episodes: Vec::new(),
            last: None,
            next: [Time::MIN; 3],
            band_every_s: i64::from(band_every_s.max(1)),
            cuff_every_s: i64::from(cuff_every_s.max(1)),
            steps: 0.0,
            day: i64::MIN,
            battery,
        }
    }

    /// Changes how often the band speaks.
    pub fn set_band_interval(&mut self, seconds: u32) {
        self.band_every_s = i64::from(seconds.max(1));
        self.next[0] = Time::MIN;
    }

    /// Something begins.
    pub fn begin(&mut self, kind: Scenario, now: Time, seconds: u64) {
        let until = now.plus_us(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000));
        self.episodes.push(Episode { kind, until, announced: false, strength: 0.0 });
        if kind == Scenario::HypertensiveCrisis {
            self.next[1] = now;
        }
    }

    /// Moves the body on to `now` and appends what its devices say. Call it with growing times.
    pub fn step(&mut self, now: Time, out: &mut Vec<Said>) {
        let dt = self.last.map_or(0.0, |last| now.since_us(last) as f64 / 1e6).clamp(0.0, STEP_MAX_S);
        self.last = Some(now);
        let vitals = self.live(now, dt);
        let mut events = Vec::new();
        for episode in self.episodes.iter_mut().filter(|episode| !episode.announced) {
            episode.announced = true;
            events.extend(episode.kind.event().map(|kind| Event { kind, at: now }));
        }
        let mut samples = Vec::new();
        let due = |next: &mut Time, every_s: i64| {
            let due = now >= *next;
            if due {
                *next = now.plus_us(every_s * 1_000_000);
            }
            due
        };
        let worn = !self.episodes.iter().any(|e| e.kind == Scenario::DeviceRemoved && now < e.until);
        if due(&mut self.next[0], self.band_every_s) {
            let signs = [
                (Metric::HeartRate, vitals.heart),
                (Metric::Spo2, vitals.oxygen.min(100.0)),
                (Metric::RespiratoryRate, vitals.breath),
            ];
            samples.extend(signs.map(|(metric, value)| measured(metric, now, value, worn)));
        }
        if due(&mut self.next[2], SLOW_S) {
            samples.push(measured(Metric::BodyTemperature, now, vitals.warmth, worn));
            samples.push(measured(Metric::Steps, now, self.steps, true));
            samples.push(measured(Metric::Battery, now, self.battery, true));
        }
        if !samples.is_empty() || !events.is_empty() {
            out.push(Said { part: Part::Band, samples, events });
        }
        let crisis = self.episodes.iter().any(|e| e.kind == Scenario::HypertensiveCrisis && now < e.until);
        let cuff_every = if crisis { CRISIS_CUFF_S.min(self.cuff_every_s) } else { self.cuff_every_s };
        if due(&mut self.next[1], cuff_every) {
            let mean = vitals.diastolic + (vitals.systolic - vitals.diastolic) / 3.0;
            let signs = [
                (Metric::Systolic, vitals.systolic),
                (Metric::Diastolic, vitals.diastolic),
                (Metric::MeanArterialPressure, mean),
                (Metric::PulseRate, vitals.heart),
            ];
            let samples = signs.map(|(metric, value)| measured(metric, now, value, true)).to_vec();
            out.push(Said { part: Part::Cuff, samples, events: Vec::new() });
        }
    }

    /// The body at `now`, `dt` seconds after the last look.
    fn live(&mut self, now: Time, dt: f64) -> Vitals {
        let hour = (now.secs() + ZONE_S).rem_euclid(86_400) as f64 / 3_600.0;
        // Highest in the afternoon, lowest at four in the morning.
        let day = ((hour - 16.0) / 24.0 * TAU).cos();
        let awake = (6.5..22.0).contains(&hour);
        let common = self.common.step(&mut self.rng, dt, 1.0, 300.0);
        let restless = self.activity.step(&mut self.rng, dt, 0.35, 900.0).abs();
        let activity = if awake { restless.min(1.0) } else { restless.min(1.0) * 0.1 };
        let mut noise = [0.0; 6];
        for (i, sd) in [1.5, 2.2, 1.4, 0.25, 0.4, 0.04].into_iter().enumerate() {
            noise[i] = self.own[i].step(&mut self.rng, dt, sd, 60.0);
        }
        // The band counts anew at midnight, as bands do.
        let today = (now.secs() + ZONE_S).div_euclid(86_400);
        if today != self.day {
            (self.day, self.steps) = (today, 0.0);
        }
        if awake {
            self.steps += activity * dt * 0.4;
        }
        self.battery -= dt / 86_400.0 * 12.0;
        if self.battery < 12.0 {
            self.battery = 99.0;
        }
        let mut vitals = Vitals {
            heart: self.heart + 4.0 * day + 14.0 * activity + 1.2 * common + noise[0],
            systolic: self.systolic + 5.0 * day + 5.0 * activity + 1.5 * common + noise[1],
            diastolic: self.diastolic + 3.0 * day + 2.0 * activity + common + noise[2],
            oxygen: self.oxygen + 0.2 * day + noise[3],
            breath: self.breath + 0.6 * day + 1.8 * activity + noise[4],
            warmth: self.warmth + 0.2 * day + noise[5],
        };
        self.suffer(now, dt, &mut vitals);
        vitals
    }

    /// Episodes pull the vital signs towards their own targets and let go afterwards.
    fn suffer(&mut self, now: Time, dt: f64, vitals: &mut Vitals) {
        for episode in &mut self.episodes {
            let (target, tau_s) = if now < episode.until { (1.0, 4.0) } else { (0.0, 45.0) };
            episode.strength += (target - episode.strength) * (1.0 - (-dt / tau_s).exp());
            let s = episode.strength;
            match episode.kind {
                Scenario::HypertensiveCrisis => {
                    vitals.systolic += s * (198.0 - self.systolic);
                    vitals.diastolic += s * (118.0 - self.diastolic);
                    vitals.heart += 10.0 * s;
                }
                Scenario::Desaturation => {
                    vitals.oxygen -= s * (self.oxygen - 84.0);
                    vitals.heart += 10.0 * s;
                    vitals.breath += 2.5 * s;
                }
                Scenario::Fall => vitals.heart += 12.0 * s,
                Scenario::Sos => vitals.heart += 8.0 * s,
                Scenario::DeviceRemoved | Scenario::UplinkLost => {}
            }
        }
        self.episodes.retain(|episode| now < episode.until || episode.strength > 0.01);
    }
}

/// As the device shows it: rounded, or absent when the device is off the body.
fn measured(metric: Metric, at: Time, value: f64, worn: bool) -> Sample {
    if !worn {
        return Sample::absent(metric, at, Quality::SensorOff);
    }
    let scale = 10_f64.powi(metric.info().decimals.into());
    Sample::new(metric, at, (value * scale).round() / scale, Quality::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_795_000_000);

    fn run(person: &mut Person, from: Time, seconds: i64, step_s: i64) -> Vec<Said> {
        let mut out = Vec::new();
        for s in (0..seconds).step_by(step_s as usize) {
            person.step(from.plus_us(s * 1_000_000), &mut out);
        }
        out
    }

    fn values(said: &[Said], metric: Metric) -> Vec<f64> {
        said.iter().flat_map(|s| &s.samples).filter(|s| s.metric == metric).filter_map(Sample::value).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_person() {
        let told = |seed| run(&mut Person::new(seed, 3, 10, 600), START, 3_600, 5);
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }

    #[test]
    fn a_quiet_month_stays_where_no_default_rule_looks() {
        for index in 0..20 {
            let mut person = Person::new(11, index, 60, 1_800);
            let said = run(&mut person, START, 3 * 86_400, 60);
            for (metric, low, high) in [
                (Metric::HeartRate, 50.0, 110.0),
                (Metric::Spo2, 95.0, 100.0),
                (Metric::RespiratoryRate, 9.0, 20.0),
                (Metric::Systolic, 101.0, 139.0),
                (Metric::Diastolic, 55.0, 89.0),
                (Metric::BodyTemperature, 36.1, 37.9),
                (Metric::PulseRate, 50.0, 110.0),
                (Metric::Battery, 11.0, 100.0),
            ] {
                let values = values(&said, metric);
                assert!(values.len() > 100, "{metric}");
                let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
                assert!(min > low - 1e-9 && max < high + 1e-9, "elder {index} {metric}: {min}..{max}");
            }
        }
    }

    #[test]
    fn nights_are_calmer_than_days() {
        let mut person = Person::new(5, 1, 60, 1_800);
        let said = run(&mut person, START, 3 * 86_400, 60);
        let mean = |from: i64, to: i64| {
            let at_hour = |s: &&Sample| (from..to).contains(&((s.taken_at.secs() + ZONE_S).rem_euclid(86_400) / 3_600));
            let samples = said.iter().flat_map(|s| &s.samples).filter(|s| s.metric == Metric::HeartRate);
            let (sum, n) =
                samples.filter(at_hour).filter_map(Sample::value).fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
            sum / n
        };
        assert!(mean(1, 5) + 3.0 < mean(13, 18), "{} {}", mean(1, 5), mean(13, 18));
    }

    #[test]
    fn steps_are_counted_from_midnight_to_midnight() {
        let mut person = Person::new(5, 1, 60, 1_800);
        let said = run(&mut person, START, 3 * 86_400, 60);
        let steps: Vec<&Sample> = said.iter().flat_map(|s| &s.samples).filter(|s| s.metric == Metric::Steps).collect();
        let day = |sample: &Sample| (sample.taken_at.secs() + ZONE_S).div_euclid(86_400);
        let fell = |pair: &[&Sample]| pair[1].value() < pair[0].value();
        assert!(steps.windows(2).all(|pair| fell(pair) == (day(pair[0]) != day(pair[1]))), "falls at midnight only");
        assert!(steps.iter().filter_map(|s| s.value()).fold(0.0, f64::max) > 1_000.0);
    }

    #[test]
    fn scenarios_show_within_seconds_and_pass() {
        let mut person = Person::new(1, 1, 5, 1_800);
        run(&mut person, START, 60, 1);
        let crisis = START.plus_us(60_000_000);
        person.begin(Scenario::HypertensiveCrisis, crisis, 120);
        let said = run(&mut person, crisis, 120, 1);
        let systolic = values(&said, Metric::Systolic);
        assert!(systolic.len() >= 10 && systolic[3..].iter().all(|&v| v > 180.0), "{systolic:?}");
        let after = run(&mut person, crisis.plus_us(900_000_000), 3_600, 5);
        assert!(values(&after, Metric::Systolic).iter().all(|&v| v < 140.0));

        let low = crisis.plus_us(7_200_000_000);
        person.begin(Scenario::Desaturation, low, 120);
        let oxygen = values(&run(&mut person, low, 120, 1), Metric::Spo2);
        assert!(oxygen[5..].iter().all(|&v| (75.0..90.0).contains(&v)), "{oxygen:?}");
    }

    #[test]
    fn events_are_said_once_and_a_band_off_the_wrist_has_no_values() {
        let mut person = Person::new(1, 2, 5, 1_800);
        for (scenario, kind) in [
            (Scenario::Fall, EventKind::Fall),
            (Scenario::Sos, EventKind::Sos),
            (Scenario::DeviceRemoved, EventKind::DeviceRemoved),
        ] {
            let from = person.last.map_or(START, |last| last.plus_us(1_000_000_000));
            person.begin(scenario, from, 60);
            let said = run(&mut person, from, 60, 1);
            let events: Vec<_> = said.iter().flat_map(|s| &s.events).map(|e| e.kind).collect();
            assert_eq!(events, [kind]);
            let hearts = said.iter().flat_map(|s| &s.samples).filter(|s| s.metric == Metric::HeartRate);
            let off = hearts.filter(|s| s.quality == Quality::SensorOff).count();
            assert_eq!(off > 0, scenario == Scenario::DeviceRemoved);
        }
    }
}
