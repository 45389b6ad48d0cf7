//! Which readings stay when history is thinned: of each device, person and metric the lowest and the highest of a minute, so
//! that no critical value goes; one where all are equal, and where none has a value the first. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::entry::Flags;
use model::{ClockPair, Lane, Metric, Name, Origin, Sample};
use mqtt::wire::WireFrame;

use crate::report::Report;

const MINUTE_US: i64 = 60_000_000;

/// One run of frames that were thinned together, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) epoch: u32,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) readings: u64,
    pub(super) kept: u64,
}

/// What is left of some frames.
#[derive(Debug, Default)]
pub(super) struct Thinned {
    /// Readings that stay, by device and person, in lane `hist`.
    pub(super) reports: Vec<Report>,
    pub(super) runs: Vec<Run>,
}

/// Whose readings stay together in a frame.
type Whose = (Name, Option<String>, bool);

/// Thins frames that stand in the order of their numbers.
pub(super) fn thin(frames: &[(Name, WireFrame)]) -> Thinned {
    let chosen = choose(frames);
    let mut runs: Vec<Run> = Vec::new();
    let mut reports: BTreeMap<Whose, Vec<Report>> = BTreeMap::new();
    // Clock pairs for the readings that follow.
    let mut pairs: BTreeMap<Whose, ClockPair> = BTreeMap::new();
    for (at, (device, frame)) in frames.iter().enumerate() {
        let stays = |index: usize| chosen.contains(&(at, index));
        let kept = (0..frame.samples.len()).filter(|index| stays(*index)).count() as u64;
        add_run(&mut runs, frame, kept);
        let whose = (device.clone(), frame.person.clone(), frame.flags.has(Flags::SHARED));
        if let Some(pair) = frame.clock {
            pairs.insert(whose.clone(), pair);
        }
        if kept == 0 {
            continue;
        }
        let clock = pairs.remove(&whose);
        let open = reports.entry(whose.clone()).or_default();
        if open.is_empty() || clock.is_some() {
            open.push(begin(whose, clock));
        }
        let Some(report) = open.last_mut() else { continue };
        for (index, sample) in frame.samples.iter().enumerate().filter(|(index, _)| stays(*index)) {
            let origin = frame.origins.iter().find(|origin| usize::from(origin.index) == index);
            if let (Some(origin), Ok(index)) = (origin, u16::try_from(report.samples.len())) {
                report.origins.push(Origin { index, ..origin.clone() });
            }
            report.samples.push(*sample);
        }
    }
    // No reading behind these stays: the newest pair is the one that later frames go by.
    for (whose, pair) in pairs {
        if let Some(report) = reports.get_mut(&whose).and_then(|reports| reports.last_mut()) {
            report.clock = Some(pair);
        }
    }
    Thinned { reports: reports.into_values().flatten().collect(), runs }
}

/// An empty report; the clock pair of a frame goes with what is left of it and of the frames behind it.
fn begin((device, person, shared): Whose, clock: Option<ClockPair>) -> Report {
    Report { device, lane: Lane::Hist, person, shared, clock, thinned: true, ..Report::default() }
}

