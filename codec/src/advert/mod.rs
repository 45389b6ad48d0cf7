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

use crate::unit::{self, Unit};
use crate::{Codec, Decimal, Decoded, Framing, Malformed, Measured, Settings};

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

/// The metric that a protocol's word means, where Vigil has one. A sensor on a wall measures the room.
fn metric(word: &str, written: &str) -> Option<(Metric, Unit)> {
    match (word, written) {
        ("temperature", "Cel") => Some((Metric::RoomTemperature, unit::CELSIUS)),
        ("humidity", "%") => Some((Metric::RoomHumidity, unit::PERCENT)),
        ("battery", "%") => Some((Metric::Battery, unit::PERCENT)),
        ("mass", "kg") => Some((Metric::Weight, unit::KG)),
        ("mass", "[lb_av]") => Some((Metric::Weight, unit::POUND)),
        ("heart_rate", "/min") => Some((Metric::HeartRate, unit::PER_MIN)),
        // Two frequencies are measured; the lower one is what scales with one frequency give.
        ("impedance" | "impedance_low", "Ohm") => Some((Metric::BodyImpedance, unit::OHM)),
        _ => None,
    }
}

/// A number under a protocol's word: a reading where it is a metric.
fn put_number(out: &mut Decoded, word: &'static str, written: &'static str, number: Decimal) {
    match metric(word, written) {
        // Above 100 % a battery is unknown.
        Some((Metric::Battery, unit)) if number.to_f64() > 100.0 => {
            out.readings.push(Measured::absent(Metric::Battery, Quality::SpecialValue).raw(number, unit.ucum));
        }
        Some((metric, unit)) => out.readings.push(unit.of(metric, number)),
        None if written.is_empty() => put(out, word, json_number(number)),
        None => put(out, word, json!({ "value": json_number(number), "unit": written })),
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
