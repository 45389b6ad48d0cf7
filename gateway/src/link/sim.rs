//! The simulator link: runs the simulated elders in real time, the past first when the gateway is new.

use std::time::Duration;

use model::{Lane, Sample, Time};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::outlet::Outlet;
use crate::report::Report;
use crate::running::Cut;
use crate::sim::{Config, Part, Person, Said, Scenario, device};

/// The bodies' heartbeat.
const TICK: Duration = Duration::from_secs(1);
/// Resolution of the past.
const BACKFILL_STEP_S: u32 = 60;
/// Samples of the past in one report.
const BACKFILL_SAMPLES: usize = 180;

pub(crate) async fn run(
    config: Config,
    fresh: bool,
    outlet: Outlet,
    cuts: mpsc::Sender<Cut>,
    clock: Clock,
    stop: Stop,
) {
    let mut people: Vec<Person> = (1..=config.elders)
        .map(|index| Person::new(config.seed, index, config.interval_s, config.cuff_interval_s))
        .collect();
    let start = clock.now();
    if fresh && config.backfill_h > 0 {
        for (index, person) in (1..).zip(&mut people) {
            if !backfill(person, index, &config, start, &outlet, &stop).await {
                return;
            }
        }
    }
    let mut plan: Vec<_> = config.scenarios.iter().map(|planned| (planned.at_s, *planned)).collect();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut said = Vec::new();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = ticks.tick() => {}
        }
        let now = clock.now();
        let elapsed = u64::try_from(now.since_us(start) / 1_000_000).unwrap_or(0);
        for (next, planned) in plan.iter_mut().filter(|(next, _)| *next <= elapsed) {
            let seconds = if planned.for_s == 0 { planned.kind.usual_s() } else { planned.for_s };
            *next = if planned.every_s == 0 { u64::MAX } else { elapsed.saturating_add(planned.every_s) };
            if planned.kind == Scenario::UplinkLost {
                // One cut at a time is enough: a second one while the first waits says nothing new.
                let _busy = cuts.try_send(Cut(Duration::from_secs(seconds)));
            } else if let Some(person) = people.get_mut(planned.person.saturating_sub(1) as usize) {
                person.begin(planned.kind, now, seconds);
            }
        }
        for (index, person) in (1..).zip(&mut people) {
            person.step(now, &mut said);
            for Said { part, samples, events } in said.drain(..) {
                let report =
                    Report { device: device(index, part), lane: Lane::Vit, samples, events, ..Report::default() };
                if !send(&outlet, report, &stop).await {
                    return;
                }
            }
        }
    }
}

/// The last hours of one elder, up to `end`. False when the gateway stops.
async fn backfill(person: &mut Person, index: u32, config: &Config, end: Time, outlet: &Outlet, stop: &Stop) -> bool {
    person.set_band_interval(BACKFILL_STEP_S);
    let minutes = i64::from(config.backfill_h) * 60;
    let mut said = Vec::new();
    let mut waiting: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
    for minute in (1..=minutes).rev() {
        person.step(end.plus_us(-minute * 60_000_000), &mut said);
        for Said { part, samples, .. } in said.drain(..) {
            waiting[part as usize].extend(samples);
        }
        for part in Part::ALL {
            if waiting[part as usize].len() < BACKFILL_SAMPLES && minute > 1 || waiting[part as usize].is_empty() {
                continue;
            }
            let samples = std::mem::take(&mut waiting[part as usize]);
            let report = Report { device: device(index, part), lane: Lane::Hist, samples, ..Report::default() };
            if !send(outlet, report, stop).await {
                return false;
            }
        }
    }
    person.set_band_interval(config.interval_s);
    true
}

/// False when there is nobody to send to any more.
async fn send(outlet: &Outlet, report: Report, stop: &Stop) -> bool {
    tokio::select! {
        () = stop.requested() => false,
        sent = outlet.send(report) => sent,
    }
}
