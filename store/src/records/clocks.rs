//! What the devices' clocks were worth: the last coincident pair of each.

use model::{DeviceId, Time};
use rusqlite::params;

use super::error::Result;
use super::{Records, limit_of, rows};

/// What a device's clock was worth, last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceClock {
    pub device: DeviceId,
    pub pair: model::ClockPair,
}

impl Records {
    /// Keeps the newest pair of each device.
    pub fn clock_put(&self, device: DeviceId, pair: &model::ClockPair) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO device_clock (device, device_ms, gateway_at, sync, uncertainty_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (device) DO UPDATE SET device_ms = excluded.device_ms, gateway_at = excluded.gateway_at, \
                 sync = excluded.sync, uncertainty_ms = excluded.uncertainty_ms \
                 WHERE excluded.gateway_at >= device_clock.gateway_at",
                params![device.0, pair.device, pair.gateway.0, pair.sync, pair.uncertainty_ms],
            )?;
            Ok(())
        })
    }

    /// By device.
    pub fn clocks(&self) -> Result<Vec<DeviceClock>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT device, device_ms, gateway_at, sync, uncertainty_ms FROM device_clock ORDER BY device LIMIT ?1",
            )?;
            rows(query.query([limit_of(usize::MAX)])?, |row| {
                let pair = model::ClockPair {
                    device: row.get(1)?,
                    gateway: Time(row.get(2)?),
                    sync: row.get(3)?,
                    uncertainty_ms: row.get(4)?,
                };
                Ok(DeviceClock { device: DeviceId(row.get(0)?), pair })
            })
        })
    }
}
