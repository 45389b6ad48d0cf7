//! One device that only advertises: service data of its codec's services, each once.

use std::collections::HashMap;
use std::sync::Arc;

use bluer::{DeviceProperty, Uuid, UuidExt};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::repeats::Adverts;
use super::scan::Shared;
use super::signs::{Sign, Signs};
use crate::devices::Device;
use crate::link::Context;
use crate::outlet::{DeviceKey, Heard};

/// Services whose data each codec reads.
const SERVICES: [(&str, &[u16]); 3] = [("mibeacon", &[0xFE95]), ("bthome", &[0xFCD2]), ("miscale", &[0x181D, 0x181B])];

/// Advertisements on their way to the disk; with so many the next one waits. A button must not stand behind readings.
const UNDER_WAY_MAX: usize = 64;

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
    let (mut repeats, mut under_way) = (Adverts::default(), JoinSet::new());
    loop {
        let sign = tokio::select! {
            () = shared.stop.requested() => break,
            sign = signs.next() => sign,
        };
        let mut told = Vec::new();
        match sign {
            None => break,
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
                take(&shared.context, &device, codec, bytes, &mut repeats, &mut under_way).await;
            }
        }
    }
    while under_way.join_next().await.is_some() {}
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

async fn take(
    context: &Context,
    device: &Device,
    codec: &'static str,
    bytes: &[u8],
    repeats: &mut Adverts,
    under_way: &mut JoinSet<()>,
) {
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
    while under_way.try_join_next().is_some() {}
    if under_way.len() >= UNDER_WAY_MAX {
        under_way.join_next().await;
    }
    let outlet = context.outlet.clone();
    under_way.spawn(async move {
        if let Err(refused) = outlet.hear(heard).await {
            tracing::warn!(%refused, "an advertisement was not taken");
        }
    });
}

#[cfg(test)]
mod tests {
    use model::{Lane, Time};
    use tokio::time::timeout;

    use super::*;
    use crate::link::house::{FLUSH_MS, House, STUCK};

    #[tokio::test]
    async fn a_pressed_button_does_not_stand_behind_a_reading_that_waits_for_the_disk() {
        let house = House::new(
            "name = \"b\"\ncodec = \"bthome\"\naddress = \"A4:C1:38:00:00:01\"\nbutton_is_sos = true",
            FLUSH_MS,
        )
        .await;
        let context = house.context("ble-1");
        let key = DeviceKey::Named(model::Name::new("b").unwrap());
        let device = context.outlet.device(&key, Time(0)).await.unwrap();
        let (mut repeats, mut under_way) = (Adverts::default(), JoinSet::new());
        // Battery, battery, button: each with its packet number.
        for bytes in [[0x40, 0, 1, 0x01, 97], [0x40, 0, 2, 0x01, 96], [0x40, 0, 3, 0x3A, 1]] {
            let taken = take(&context, &device, "bthome", &bytes, &mut repeats, &mut under_way);
            timeout(STUCK, taken).await.expect("waits for the disk");
        }
        house.reaches(Lane::Sos, 1).await;
    }
}
