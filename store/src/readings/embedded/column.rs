//! Columns of numbers as bytes. A column whose numbers are all equal costs a few bytes whatever its length; a short
//! one is written as variable-length differences; the rest goes through pco.
//!
//! Form: one kind byte, then
//! - `0` constant: zigzag varint
//! - `1` short: zigzag varint of the first number, then of each difference
//! - `2` packed: zigzag varint base, varint divisor, varint length, pco of `(number - base) / divisor` as i64
//! - `3` (floats) decimal: one byte of decimals, then a column of integers: `number * 10^decimals`
//! - `4` (floats) packed: varint length, pco of f64
//! - `5` (floats) plain: 8 bytes each, little-endian
//!
//! The reader is told the number of values; it never trusts a length before checking it against the bytes at hand.

use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::Error;

/// Below this many numbers pco's header costs more than it saves.
const SHORT: usize = 24;
/// The same for columns that are read far more often than rows are, as rollups: unpacking so few takes pco some 20 µs, reading
/// differences one or two, for about a byte more a number.
pub(super) const QUICK: usize = 512;
/// pco's effort, 0 to 12. Six is within a percent of eight here and clearly faster.
const LEVEL: usize = 6;
/// Decimals tried before a float column is written as floats: what medical devices report.
const DECIMALS_MAX: u8 = 3;
/// Integers beyond this are not exact in an `f64`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_zigzag(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)) as u64);
}

pub(super) fn take_byte(input: &mut &[u8]) -> Result<u8, Error> {
    let (first, rest) = input.split_first().ok_or_else(short)?;
    *input = rest;
    Ok(*first)
}

pub(super) fn take_varint(input: &mut &[u8]) -> Result<u64, Error> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(input)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Error::corrupt("a number without an end"))
}

