//! NEWS2, the National Early Warning Score 2: seven parameters to a total of 0 to 20, as a pure function.
//!
//! Source: Royal College of Physicians, "National Early Warning Score (NEWS) 2", London 2017, reproduced with acknowledgement.
//! Not for people under 16 years or in pregnancy. The diastolic pressure is no part of it.
//!
//! What is missing is an interval, never a silent zero: with what is known the total is certain to be at least `min`, and with
//! what is missing at most `max`. SpO2 scale 2 is for hypercapnic respiratory failure with a prescribed target of 88-92 % only;
//! there a value of 93 and more counts on oxygen and not on air, so without a word about oxygen its points are open.

use serde::Serialize;

/// Highest total.
pub const TOTAL_MAX: u8 = 20;
/// Points of supplemental oxygen.
const OXYGEN: u8 = 2;

/// What was measured. `None` is missing. Numbers are rounded half up before they come here ([`whole`], [`tenths`]): between
/// two bands there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Breaths a minute.
    pub respiratory_rate: Option<u16>,
    /// Percent.
    pub spo2: Option<u16>,
    pub spo2_scale: Scale,
    pub on_oxygen: Option<bool>,
    /// mmHg.
    pub systolic: Option<u16>,
    /// Pulse or heart rate, beats a minute.
    pub heart_rate: Option<u16>,
    pub consciousness: Option<Consciousness>,
    /// Tenths of a degree Celsius: binary fractions of a degree fall between bands (39.05 would print as 39.0).
    pub temperature_tenths: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    One,
    /// Only by a doctor's flag.
    Two,
}

/// ACVPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consciousness {
    Alert,
    NewConfusion,
    Voice,
    Pain,
    Unresponsive,
}

/// A row of the table, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    RespiratoryRate,
    Spo2,
    OnOxygen,
    Systolic,
    HeartRate,
    Consciousness,
    Temperature,
}

/// Points of each parameter; `None`: missing, or not to be said without another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    pub respiratory_rate: Option<u8>,
    pub spo2: Option<u8>,
    pub on_oxygen: Option<u8>,
    pub systolic: Option<u8>,
    pub heart_rate: Option<u8>,
    pub consciousness: Option<u8>,
    pub temperature: Option<u8>,
}

/// The score with what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct News2 {
    /// Sum of what is known.
    pub total: u8,
    pub parts: Parts,
    /// Nothing is missing: `total`, `min` and `max` are one number.
    pub complete: bool,
    pub min: u8,
    pub max: u8,
    /// One known parameter alone scores 3: urgent review, whatever the total.
    pub single_three: bool,
    pub missing: Vec<Parameter>,
    /// The one missing measurement to take first: of those that could lift the class of response on their own, the one that
    /// could lift it farthest, in the order of the table. `None`: nothing missing could on its own.
    pub decides: Option<Parameter>,
}

impl Parameter {
    pub const ALL: [Self; 7] = [
        Self::RespiratoryRate,
        Self::Spo2,
        Self::OnOxygen,
        Self::Systolic,
        Self::HeartRate,
        Self::Consciousness,
        Self::Temperature,
    ];
}

impl Consciousness {
    /// From its letter on the chart.
    pub fn parse(letter: &str) -> Option<Self> {
        Some(match letter {
            "A" => Self::Alert,
            "C" => Self::NewConfusion,
            "V" => Self::Voice,
            "P" => Self::Pain,
            "U" => Self::Unresponsive,
            _ => return None,
        })
    }
}

/// Rounded half up to a whole number. The small addend undoes binary fractions. Below 0 and beyond `u16` it saturates.
pub fn whole(value: f64) -> u16 {
    (value + 0.5 + 1e-6).floor() as u16
}

/// The same in tenths.
pub fn tenths(value: f64) -> u16 {
    whole(value * 10.0)
}

impl Parts {
    /// Points by the table.
    pub fn of(inputs: &Inputs) -> Self {
        let spo2 = |spo2| match (inputs.spo2_scale, inputs.on_oxygen) {
            (Scale::One, _) => Some(spo2_scale1(spo2)),
            (Scale::Two, Some(on_oxygen)) => Some(spo2_scale2(spo2, on_oxygen)),
            // On air and on oxygen it scores the same, or oxygen has to be known.
            (Scale::Two, None) => Some(spo2_scale2(spo2, false)).filter(|points| *points == spo2_scale2(spo2, true)),
        };
        Self {
            respiratory_rate: inputs.respiratory_rate.map(respiration),
            spo2: inputs.spo2.and_then(spo2),
            on_oxygen: inputs.on_oxygen.map(|on_oxygen| if on_oxygen { OXYGEN } else { 0 }),
            systolic: inputs.systolic.map(systolic),
            heart_rate: inputs.heart_rate.map(pulse),
            consciousness: inputs.consciousness.map(|state| if state == Consciousness::Alert { 0 } else { 3 }),
            temperature: inputs.temperature_tenths.map(temperature),
        }
    }

