//! Custody at the gateway: what the disk budget gives up and how that is said, and what the server gets when it asks for
//! frames again. Why so: `docs/adr/0005-custody-by-lane.md`.

mod keeper;
mod resend;
#[cfg(test)]
mod tests;
mod thin;

pub(crate) use keeper::{Keeper, Kept, holds};
pub(crate) use resend::{ASKS_MAX, Ask, Resender};

use std::time::Duration;

use model::{Lane, Seq};
use mqtt::outbox::{self, Outbox};
use mqtt::wire;

/// Epoch and number of the oldest frame of a lane that waits. Blocking.
pub(crate) fn first_waiting(outbox: &Outbox, lane: Lane) -> Option<(u32, u64)> {
    let oldest = outbox.book(lane).oldest()?;
    let batch = outbox.lane(lane).reader(Seq(oldest - 1)).read(1, Duration::ZERO).ok()?;
    let (_, bytes) = batch.iter().next()?;
    number(&outbox::decode(bytes)?)
}

/// Epoch and number of an entry's frame; entries of older gateways have them in their payload only.
fn number(entry: &outbox::Entry<'_>) -> Option<(u32, u64)> {
    entry.number.or_else(|| wire::decode(entry.payload).ok().map(|frame| (frame.epoch, frame.seq)))
}
