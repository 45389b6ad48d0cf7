//! What a person has said about one device, because its frames do not say it.

use serde::Deserialize;

/// Settings of one device, as they stand in the gateway's configuration file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Minutes east of UTC of the place where the device stands: its wall clock. +480 is all of China (no summer time).
    pub offset_min: i16,
    /// What the device sends as time where its protocol leaves that open.
    pub clock: DeviceClock,
    /// Unit of a glucose value that comes without one. Without this key such a value is `unit_suspect`.
    pub glucose_unit: Option<GlucoseUnit>,
    /// How names and other free text are encoded.
    pub text: TextEncoding,
    /// 16-byte key of encrypted advertisements, 32 hexadecimal digits (24 of MiBeacon 2 and 3: [`key_of`]). Never logged.
    #[serde(deserialize_with = "key")]
    pub key: Option<[u8; 16]>,
    /// Bluetooth address, needed to decrypt advertisements that do not carry it; in the order people read it.
    #[serde(deserialize_with = "address")]
    pub address: Option<[u8; 6]>,
    /// CGM measurements end with an E2E-CRC (told by the CGM feature characteristic).
    pub cgm_crc: bool,
    /// The gateway's time at reception, said by the link with each frame: some devices set their clock by the reply. Without it
    /// such a reply is not made.
    #[serde(skip)]
    pub now: Option<model::Time>,
}

/// What the device's time of day means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceClock {
    /// The protocol's usual meaning.
    #[default]
    Protocol,
    Local,
    Utc,
}

/// Units in which glucose meters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum GlucoseUnit {
    #[serde(rename = "mmol/L")]
    MmolPerL,
    #[serde(rename = "mg/dL")]
    MgPerDl,
}

/// Encodings of free text seen in the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextEncoding {
    #[default]
    Utf8,
    Gb18030,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            offset_min: 480,
            clock: DeviceClock::Protocol,
            glucose_unit: None,
            text: TextEncoding::Utf8,
            key: None,
            address: None,
            cgm_crc: false,
            now: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("offset_min", &self.offset_min)
            .field("clock", &self.clock)
            .field("has_key", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

/// A key of advertisements: 32 hexadecimal digits, or the 24 that MiBeacon 2 and 3 have, whose cipher puts four fixed bytes in
/// their middle.
pub fn key_of(text: &str) -> Option<[u8; 16]> {
    const MIDDLE: [u8; 4] = [0x8D, 0x3D, 0x3C, 0x97];
    bytes_of(text).or_else(|| {
        let bytes = bytes_of::<12>(text)?;
        let (head, tail) = bytes.split_at(6);
        [head, &MIDDLE, tail].concat().try_into().ok()
    })
}

/// `N` bytes from pairs of hexadecimal digits; colons and dashes between them are allowed.
pub fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b'-' | b' ')).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

fn key<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<[u8; 16]>, D::Error> {
    let text = String::deserialize(from)?;
    // The text is a secret: the error does not repeat it.
    key_of(&text).map(Some).ok_or_else(|| serde::de::Error::custom("key must be 32 hexadecimal digits (or 24)"))
}

fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<[u8; 6]>, D::Error> {
    let text = String::deserialize(from)?;
    bytes_of(&text)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("address must be six bytes like A4:C1:38:56:53:84"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_both_lengths() {
        assert_eq!(key_of("000102030405060708090a0b0c0d0e0f").unwrap()[15], 15);
        assert_eq!(crate::hex(&key_of("000102030405060708090a0b").unwrap()), "0001020304058d3d3c97060708090a0b");
        for bad in ["", "0001", "000102030405060708090a0b0c0d0e0", "zz0102030405060708090a0b0c0d0e0f"] {
            assert_eq!(key_of(bad), None, "{bad}");
        }
    }
}