    pub const fn get(&self, parameter: Parameter) -> Option<u8> {
        match parameter {
            Parameter::RespiratoryRate => self.respiratory_rate,
            Parameter::Spo2 => self.spo2,
            Parameter::OnOxygen => self.on_oxygen,
            Parameter::Systolic => self.systolic,
            Parameter::HeartRate => self.heart_rate,
            Parameter::Consciousness => self.consciousness,
            Parameter::Temperature => self.temperature,
        }
    }

    /// The total that is certain.
    pub fn min(&self) -> u8 {
        Parameter::ALL.iter().filter_map(|parameter| self.get(*parameter)).sum()
    }

    pub fn has_three(&self) -> bool {
        Parameter::ALL.iter().any(|parameter| self.get(*parameter) == Some(3))
    }
}

/// What a missing parameter can add to the certain total.
fn open(inputs: &Inputs, parts: &Parts, parameter: Parameter) -> u8 {
    match (parameter, parts.get(parameter), inputs.spo2) {
        (_, Some(_), _) | (Parameter::Spo2, None, Some(_)) => 0,
        // On scale 2 oxygen opens the points of a known SpO2, 0 on air: the two are told together.
        (Parameter::OnOxygen, None, Some(spo2)) if parts.spo2.is_none() => OXYGEN + spo2_scale2(spo2, true),
        (Parameter::OnOxygen, None, _) => OXYGEN,
        (_, None, _) => 3,
    }
}

/// The points, and the least and greatest total that are possible.
pub fn range(inputs: &Inputs) -> (Parts, u8, u8) {
    let parts = Parts::of(inputs);
    let min = parts.min();
    let max = Parameter::ALL.iter().fold(min, |max, parameter| max + open(inputs, &parts, *parameter));
    (parts, min, max)
}

/// The score of these inputs.
pub fn score(inputs: &Inputs) -> News2 {
    let (parts, min, max) = range(inputs);
    let single_three = parts.has_three();
    let is_missing = |parameter: &Parameter| match parameter {
        Parameter::Spo2 => inputs.spo2.is_none(),
        _ => parts.get(*parameter).is_none(),
    };
    let missing: Vec<Parameter> = Parameter::ALL.into_iter().filter(is_missing).collect();
    let mut decides = None;
    let mut highest = class(min, single_three);
    for parameter in &missing {
        let adds = open(inputs, &parts, *parameter);
        // Of oxygen 2 is its own, the rest that of an SpO2 on scale 2.
        let three = adds == if *parameter == Parameter::OnOxygen { OXYGEN + 3 } else { 3 };
        let lifted = class(min + adds, single_three || three);
        if lifted > highest {
            (decides, highest) = (Some(*parameter), lifted);
        }
    }
    News2 { total: min, parts, complete: missing.is_empty(), min, max, single_three, missing, decides }
}

/// The class of clinical response: none, low, single parameter, medium, high.
const fn class(total: u8, single_three: bool) -> u8 {
    match (total, single_three) {
        (7.., _) => 4,
        (5..=6, _) => 3,
        (_, true) => 2,
        (1.., false) => 1,
        (0, false) => 0,
    }
}

const fn respiration(per_min: u16) -> u8 {
    match per_min {
        ..=8 | 25.. => 3,
        9..=11 => 1,
        12..=20 => 0,
        21..=24 => 2,
    }
}

const fn spo2_scale1(percent: u16) -> u8 {
    match percent {
        ..=91 => 3,
        92..=93 => 2,
        94..=95 => 1,
        96.. => 0,
    }
}

const fn spo2_scale2(percent: u16, on_oxygen: bool) -> u8 {
    match (percent, on_oxygen) {
        (..=83, _) | (97.., true) => 3,
        (84..=85, _) | (95..=96, true) => 2,
        (86..=87, _) | (93..=94, true) => 1,
        (88..=92, _) | (93.., false) => 0,
    }
}

const fn systolic(mmhg: u16) -> u8 {
    match mmhg {
        ..=90 | 220.. => 3,
        91..=100 => 2,
        101..=110 => 1,
        111..=219 => 0,
    }
}

const fn pulse(per_min: u16) -> u8 {
    match per_min {
        ..=40 | 131.. => 3,
        41..=50 | 91..=110 => 1,
        51..=90 => 0,
        111..=130 => 2,
    }
}

const fn temperature(tenths: u16) -> u8 {
    match tenths {
        ..=350 => 3,
        351..=360 | 381..=390 => 1,
        361..=380 => 0,
        391.. => 2,
    }
}
