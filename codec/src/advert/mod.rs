//! Bluetooth LE advertisements: service data of one UUID, without a connection.
//!
//! The input of these codecs is the service data alone. What matches a metric becomes a reading; everything else stands in
//! `device.other` under the protocol's word: a number with a unit as `{"value":..,"unit":..}`, a state as true or false, a
//! press as its word. The same word twice in one frame becomes an array. A press is not an SOS by itself: whether a button
//! means "help" is said in the configuration of that device.

mod bthome;
mod cipher;
mod mibeacon;
mod miot;
mod miscale;
mod products;

use model::{Metric, Quality};
use serde_json::{Value, json};

use crate::{Codec, Decimal, Decoded, Framing, Malformed, Measured, Settings};

/// The international pound, exactly.
const KG_PER_POUND: f64 = 0.453_592_37;

pub(crate) static CODECS: &[Codec] = &[
    Codec {
        name: "mibeacon",
        about: "Xiaomi MiBeacon advertisements (UUID FE95), clear and encrypted",
        framing: Framing::Whole,
        decode: mibeacon::decode,
    },
    Codec {
        name: "bthome",
        about: "BTHome v2 advertisements (UUID FCD2), clear and encrypted",
        framing: Framing::Whole,
        decode: bthome::decode,
    },
    Codec {
        name: "miscale",
        about: "Xiaomi Mi scale advertisements (UUID 181D weight, 181B body composition)",
        framing: Framing::Whole,
        decode: miscale::decode,
    },
];

/// The metric that a protocol's word means, where Vigil has one, and the factor into its unit. A sensor on a wall measures
/// the room.
fn metric(word: &str, unit: &str) -> Option<(Metric, f64)> {
    match (word, unit) {
        ("temperature", "Cel") => Some((Metric::RoomTemperature, 1.0)),
        ("humidity", "%") => Some((Metric::RoomHumidity, 1.0)),
        ("battery", "%") => Some((Metric::Battery, 1.0)),
        ("mass", "kg") => Some((Metric::Weight, 1.0)),
        ("mass", "[lb_av]") => Some((Metric::Weight, KG_PER_POUND)),
        ("heart_rate", "/min") => Some((Metric::HeartRate, 1.0)),
        // Two frequencies are measured; the lower one is what scales with one frequency give.
        ("impedance" | "impedance_low", "Ohm") => Some((Metric::BodyImpedance, 1.0)),
        _ => None,
    }
}

/// A number under a protocol's word: a reading where it is a metric.
fn put_number(out: &mut Decoded, word: &'static str, unit: &'static str, number: Decimal) {
    match metric(word, unit) {
        // Above 100 % a battery is unknown.
        Some((Metric::Battery, _)) if number.to_f64() > 100.0 => {
            out.readings.push(Measured::absent(Metric::Battery, Quality::SpecialValue).raw(number, unit));
        }
        Some((metric, factor)) => {
            out.readings.push(Measured::converted(metric, number, unit, |value| value * factor));
        }
        None if unit.is_empty() => put(out, word, json_number(number)),
        None => put(out, word, json!({ "value": json_number(number), "unit": unit })),
    }
}

/// Anything else under a protocol's word.
fn put(out: &mut Decoded, word: &'static str, value: impl Into<Value>) {
    let value = value.into();
    match out.device.other.get_mut(word) {
        None => {
            out.device.other.insert(word, value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn json_number(number: Decimal) -> Value {
    if number.exponent == 0 { number.mantissa.into() } else { number.to_f64().into() }
}

/// As people read an address.
fn address_text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02X}")).join(":")
}

/// The device's address: from the frame, which has it backwards, or from the settings. The two must not differ.
fn address(reversed: Option<[u8; 6]>, settings: &Settings) -> Result<Option<[u8; 6]>, Malformed> {
    let told = reversed.map(|mut address| {
        address.reverse();
        address
    });
    match (told, settings.address) {
        (Some(told), Some(known)) if told != known => Err(Malformed::shape("the frame names another device")),
        (told, known) => Ok(told.or(known)),
    }
}
