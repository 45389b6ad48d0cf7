//! The characteristics of a connected device that we read, as one stream of values in order of arrival.

use std::pin::Pin;
use std::time::Duration;

use bluer::gatt::remote::Characteristic;
use bluer::{ErrorKind, UuidExt};
use futures_util::stream::SelectAll;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

/// Record Access Control Point.
pub(super) const RACP: u16 = 0x2A52;
pub(super) const GLUCOSE: u16 = 0x2A18;
const BATTERY: u16 = 0x2A19;
/// Within this time a value that came while we subscribed also comes as a notification.
const TOLD_TWICE: Duration = Duration::from_millis(500);

/// A value and the characteristic it belongs to.
pub(super) type Value = (u16, Vec<u8>);
type Values = Pin<Box<dyn Stream<Item = Value> + Send>>;

/// What a connected device will tell.
pub(super) struct Subscriptions {
    values: SelectAll<Values>,
    /// Values that came before the stream began.
    early: Vec<Value>,
    /// Where stored glucose records are asked for.
    pub(super) control: Option<Characteristic>,
}

/// Name of the codec of a characteristic.
pub(super) fn codec_of(uuid: u16) -> Option<&'static codec::Codec> {
    codec::find(&format!("ble:{uuid:04x}"))
}

impl Subscriptions {
    /// Subscribes to everything that has a codec. Pairs with the device when it asks for that.
    pub(super) async fn new(device: &bluer::Device) -> bluer::Result<Self> {
        let mut all = Self { values: SelectAll::new(), early: Vec::new(), control: None };
        for service in device.services().await? {
            let mut of_service = Vec::new();
            for characteristic in service.characteristics().await? {
                if let Some(uuid) = characteristic.uuid().await?.as_u16() {
                    of_service.push((uuid, characteristic));
                }
            }
            // Other services have a control point too; what it answers there is not for us.
            let glucose = of_service.iter().any(|(uuid, _)| *uuid == GLUCOSE);
            of_service.retain(|(uuid, _)| codec_of(*uuid).is_some() || (*uuid == RACP && glucose));
            for (uuid, characteristic) in of_service {
                all.add(device, uuid, characteristic).await?;
            }
        }
        Ok(all)
    }

    async fn add(&mut self, device: &bluer::Device, uuid: u16, of: Characteristic) -> bluer::Result<()> {
        let flags = of.flags().await?;
        if uuid == BATTERY && flags.read {
            self.early.extend(of.read().await.ok().map(|value| (uuid, value)));
        }
        if !(flags.notify || flags.indicate) {
            return Ok(());
        }
        match self.subscribe(uuid, &of).await {
            Err(error) if wants_pairing(&error) && !device.is_paired().await? => {
                tracing::info!("pairing");
                device.pair().await?;
                device.set_trusted(true).await?;
                self.subscribe(uuid, &of).await?;
            }
            done => done?,
        }
        if uuid == RACP {
            self.control = Some(of);
        }
        Ok(())
    }

    /// A device may speak in the moment it is subscribed to, before the stream of notifications exists. Such a value is
    /// what the characteristic holds afterwards and did not hold before.
    async fn subscribe(&mut self, uuid: u16, of: &Characteristic) -> bluer::Result<()> {
        let before = of.cached_value().await.ok();
        let mut values = Box::pin(of.notify().await?);
        let after = of.cached_value().await.ok();
        if let Some(value) = after.filter(|after| Some(after) != before.as_ref()) {
            let told = timeout(TOLD_TWICE, values.next()).await.ok().flatten();
            let again = told.as_ref() == Some(&value);
            self.early.push((uuid, value));
            self.early.extend(told.filter(|_| !again).map(|told| (uuid, told)));
        }
        self.values.push(Box::pin(values.map(move |value| (uuid, value))));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.early.is_empty()
    }

    /// Waits for a value. `None`: nothing will come any more.
    pub(super) async fn next(&mut self) -> Option<Value> {
        if self.early.is_empty() { self.values.next().await } else { Some(self.early.remove(0)) }
    }

    /// A value that is there already.
    pub(super) fn ready(&mut self) -> Option<Value> {
        self.next().now_or_never().flatten()
    }
}

fn wants_pairing(error: &bluer::Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotAuthorized | ErrorKind::NotPermitted | ErrorKind::AuthenticationFailed | ErrorKind::Failed
    )
}
