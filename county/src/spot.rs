//! Measurements made now and then: what cuffs, meters, clips, thermometers and scales show of a body.

use model::{Metric, Quality, Sample, Time};

use crate::figures as f;
use crate::people::{Elder, Truth};

/// What to measure. Values are those of the body; the device adds its own error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    /// `body`: of this sitting; `None`: the elder sits down now. `left`: further readings of the sitting.
    Cuff {
        body: Option<(f64, f64)>,
        left: u8,
        crisis: bool,
    },
    Glucose {
        body: Option<f64>,
    },
    Clip {
        left: i64,
        body: f64,
    },
    Temperature {
        body: Option<f64>,
    },
    Weight {
        day: i64,
    },
}

/// Systolic and diastolic pressure of the body at this sitting.
pub(crate) fn pressures(elder: &mut Elder) -> (f64, f64) {
    let systolic = elder.means.systolic + f::SYSTOLIC_BODY_SD * elder.dice.normal();
    let diastolic = elder.means.diastolic + f::DIASTOLIC_BODY_SD * elder.dice.normal();
    (systolic, diastolic.min(systolic - 15.0))
}

/// What the cuff shows of it.
pub(crate) fn cuffed(elder: &mut Elder, (systolic, diastolic): (f64, f64)) -> (f64, f64) {
    let bad = if elder.dice.chance(f::CUFF_BAD) { f::CUFF_BAD_SD * elder.dice.normal() } else { 0.0 };
    let systolic = systolic + f::SYSTOLIC_CUFF_SD * elder.dice.normal() + bad;
    let diastolic = diastolic + f::DIASTOLIC_CUFF_SD * elder.dice.normal() + bad * 0.6;
    let systolic = systolic.round();
    (systolic, diastolic.round().min(systolic - 10.0))
}

/// The samples of one measurement at `at`, and the truth behind them. False: it failed.
pub(crate) fn measure(elder: &mut Elder, spot: &mut Spot, at: Time, out: &mut Vec<Sample>, truth: &mut Truth) -> bool {
    let id = elder.id;
    let mut push = |metric: Metric, body: f64, shown: f64, quality: Quality| {
        truth.set(id, metric, body);
        out.push(Sample::new(metric, at, shown, quality).guarded());
    };
    match spot {
        Spot::Cuff { body, crisis, .. } => {
            let pressure = body.unwrap_or_else(|| pressures(elder));
            *body = Some(pressure);
            if !*crisis && elder.dice.chance(f::CUFF_FAILS) {
                out.push(Sample::absent(Metric::Systolic, at, Quality::MeasurementFailed));
                return false;
            }
            let mut shown = cuffed(elder, pressure);
            if *crisis {
                // The second one confirms: that is what the scenario is about.
                shown.0 = shown.0.max(182.0);
            }
            let pulse = (f::SIGNS[0].mean.0 + 8.0 * elder.dice.normal()).clamp(54.0, 100.0);
            push(Metric::Systolic, pressure.0, shown.0, Quality::Ok);
            push(Metric::Diastolic, pressure.1, shown.1, Quality::Ok);
            push(Metric::PulseRate, pulse, pulse.round(), Quality::Ok);
        }
        Spot::Glucose { body } => {
            let crisis = body.is_some();
            let glucose =
                body.unwrap_or_else(|| (elder.means.glucose + f::GLUCOSE_BODY_SD * elder.dice.normal()).max(4.2));
            let error = f::GLUCOSE_METER_SD_SHARE * elder.dice.normal().clamp(-3.0, 3.0);
            let shown = glucose * (1.0 + error);
            // A record of a meter without a clock: no one knows when it was.
            let suspect = elder.no_clock && !crisis;
            let shown = if crisis && glucose < 3.9 { shown.min(3.9) } else { shown };
            push(Metric::Glucose, glucose, shown, if suspect { Quality::ClockSuspect } else { Quality::Ok });
        }
        Spot::Clip { body, .. } => {
            let shown = (*body + f64::from(f::SIGNS[1].sensor_sd) * elder.dice.normal()).round().min(100.0);
            let pulse = (f::SIGNS[0].mean.0 + 8.0 * elder.dice.normal()).clamp(54.0, 100.0);
            push(Metric::Spo2, *body, shown, Quality::Ok);
            push(Metric::PulseRate, pulse, pulse.round(), Quality::Ok);
        }
        Spot::Temperature { body } => {
            let warmth = body.unwrap_or_else(|| elder.means.temperature + f::TEMPERATURE_BODY_SD * elder.dice.normal());
            let shown = warmth + f::THERMOMETER_SD * elder.dice.normal().clamp(-2.0, 2.0);
            push(Metric::BodyTemperature, warmth, shown, Quality::Ok);
        }
        Spot::Weight { day } => {
            let weight = elder.weight_on(*day);
            push(Metric::Weight, weight, weight + f::SCALE_SD * elder.dice.normal(), Quality::Ok);
        }
    }
    true
}
