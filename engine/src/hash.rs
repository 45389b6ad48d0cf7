//! A fast hash for numbers that we gave out ourselves (elder ids): one multiplication instead of `SipHash`.
//!
//! Not for keys an attacker can choose: elder ids come from the records store.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from elder id.
pub(crate) type ElderMap<V> = HashMap<u32, V, BuildHasherDefault<NumberHasher>>;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
    fn write_u32(&mut self, number: u32) {
        // Fibonacci hashing; the fold brings the good high bits to where the table looks.
        let spread = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }
}
