//! Which connection is whose: a device's id that turns up on a second live connection has moved, or somebody pretends. The
//! newer connection goes on, the older one is closed, and the server is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Name;
use runtime::Stop;

/// The connections of all devices that say their id. Shared by the links of a gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    live: BTreeMap<Name, (u64, Stop)>,
}

/// A connection's hold on a device; given up when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    presence: Presence,
    device: Name,
    number: u64,
}

impl Presence {
    /// This connection speaks for the device from now on; `close` is how it is told that another one does. True when
    /// another one did until now.
    pub(crate) fn claim(&self, device: &Name, close: Stop) -> (Claim, bool) {
        let mut inner = self.inner();
        inner.last += 1;
        let number = inner.last;
        let before = inner.live.insert(device.clone(), (number, close));
        if let Some((_, close)) = &before {
            close.request();
        }
        (Claim { presence: self.clone(), device: device.clone(), number }, before.is_some())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.presence.inner();
        if inner.live.get(&self.device).is_some_and(|(number, _)| *number == self.number) {
            inner.live.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_connection_speaks_for_the_device() {
        let (presence, watch) = (Presence::default(), Name::new("watch-1").unwrap());
        let (first, second) = (Stop::new(), Stop::new());
        let (held, moved) = presence.claim(&watch, first.clone());
        assert!(!moved && !first.is_requested());
        let (newer, moved) = presence.claim(&watch, second.clone());
        assert!(moved && first.is_requested());
        drop(held);
        let (third, moved) = presence.claim(&watch, Stop::new());
        assert!(moved && second.is_requested(), "the older one's end is not the newer one's");
        drop((newer, third));
        assert!(!presence.claim(&watch, Stop::new()).1, "nobody is there any more");
    }
}
