//! The bytes of a group: records one after the other, each `len: u32 LE, crc32c(bytes): u32 LE, bytes`.
//!
//! There is no index of offsets: readers go through a group from its start, and the lengths lead them.

use model::Seq;

/// Bytes that an entry takes on disk beside its own.
pub const ENTRY_OVERHEAD: usize = 8;

/// Appends one record to `blob`.
pub(crate) fn push(blob: &mut Vec<u8>, entry: &[u8]) {
    blob.extend_from_slice(&(entry.len() as u32).to_le_bytes());
    blob.extend_from_slice(&crc32c::crc32c(entry).to_le_bytes());
    blob.extend_from_slice(entry);
}

/// The record at the start of `bytes`: its checksum, its entry, and what follows. `None` if it is not whole.
fn split(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((u32::from_le_bytes(*crc), entry, rest))
}

/// How many records at the start of `blob` are whole and carry the right checksum.
pub(crate) fn intact(mut blob: &[u8]) -> u32 {
    let mut count = 0;
    while let Some((crc, entry, rest)) = split(blob) {
        if crc32c::crc32c(entry) != crc {
            break;
        }
        count += 1;
        blob = rest;
    }
    count
}

/// Goes through records that are known to be intact.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    next: Seq,
    left: u32,
}

impl<'a> Records<'a> {
    /// `count` records at the start of `bytes`, the first of which is `first`.
    pub(crate) const fn new(bytes: &'a [u8], first: Seq, count: u32) -> Self {
        Self { bytes, next: first, left: count }
    }

    /// Bytes not yet gone through.
    pub(crate) const fn rest(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Seq, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let (_, entry, rest) = split(self.bytes)?;
        let seq = self.next;
        self.bytes = rest;
        self.next = Seq(seq.0 + 1);
        self.left -= 1;
        Some((seq, entry))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_found_in_its_record() {
        let mut blob = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            push(&mut blob, entry);
        }
        assert_eq!(intact(&blob), 3);
        let whole: Vec<_> = Records::new(&blob, Seq(7), 3).collect();
        assert_eq!(whole, [(Seq(7), &b"one"[..]), (Seq(8), b""), (Seq(9), b"three")]);
        // By byte: which record it belongs to, and so how many before it stay intact.
        for (at, before) in
            (0..11).map(|at| (at, 0)).chain((11..19).map(|at| (at, 1))).chain((19..32).map(|at| (at, 2)))
        {
            let mut bad = blob.clone();
            bad[at] ^= 0x10;
            assert_eq!(intact(&bad), before, "byte {at}");
        }
        for cut in 0..blob.len() {
            assert!(intact(&blob[..cut]) < 3, "cut at {cut}");
        }
    }
}
