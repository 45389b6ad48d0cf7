//! What the gateway knows of its links and devices, for whoever asks: `vigil gateway status`, tests, the gateway's own
//! readings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Name, Time};
use serde::Serialize;

use crate::outlet::DeviceKey;

/// Strangers remembered, at most; beyond it they are only counted.
const STRANGERS_MAX: usize = 64;
/// Time between two events about one stranger, microseconds.
const STRANGER_SAY_US: i64 = 3_600_000_000;

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkFigures {
    pub kind: &'static str,
    /// Bytes can come: the port is open, the listener listens, the machine is connected.
    pub up: bool,
    /// Where it listens, if it does.
    pub address: Option<SocketAddr>,
    /// Why it is not up.
    pub problem: Option<String>,
    /// Whole frames.
    pub frames: u64,
    /// Frames that do not decode.
    pub malformed: u64,
    /// Bytes that belong to no frame.
    pub skipped_bytes: u64,
    /// Frames of devices that are not on the list.
    pub refused: u64,
    /// Connections closed at once because there were too many.
    pub turned_away: u64,
    /// Frames whose connection ended before they were durable: their devices got no answer.
    pub unanswered: u64,
    /// Times the link was lost.
    pub lost: u64,
    /// Bluetooth: devices of the list that are bonded with this machine.
    pub bonded: BTreeSet<Name>,
}

impl LinkFigures {
    /// Notes whether a device is bonded.
    #[cfg(feature = "ble")]
    pub(crate) fn bond(&mut self, device: &Name, bonded: bool) {
        if bonded {
            self.bonded.insert(device.clone());
        } else {
            self.bonded.remove(device);
        }
    }
}

/// One device that has spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceFigures {
    pub last_at: Time,
    pub reports: u64,
    /// Frames that had to wait because the device floods.
    pub slowed: u64,
    /// Stretches of its ECG or pulse wave that were read for heart beats.
    pub strips: u64,
    /// Of these: from which nothing may be concluded (noise, clipping, lead off).
    pub unreadable_strips: u64,
    /// Heart rates counted here, because the device tells none.
    pub derived_rates: u64,
    /// Its own heart rates that were marked `noisy`, because their waveform was.
    pub noisy_rates: u64,
    /// Reports whose ECG or pulse wave was not read, because more devices have one than are followed.
    pub unheard_ecg: u64,
    /// Blocks of its waveforms that no alarm could take along, for want of memory.
    pub unkept_blocks: u64,
}

/// A device that was refused because it is not on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stranger {
    pub codec: String,
    /// As the protocol says it; what the list of devices would need. Not for logs.
    pub id: String,
    pub last_at: Time,
    pub times: u64,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    pub links: BTreeMap<String, LinkFigures>,
    pub devices: BTreeMap<Name, DeviceFigures>,
    pub strangers: Vec<Stranger>,
    /// Frames of strangers, all together.
    pub strangers_refused: u64,
}

/// The figures, live.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    snapshot: Snapshot,
    /// Of each remembered stranger: when the server was told.
    told: Vec<Time>,
}

impl Figures {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.inner().snapshot.clone()
    }

    /// Changes a link's figures.
    pub(crate) fn link(&self, name: &str, change: impl FnOnce(&mut LinkFigures)) {
        let mut inner = self.inner();
        if let Some(link) = inner.snapshot.links.get_mut(name) {
            return change(link);
        }
        let mut link = LinkFigures::default();
        change(&mut link);
        inner.snapshot.links.insert(name.to_owned(), link);
    }

    /// A device has spoken.
    pub(crate) fn said(&self, device: &Name, at: Time) {
        self.device(device, |figures| {
            figures.last_at = figures.last_at.max(at);
            figures.reports += 1;
        });
    }

    /// A device had to wait.
    pub(crate) fn slowed(&self, device: &Name) {
        self.device(device, |figures| figures.slowed += 1);
    }

    /// Changes a device's figures.
    pub(crate) fn device(&self, device: &Name, change: impl FnOnce(&mut DeviceFigures)) {
        let mut inner = self.inner();
        if let Some(figures) = inner.snapshot.devices.get_mut(device) {
            return change(figures);
        }
        let mut figures = DeviceFigures::default();
        change(&mut figures);
        inner.snapshot.devices.insert(device.clone(), figures);
    }

    /// Counts a stranger. True when the server should be told.
    pub(crate) fn stranger(&self, key: &DeviceKey, at: Time) -> bool {
        let (codec, id) = match key {
            DeviceKey::Named(name) => ("", name.as_str()),
            DeviceKey::Told { codec, id } => (*codec, id.as_str()),
        };
        let mut inner = self.inner();
        let Inner { snapshot, told } = &mut *inner;
        snapshot.strangers_refused += 1;
        let known = snapshot.strangers.iter().position(|one| one.codec == codec && one.id == id);
        let Some(index) = known else {
            if snapshot.strangers.len() == STRANGERS_MAX {
                return false;
            }
            snapshot.strangers.push(Stranger { codec: codec.to_owned(), id: id.to_owned(), last_at: at, times: 1 });
            told.push(at);
            return true;
        };
        let stranger = &mut snapshot.strangers[index];
        stranger.last_at = at;
        stranger.times += 1;
        let due = at.since_us(told[index]) >= STRANGER_SAY_US;
        if due {
            told[index] = at;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_once_an_hour_and_a_crowd_is_bounded() {
        let figures = Figures::default();
        let told = |id: u32| DeviceKey::Told { codec: "iw", id: id.to_string() };
        let at = Time::from_secs(1_000_000);
        assert!(figures.stranger(&told(0), at));
        assert!(!figures.stranger(&told(0), at.plus_us(STRANGER_SAY_US - 1)));
        assert!(figures.stranger(&told(0), at.plus_us(STRANGER_SAY_US)));
        let said = (0..1_000).filter(|id| figures.stranger(&told(*id), at)).count();
        assert_eq!(said, STRANGERS_MAX - 1);
        let snapshot = figures.snapshot();
        assert_eq!((snapshot.strangers.len(), snapshot.strangers_refused), (STRANGERS_MAX, 1_003));
    }
}
