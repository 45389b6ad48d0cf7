//! Xiaomi Mi scales that advertise without MiBeacon: UUID 181D (weight, 10 bytes) and 181B (with impedance, 13 bytes).
//!
//! Source: Bluetooth-Devices/xiaomi-ble (Apache-2.0), read for its layout; vectors of its tests. The scale repeats what it
//! shows while somebody stands on it: only a value that is stable, with the person still on the scale, is a reading.
//! Units: 0.005 kg; 0.01 lb; 0.01 jin (1 jin = 0.5 kg).

use model::Metric;

use super::{address, address_text, put};
use crate::{Decimal, Decoded, Malformed, Measured, Settings, Stamp, unit};

/// What both forms say.
struct Frame {
    unit: Scale,
    /// The value stands still and the person still stands on the scale.
    taken: bool,
    weight: u16,
    impedance: Option<u16>,
    time: [u8; 7],
}

enum Scale {
    Kilogram,
    Pound,
    Jin,
}

/// Bits that both forms have in one control byte.
const STABLE: u8 = 1 << 5;
const REMOVED: u8 = 1 << 7;

const fn scale(pound: bool, jin: bool) -> Scale {
    match (pound, jin) {
        (true, _) => Scale::Pound,
        (_, true) => Scale::Jin,
        _ => Scale::Kilogram,
    }
}

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let frame = match *frame {
        [control, w0, w1, y0, y1, mo, d, h, mi, s] => Frame {
            unit: scale(control & 1 != 0, control & 1 << 4 != 0),
            taken: control & (STABLE | REMOVED) == STABLE,
            weight: u16::from_le_bytes([w0, w1]),
            impedance: None,
            time: [y0, y1, mo, d, h, mi, s],
        },
        [first, control, y0, y1, mo, d, h, mi, s, z0, z1, w0, w1] => Frame {
            unit: scale(first & 1 != 0, control & 1 << 6 != 0),
            taken: control & (STABLE | REMOVED) == STABLE,
            weight: u16::from_le_bytes([w0, w1]),
            impedance: (control & 1 << 1 != 0).then(|| u16::from_le_bytes([z0, z1])),
            time: [y0, y1, mo, d, h, mi, s],
        },
        _ => return Err(Malformed::shape("a scale sends 10 or 13 bytes")),
    };
    let mut out = Decoded::default();
    out.device.id = address(None, settings)?.map(address_text);
    let weight = weight(&frame);
    put(&mut out, "stabilized", frame.taken);
    if !frame.taken {
        put(&mut out, "mass_non_stabilized", weight.value);
        return Ok(out);
    }
    let [y0, y1, rest @ ..] = frame.time;
    let [month, day, hour, minute, second] = rest.map(i64::from);
    let stamp = match u16::from_le_bytes([y0, y1]) {
        0 => Stamp::Silent,
        year => Stamp::civil([i64::from(year), month, day, hour, minute, second], settings.offset_min),
    };
    out.readings.push(weight.stamped(stamp));
    if let Some(ohm) = frame.impedance {
        let ohm = Decimal::whole(ohm.into());
        out.readings.push(unit::OHM.of(Metric::BodyImpedance, ohm).stamped(stamp));
    }
    Ok(out)
}

fn weight(frame: &Frame) -> Measured {
    let counts = i64::from(frame.weight);
    let hundredths = Decimal::new(counts, -2);
    match frame.unit {
        Scale::Pound => unit::POUND.of(Metric::Weight, hundredths),
        Scale::Jin => unit::JIN.of(Metric::Weight, hundredths),
        Scale::Kilogram => unit::KG.of(Metric::Weight, Decimal::new(counts * 5, -3)),
    }
}
