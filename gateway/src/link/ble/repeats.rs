//! What has been heard already: advertisements repeat, and a cuff sends again what it believes unheard.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Time after which a device without a counter may say the same again: longer than a burst of copies, shorter than two presses
/// of a button that somebody needs.
const SAME_AGAIN: Duration = Duration::from_secs(30);
/// A counter that falls to below this has started again; one that falls less is an old or a copied frame.
const RESTART_BELOW: u32 = 256;
/// And so is one that falls within this time: no device starts that fast.
const RESTART_TAKES: Duration = Duration::from_secs(5);
/// Timed values remembered of a device.
const VALUES_MAX: usize = 128;

/// Advertisements of one device.
#[derive(Debug, Default)]
pub(super) struct Adverts {
    counter: Option<(u32, Instant)>,
    /// Service, bytes and time of the last ones without a counter.
    last: VecDeque<(u16, Vec<u8>, Instant)>,
}

impl Adverts {
    /// The same bytes once more, before anybody decodes them: nine of ten advertisements.
    pub(super) fn is_copy(&mut self, service: u16, data: &[u8], now: Instant) -> bool {
        self.last.retain(|(_, _, at)| now.duration_since(*at) < SAME_AGAIN);
        if self.last.iter().any(|(of, bytes, _)| (*of, bytes.as_slice()) == (service, data)) {
            return true;
        }
        if self.last.len() == VALUES_MAX {
            self.last.pop_front();
        }
        self.last.push_back((service, data.to_vec(), now));
        false
    }

    /// The counter moves on, or starts again.
    pub(super) fn is_new(&mut self, counter: Option<u32>, now: Instant) -> bool {
        let Some(counter) = counter else { return true };
        let new = self.counter.is_none_or(|(last, at)| {
            let restarted = counter < RESTART_BELOW && now.duration_since(at) >= RESTART_TAKES;
            counter > last || (counter < last && restarted)
        });
        if new {
            self.counter = Some((counter, now));
        }
        new
    }
}

/// Values of a connected device that carry the device's own time: the same bytes are the same measurement.
#[derive(Debug, Default)]
pub(super) struct Values(VecDeque<(u16, Vec<u8>)>);

impl Values {
    pub(super) fn is_new(&mut self, characteristic: u16, value: &[u8]) -> bool {
        if self.0.iter().any(|(of, bytes)| (*of, bytes.as_slice()) == (characteristic, value)) {
            return false;
        }
        if self.0.len() == VALUES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((characteristic, value.to_vec()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_copies_are_one_advertisement() {
        let (mut adverts, now) = (Adverts::default(), Instant::now());
        let new = (0..10).filter(|_| !adverts.is_copy(0xFE95, b"same", now)).count();
        assert_eq!(new, 1);
        assert!(!adverts.is_copy(0xFCD2, b"same", now), "another service");
        assert!(!adverts.is_copy(0xFE95, b"same", now + SAME_AGAIN), "a room keeps its temperature");
    }

    #[test]
    fn counters_rise_and_start_again_but_do_not_fall() {
        let (mut adverts, mut now) = (Adverts::default(), Instant::now());
        let told = [(300, 0), (301, 0), (301, 9), (299, 9), (5_000, 0), (3, 1), (3, 5), (2, 1), (4, 0)];
        let new = told.map(|(counter, later_s)| {
            now += Duration::from_secs(later_s);
            adverts.is_new(Some(counter), now)
        });
        assert_eq!(new, [true, true, false, false, true, false, true, false, true]);
        assert!(adverts.is_new(None, now));
    }

    #[test]
    fn values_are_remembered_within_bounds() {
        let mut values = Values::default();
        assert!(values.is_new(0x2A35, b"a") && !values.is_new(0x2A35, b"a") && values.is_new(0x2A9D, b"a"));
        for number in 0..VALUES_MAX {
            values.is_new(0x2A35, &number.to_le_bytes());
        }
        assert_eq!(values.0.len(), VALUES_MAX);
    }
}
