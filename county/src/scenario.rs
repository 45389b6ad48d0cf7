//! What a day brings: the measurements people make, and what truly happens to them.

use model::{ElderId, Time};

use crate::crisis::{Crisis, CrisisKind};
use crate::dice::Dice;
use crate::figures as f;
use crate::people::{Device, Elder, at_minute, midnight};
use crate::spot::Spot;
use crate::world::{Todo, World};

/// Draws for an elder to whom nothing has happened yet.
const TRIES: u32 = 50;

impl World<'_> {
    /// Puts the day's measurements and crises on the list.
    pub(crate) fn plan_day(&mut self, day: i64) {
        for index in 0..self.elders.len() {
            let (todos, count) = measurements(&mut self.elders[index], day);
            let id = self.elders[index].id;
            for (at, spot) in todos.into_iter().take(count).flatten() {
                self.later(at, Todo::Spot(id, spot));
            }
        }
        let mut dice = Dice::new(self.plan.seed, 0xC215_1500 + day as u64);
        self.calls(day, &mut dice);
        self.falls(day, &mut dice);
        self.streams(day, &mut dice);
        self.spots(day, &mut dice);
    }

    fn crisis(&mut self, kind: CrisisKind, elder: ElderId, (begin, until): (Time, Time), real: bool) {
        let index = self.crises.add(Crisis { kind, elder, begin, until, real });
        self.later(begin, Todo::Begin(index));
    }

    fn calls(&mut self, day: i64, dice: &mut Dice) {
        let everybody = self.elders.len() as u32;
        for _ in 0..dice.count(f64::from(everybody) * f::SOS_A_DAY) {
            let elder = ElderId(1 + dice.below(everybody));
            let minute = if dice.chance(0.8) { dice.between((360.0, 1_320.0)) } else { dice.between((0.0, 1_440.0)) };
            let (at, real) = (at_minute(day, minute), dice.chance(f::SOS_REAL));
            let mut last = at;
            self.later(at, Todo::Press { elder, cancel: false });
            if dice.chance(f::SOS_AGAIN) {
                last = at.plus_us((dice.between((5.0, 290.0)) * 1e6) as i64);
                self.later(last, Todo::Press { elder, cancel: false });
            }
            if !real && dice.chance(f::SOS_CANCELLED) {
                self.later(last.plus_us(20_000_000), Todo::Press { elder, cancel: true });
            }
            self.crisis(CrisisKind::Sos, elder, (at, last), real);
        }
    }

    fn falls(&mut self, day: i64, dice: &mut Dice) {
        for (rate, real) in [(f::FALL_A_DAY, true), (f::FALL_FALSE_A_DAY, false)] {
            for _ in 0..self.how_many(day, rate, Device::Band, real, dice) {
                let Some(elder) = self.anybody(Device::Band, dice) else { break };
                let at = at_minute(day, dice.between((360.0, 1_400.0)));
                self.later(at, Todo::Fall(elder));
                self.crisis(CrisisKind::Fall, elder, (at, at), real);
            }
        }
    }

    fn streams(&mut self, day: i64, dice: &mut Dice) {
        for (kind, rate, sign, range) in [
            (CrisisKind::Desaturation, f::DESATURATION_A_DAY, 1, (83.0, 88.0)),
            (CrisisKind::Bradycardia, f::BRADYCARDIA_A_DAY, 0, (31.0, 36.0)),
            (CrisisKind::Tachycardia, f::TACHYCARDIA_A_DAY, 0, (139.0, 158.0)),
        ] {
            for _ in 0..self.how_many(day, rate, Device::Band, true, dice) {
                let Some(elder) = self.somebody_new(Device::Band, dice) else { break };
                let begin = at_minute(day, dice.between((0.0, (f::DAY_MIN - f::CRISIS_MIN - 5) as f64)));
                let until = begin.plus_us(f::CRISIS_MIN * f::MINUTE_US);
                let scale2 = self.elders.get(elder.0 as usize - 1).is_some_and(|elder| elder.scale2);
                // Who lives with 90 % is in need at less.
                let lower = if scale2 && sign == 1 { f::CLIP_SCALE2_LOWER } else { 0.0 };
                let value = dice.between(range) - lower;
                self.later(begin, Todo::Force { elder, sign, value, until });
                self.crisis(kind, elder, (begin, until), true);
            }
        }
    }

    fn spots(&mut self, day: i64, dice: &mut Dice) {
        for (kind, rate, device) in [
            (CrisisKind::HypertensiveCrisis, f::HYPERTENSIVE_A_DAY, Device::Cuff),
            (CrisisKind::Hypoglycaemia, f::HYPOGLYCAEMIA_A_DAY, Device::Meter),
            (CrisisKind::Fever, f::FEVER_A_DAY, Device::Thermometer),
            (CrisisKind::WeightGain, f::WEIGHT_GAIN_A_DAY, Device::Scale),
        ] {
            // Three days of filling up have to fit, after two days of being dry.
            let fits = kind != CrisisKind::WeightGain || (2..i64::from(self.plan.days) - 2).contains(&day);
            for _ in 0..if fits { self.how_many(day, rate, device, true, dice) } else { 0 } {
                let Some(elder) = self.somebody_new(device, dice) else { break };
                let at = at_minute(day, dice.between((420.0, 1_260.0)));
                let again = at.plus_us((dice.between((75.0, 300.0)) * 1e6) as i64);
                self.crisis(kind, elder, (at, again), true);
                match kind {
                    CrisisKind::HypertensiveCrisis => {
                        let body = Some((dice.between((192.0, 215.0)), dice.between((112.0, 125.0))));
                        self.later(at, Todo::Spot(elder, Spot::Cuff { body, left: 0, crisis: true }));
                        self.later(again, Todo::Spot(elder, Spot::Cuff { body, left: 0, crisis: true }));
                    }
                    CrisisKind::Hypoglycaemia => {
                        let body = Some(dice.between((2.2, 3.6)));
                        self.later(at, Todo::Spot(elder, Spot::Glucose { body }));
                    }
                    CrisisKind::Fever => {
                        let body = Some(dice.between((39.4, 40.3)));
                        self.later(at, Todo::Spot(elder, Spot::Temperature { body }));
                        self.later(again, Todo::Spot(elder, Spot::Temperature { body }));
                    }
                    _ => self.fill_up(day, elder),
                }
            }
        }
    }

    /// Heart failure: three kilograms in three mornings.
    fn fill_up(&mut self, day: i64, elder: ElderId) {
        let Some(person) = self.elders.get_mut(elder.0 as usize - 1) else { return };
        person.water = [1.0, 2.0, 3.2, 1.6];
        person.water_from = Some(day);
        if let Some(crisis) = self.crises.all.last_mut() {
            (crisis.begin, crisis.until) = (midnight(day), midnight(day + 3));
        }
    }

    /// So many today; on the first day on which it can happen at least one, so that every run has each kind.
    fn how_many(&self, day: i64, rate: f64, device: Device, at_least_one: bool, dice: &mut Dice) -> u32 {
        let have = self.having(device);
        let first = day == 0 || (device == Device::Scale && day == 2);
        let count = dice.count(have.len() as f64 * rate);
        if at_least_one && first && !have.is_empty() { count.max(1) } else { count }
    }

    fn anybody(&self, device: Device, dice: &mut Dice) -> Option<ElderId> {
        let have = self.having(device);
        have.get(dice.below(have.len() as u32) as usize).copied()
    }

    fn somebody_new(&self, device: Device, dice: &mut Dice) -> Option<ElderId> {
        (0..TRIES).filter_map(|_| self.anybody(device, dice)).find(|elder| !self.crises.is_busy(*elder))
    }
}

