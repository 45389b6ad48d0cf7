//! What the records know of stretches of an elder's time: quiet periods, nothing worn, gateways out of reach, missing frames.

use model::{DeviceId, ElderId, Time, Whose};
use store::records::{Missing, Outage, QuietFilter, QuietView, Records, Result, Worn};

use super::causes::{Absence, Cause, Piece};

/// Quiet periods looked at, of the elder and of each device; the newest.
const QUIETS_MAX: usize = 200;
/// Devices whose quiet periods are looked at.
const DEVICES_MAX: usize = 16;
/// Missing frames are found after the range, too.
const LATER_US: i64 = 60 * 60_000_000;

#[derive(Debug, Default)]
pub(super) struct Known {
    from: Time,
    to: Time,
    quiets: Vec<QuietView>,
    worn: Vec<Worn>,
    /// The elder has worn something, at some time: else nothing is said about wear (shared devices).
    wears: bool,
    outages: Vec<Outage>,
    missing: Vec<Missing>,
}

impl Known {
    /// Reads what is known of `[from, to)`. Blocks.
    pub(super) fn load(records: &Records, elder: ElderId, from: Time, to: Time) -> Result<Self> {
        let worn = records.worn(elder, from, to)?;
        let mut devices: Vec<DeviceId> = worn.iter().map(|one| one.device).collect();
        devices.sort_unstable();
        devices.dedup();
        let whose = devices.into_iter().rev().take(DEVICES_MAX).map(Whose::Device).chain([Whose::Elder(elder)]);
        let mut quiets = Vec::new();
        for whose in whose {
            quiets.extend(records.quiets(QuietFilter { whose: Some(whose), all: true }, QUIETS_MAX)?);
        }
        quiets.retain(|one| one.quiet.from < to && one.quiet.until > from);
        Ok(Self {
            from,
            to,
            quiets,
            wears: !worn.is_empty() || records.ever_wore(elder)?,
            worn,
            outages: records.outages(elder, from, to)?,
            missing: records.missing(elder, from, to.plus_us(LATER_US))?,
        })
    }

    /// What is known for a metric; `measured`: the device that measured it last.
    pub(super) fn of(&self, measured: Option<DeviceId>) -> Vec<Piece> {
        let worn = self.of_device(measured);
        let quiets = self.quiets.iter().filter(|one| match one.quiet.whose {
            Whose::Elder(_) => true,
            Whose::Device(device) => worn.iter().any(|one| one.device == device),
        });
        let mut pieces: Vec<Piece> = quiets
            .map(|one| Piece { from: one.quiet.from, to: one.quiet.until, cause: one.quiet.kind.into() })
            .collect();
        if self.wears {
            pieces.extend(self.unbound(&worn));
        }
        let of_these = self.outages.iter().filter(|one| worn.iter().any(|worn| worn.gateway == one.gateway));
        pieces.extend(of_these.map(|one| Piece {
            from: one.from,
            to: one.until.unwrap_or(self.to),
            cause: Cause::GatewayOffline,
        }));
        pieces
    }

    pub(super) fn missing(&self) -> Vec<Absence> {
        self.missing.iter().map(|one| Absence { at: one.at, lost: one.lost }).collect()
    }

    /// Wear of that device and of others of its kind; all wear when it is not known what measured.
    fn of_device(&self, measured: Option<DeviceId>) -> Vec<&Worn> {
        let Some(known) = self.worn.iter().find(|one| Some(one.device) == measured) else {
            return self.worn.iter().collect();
        };
        let alike = |one: &&Worn| one.device == known.device || (!known.kind.is_empty() && one.kind == known.kind);
        self.worn.iter().filter(alike).collect()
    }

    /// Where nothing of it was worn.
    fn unbound(&self, worn: &[&Worn]) -> Vec<Piece> {
        let mut free = Vec::new();
        let mut at = self.from;
        // By beginning: `worn` comes in that order.
        for one in worn {
            if one.from > at {
                free.push(Piece { from: at, to: one.from, cause: Cause::Unbound });
            }
            at = at.max(one.until.unwrap_or(self.to));
        }
        if at < self.to {
            free.push(Piece { from: at, to: self.to, cause: Cause::Unbound });
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use model::GatewayId;

    use super::*;

    fn worn(device: u32, kind: &str, from: i64, until: Option<i64>) -> Worn {
        let (device, gateway) = (DeviceId(device), GatewayId(device));
        Worn { device, gateway, kind: kind.into(), from: Time(from), until: until.map(Time) }
    }

    #[test]
    fn unbound_is_where_nothing_of_that_kind_was_worn() {
        let known = Known {
            from: Time(0),
            to: Time(100),
            wears: true,
            worn: vec![
                worn(1, "band", 10, Some(30)),
                worn(2, "cuff", 20, None),
                worn(3, "band", 25, Some(40)),
                worn(1, "band", 60, None),
            ],
            ..Known::default()
        };
        let free = |measured: Option<u32>| -> Vec<(i64, i64)> {
            let pieces = known.of(measured.map(DeviceId));
            pieces.iter().filter(|one| one.cause == Cause::Unbound).map(|one| (one.from.0, one.to.0)).collect()
        };
        assert_eq!(free(Some(1)), [(0, 10), (40, 60)], "another band is a band");
        assert_eq!(free(Some(2)), [(0, 20)]);
        assert_eq!(free(None), [(0, 10)], "anything worn may have measured it");
        assert_eq!(free(Some(9)), [(0, 10)], "a shared device measured it last");
        let never = Known { wears: false, worn: vec![], from: Time(0), to: Time(9), ..Known::default() };
        assert!(never.of(None).is_empty(), "who comes to the cabin wears nothing, and that is no cause");
    }
}
