//! `ble:2aa7`, CGM Measurement (notify): one or more records, each with its own size. Continuous Glucose Monitoring
//! Service 1.0.2.
//!
//! A record's time is minutes since the start of the session, which another characteristic tells: readings have no time of
//! their own here, and the minutes as their sequence.

use model::{Metric, Quality};
use serde_json::Value;

use super::fields::{Fields, bit, words};
use super::ieee11073::Number;
use crate::interstitial::clipped;
use crate::{Bound, Decimal, Decoded, Malformed, Measured, Settings, unit};

/// Names of status bits: the status octet, then calibration and temperature from 8, then warnings from 16.
const STATUS: &[(u8, &str)] = &[
    (0, "session_stopped"),
    (1, "battery_low"),
    (2, "wrong_sensor"),
    (3, "sensor_malfunction"),
    (4, "device_alert"),
    (5, "device_fault"),
    (8, "time_sync_required"),
    (9, "calibration_not_allowed"),
    (10, "calibration_recommended"),
    (11, "calibration_required"),
    (12, "sensor_too_warm"),
    (13, "sensor_too_cold"),
    (16, "below_patient_low"),
    (17, "above_patient_high"),
    (18, "below_hypo_limit"),
    (19, "above_hyper_limit"),
    (20, "falls_too_fast"),
    (21, "rises_too_fast"),
    (TOO_LOW, "result_too_low"),
    (TOO_HIGH, "result_too_high"),
];
const TOO_LOW: u8 = 22;
const TOO_HIGH: u8 = 23;
/// Bits that put the value in doubt: wrong or broken sensor, broken device, sensor too warm or too cold.
const DOUBTFUL: [u8; 5] = [2, 3, 5, 12, 13];
/// Size and flags octets, concentration, time offset.
const SMALLEST: usize = 6;
const CRC_OCTETS: usize = 2;

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut out = Decoded::default();
    let mut rest = frame;
    // At least one record; each takes six octets or more, so the walk ends.
    loop {
        let size = rest.first().map_or(0, |size| usize::from(*size));
        if size < SMALLEST {
            return Err(Malformed::Short("the CGM record"));
        }
        let (record, after) = rest.split_at_checked(size).ok_or(Malformed::Short("the end of the CGM record"))?;
        read(record, settings, &mut out)?;
        rest = after;
        if rest.is_empty() {
            return Ok(out);
        }
    }
}

fn read(record: &[u8], settings: &Settings, out: &mut Decoded) -> Result<(), Malformed> {
    let mut fields = Fields::new(record);
    fields.u8("the size")?;
    let flags = fields.u8("the flags")?;
    let glucose = fields.sfloat("the concentration")?;
    let minutes = fields.u16("the time offset")?;
    // In the order of the flags, as common firmware sends them; the characteristic 2AA9 has these octets the other way round.
    let mut octet = |number| fields.when(bit(flags, number), |f| f.u8("the status")).map(Option::unwrap_or_default);
    let (warning, calibration, device) = (octet(5)?, octet(6)?, octet(7)?);
    let status = u32::from_le_bytes([device, calibration, warning, 0]);
    let trend = fields.when(bit(flags, 0), |f| f.sfloat("the trend"))?;
    let quality = fields.when(bit(flags, 1), |f| f.sfloat("the quality"))?;
    // The flags do not tell whether a checksum follows, but nothing else can fill two octets of the record's size.
    if settings.cgm_crc || fields.rest().len() == CRC_OCTETS {
        check(record, fields.u16("the checksum")?)?;
    }

    let reading = judged(glucose.measured(Metric::GlucoseInterstitial, unit::MG_PER_DL), status);
    out.readings.push(Measured { sequence: Some(u32::from(minutes)), ..reading });
    let other = &mut out.device.other;
    other.extend(trend.and_then(Number::value).map(|trend| ("trend_mg_dl_min", Decimal::to_f64(trend).into())));
    other.extend(quality.and_then(Number::value).map(|quality| ("quality_percent", Decimal::to_f64(quality).into())));
    if flags >> 5 != 0 {
        let Value::Array(names) = words(status, STATUS) else { return Ok(()) };
        let said = other.entry("status").or_insert_with(|| Value::Array(Vec::new()));
        said.as_array_mut().into_iter().for_each(|said| said.extend(names.iter().cloned()));
    }
    Ok(())
}

fn check(record: &[u8], found: u16) -> Result<(), Malformed> {
    let covered = record.len().saturating_sub(CRC_OCTETS);
    let computed = super::e2e_crc(record.get(..covered).unwrap_or_default());
    if computed == found {
        return Ok(());
    }
    Err(Malformed::Checksum { found: found.into(), computed: computed.into() })
}

fn judged(reading: Measured, status: u32) -> Measured {
    let reading = match (bit(status, TOO_LOW), bit(status, TOO_HIGH)) {
        (true, false) if reading.value.is_none() => Measured { quality: Quality::UnderRange, ..reading },
        (false, true) if reading.value.is_none() => Measured { quality: Quality::OverRange, ..reading },
        (true, false) => Measured { bound: Some(Bound::Below), ..reading },
        (false, true) => Measured { bound: Some(Bound::Above), ..reading },
        _ => Measured { bound: clipped(&reading), ..reading },
    };
    let doubtful = DOUBTFUL.iter().any(|number| bit(status, *number));
    let reading = reading.plausible();
    if doubtful { reading.doubted(Quality::Questionable) } else { reading }
}
