//! Codecs: the bytes of a device to readings, events and facts about the device. Pure functions; no I/O, no clock.
//!
//! ```text
//! link -> [Framer: bytes -> whole frames] -> decode(frame, settings) -> Decoded { readings, events, device, reply }
//! ```
//! One file and one row of [`CODECS`] each. What holds for all of them:
//! - Any bytes give [`Decoded`] or a typed [`Malformed`]; never a panic, never a hang.
//! - A field is a value, absent (sentinel, off the body, failed), or suspect (unit, clock, range). A special value never
//!   becomes a number. When flags promise a field that is not there the whole frame is malformed; bytes after the last
//!   promised field are ignored.
//! - Units are converted once, here; the device's own digits and unit stay beside the value ([`Raw`]).
//! - A codec knows no "now": it says what the device's clock said ([`DeviceTime`]); the gateway decides what that is worth.
//!
//! Whole recordings of waveforms are files, not frames: [`import`].
//!
//! What is deliberately absent: whose the measurement is, sockets, and state between frames. Formats: `docs/devices.md`.

mod advert;
pub mod ble;
mod cabin;
mod decimal;
mod decoded;
mod framer;
pub mod import;
mod interstitial;
mod malformed;
mod pressure;
mod settings;
mod table;
mod time;
mod unit;
mod watch;

pub use cabin::{astm_records, measured};
pub use decimal::Decimal;
pub use decoded::{Bound, Decoded, Facts, Happened, Measured, Position, Raw, Site, hex};
pub use framer::{Framed, Framer};
pub use malformed::Malformed;
pub use settings::{DeviceClock, GlucoseUnit, Settings, TextEncoding, bytes_of, key_of};
pub use table::{CODECS, Codec, Framing, find};
pub use time::{DeviceTime, Stamp};
