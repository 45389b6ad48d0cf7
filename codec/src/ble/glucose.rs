//! `ble:2a18`, Glucose Measurement (notify, one stored record each). Glucose Service 1.0.1.

use model::{EventKind, Metric, Quality};

use super::fields::{Fields, bit, words};
use crate::{Bound, Decoded, Happened, Malformed, Measured, Settings, Stamp, unit};

/// Sensor Status Annunciation.
const STATUS: &[(u8, &str)] = &[
    (BATTERY_LOW, "battery_low"),
    (1, "sensor_malfunction"),
    (2, "sample_too_small"),
    (3, "strip_insertion_error"),
    (4, "wrong_strip"),
    (TOO_HIGH, "result_too_high"),
    (TOO_LOW, "result_too_low"),
    (7, "sensor_too_warm"),
    (8, "sensor_too_cold"),
    (9, "strip_pulled_too_soon"),
    (10, "device_fault"),
    (TIME_FAULT, "time_fault"),
];
const BATTERY_LOW: u8 = 0;
const TOO_HIGH: u8 = 5;
const TOO_LOW: u8 = 6;
const TIME_FAULT: u8 = 11;
/// Bits that put the result itself in doubt.
const DOUBTFUL: [u8; 8] = [1, 2, 3, 4, 7, 8, 9, 10];

/// Types of sample that are not the person's blood.
const INTERSTITIAL: u8 = 9;
const CONTROL_SOLUTION: u8 = 10;

/// Time offsets that mean "beyond what fits": the real time is not known.
const OFFSET_OVERRUN: i16 = i16::MAX;
const OFFSET_UNDERRUN: i16 = i16::MIN;

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let sequence = fields.u16("the sequence number")?;
    let base = fields.stamp(true, settings)?;
    let offset = fields.when(bit(flags, 0), |f| f.i16("the time offset"))?;
    let result = fields.when(bit(flags, 1), |f| Ok((f.sfloat("the concentration")?, f.u8("the type of sample")?)))?;
    let status = fields.when(bit(flags, 3), |f| f.u16("the status"))?.unwrap_or(0);

    let stamp = moved(base, offset.unwrap_or(0));
    let stamp = if bit(status, TIME_FAULT) { stamp.distrusted() } else { stamp };
    let mut out = Decoded::default();
    if let Some((concentration, sample)) = result {
        let unit = if bit(flags, 2) { unit::MOL_PER_L } else { unit::KG_PER_L };
        let metric = if sample & 15 == INTERSTITIAL { Metric::GlucoseInterstitial } else { Metric::Glucose };
        let number = concentration.measured(metric, unit);
        // Control solution is nobody's blood, whatever the meter says about it.
        let reading =
            if sample & 15 == CONTROL_SOLUTION { number.withheld(Quality::Absent) } else { judged(number, status) };
        let reading = reading.stamped(stamp);
        out.readings.push(Measured { sequence: Some(u32::from(sequence)), ..reading });
        out.device.other.extend([("sample_type", (sample & 15).into()), ("sample_location", (sample >> 4).into())]);
    } else {
        out.readings.push(judged(failed(sequence, stamp), status));
    }
    let at = stamp.time();
    if out.readings.iter().all(|reading| reading.value.is_none()) && status != 0 {
        out.events.push(Happened { at, code: Some(status.into()), ..Happened::new(EventKind::MeasurementFailed) });
    }
    if bit(status, BATTERY_LOW) {
        out.events.push(Happened { at, ..Happened::new(EventKind::LowBattery) });
    }
    out.device.other.insert("sequence", sequence.into());
    out.device.other.insert("context_follows", bit(flags, 4).into());
    if bit(flags, 3) {
        out.device.other.insert("status", words(status, STATUS));
    }
    Ok(out)
}

/// A record without a concentration: the order of records must not have a hole.
fn failed(sequence: u16, stamp: Stamp) -> Measured {
    let reading = Measured::absent(Metric::Glucose, Quality::MeasurementFailed).stamped(stamp);
    Measured { sequence: Some(u32::from(sequence)), ..reading }
}

fn moved(base: Stamp, minutes: i16) -> Stamp {
    match minutes {
        OFFSET_OVERRUN | OFFSET_UNDERRUN if base != Stamp::Silent => Stamp::Impossible,
        minutes => base.plus_minutes(minutes),
    }
}

/// What the status says about the number.
fn judged(reading: Measured, status: u16) -> Measured {
    // "HI" and "LO" in words, or as the numbers that stand for them.
    let raw = reading.raw.as_ref().map_or("", |raw| raw.text.as_str());
    let beyond = match (bit(status, TOO_HIGH) || raw == "+INF", bit(status, TOO_LOW) || raw == "-INF") {
        (true, false) => Some((Quality::OverRange, Bound::Above)),
        (false, true) => Some((Quality::UnderRange, Bound::Below)),
        _ => None,
    };
    let doubtful = DOUBTFUL.iter().any(|number| bit(status, *number));
    let reading = match beyond {
        // The strip or the sensor was at fault, not the blood.
        Some(_) if reading.value.is_none() && doubtful => reading,
        Some((quality, _)) if reading.value.is_none() => Measured { quality, ..reading },
        Some((_, bound)) => Measured { bound: Some(bound), ..reading },
        None => reading,
    };
    let reading = reading.plausible();
    let reading = if doubtful { reading.doubted(Quality::Questionable) } else { reading };
    if bit(status, BATTERY_LOW) { reading.doubted(Quality::LowBattery) } else { reading }
}
