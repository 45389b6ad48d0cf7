//! Bluetooth LE characteristics: the value of one read, notification or indication. All numbers are little endian; optional
//! fields follow in the order of their flags.
//!
//! Sources: the services of the Bluetooth SIG named in each file, and the GATT Specification Supplement.

mod battery;
mod blood_pressure;
mod body_composition;
mod cgm;
mod date_time;
mod fields;
mod glucose;
mod glucose_context;
mod heart_rate;
pub mod ieee11073;
mod intermediate_cuff;
mod oximeter;
pub mod racp;
mod spo2_continuous;
mod spo2_spot;
mod temperature;
mod weight;

use model::{Metric, Quality};

pub use date_time::date_time;

use crate::{Codec, Decoded, Framing, Malformed, Measured, Settings, unit};

type Decode = fn(&[u8], &Settings) -> Result<Decoded, Malformed>;

const fn row(name: &'static str, about: &'static str, decode: Decode) -> Codec {
    Codec { name, about, framing: Framing::Whole, decode }
}

/// Names are `ble:` and the characteristic's 16-bit UUID.
pub(crate) static CODECS: &[Codec] = &[
    row("ble:2a37", "heart rate band: rate, beat intervals, skin contact", heart_rate::decode),
    row("ble:2a35", "blood pressure cuff: systolic, diastolic, mean, pulse", blood_pressure::decode),
    row("ble:2a36", "blood pressure cuff: pressure while it measures", intermediate_cuff::decode),
    row("ble:2a5e", "pulse oximeter: spot check", spo2_spot::decode),
    row("ble:2a5f", "pulse oximeter: continuous", spo2_continuous::decode),
    row("ble:2a18", "glucose meter: one record", glucose::decode),
    row("ble:2a34", "glucose meter: meal, medication, HbA1c of a record", glucose_context::decode),
    row("ble:2a1c", "thermometer", temperature::decode),
    row("ble:2a9d", "scale: weight, BMI, height", weight::decode),
    row("ble:2a9c", "body composition scale", body_composition::decode),
    row("ble:2aa7", "continuous glucose monitor", cgm::decode),
    row("ble:2a19", "battery level of any device", battery::decode),
];

/// E2E-CRC of the CGM service: CRC-16/MCRF4XX.
pub fn e2e_crc(bytes: &[u8]) -> u16 {
    const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_MCRF4XX);
    CRC.checksum(bytes)
}

/// A pulse that a cuff or oximeter counted. 0 is "nothing felt", not a stopped heart.
fn pulse(number: ieee11073::Number) -> Measured {
    let reading = number.measured(Metric::PulseRate, unit::PER_MIN);
    if reading.value == Some(0.0) { reading.withheld(Quality::SensorOff) } else { reading }
}
