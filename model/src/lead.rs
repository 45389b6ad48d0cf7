//! ECG leads: code on the wire, word on the strip.
//!
//! Codes: ISO/IEEE 11073-10102, partition 2 (code = 131072 + lead), as listed in DICOM CID 3001. A recording whose channel
//! is no known lead keeps its channels apart by codes of the partition's manufacturer range.

/// First code of the partition's manufacturer range (ISO/IEEE 11073-10101: 0xF000 to 0xFFFF).
const CHANNELS: u32 = 131_072 + 0xF000;
/// Channels without a name of their own, at most.
const CHANNELS_MAX: u32 = 0x1000;

/// `(code, word)`; words are compared without regard to case.
const LEADS: &[(u32, &str)] = &[
    (131_073, "I"),
    (131_074, "II"),
    (131_133, "III"),
    (131_134, "aVR"),
    (131_135, "aVL"),
    (131_136, "aVF"),
    // The modified limb lead of Holter recorders; the nomenclature has one code for it.
    (131_198, "MLII"),
    (131_075, "V1"),
    (131_076, "V2"),
    (131_077, "V3"),
    (131_078, "V4"),
    (131_079, "V5"),
    (131_080, "V6"),
    (131_081, "V7"),
    (131_138, "V8"),
    (131_139, "V9"),
    (131_082, "V2R"),
    (131_083, "V3R"),
    (131_084, "V4R"),
    (131_085, "V5R"),
    (131_086, "V6R"),
    (131_087, "V7R"),
    (131_140, "V8R"),
    (131_141, "V9R"),
    (131_088, "X"),
    (131_089, "Y"),
    (131_090, "Z"),
    (131_091, "CC5"),
    (131_092, "CM5"),
    (131_159, "V"),
    (131_163, "MCL"),
    (131_164, "MCL1"),
    (131_165, "MCL2"),
    (131_166, "MCL3"),
    (131_167, "MCL4"),
    (131_168, "MCL5"),
    (131_169, "MCL6"),
];

/// Word of a lead; `None` for 0 ("not said"), for channels and for codes that are not in the table.
pub fn label(code: u32) -> Option<&'static str> {
    LEADS.iter().find(|(known, _)| *known == code).map(|(_, word)| *word)
}

/// Code of a word such as `V5` or `aVR`.
pub fn from_label(word: &str) -> Option<u32> {
    LEADS.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(code, _)| *code)
}

/// Place of a lead among others, as paper recordings have them: the table's order, then everything else by code.
pub fn place(code: u32) -> (usize, u32) {
    (LEADS.iter().position(|(known, _)| *known == code).unwrap_or(LEADS.len()), code)
}

/// Code of the `index`-th channel (from 0) of a recording that does not name its lead.
pub const fn channel(index: u32) -> u32 {
    CHANNELS + index % CHANNELS_MAX
}

/// The number, from 0, of a channel made by [`channel`].
pub const fn channel_index(code: u32) -> Option<u32> {
    if code >= CHANNELS && code - CHANNELS < CHANNELS_MAX { Some(code - CHANNELS) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_lead_is_found_both_ways() {
        let codes: HashSet<u32> = LEADS.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), LEADS.len());
        for (code, word) in LEADS {
            assert_eq!((label(*code), from_label(&word.to_lowercase())), (Some(*word), Some(*code)));
            assert_eq!(channel_index(*code), None);
        }
        assert_eq!((label(0), from_label("ABP")), (None, None));
    }

    #[test]
    fn channels_are_kept_apart() {
        assert_eq!(channel_index(channel(3)), Some(3));
        assert_ne!(channel(0), channel(1));
        assert_eq!(label(channel(0)), None);
    }
}
