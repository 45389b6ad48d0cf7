//! What BlueZ tells about one device while it is not visited: that it has appeared, and every change of its properties.

use std::pin::Pin;

use bluer::{Device, DeviceEvent, DeviceProperty};
use futures_util::{Stream, StreamExt};
use tokio::sync::watch;

/// One sign of life.
pub(super) enum Sign {
    /// The search has found it, or found it again.
    Appeared,
    Changed(DeviceProperty),
}

/// The signs of one device, in order, none lost between two looks.
pub(super) struct Signs {
    device: Device,
    bell: watch::Receiver<()>,
    events: Pin<Box<dyn Stream<Item = DeviceEvent> + Send>>,
}

impl Signs {
    pub(super) async fn new(device: &Device, mut bell: watch::Receiver<()>) -> bluer::Result<Self> {
        bell.mark_changed();
        Ok(Self { device: device.clone(), bell, events: Box::pin(device.events().await?) })
    }

    /// Waits for the next one. `None`: the adapter is gone.
    pub(super) async fn next(&mut self) -> Option<Sign> {
        loop {
            tokio::select! {
                rung = self.bell.changed() => return rung.ok().map(|()| Sign::Appeared),
                event = self.events.next() => match event {
                    Some(DeviceEvent::PropertyChanged(property)) => return Some(Sign::Changed(property)),
                    // BlueZ forgets devices and finds them again: a stream ends with its object.
                    None => self.events = Box::pin(self.device.events().await.ok()?),
                }
            }
        }
    }

    /// Forgets what was told of earlier connections. True when the device is connected now: from here on
    /// [`Signs::lost`] tells.
    pub(super) async fn connected(&mut self) -> bluer::Result<bool> {
        self.events = Box::pin(self.device.events().await?);
        self.device.is_connected().await
    }

    /// Resolves when the connection is lost.
    pub(super) async fn lost(&mut self) {
        while let Some(event) = self.events.next().await {
            if matches!(event, DeviceEvent::PropertyChanged(DeviceProperty::Connected(false))) {
                return;
            }
        }
    }
}
