//! `ble:2a34`, Glucose Measurement Context (notify, after the 2A18 of the same sequence number). Glucose Service 1.0.1.

use model::Metric;
use serde_json::{Value, json};

use super::fields::{Fields, bit};
use super::ieee11073::Number;
use crate::{Decimal, Decoded, Malformed, Measured, Settings, unit};

const MEALS: [&str; 5] = ["before_meal", "after_meal", "fasting", "casual", "bedtime"];

pub(super) fn decode(frame: &[u8], _: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let sequence = fields.u16("the sequence number")?;
    fields.when(bit(flags, 7), |f| f.u8("the extended flags"))?;
    let carbohydrate = fields.when(bit(flags, 0), |f| Ok((f.u8("the carbohydrate")?, f.sfloat("its mass")?)))?;
    let meal = fields.when(bit(flags, 1), |f| f.u8("the meal"))?;
    let tester = fields.when(bit(flags, 2), |f| f.u8("the tester and health"))?;
    let exercise = fields.when(bit(flags, 3), |f| Ok((f.u16("the exercise")?, f.u8("its intensity")?)))?;
    let medication = fields.when(bit(flags, 4), |f| Ok((f.u8("the medication")?, f.sfloat("its amount")?)))?;
    let hba1c = fields.when(bit(flags, 6), |f| f.sfloat("the HbA1c"))?;

    let mut out = Decoded::default();
    out.readings.extend(hba1c.map(|number| {
        let reading = number.measured(Metric::HbA1c, unit::PERCENT).plausible();
        Measured { sequence: Some(u32::from(sequence)), ..reading }
    }));
    let other = &mut out.device.other;
    other.insert("sequence", sequence.into());
    other.extend(carbohydrate.map(|(id, mass)| ("carbohydrate", json!({ "id": id, "kg": number(mass) }))));
    other.extend(meal.map(|meal| ("meal", word(meal))));
    other.extend(tester.map(|both| ("tester", (both & 15).into())));
    other.extend(tester.map(|both| ("health", (both >> 4).into())));
    other.extend(exercise.map(|(seconds, percent)| {
        // 65535 is "overrun": longer than can be said.
        let seconds = (seconds != u16::MAX).then_some(seconds);
        ("exercise", json!({ "seconds": seconds, "percent": percent }))
    }));
    let unit = if bit(flags, 5) { "L" } else { "kg" };
    other.extend(medication.map(|(id, amount)| ("medication", json!({ "id": id, unit: number(amount) }))));
    Ok(out)
}

fn number(number: Number) -> Option<f64> {
    number.value().map(Decimal::to_f64)
}

/// Meal: 1 to 5 have names.
fn word(meal: u8) -> Value {
    let name = usize::from(meal).checked_sub(1).and_then(|index| MEALS.get(index));
    name.map_or_else(|| meal.into(), |name| (*name).into())
}