/// Most measurements that one elder plans for a day.
const PLANNED_MAX: usize = 6;

type Planned = [Option<(Time, Spot)>; PLANNED_MAX];

fn measurements(elder: &mut Elder, day: i64) -> (Planned, usize) {
    let mut planned = [None; PLANNED_MAX];
    let mut count = 0;
    let mut plan = |at: Time, spot: Spot| {
        if let Some(place) = planned.get_mut(count) {
            *place = Some((at, spot));
            count += 1;
        }
    };
    let morning = |dice: &mut Dice| at_minute(day, dice.between(f::MORNING));
    if elder.has(Device::Cuff) {
        let both = elder.dice.chance(f::BOTH_IN_THE_MORNING);
        plan(morning(&mut elder.dice), Spot::Cuff { body: None, left: u8::from(both), crisis: false });
        if !both {
            let at = at_minute(day, elder.dice.between(f::EVENING));
            plan(at, Spot::Cuff { body: None, left: 0, crisis: false });
        }
    }
    if elder.has(Device::Meter) {
        plan(morning(&mut elder.dice), Spot::Glucose { body: None });
    }
    if elder.has(Device::Clip) {
        let body = elder.means.clip + 0.8 * elder.dice.normal();
        plan(morning(&mut elder.dice), Spot::Clip { left: f::CLIP_READINGS - 1, body });
    }
    if elder.has(Device::Thermometer) {
        plan(morning(&mut elder.dice), Spot::Temperature { body: None });
    }
    if elder.has(Device::Scale) {
        plan(morning(&mut elder.dice), Spot::Weight { day });
    }
    (planned, count)
}
