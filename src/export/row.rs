//! One exported row, and the names that subjects and devices get in it.

use std::path::Path;

use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use model::metric::Info;
use model::{Subject, Time};
use sha2::Sha256;
use store::readings::Stored;

/// Bytes of a pseudonym that are kept.
const PSEUDONYM_BYTES: usize = 16;
/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// What one line of the file says.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) subject: String,
    pub(super) metric: &'static Info,
    pub(super) taken_at: Time,
    pub(super) value: Option<f64>,
    pub(super) quality: &'static str,
    pub(super) device: String,
    /// What the device itself wrote, and its unit.
    pub(super) raw: Option<(String, String)>,
}

/// How subjects and devices are called: by their numbers, or by pseudonyms.
pub(super) struct Names(Option<Hmac<Sha256>>);

impl Names {
    /// With a file of 64 hexadecimal digits: pseudonyms.
    pub(super) fn new(key: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = key else { return Ok(Self(None)) };
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let key = codec::bytes_of::<KEY_BYTES>(text.trim())
            .with_context(|| format!("{} must hold 64 hexadecimal digits", file.display()))?;
        Ok(Self(Some(Hmac::<Sha256>::new_from_slice(&key).context("the key cannot be used")?)))
    }

    /// The row of one stored reading.
    pub(super) fn row(&self, subject: Subject, stored: &Stored) -> Row {
        let sample = &stored.sample;
        Row {
            subject: self.name("elder", subject.to_u32()),
            metric: sample.metric.info(),
            taken_at: sample.taken_at,
            value: sample.value(),
            quality: sample.quality.slug(),
            device: self.name("device", stored.device.0),
            raw: stored.origin.as_ref().and_then(|origin| origin.raw.clone()),
        }
    }

    /// The number, or 32 hexadecimal digits of HMAC-SHA-256 of kind and number.
    fn name(&self, kind: &str, number: u32) -> String {
        let Some(mac) = &self.0 else { return number.to_string() };
        let mut mac = mac.clone();
        mac.update(format!("vigil export 1 {kind} {number}").as_bytes());
        codec::hex(&mac.finalize().into_bytes()[..PSEUDONYM_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_are_the_same_with_the_same_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let names = |digits: &str| {
            let file = dir.path().join("key");
            std::fs::write(&file, digits.repeat(32)).unwrap();
            Names::new(Some(&file))
        };
        let (a, b) = (names("0a").unwrap(), names("0b").unwrap());
        assert_eq!(a.name("elder", 7), names("0a").unwrap().name("elder", 7));
        assert_ne!(a.name("elder", 7), b.name("elder", 7));
        assert_ne!(a.name("elder", 7), a.name("device", 7));
        assert_eq!(a.name("elder", 7).len(), 32);
        assert_eq!(Names::new(None).unwrap().name("elder", 7), "7");
        assert!(names("0").is_err(), "32 digits are too few");
    }
}
