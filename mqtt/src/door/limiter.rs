//! New links from one address, per second: a token bucket each, in a bounded table.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

/// Addresses remembered. When full, those that are quiet are forgotten; if too few are, everyone starts anew.
const ADDRESSES_MAX: usize = 65_536;
/// Links at once, as a multiple of the rate.
const BURST: f64 = 4.0;

#[derive(Debug)]
pub(super) struct Limiter {
    per_s: f64,
    buckets: HashMap<IpAddr, (f64, Instant)>,
}

impl Limiter {
    /// `per_s` 0: no limit.
    pub(super) fn new(per_s: u32) -> Self {
        Self { per_s: f64::from(per_s), buckets: HashMap::new() }
    }

    pub(super) fn allows(&mut self, address: IpAddr) -> bool {
        if self.per_s == 0.0 {
            return true;
        }
        let address = house(address);
        let (now, per_s, burst) = (Instant::now(), self.per_s, self.per_s * BURST);
        let filled =
            |tokens: f64, since: Instant| (now.duration_since(since).as_secs_f64().mul_add(per_s, tokens)).min(burst);
        if self.buckets.len() >= ADDRESSES_MAX && !self.buckets.contains_key(&address) {
            self.buckets.retain(|_, (tokens, since)| filled(*tokens, *since) < burst);
            // Half at least, so that a flood from everywhere does not make every newcomer sweep the table.
            if self.buckets.len() > ADDRESSES_MAX / 2 {
                self.buckets.clear();
            }
        }
        let (tokens, since) = self.buckets.entry(address).or_insert((burst, now));
        *tokens = filled(*tokens, *since);
        *since = now;
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

/// Whom an address stands for: one customer line has a whole /64 of IPv6 addresses.
fn house(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 64 << 64).to_be_bytes()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let (mut limiter, address) = (Limiter::new(2), IpAddr::from([10, 0, 0, 1]));
        let allowed = |limiter: &mut Limiter| (0..20).filter(|_| limiter.allows(address)).count();
        assert_eq!(allowed(&mut limiter), 8);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(allowed(&mut limiter), 2);
        assert!(limiter.allows(IpAddr::from([10, 0, 0, 2])), "others are not affected");
        // All addresses of one /64 are one; a mapped IPv4 address is itself.
        let six = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert_eq!((0..20).filter(|last| limiter.allows(six(*last))).count(), 8);
        assert!(!limiter.allows("::ffff:10.0.0.1".parse().unwrap()));
    }
}
