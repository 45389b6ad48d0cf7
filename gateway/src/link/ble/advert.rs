//! One device that only advertises: service data of its codec's services, each once.

use std::collections::HashMap;
use std::sync::Arc;

use bluer::{DeviceProperty, Uuid, UuidExt};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::repeats::Adverts;
use super::scan::Shared;
use super::signs::{Sign, Signs};
use crate::devices::Device;
use crate::outlet::{DeviceKey, Heard};

/// Services whose data each codec reads.
const SERVICES: [(&str, &[u16]); 3] = [("mibeacon", &[0xFE95]), ("bthome", &[0xFCD2]), ("miscale", &[0x181D, 0x181B])];

/// Listens until the adapter goes away.
pub(super) async fn listen(
    shared: Shared,
    device: Arc<Device>,
    codec: &'static str,
    remote: bluer::Device,
    bell: watch::Receiver<()>,
) {
    let Some(services) = SERVICES.iter().find(|(name, _)| *name == codec).map(|(_, services)| *services) else {
        tracing::error!(codec, "this codec does not read advertisements");
        return;
    };
    let Ok(mut signs) = Signs::new(&remote, bell).await else { return };
    let mut repeats = Adverts::default();
    loop {
        let sign = tokio::select! {
            () = shared.stop.requested() => return,
            sign = signs.next() => sign,
        };
        let mut told = Vec::new();
        match sign {
            None => return,
            // Without a signal it is what BlueZ remembers, not what the device says.
            Some(Sign::Appeared) if remote.rssi().await.ok().flatten().is_some() => {
                let held = remote.service_data().await.ok().flatten();
                // What was said before that comes first.
                while let Some(Some(sign)) = signs.next().now_or_never() {
                    told.extend(data(sign));
                }
                told.extend(held);
            }
            Some(sign) => told.extend(data(sign)),
        }
        for (service, bytes) in told.iter().flat_map(|data| of_codec(data, services)) {
            if !repeats.is_copy(service, bytes, Instant::now()) {
                take(&shared, &device, codec, bytes, &mut repeats).await;
            }
        }
    }
}

fn data(sign: Sign) -> Option<HashMap<Uuid, Vec<u8>>> {
    match sign {
        Sign::Changed(DeviceProperty::ServiceData(data)) => Some(data),
        _ => None,
    }
}

fn of_codec<'a>(data: &'a HashMap<Uuid, Vec<u8>>, services: &[u16]) -> impl Iterator<Item = (u16, &'a Vec<u8>)> {
    data.iter().filter_map(|(uuid, bytes)| {
        uuid.as_u16().filter(|service| services.contains(service)).map(|service| (service, bytes))
    })
}

async fn take(shared: &Shared, device: &Device, codec: &'static str, bytes: &[u8], repeats: &mut Adverts) {
    let context = &shared.context;
    let Some(decode) = codec::find(codec).map(|codec| codec.decode) else { return };
    let decoded = match decode(bytes, &device.settings) {
        Ok(decoded) => decoded,
        Err(error) => {
            tracing::debug!(cause = error.code(), "an advertisement does not decode");
            return context.figures.link(&context.name, |link| link.malformed += 1);
        }
    };
    if !repeats.is_new(decoded.device.counter, Instant::now()) {
        return;
    }
    context.figures.link(&context.name, |link| link.frames += 1);
    let key = DeviceKey::Named(device.name.clone());
    let heard = Heard { device: key, at: context.clock.now(), decoded, waveforms: Vec::new() };
    if let Err(refused) = context.outlet.hear(heard).await {
        tracing::warn!(%refused, "an advertisement was not taken");
    }
}
