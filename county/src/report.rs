//! The numbers of a run, from the ledgers of its watches. `text.rs` writes them for people.

use std::collections::{BTreeMap, HashMap};

use model::{AlarmKind, Priority, Sample, Time};
use serde::Serialize;

use crate::Plan;
use crate::crisis::{Crises, CrisisKind};
use crate::figures as f;
use crate::people::midnight;
use crate::seats::{self, Served};
use crate::watch::{Told, Watch};

const HOUR_US: i64 = 3_600_000_000;
const TEN_MIN_US: i64 = 600_000_000;
/// Crises listed by name when they were missed.
const MISSED_SHOWN_MAX: usize = 200;

/// Counted on the way.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) readings: u64,
    pub(crate) frames: u64,
    /// Frames that waited for a line.
    pub(crate) held: u64,
    pub(crate) wearers: u32,
    /// Homes with a band in the township without power.
    pub(crate) gateways_cut: u32,
    pub(crate) presses: u64,
    pub(crate) cuff_readings: u64,
    /// 180 and/or 110 and more.
    pub(crate) cuff_crises: u64,
    /// Second measurements made because the system asked.
    pub(crate) measured_again: u64,
}

impl Counts {
    pub(crate) fn cuff(&mut self, samples: &[Sample]) {
        if let [systolic, diastolic, ..] = samples {
            self.cuff_readings += 1;
            let beyond = |sample: &Sample, limit: f64| sample.value().is_some_and(|value| value >= limit);
            self.cuff_crises += u64::from(beyond(systolic, 180.0) || beyond(diastolic, 110.0));
        }
    }
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub elders: u32,
    pub days: u32,
    pub seed: u64,
    pub seats: u32,
    pub wearers_percent: f64,
    counts: Counts,
    /// The first is the set as it was given; the others have one change each.
    pub sets: Vec<SetReport>,
}

