//! The Bluetooth LE link, through BlueZ: advertisements and connections of the devices of the list that have an `address`.
//!
//! ```text
//! scan (one an adapter) --bell--> device task: advert (mibeacon, bthome, miscale)  --service data--> codec -> Outlet
//!                                              visit  (ble:..)  connect, subscribe, RACP --values--> codec -> Outlet
//! ```
//! Strangers are never connected to and not reported: in a house of flats there are hundreds of them. BlueZ answers
//! indications by itself, before we have them: a value that the gateway holds and has not written when it is killed is lost,
//! except a glucose record, which is asked for again.

#[cfg(feature = "ble")]
mod advert;
#[cfg(feature = "ble")]
mod progress;
#[cfg(feature = "ble")]
mod records;
#[cfg(feature = "ble")]
mod repeats;
#[cfg(feature = "ble")]
mod scan;
#[cfg(feature = "ble")]
mod signs;
#[cfg(feature = "ble")]
mod subscription;
#[cfg(feature = "ble")]
mod visit;

use serde::Deserialize;

use super::Context;
use crate::Error;

/// Keys of the link. Which devices it looks for stands in `[[devices]]`: those with an `address`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `hci0`; without it the machine's first adapter.
    pub adapter: Option<String>,
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if cfg!(not(feature = "ble")) {
            return Err(Error::Key(
                "this build has no Bluetooth: it was compiled without the feature `ble`".to_owned(),
            ));
        }
        match &self.adapter {
            Some(name) if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(Error::Key("adapter of a ble link must be a name like hci0".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "ble")]
pub(crate) use scan::run;

#[cfg(not(feature = "ble"))]
#[expect(clippy::unused_async, reason = "the same shape as with Bluetooth")]
pub(crate) async fn run(config: Config, _context: Context) -> Result<(), Error> {
    config.validate()
}
