//! The serial link: one device on one port, with the line settings of its manual. A port that disappears (unplugged, the
//! adapter reset) is opened again when it comes back.

use std::path::PathBuf;
use std::time::Duration;

use codec::Codec;
use model::Name;
use serde::Deserialize;
use tokio_serial::{DataBits, Parity as LineParity, SerialPortBuilderExt, StopBits};

use super::Context;
use super::backoff::Backoff;
use super::talk::{self, Ended, Limits, Talk};
use crate::Error;
use crate::devices::Roster;
use crate::outlet::DeviceKey;

/// Bytes a second that are read: the fastest usual line has 11,520.
const BYTES_PER_S: u32 = 100_000;

/// Keys of a serial link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Better a path of `/dev/serial/by-id/`, which stays the same when things are plugged in another order.
    pub path: PathBuf,
    /// Name of the device; its codec reads the line.
    pub device: Name,
    #[serde(default = "baud")]
    pub baud: u32,
    /// 5..=8.
    #[serde(default = "eight")]
    pub data_bits: u8,
    #[serde(default)]
    pub parity: Parity,
    /// 1 or 2.
    #[serde(default = "one")]
    pub stop_bits: u8,
    /// Silence after which half a frame is given up, milliseconds.
    #[serde(default = "half_frame_ms")]
    pub half_frame_ms: u64,
}

/// Parity bit of a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
}

const fn baud() -> u32 {
    9_600
}

const fn eight() -> u8 {
    8
}

const fn one() -> u8 {
    1
}

const fn half_frame_ms() -> u64 {
    2_000
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self, roster: &Roster) -> Result<(), Error> {
        let fault = |what: &str| Err(Error::Key(format!("serial link of {}: {what}", self.device)));
        if self.baud == 0 || self.half_frame_ms == 0 {
            return fault("baud and half_frame_ms must be 1 or more");
        }
        if !(5..=8).contains(&self.data_bits) || !(1..=2).contains(&self.stop_bits) {
            return fault("data_bits must be 5 to 8, stop_bits 1 or 2");
        }
        let Some(device) = roster.named(&self.device) else { return fault("there is no such device in [[devices]]") };
        match device.codec.and_then(codec::find) {
            Some(codec) => talk::framer(codec).map(drop),
            None => fault("the device needs a codec"),
        }
    }

    fn open(&self) -> Result<tokio_serial::SerialStream, tokio_serial::Error> {
        let data_bits = match self.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        };
        let parity = match self.parity {
            Parity::None => LineParity::None,
            Parity::Even => LineParity::Even,
            Parity::Odd => LineParity::Odd,
        };
        let stop_bits = if self.stop_bits == 2 { StopBits::Two } else { StopBits::One };
        tokio_serial::new(self.path.to_string_lossy(), self.baud)
            .data_bits(data_bits)
            .parity(parity)
            .stop_bits(stop_bits)
            .open_native_async()
    }
}

/// Reads the port until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let limits =
        Limits { idle: None, half_frame: Duration::from_millis(config.half_frame_ms), bytes_per_s: BYTES_PER_S };
    let key = DeviceKey::Named(config.device.clone());
    let mut backoff = Backoff::default();
    loop {
        let problem = match session(&config, &context, &key, limits, &mut backoff).await {
            Ok(Ended::Stop) => return Ok(()),
            Ok(ended) => ended.to_string(),
            Err(problem) => problem,
        };
        if !context.lost(&problem, &mut backoff).await {
            return Ok(());
        }
    }
}

async fn session(
    config: &Config,
    context: &Context,
    key: &DeviceKey,
    limits: Limits,
    backoff: &mut Backoff,
) -> Result<Ended, String> {
    let codec: &'static Codec = match context.outlet.device(key, context.clock.now()).await {
        Ok(device) => device.codec.and_then(codec::find).ok_or("the device has no codec")?,
        Err(refused) => return Err(refused.to_string()),
    };
    let talk = Talk::new(context, codec, Some(key.clone()), limits).map_err(|error| error.to_string())?;
    let mut port = config.open().map_err(|error| error.to_string())?;
    context.up(None);
    backoff.worked();
    Ok(talk.run(&mut port).await)
}