/// What one set of rules made of it.
#[derive(Clone, Debug, Serialize)]
pub struct SetReport {
    pub name: String,
    pub rules: String,
    pub priorities: Vec<PriorityRow>,
    /// P1 and P2 that are new or worse, per seat and hour: mean and highest hour.
    pub per_seat_hour: f64,
    pub per_seat_peak_hour: f64,
    /// Ten-minute periods with more than ten new P1 and P2 a seat, of all periods; the longest flood in minutes.
    pub flood_periods: u32,
    pub periods: u32,
    pub longest_flood_min: u32,
    /// Share of T among all alarms.
    pub technical_share: f64,
    /// Share of P1 and P2 that the tenth of elders with most of them make.
    pub top_tenth_share: f64,
    /// Of P1 and P2 with a true/false label, so many were false.
    pub false_share: f64,
    pub late_items: u64,
    pub incidents: u32,
    pub silences_in_incidents: u32,
    pub remeasures_asked: u64,
    pub answered: Answered,
    pub by_rule: Vec<RuleRow>,
    pub crises: Vec<CrisisRow>,
    pub missed: Vec<Missed>,
    pub missed_count: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct PriorityRow {
    pub priority: Priority,
    pub raised: u64,
    /// Became this urgent.
    pub worsened: u64,
    /// Told again while they stood, or pressed again.
    pub again: u64,
    pub per_day: f64,
    /// Raised and worsened, per seat: in the mean hour and in the highest.
    pub seat_hour: f64,
    pub seat_peak_hour: f64,
}

/// The seats' side.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    pub p1_within_60_s: f64,
    pub p1_within_180_s: f64,
    pub p1_wait_median_s: f64,
    pub p1_wait_max_s: f64,
    pub p2_wait_median_s: f64,
    pub p2_wait_max_s: f64,
    /// Share of the seats' time.
    pub busy: f64,
    /// Not taken by anybody when the run ended.
    pub waiting_at_end: u64,
    /// Told again while waiting or in hand.
    pub merged: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct RuleRow {
    pub rule: String,
    pub p1: u64,
    pub p2: u64,
    pub p3: u64,
    pub t: u64,
    pub again: u64,
    /// Of P1 and P2: labelled real and false. `ppv` is real / both.
    pub real: u64,
    pub false_: u64,
    pub ppv: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CrisisRow {
    pub kind: CrisisKind,
    pub count: u32,
    /// Of presses and fall detections: real ones.
    pub real: u32,
    pub live: u32,
    /// Found in data that came late: a review item.
    pub late: u32,
    pub missed: u32,
    /// From the beginning to the first alarm, of those found live.
    pub median_s: f64,
    pub p95_s: f64,
    pub max_s: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Missed {
    pub kind: CrisisKind,
    pub elder: u32,
    pub begin: Time,
    pub until: Time,
}

impl Report {
    /// No crisis was missed by the rules that were given.
    pub fn is_good(&self) -> bool {
        self.sets.first().is_some_and(|set| set.missed_count == 0)
    }

    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }
}

pub(crate) fn report(plan: &Plan, watches: &[Watch], crises: &Crises, counts: Counts, end: Time) -> Report {
    Report {
        elders: plan.elders,
        days: plan.days,
        seed: plan.seed,
        seats: plan.seats,
        wearers_percent: plan.wearers_percent,
        counts,
        sets: watches.iter().map(|watch| set_report(plan, watch, crises, end)).collect(),
    }
}

fn set_report(plan: &Plan, watch: &Watch, crises: &Crises, end: Time) -> SetReport {
    let seats = f64::from(plan.seats.max(1));
    let hours = f64::from(plan.days) * 24.0;
    let urgent = |told: &&(Time, Priority, Told)| told.1 <= Priority::P2 && told.2 != Told::Again;
    let urgent_at: Vec<Time> = watch.told.iter().filter(urgent).map(|(at, ..)| *at).collect();
    let periods = per_period(urgent_at.iter().copied(), TEN_MIN_US, end);
    let (flood_periods, longest_flood_min) = floods(&periods, plan.seats.max(1));
    let (crisis_rows, missed, missed_count) = crisis_rows(watch, crises);
    let labelled = |alarm: &&crate::watch::Alarm| alarm.priority <= Priority::P2 && alarm.real.is_some();
    let of = watch.alarms.iter().filter(labelled);
    let (all, wrong) =
        of.fold((0_u64, 0_u64), |(all, wrong), alarm| (all + 1, wrong + u64::from(alarm.real == Some(false))));
    let technical = watch.alarms.iter().filter(|alarm| alarm.priority == Priority::T).count();
    let (incidents, silences_in_incidents) = incidents(watch);
    SetReport {
        name: watch.name.clone(),
        rules: format!("{} version {}", watch.set.name, watch.set.version),
        priorities: Priority::ALL.iter().map(|priority| priority_row(watch, *priority, seats, hours, end)).collect(),
        per_seat_hour: urgent_at.len() as f64 / hours / seats,
        per_seat_peak_hour: highest(&per_period(urgent_at.iter().copied(), HOUR_US, end)) / seats,
        flood_periods,
        periods: periods.len() as u32,
        longest_flood_min,
        technical_share: share(technical as u64, watch.alarms.len() as u64),
        top_tenth_share: top_tenth(watch, plan.elders),
        false_share: share(wrong, all),
        late_items: watch.alarms.iter().filter(|alarm| alarm.late).count() as u64,
        incidents,
        silences_in_incidents,
        remeasures_asked: watch.remeasures,
        answered: answered(&seats::serve(watch, plan.seats, plan.seed, end), seats * hours),
        by_rule: by_rule(watch),
        crises: crisis_rows,
        missed,
        missed_count,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn highest(periods: &[u32]) -> f64 {
    periods.iter().copied().max().unwrap_or(0).into()
}

/// Counts of equal periods from the start to the end of the run.
fn per_period(at: impl Iterator<Item = Time>, length_us: i64, end: Time) -> Vec<u32> {
    let mut periods = vec![0; (end.since_us(midnight(0)) / length_us).max(1) as usize];
    let last = periods.len() - 1;
    for at in at {
        periods[((at.since_us(midnight(0)) / length_us).max(0) as usize).min(last)] += 1;
    }
    periods
}

/// Periods above the limit; a flood lasts until a period is below the lower one.
fn floods(periods: &[u32], seats: u32) -> (u32, u32) {
    let (mut above, mut longest, mut length, mut on) = (0, 0, 0, false);
    for count in periods {
        above += u32::from(*count > f::FLOOD_ABOVE * seats);
        on = *count > f::FLOOD_ABOVE * seats || (on && *count >= f::FLOOD_OVER_BELOW * seats);
        length = if on { length + 10 } else { 0 };
        longest = longest.max(length);
    }
    (above, longest)
}

fn priority_row(watch: &Watch, priority: Priority, seats: f64, hours: f64, end: Time) -> PriorityRow {
    let count = |told: Told| watch.told.iter().filter(|(_, p, what)| *p == priority && *what == told).count() as u64;
    let (raised, worsened) = (count(Told::Raised), count(Told::Worsened));
    let fresh = watch.told.iter().filter(|(_, p, what)| *p == priority && *what != Told::Again).map(|(at, ..)| *at);
    PriorityRow {
        priority,
        raised,
        worsened,
        again: count(Told::Again),
        per_day: (raised + worsened) as f64 / (hours / 24.0),
        seat_hour: (raised + worsened) as f64 / hours / seats,
        seat_peak_hour: highest(&per_period(fresh, HOUR_US, end)) / seats,
    }
}

fn top_tenth(watch: &Watch, elders: u32) -> f64 {
    let mut of: HashMap<u32, u64> = HashMap::new();
    for alarm in watch.alarms.iter().filter(|alarm| alarm.priority <= Priority::P2) {
        *of.entry(alarm.elder).or_default() += 1 + u64::from(alarm.told_again);
    }
    let mut counts: Vec<u64> = of.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let top = counts.iter().take((elders / 10).max(1) as usize).sum();
    share(top, counts.iter().sum())
}

/// Silences of one township within ten minutes of each other are one incident.
fn incidents(watch: &Watch) -> (u32, u32) {
    let mut of: BTreeMap<u32, Vec<Time>> = BTreeMap::new();
    for alarm in watch.alarms.iter().filter(|alarm| matches!(alarm.kind, AlarmKind::Silence { .. })) {
        of.entry(alarm.elder % f::TOWNSHIPS).or_default().push(alarm.raised_at);
    }
    let (mut incidents, mut grouped) = (0, 0);
    for times in of.values() {
        let mut first = 0;
        while first < times.len() {
            let count = times[first..].iter().take_while(|at| at.since_us(times[first]) <= TEN_MIN_US).count();
            if count >= f::INCIDENT_FROM {
                incidents += 1;
                grouped += count as u32;
            }
            first += if count >= f::INCIDENT_FROM { count } else { 1 };
        }
    }
    (incidents, grouped)
}

fn answered(served: &Served, seat_hours: f64) -> Answered {
    let [p1, p2] = &served.waits_s;
    let within = |limit: f64| share(p1.iter().filter(|wait| **wait <= limit).count() as u64, p1.len() as u64);
    let (p1_sorted, p2_sorted) = (sorted(p1.clone()), sorted(p2.clone()));
    Answered {
        p1_within_60_s: within(60.0),
        p1_within_180_s: within(180.0),
        p1_wait_median_s: quantile(&p1_sorted, 0.5),
        p1_wait_max_s: quantile(&p1_sorted, 1.0),
        p2_wait_median_s: quantile(&p2_sorted, 0.5),
        p2_wait_max_s: quantile(&p2_sorted, 1.0),
        busy: served.busy_s / 3_600.0 / seat_hours,
        waiting_at_end: served.waiting,
        merged: served.merged,
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

fn by_rule(watch: &Watch) -> Vec<RuleRow> {
    let row = |rule: &String| RuleRow {
        rule: rule.clone(),
        p1: 0,
        p2: 0,
        p3: 0,
        t: 0,
        again: 0,
        real: 0,
        false_: 0,
        ppv: None,
    };
    let mut rows: Vec<RuleRow> = watch.rules.iter().map(row).collect();
    for alarm in &watch.alarms {
        let Some(row) = rows.get_mut(usize::from(alarm.rule)) else { continue };
        *match alarm.priority {
            Priority::P1 => &mut row.p1,
            Priority::P2 => &mut row.p2,
            Priority::P3 => &mut row.p3,
            Priority::T => &mut row.t,
        } += 1;
        row.again += u64::from(alarm.told_again);
        if alarm.priority <= Priority::P2 {
            row.real += u64::from(alarm.real == Some(true));
            row.false_ += u64::from(alarm.real == Some(false));
        }
    }
    for row in &mut rows {
        row.ppv = (row.real + row.false_ > 0).then(|| share(row.real, row.real + row.false_));
    }
    rows.sort_by(|a, b| (b.p1 + b.p2, b.p3, b.t, &a.rule).cmp(&(a.p1 + a.p2, a.p3, a.t, &b.rule)));
    rows
}

fn crisis_rows(watch: &Watch, crises: &Crises) -> (Vec<CrisisRow>, Vec<Missed>, u32) {
    let mut missed = Vec::new();
    let mut missed_count = 0;
    let mut rows = Vec::new();
    for kind in CrisisKind::ALL {
        let of = || crises.all.iter().enumerate().filter(|(_, crisis)| crisis.kind == kind);
        let found = |index: usize| watch.found.get(index).copied().flatten();
        let live = of().filter_map(|(index, crisis)| {
            let found = found(index).filter(|found| !found.late)?;
            Some((found.at.since_us(crisis.begin) as f64 / 1e6).max(0.0))
        });
        let live = sorted(live.collect());
        let gone = of().filter(|(index, _)| found(*index).is_none());
        for (_, crisis) in gone {
            missed_count += 1;
            if missed.len() < MISSED_SHOWN_MAX {
                missed.push(Missed { kind, elder: crisis.elder.0, begin: crisis.begin, until: crisis.until });
            }
        }
        let count = of().count() as u32;
        let late = of().filter(|(index, _)| found(*index).is_some_and(|found| found.late)).count() as u32;
        rows.push(CrisisRow {
            kind,
            count,
            real: of().filter(|(_, crisis)| crisis.real).count() as u32,
            live: live.len() as u32,
            late,
            missed: count - late - live.len() as u32,
            median_s: quantile(&live, 0.5),
            p95_s: quantile(&live, 0.95),
            max_s: quantile(&live, 1.0),
        });
    }
    (rows, missed, missed_count)
}
