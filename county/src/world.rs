//! The run: virtual time from minute to minute, what comes due, and its way to the engines.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use model::entry::{AGED_MAX, Entry, Flags, Frame, RULES_ELDERS_MAX};
use model::{DeviceId, ElderId, Event, EventKind, Extras, GatewayId, Lane, Metric, Sample, Subject, Time};

use crate::band::{Band, Said};
use crate::crisis::Crises;
use crate::figures as f;
use crate::line::Line;
use crate::people::{Device, Elder, Truth, at_minute, midnight};
use crate::report::{Counts, Report};
use crate::spot::{Spot, measure};
use crate::watch::Watch;
use crate::{Plan, levers, report};

/// From device to server when the line is up.
const TRAVEL_US: i64 = 400_000;
const SECOND_US: i64 = 1_000_000;

/// Something that comes due.
#[derive(Debug)]
pub(crate) enum Todo {
    Deliver(Box<Frame>),
    Spot(ElderId, Spot),
    Press {
        elder: ElderId,
        cancel: bool,
    },
    Fall(ElderId),
    /// A stream crisis: sign, value, end.
    Force {
        elder: ElderId,
        sign: usize,
        value: f64,
        until: Time,
    },
    /// The crisis of this number begins.
    Begin(usize),
}

#[derive(Debug)]
struct Due {
    at: Time,
    order: u64,
    todo: Todo,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The earliest is the greatest: a heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// Everything.
pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) elders: Vec<Elder>,
    bands: Vec<Band>,
    band_of: Vec<u32>,
    having: Vec<Vec<ElderId>>,
    lines: Vec<Line>,
    heap: BinaryHeap<Due>,
    order: u64,
    pub(crate) crises: Crises,
    truth: Truth,
    watches: Vec<Watch>,
    counts: Counts,
}