pub(super) fn take_zigzag(input: &mut &[u8]) -> Result<i64, Error> {
    let raw = take_varint(input)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// A count that was written before as many things; refused above `max`.
pub(super) fn take_count(input: &mut &[u8], max: usize) -> Result<usize, Error> {
    let count = usize::try_from(take_varint(input)?).unwrap_or(usize::MAX);
    if count > max { Err(Error::corrupt("an impossible count")) } else { Ok(count) }
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let len = take_count(input, input.len())?;
    let (bytes, rest) = input.split_at_checked(len).ok_or_else(short)?;
    *input = rest;
    Ok(bytes)
}

fn short() -> Error {
    Error::corrupt("a column ends early")
}

fn packing(delta: DeltaSpec, mode: ModeSpec) -> ChunkConfig {
    ChunkConfig::default().with_compression_level(LEVEL).with_delta_spec(delta).with_mode_spec(mode)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How far the numbers are spread and by what they are all divisible, measured from the first.
fn divisor(numbers: &[i64], base: i64) -> u64 {
    let mut common = 0;
    for number in numbers {
        common = gcd(number.wrapping_sub(base).unsigned_abs(), common);
        if common == 1 {
            break;
        }
    }
    common.max(1)
}

pub(super) fn put_ints(out: &mut Vec<u8>, numbers: &[i64]) -> Result<(), Error> {
    put_ints_from(out, numbers, SHORT)
}

/// Packs from `packed_from` numbers on.
pub(super) fn put_ints_from(out: &mut Vec<u8>, numbers: &[i64], packed_from: usize) -> Result<(), Error> {
    let base = numbers.first().copied().unwrap_or(0);
    if numbers.iter().all(|number| *number == base) {
        out.push(0);
        put_zigzag(out, base);
        return Ok(());
    }
    if numbers.len() < packed_from {
        out.push(1);
        let mut last = 0_i64;
        for number in numbers {
            put_zigzag(out, number.wrapping_sub(last));
            last = *number;
        }
        return Ok(());
    }
    // A span wider than an i64 cannot be divided after subtracting; then the numbers go in as they are.
    let fits = numbers.iter().all(|number| number.checked_sub(base).is_some());
    let (base, common) = if fits { (base, divisor(numbers, base)) } else { (0, 1) };
    let step = common as i64;
    let scaled: Vec<i64> =
        if fits && step > 0 { numbers.iter().map(|number| (number - base) / step).collect() } else { numbers.to_vec() };
    let mode = if common > 1 { ModeSpec::Classic } else { ModeSpec::Auto };
    let packed = pco::standalone::simple_compress(&scaled, &packing(DeltaSpec::TryConsecutive(1), mode))
        .map_err(|e| Error::corrupt(format!("packing failed: {e}")))?;
    out.push(2);
    put_zigzag(out, base);
    put_varint(out, if fits && step > 0 { common } else { 1 });
    put_varint(out, packed.len() as u64);
    out.extend_from_slice(&packed);
    Ok(())
}

pub(super) fn take_ints(input: &mut &[u8], n: usize) -> Result<Vec<i64>, Error> {
    match take_byte(input)? {
        0 => Ok(vec![take_zigzag(input)?; n]),
        1 => {
            let mut last = 0_i64;
            (0..n)
                .map(|_| {
                    last = last.wrapping_add(take_zigzag(input)?);
                    Ok(last)
                })
                .collect()
        }
        2 => {
            let base = take_zigzag(input)?;
            let step = take_varint(input)? as i64;
            let mut numbers: Vec<i64> = unpack(take_bytes(input)?, n)?;
            for number in &mut numbers {
                *number = number.wrapping_mul(step).wrapping_add(base);
            }
            Ok(numbers)
        }
        _ => Err(Error::corrupt("a column of unknown kind")),
    }
}

fn unpack<T: pco::data_types::Number + Default>(bytes: &[u8], n: usize) -> Result<Vec<T>, Error> {
    let mut numbers = vec![T::default(); n];
    let progress = pco::standalone::simple_decompress_into(bytes, &mut numbers)
        .map_err(|e| Error::corrupt(format!("a packed column: {e}")))?;
    if progress.n_processed == n && progress.finished { Ok(numbers) } else { Err(short()) }
}

/// The numbers times `10^decimals`, when that is exact in both directions, to the bit.
fn as_decimal(numbers: &[f64], decimals: u8) -> Option<Vec<i64>> {
    let scale = 10_f64.powi(i32::from(decimals));
    let mut scaled = Vec::with_capacity(numbers.len());
    for number in numbers {
        let rounded = (number * scale).round();
        // Compared as the reader will make it: minus zero, for one, is no decimal.
        let whole = rounded as i64;
        if rounded.abs() >= EXACT_MAX || (whole as f64 / scale).to_bits() != number.to_bits() {
            return None;
        }
        scaled.push(whole);
    }
    Some(scaled)
}

pub(super) fn put_floats(out: &mut Vec<u8>, numbers: &[f64]) -> Result<(), Error> {
    put_floats_from(out, numbers, SHORT)
}

/// Packs from `packed_from` numbers on.
pub(super) fn put_floats_from(out: &mut Vec<u8>, numbers: &[f64], packed_from: usize) -> Result<(), Error> {
    for decimals in 0..=DECIMALS_MAX {
        if let Some(scaled) = as_decimal(numbers, decimals) {
            out.push(3);
            out.push(decimals);
            return put_ints_from(out, &scaled, packed_from);
        }
    }
    if numbers.len() < packed_from {
        out.push(5);
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
        return Ok(());
    }
    let packed = pco::standalone::simple_compress(numbers, &packing(DeltaSpec::Auto, ModeSpec::Auto))
        .map_err(|e| Error::corrupt(format!("packing failed: {e}")))?;
    out.push(4);
    put_varint(out, packed.len() as u64);
    out.extend_from_slice(&packed);
    Ok(())
}

pub(super) fn take_floats(input: &mut &[u8], n: usize) -> Result<Vec<f64>, Error> {
    match take_byte(input)? {
        3 => {
            let decimals = take_byte(input)?.min(DECIMALS_MAX);
            let scale = 10_f64.powi(i32::from(decimals));
            Ok(take_ints(input, n)?.into_iter().map(|whole| whole as f64 / scale).collect())
        }
        4 => unpack(take_bytes(input)?, n),
        5 => {
            let (bytes, rest) = input.split_at_checked(n.saturating_mul(8)).ok_or_else(short)?;
            *input = rest;
            Ok(bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect())
        }
        _ => Err(Error::corrupt("a column of unknown kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ints_back(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        put_ints(&mut bytes, numbers).unwrap();
        let mut rest = &bytes[..];
        assert_eq!(take_ints(&mut rest, numbers.len()).unwrap(), numbers);
        assert!(rest.is_empty());
        bytes.len()
    }

    fn floats_back(numbers: &[f64]) -> usize {
        let mut bytes = Vec::new();
        put_floats(&mut bytes, numbers).unwrap();
        let mut rest = &bytes[..];
        let back = take_floats(&mut rest, numbers.len()).unwrap();
        assert_eq!(
            back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        );
        bytes.len()
    }

    #[test]
    fn a_constant_column_costs_next_to_nothing() {
        assert!(ints_back(&vec![7; 4_096]) <= 2);
        assert!(floats_back(&vec![36.6; 4_096]) <= 5);
    }

    #[test]
    fn extremes_come_back() {
        for n in [3, 100] {
            let wide: Vec<i64> = [i64::MIN, 0, i64::MAX].into_iter().cycle().take(n).collect();
            ints_back(&wide);
            let odd: Vec<f64> =
                [-0.0, f64::MAX, f64::MIN_POSITIVE, 0.1 + 0.2, 1e300].into_iter().cycle().take(n).collect();
            floats_back(&odd);
            floats_back(&[-0.0, 1.0, 2.5].into_iter().cycle().take(n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn millisecond_stamps_are_divided_first() {
        let stamps: Vec<i64> =
            (0..4_096).map(|i| 1_700_000_000_000_000 + i * 1_000_000 + (i * 7 % 21) * 1_000).collect();
        assert!(ints_back(&stamps) < 4_096);
    }

    #[test]
    fn cut_bytes_are_an_error_and_never_a_panic() {
        let mut bytes = Vec::new();
        put_floats(&mut bytes, &(0..100).map(|i| f64::from(i) * 0.37).collect::<Vec<_>>()).unwrap();
        for end in 0..bytes.len() {
            let mut rest = &bytes[..end];
            assert!(take_floats(&mut rest, 100).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_column_comes_back(numbers in prop::collection::vec(any::<i64>(), 0..80), floats in prop::collection::vec(prop::num::f64::ANY, 0..80)) {
            ints_back(&numbers);
            let finite: Vec<f64> = floats.into_iter().filter(|v| v.is_finite()).collect();
            floats_back(&finite);
        }
    }
}
