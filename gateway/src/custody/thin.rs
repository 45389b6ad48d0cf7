//! Which readings stay when history is thinned: of each device and metric one a minute, the first that has a value, or the
//! first at all. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::entry::Flags;
use model::{Lane, Metric, Name, Origin, Sample};
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
    let mut reports: BTreeMap<Whose, Report> = BTreeMap::new();
    let mut runs: Vec<Run> = Vec::new();
    for (at, (device, frame)) in frames.iter().enumerate() {
        let stays = |index: usize| chosen.contains(&(at, index));
        let kept = (0..frame.samples.len()).filter(|index| stays(*index)).count() as u64;
        add_run(&mut runs, frame, kept);
        if kept == 0 {
            continue;
        }
        let shared = frame.flags.has(Flags::SHARED);
        let whose = (device.clone(), frame.person.clone(), shared);
        let report = reports.entry(whose).or_insert_with(|| Report {
            device: device.clone(),
            lane: Lane::Hist,
            person: frame.person.clone(),
            shared,
            thinned: true,
            ..Report::default()
        });
        for (index, sample) in frame.samples.iter().enumerate().filter(|(index, _)| stays(*index)) {
            let origin = frame.origins.iter().find(|origin| usize::from(origin.index) == index);
            if let (Some(origin), Ok(index)) = (origin, u16::try_from(report.samples.len())) {
                report.origins.push(Origin { index, ..origin.clone() });
            }
            report.samples.push(*sample);
        }
    }
    Thinned { reports: reports.into_values().collect(), runs }
}

/// Places (frame, sample) of the readings that stay.
fn choose(frames: &[(Name, WireFrame)]) -> HashSet<(usize, usize)> {
    type Slot<'a> = (&'a Name, Option<&'a str>, Metric, i64);
    let mut best: HashMap<Slot<'_>, (usize, usize, &Sample)> = HashMap::new();
    for (at, (device, frame)) in frames.iter().enumerate() {
        for (index, sample) in frame.samples.iter().enumerate() {
            let minute = sample.taken_at.0.div_euclid(MINUTE_US);
            let slot = (device, frame.person.as_deref(), sample.metric, minute);
            let before = best.get(&slot).copied();
            let better = |old: &Sample| {
                let rank = |one: &Sample| (one.value().is_none(), one.taken_at);
                rank(sample) < rank(old)
            };
            if before.is_none_or(|(_, _, old)| better(old)) {
                best.insert(slot, (at, index, sample));
            }
        }
    }
    best.into_values().map(|(at, index, _)| (at, index)).collect()
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
    fn one_a_minute_and_metric_stays_and_the_rest_is_counted() {
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
}