/// Runs the county. `told` hears of every day that is over: its number, how many there are, readings so far.
pub fn run(plan: &Plan, mut told: impl FnMut(u32, u32, u64)) -> Report {
    let mut world = World::new(plan);
    world.introduce();
    for day in 0..plan.days {
        world.plan_day(i64::from(day));
        for minute in 0..f::DAY_MIN {
            world.minute(i64::from(day), minute);
        }
        told(day + 1, plan.days, world.counts.readings);
    }
    let end = midnight(i64::from(plan.days));
    report::report(plan, &world.watches, &world.crises, world.counts, end)
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan) -> Self {
        let elders: Vec<Elder> =
            (1..=plan.elders).map(|id| Elder::new(plan.seed, ElderId(id), plan.wearers_percent)).collect();
        let wearers = elders.iter().filter(|elder| elder.has(Device::Band));
        let mut bands: Vec<Band> = wearers.map(|elder| Band::new(plan.seed, elder.id)).collect();
        bands.sort_by_key(|band| (band.phase_us, band.elder));
        let mut band_of = vec![u32::MAX; elders.len() + 1];
        for (index, band) in bands.iter().enumerate() {
            band_of[band.elder.0 as usize] = index as u32;
        }
        let devices = [Device::Band, Device::Cuff, Device::Meter, Device::Clip, Device::Thermometer, Device::Scale];
        let having = devices
            .map(|device| elders.iter().filter(|elder| elder.has(device)).map(|elder| elder.id).collect())
            .to_vec();
        let cut_day = i64::from(plan.days / 2);
        let power = (f::POWER_CUT_FROM_MIN, f::POWER_CUT_FROM_MIN + f::POWER_CUT_MIN);
        let power = (at_minute(cut_day, power.0 as f64), at_minute(cut_day, power.1 as f64));
        let lines = elders
            .iter()
            .map(|elder| Line::new(plan.seed, elder.id.0, midnight(0), (elder.township() == 1).then_some(power)))
            .collect();
        let mut watches = vec![Watch::new("as shipped", plan.rules.clone())];
        if plan.levers {
            watches.extend(levers::levers(&plan.rules).into_iter().map(|(name, set)| Watch::new(name, set)));
        }
        let counts = Counts {
            wearers: bands.len() as u32,
            gateways_cut: elders.iter().filter(|elder| elder.township() == 1 && elder.has(Device::Band)).count() as u32,
            ..Counts::default()
        };
        Self {
            plan,
            truth: Truth::new(plan.elders),
            elders,
            bands,
            band_of,
            having,
            lines,
            heap: BinaryHeap::new(),
            order: 0,
            crises: Crises::default(),
            watches,
            counts,
        }
    }

    pub(crate) fn having(&self, device: Device) -> &[ElderId] {
        self.having.get(device as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn later(&mut self, at: Time, todo: Todo) {
        self.order += 1;
        self.heap.push(Due { at, order: self.order, todo });
    }

    /// Ages, and the sets of those with a condition.
    fn introduce(&mut self) {
        let at = midnight(0);
        let aged: Vec<ElderId> = self.elders.iter().filter(|elder| elder.aged).map(|elder| elder.id).collect();
        for elders in aged.chunks(AGED_MAX) {
            self.step(&Entry::Aged { aged: true, at, elders: elders.to_vec() }, at);
        }
        for bits in 0..8_u8 {
            let (aged, scale2, failing) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            if !scale2 && !failing {
                continue;
            }
            let like =
                |elder: &&Elder| elder.aged == aged && elder.scale2 == scale2 && elder.has(Device::Scale) == failing;
            let who: Vec<ElderId> = self.elders.iter().filter(like).map(|elder| elder.id).collect();
            for elders in who.chunks(RULES_ELDERS_MAX) {
                for watch in &mut self.watches {
                    let set = levers::own(&watch.set, aged, scale2, failing);
                    let entry = Entry::Rules { elders: elders.to_vec(), at, set };
                    watch.step(&entry, at, &self.truth, &self.crises);
                }
            }
        }
    }

    fn step(&mut self, entry: &Entry, now: Time) {
        for watch in &mut self.watches {
            watch.step(entry, now, &self.truth, &self.crises);
        }
    }

    fn minute(&mut self, day: i64, minute: i64) {
        let start = midnight(day).plus_us(minute * f::MINUTE_US);
        let mut samples = Vec::with_capacity(4);
        let mut next = 0;
        for tick in 1..=60 / f::TICK_S {
            let tick_at = start.plus_us(tick * f::TICK_S * SECOND_US);
            while let Some(at) =
                self.bands.get(next).map(|band| start.plus_us(band.phase_us)).filter(|at| *at < tick_at)
            {
                self.run_to(at);
                samples.clear();
                let said = self.bands[next].minute(at, minute, &mut samples, &mut self.truth);
                let elder = self.bands[next].elder;
                next += 1;
                match said {
                    Said::Nothing => {}
                    Said::Report => samples = self.say(elder, Device::Band, samples, None, at),
                    Said::Removed => {
                        samples = self.say(elder, Device::Band, samples, Some(EventKind::DeviceRemoved), at);
                    }
                }
            }
            self.run_to(tick_at);
            self.step(&Entry::Tick(tick_at), tick_at);
            self.answer_prompts(tick_at);
        }
    }

    /// Does what is due by `until`.
    fn run_to(&mut self, until: Time) {
        while self.heap.peek().is_some_and(|due| due.at <= until) {
            let Some(Due { at, todo, .. }) = self.heap.pop() else { return };
            match todo {
                Todo::Deliver(frame) => self.step(&Entry::Frame(*frame), at),
                Todo::Spot(elder, spot) => self.measure(elder, spot, at),
                Todo::Press { elder, cancel } => {
                    let kind = if cancel { EventKind::Cancelled } else { EventKind::Sos };
                    self.counts.presses += u64::from(!cancel);
                    self.say(elder, Device::Pendant, Vec::new(), Some(kind), at);
                }
                Todo::Fall(elder) => drop(self.say(elder, Device::Band, Vec::new(), Some(EventKind::Fall), at)),
                Todo::Force { elder, sign, value, until } => {
                    let index = self.band_of[elder.0 as usize] as usize;
                    if let Some(band) = self.bands.get_mut(index) {
                        band.force(sign, value, until);
                    }
                }
                Todo::Begin(index) => {
                    if let Some(crisis) = self.crises.all.get(index) {
                        self.watches.iter_mut().for_each(|watch| watch.begins(index, crisis));
                    }
                }
            }
        }
    }

    fn measure(&mut self, id: ElderId, mut spot: Spot, at: Time) {
        let Some(elder) = self.elders.get_mut(id.0 as usize - 1) else { return };
        let mut samples = Vec::with_capacity(3);
        let worked =
            measure(elder, &mut spot, at.plus_us(elder.clock_off_s * SECOND_US), &mut samples, &mut self.truth);
        let (device, next) = match spot {
            Spot::Cuff { body, left, crisis } => {
                self.counts.cuff(&samples);
                let pause_s = if worked { elder.dice.between((75.0, 180.0)) } else { 120.0 };
                let left = if worked { left.checked_sub(1) } else { Some(left) };
                let next = left.map(|left| (pause_s, Spot::Cuff { body, left, crisis }));
                (Device::Cuff, next)
            }
            Spot::Glucose { .. } => (Device::Meter, None),
            Spot::Clip { left, body } => {
                (Device::Clip, (left > 0).then_some((10.0, Spot::Clip { left: left - 1, body })))
            }
            Spot::Temperature { .. } => (Device::Thermometer, None),
            Spot::Weight { .. } => (Device::Scale, None),
        };
        if let Some((pause_s, next)) = next {
            self.later(at.plus_us((pause_s * 1e6) as i64), Todo::Spot(id, next));
        }
        self.say(id, device, samples, None, at);
    }

    /// A frame on its way: at once, or when the line is up again. Gives the samples' memory back.
    fn say(
        &mut self,
        elder: ElderId,
        device: Device,
        samples: Vec<Sample>,
        event: Option<EventKind>,
        at: Time,
    ) -> Vec<Sample> {
        self.counts.readings += samples.len() as u64;
        self.counts.frames += 1;
        let urgent = event.is_some_and(|kind| kind.lane() == Lane::Sos);
        let held = self.lines.get_mut(elder.0 as usize - 1).and_then(|line| line.held(at, urgent));
        let received_at = held.unwrap_or_else(|| at.plus_us(TRAVEL_US));
        let lane = match (urgent, held) {
            (true, _) => Lane::Sos,
            (false, Some(_)) => Lane::Hist,
            (false, None) => Lane::Vit,
        };
        let frame = Frame {
            gateway: GatewayId(elder.0),
            device: DeviceId(elder.0 * 8 + device as u32),
            subject: Subject::Elder(elder),
            lane,
            flags: Flags(if held.is_some() { Flags::HIST } else { 0 }),
            epoch: 1,
            seq: self.counts.frames,
            received_at,
            events: event.map(|kind| Event { kind, at }).into_iter().collect(),
            samples,
            extras: Extras::default(),
        };
        if held.is_some() {
            self.counts.held += 1;
            self.later(received_at, Todo::Deliver(Box::new(frame)));
            return Vec::with_capacity(4);
        }
        let entry = Entry::Frame(frame);
        self.step(&entry, received_at);
        match entry {
            Entry::Frame(frame) => frame.samples,
            _ => Vec::new(),
        }
    }

    /// Elders whom the system asks to measure again.
    fn answer_prompts(&mut self, now: Time) {
        let Some(watch) = self.watches.first_mut() else { return };
        let mut asked = std::mem::take(&mut watch.asked);
        asked.dedup_by_key(|(elder, metric)| (elder.0, device_of(*metric) as u8));
        for (id, metric) in asked {
            let Some(elder) = self.elders.get_mut(id.0 as usize - 1) else { continue };
            if !elder.dice.chance(f::MEASURES_AGAIN) {
                continue;
            }
            let at = now.plus_us((elder.dice.between((60.0, 300.0)) * 1e6) as i64);
            let body = |metric| self.truth.get(id, metric);
            let spot = match device_of(metric) {
                Device::Cuff => {
                    let body = body(Metric::Systolic).zip(body(Metric::Diastolic));
                    Spot::Cuff { body, left: 0, crisis: false }
                }
                Device::Meter => Spot::Glucose { body: body(metric) },
                Device::Thermometer => Spot::Temperature { body: body(metric) },
                _ => continue,
            };
            self.counts.measured_again += 1;
            self.later(at, Todo::Spot(id, spot));
        }
    }
}

const fn device_of(metric: Metric) -> Device {
    match metric {
        Metric::Systolic | Metric::Diastolic => Device::Cuff,
        Metric::Glucose => Device::Meter,
        Metric::BodyTemperature => Device::Thermometer,
        _ => Device::Scale,
    }
}
