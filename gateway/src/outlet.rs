//! The one place where a link hands over what it heard, and learns when that is safe.

use std::sync::Arc;

use codec::Decoded;
use model::identity::KeyKind;
use model::{Name, Time, Waveform};

use crate::devices::Device;
use crate::reception::Reception;
use crate::report::Report;
use crate::who::{Denied, SessionState};

/// One frame of a device, decoded, as a link heard it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub device: DeviceKey,
    /// When the gateway received it.
    pub at: Time,
    pub decoded: Decoded,
    /// Blocks of a waveform that came with it.
    pub waveforms: Vec<Waveform>,
}

/// Which device spoke, as far as the link knows.
#[derive(Clone, PartialEq, Eq)]
pub enum DeviceKey {
    /// A device of the configuration: the link is its own wire.
    Named(Name),
    /// What the device called itself in its protocol; looked up in the list of devices.
    Told { codec: &'static str, id: String },
}

impl std::fmt::Debug for DeviceKey {
    /// Without the id, which may be a phone's number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => write!(f, "Named({name})"),
            Self::Told { codec, .. } => write!(f, "Told({codec})"),
        }
    }
}

/// What was heard is durable in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The name under which it travels.
    pub device: Name,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the device is not on the gateway's list")]
    UnknownDevice,
    #[error("the gateway is stopping")]
    Closed,
}

/// A link's way into the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Outlet(Arc<Reception>);

impl Outlet {
    pub(crate) fn new(reception: Reception) -> Self {
        Self(Arc::new(reception))
    }

    /// Takes what a device said. Resolves when it is durable in the outbox: only then may the device hear its answer.
    /// A device that floods is slowed here.
    pub async fn hear(&self, heard: Heard) -> Result<Taken, Refused> {
        self.0.hear(heard).await
    }

    /// As [`Outlet::hear`], for a link whose frames are already samples and events in Vigil's own terms.
    pub async fn hear_report(&self, device: &DeviceKey, at: Time, report: Report) -> Result<Taken, Refused> {
        self.0.hear_report(device, at, report).await
    }

    /// As [`Outlet::hear_report`], without waiting for the disk and without the flood limit: for the blocks of a waveform,
    /// whose pace its rate says. A full queue holds the link back all the same.
    pub async fn stream(&self, device: &DeviceKey, at: Time, report: Report) -> Result<Taken, Refused> {
        self.0.stream(device, at, report).await
    }

    /// Hands a report of the gateway's own making over without waiting for the disk. False when the gateway is stopping.
    pub async fn send(&self, report: Report) -> bool {
        self.0.send(report).await
    }

    /// The device of a key with its settings, for a link that must decode or connect first. An unknown one is counted.
    pub async fn device(&self, key: &DeviceKey, at: Time) -> Result<Arc<Device>, Refused> {
        self.0.known(key, at).await
    }

    /// A person presents themselves at the shared devices.
    pub async fn present(&self, kind: KeyKind, text: &str, now: Time) -> Result<SessionState, Denied> {
        self.0.sessions().present(kind, text, now).await
    }

    /// The person at the shared devices leaves.
    pub async fn leave(&self, now: Time) -> SessionState {
        self.0.sessions().close(now).await
    }

    /// Whether somebody is at the shared devices.
    pub fn session(&self, now: Time) -> SessionState {
        self.0.sessions().state(now)
    }

    /// Where this gateway stands, by the name in topics.
    pub(crate) fn site(&self) -> Name {
        self.0.site()
    }

    /// All devices of the list, for a link that looks for them.
    pub fn devices(&self) -> Vec<Arc<Device>> {
        self.0.devices()
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}