/// The readings of one minute that stay, by place (frame, sample).
struct Minute<'a> {
    /// The lowest value and the highest; the first of equal ones. Without any value: the first reading, twice.
    low: ((usize, usize), &'a Sample),
    high: ((usize, usize), &'a Sample),
}

impl<'a> Minute<'a> {
    fn add(&mut self, place: (usize, usize), sample: &'a Sample) {
        if goes_before(sample, self.low.1, 1.0) {
            self.low = (place, sample);
        }
        if goes_before(sample, self.high.1, -1.0) {
            self.high = (place, sample);
        }
    }
}

/// Whether a reading stays rather than another: what rules judge before a doubtful value, that before none; then the lower
/// one (sign 1) or the higher one (sign -1), then the earlier.
fn goes_before(new: &Sample, old: &Sample, sign: f64) -> bool {
    let doubt = |one: &Sample| (one.value().is_none(), !one.quality.is_judged());
    let value = |one: &Sample| one.value().unwrap_or_default() * sign;
    let by_value = || value(new).total_cmp(&value(old));
    let order = doubt(new).cmp(&doubt(old)).then_with(by_value).then_with(|| new.taken_at.cmp(&old.taken_at));
    order.is_lt()
}

/// Places (frame, sample) of the readings that stay.
fn choose(frames: &[(Name, WireFrame)]) -> HashSet<(usize, usize)> {
    type Slot<'a> = (&'a Name, Option<&'a str>, Metric, i64);
    let mut minutes: HashMap<Slot<'_>, Minute<'_>> = HashMap::new();
    for (at, (device, frame)) in frames.iter().enumerate() {
        for (index, sample) in frame.samples.iter().enumerate() {
            let minute = sample.taken_at.0.div_euclid(MINUTE_US);
            let slot = (device, frame.person.as_deref(), sample.metric, minute);
            let only = ((at, index), sample);
            minutes.entry(slot).or_insert(Minute { low: only, high: only }).add((at, index), sample);
        }
    }
    minutes.into_values().flat_map(|minute| [minute.low.0, minute.high.0]).collect()
}

fn add_run(runs: &mut Vec<Run>, frame: &WireFrame, kept: u64) {
    let readings = frame.samples.len() as u64;
    match runs.last_mut() {
        Some(run) if run.epoch == frame.epoch && run.last + 1 == frame.seq => {
            run.last = frame.seq;
            run.readings += readings;
            run.kept += kept;
        }
        _ => runs.push(Run { epoch: frame.epoch, first: frame.seq, last: frame.seq, readings, kept }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Quality, Time};

    fn frame(seq: u64, second: i64, values: &[Option<f64>]) -> WireFrame {
        let at = Time::from_secs(1_000_020 + second);
        let sample = |value: &Option<f64>| match value {
            Some(value) => Sample::new(Metric::HeartRate, at, *value, Quality::Ok),
            None => Sample::absent(Metric::HeartRate, at, Quality::SensorOff),
        };
        WireFrame { epoch: 1, seq, samples: values.iter().map(sample).collect(), ..WireFrame::default() }
    }

    #[test]
    fn equal_readings_of_a_minute_and_metric_are_one_and_the_rest_is_counted() {
        let device = Name::new("band").unwrap();
        let other = Name::new("other").unwrap();
        let mut frames: Vec<_> = (0..120).map(|s| (device.clone(), frame(10 + s, s as i64, &[Some(60.0)]))).collect();
        frames[0].1 = frame(10, 0, &[None]);
        frames[60].1.seq = 500;
        for (at, one) in frames[61..].iter_mut().enumerate() {
            one.1.seq = 501 + at as u64;
        }
        frames.push((other, frame(560, 119, &[Some(61.0)])));
        let thinned = thin(&frames);
        let [band, other] = thinned.reports.as_slice() else { panic!("{:?}", thinned.reports) };
        let seconds: Vec<_> = band.samples.iter().map(|s| s.taken_at.secs() - 1_000_020).collect();
        assert_eq!(seconds, [1, 60], "one with a value before one without");
        assert_eq!((other.samples.len(), other.lane, other.thinned), (1, Lane::Hist, true));
        let run = |first, last, readings, kept| Run { epoch: 1, first, last, readings, kept };
        assert_eq!(thinned.runs, [run(10, 69, 60, 1), run(500, 560, 61, 2)]);
    }

    #[test]
    fn the_lowest_and_the_highest_of_a_minute_stay_so_that_no_critical_value_goes() {
        let device = Name::new("band").unwrap();
        let values = [None, Some(72.0), Some(38.0), Some(70.0), Some(171.0), Some(38.0), None, Some(75.0)];
        let frames: Vec<_> = (0..).zip(values).map(|(s, v)| (device.clone(), frame(1 + s, s as i64, &[v]))).collect();
        let thinned = thin(&frames);
        let left: Vec<_> =
            thinned.reports[0].samples.iter().map(|s| (s.taken_at.secs() - 1_000_020, s.value())).collect();
        assert_eq!(left, [(2, Some(38.0)), (4, Some(171.0))]);
        assert_eq!(thinned.runs, [Run { epoch: 1, first: 1, last: 8, readings: 8, kept: 2 }]);
    }

    #[test]
    fn an_extreme_value_that_the_sensor_doubts_does_not_displace_a_good_one() {
        let device = Name::new("band").unwrap();
        let mut frames: Vec<_> =
            (0..).zip([60.0, 12.0, 45.0]).map(|(s, v)| (device.clone(), frame(1 + s, s as i64, &[Some(v)]))).collect();
        let doubted = &mut frames[1].1.samples[0];
        *doubted = Sample::new(Metric::HeartRate, doubted.taken_at, 12.0, Quality::Motion);
        let thinned = thin(&frames);
        let left: Vec<_> = thinned.reports[0].samples.iter().map(|s| s.value().unwrap()).collect();
        assert_eq!(left, [60.0, 45.0]);
    }

    #[test]
    fn the_clock_pair_of_a_frame_goes_with_the_readings_behind_it() {
        let device = Name::new("band").unwrap();
        let mut frames: Vec<_> = (0..)
            .zip([60.0, 50.0, 55.0, 70.0, 65.0])
            .map(|(s, v)| (device.clone(), frame(1 + s, s as i64, &[Some(v)])))
            .collect();
        let pair = |device| Some(ClockPair { device, ..ClockPair::default() });
        frames[1].1.clock = pair(1);
        // Its own reading goes; the next that stays has it.
        frames[2].1.clock = pair(2);
        let left = |frames: &[_]| -> Vec<_> {
            thin(frames).reports.iter().map(|r| (r.clock, r.samples[0].value().unwrap())).collect()
        };
        assert_eq!(left(&frames), [(pair(1), 50.0), (pair(2), 70.0)]);
        frames[4].1.clock = pair(3);
        assert_eq!(left(&frames), [(pair(1), 50.0), (pair(3), 70.0)], "the newest is not lost");
    }
}
