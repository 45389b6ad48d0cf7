//! Who a person says they are at a shared device: an identity card, a QR code or the elder's own number, as a [`PersonKey`] that
//! names nobody to whoever reads it.
//!
//! Cards and codes are hashed with the site's secret (HMAC-SHA256) at the gateway, at once; only the key travels and is kept.
//! The number of a 居民身份证 follows GB 11643: 17 digits and a check character. Whether the region exists is not checked:
//! region codes are abolished over the years.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{ElderId, Time};

/// Weights of the first 17 digits (GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters for the remainders 0 to 10.
const CHECKS: [u8; 11] = *b"10X98765432";
/// Oldest age a number may claim, in years.
const AGE_MAX: i16 = 130;
/// Bytes of a key's text at most; what is on the wire beyond it is refused.
pub const KEY_BYTES_MAX: usize = 80;
/// Bytes of a card's or code's text at most.
pub const TEXT_BYTES_MAX: usize = 512;
/// Bytes of the HMAC that are kept.
const HASH_BYTES: usize = 16;

/// How a person identifies themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// 居民身份证, or a 港澳台居民居住证 with the same 18 places.
    Card,
    Qr,
    /// The elder's number in Vigil, typed in.
    Elder,
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::Card, Self::Qr, Self::Elder];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Qr => "qr",
            Self::Elder => "elder",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.slug() == text)
    }
}

/// Why a text identifies nobody. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    #[error("an identity number has 18 places: 17 digits and a digit or X")]
    Shape,
    #[error("the check digit of the identity number does not fit: read the card again")]
    Check,
    #[error("the identity number holds a birth date that cannot be")]
    Birth,
    #[error("an elder's number is a number from 1 on")]
    Elder,
    #[error("a code is 1 to {TEXT_BYTES_MAX} bytes of text")]
    Code,
}

impl BadIdentity {
    /// The text is an identity number but for its check digit or date: a card read badly, nothing else.
    pub const fn is_nearly(self) -> bool {
        matches!(self, Self::Check | Self::Birth)
    }
}

/// The site's secret: the same at its gateways and at the server. 32 bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityKey([u8; 32]);

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey")
    }
}

impl IdentityKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
        let mut bytes = [0_u8; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        Some(Self(bytes))
    }

    /// The key of what a person presented at `now`: an identity number holds a birth date, which cannot be in the future.
    pub fn person(&self, kind: KeyKind, text: &str, now: Time) -> Result<PersonKey, BadIdentity> {
        let normal = match kind {
            KeyKind::Elder => return elder_number(text).map(PersonKey::elder),
            KeyKind::Card => id_number(text, shanghai_date(now))?,
            KeyKind::Qr => {
                let text = text.trim();
                if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                    return Err(BadIdentity::Code);
                }
                text.to_owned()
            }
        };
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0);
        // HMAC takes keys of any length: the fallback is never taken.
        let Ok(mut mac) = mac else { return Err(BadIdentity::Code) };
        mac.update(normal.as_bytes());
        let hash = mac.finalize().into_bytes();
        let mut key = format!("{}:", kind.slug());
        for byte in hash.iter().take(HASH_BYTES) {
            // Writing to a String cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        Ok(PersonKey(key.into()))
    }
}

/// Who was measured, as it travels: `elder:<number>`, `card:<32 hex>`, `qr:<32 hex>`, or `none:<reason>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonKey(Box<str>);

impl PersonKey {
    pub fn elder(elder: ElderId) -> Self {
        Self(format!("elder:{elder}").into())
    }

    /// Nobody, and why.
    pub fn nobody(why: Nobody) -> Self {
        Self(format!("none:{}", why.slug()).into())
    }

    /// Reads what came over the wire. `None`: not a key of any known kind.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > KEY_BYTES_MAX {
            return None;
        }
        let (kind, rest) = text.split_once(':')?;
        let hash = |rest: &str| {
            rest.len() == 2 * HASH_BYTES && rest.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        };
        let good = match kind {
            "none" => Nobody::parse(rest).is_some(),
            "elder" => elder_number(rest).is_ok(),
            "card" | "qr" => hash(rest),
            _ => false,
        };
        good.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` when the key says that nobody is known.
    pub fn kind(&self) -> Option<KeyKind> {
        self.0.split_once(':').and_then(|(kind, _)| KeyKind::parse(kind))
    }

    /// Why nobody is known, when the key says that.
    pub fn why_nobody(&self) -> Option<Nobody> {
        self.0.strip_prefix("none:").and_then(Nobody::parse)
    }

    /// The number of an `elder:` key.
    pub fn elder_id(&self) -> Option<ElderId> {
        self.0.strip_prefix("elder:").and_then(|text| elder_number(text).ok())
    }
}

impl fmt::Debug for PersonKey {
    /// The kind alone: a hash is still about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonKey({}:..)", self.0.split(':').next().unwrap_or_default())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $zh:literal, $en:literal;)*) => {
        /// Why a measurement of a shared device belongs to nobody yet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Nobody { $($(#[$doc])* $name,)* }

        impl Nobody {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Word on the wire, in SQL and in JSON.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            pub const fn zh(self) -> &'static str { match self { $(Self::$name => $zh,)* } }
            pub const fn en(self) -> &'static str { match self { $(Self::$name => $en,)* } }
            pub fn parse(slug: &str) -> Option<Self> { Self::ALL.iter().copied().find(|why| why.slug() == slug) }
        }
    };
}

reasons! {
    NoSession = "no_session", "测量时无人登记", "nobody had signed in when it was taken";
    /// It began in one person's session and ended in another's.
    SessionChanged = "session_changed", "测量期间换人", "session changed while measuring";
    /// A session covers only a part of it, or its time is not sure enough to say.
    NotCovered = "not_covered", "登记未覆盖整个测量", "the session does not cover all of the measurement";
    /// The device names a user (a scale's 0xFF) that is nobody's.
    UnknownUser = "unknown_user", "设备用户未知", "the device does not know its user";
    /// A good card or code that no elder is registered with.
    UnknownKey = "unknown_key", "证件未登记", "the card or code is not registered";
    /// A number that is no elder's.
    UnknownElder = "unknown_elder", "编号不存在", "no elder has this number";
    /// Said by staff: taken back from an elder.
    TakenBack = "taken_back", "已撤回归属", "taken back by staff";
}

fn elder_number(text: &str) -> Result<ElderId, BadIdentity> {
    let narrow: String = text.trim().chars().map(narrow).collect();
    let fits = (1..=10).contains(&narrow.len()) && narrow.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = narrow.parse().map_err(|_| BadIdentity::Elder)?;
    if fits && (1..=0x7FFF_FFFF).contains(&number) { Ok(ElderId(number)) } else { Err(BadIdentity::Elder) }
}

/// Full-width digits and X as readers and Chinese keyboards give them.
fn narrow(c: char) -> char {
    match c {
        '\u{FF10}'..='\u{FF19}' | '\u{FF38}' | '\u{FF58}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    }
}

/// Today at UTC+8, where the registers are kept.
fn shanghai_date(now: Time) -> jiff::civil::Date {
    let stamp = jiff::Timestamp::from_microsecond(now.0).unwrap_or_default();
    jiff::tz::offset(8).to_datetime(stamp).date()
}

/// The 18 places of an identity number: full-width digits narrowed, blanks around it cut, `x` as `X`, check digit and birth
/// date checked. Blanks inside are refused.
fn id_number(text: &str, today: jiff::civil::Date) -> Result<String, BadIdentity> {
    let number: String = text.trim().chars().map(|c| narrow(c).to_ascii_uppercase()).collect();
    let places: &[u8; 18] = number.as_bytes().try_into().map_err(|_| BadIdentity::Shape)?;
    let (digits, check) = places.split_at(17);
    if !digits.iter().all(u8::is_ascii_digit) || !(check[0].is_ascii_digit() || check[0] == b'X') {
        return Err(BadIdentity::Shape);
    }
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    if CHECKS[(sum % 11) as usize] != check[0] {
        return Err(BadIdentity::Check);
    }
    let part = |from: usize, to: usize| number[from..to].parse::<i16>().map_err(|_| BadIdentity::Shape);
    let (year, month, day) = (part(6, 10)?, part(10, 12)?, part(12, 14)?);
    let born = jiff::civil::Date::new(year, month as i8, day as i8).map_err(|_| BadIdentity::Birth)?;
    if born > today || today.year() - year > AGE_MAX {
        return Err(BadIdentity::Birth);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22.
    const NOW: Time = Time::from_secs(1_795_334_400);

    fn check(text: &str) -> Result<String, BadIdentity> {
        id_number(text, shanghai_date(NOW))
    }

    #[test]
    fn identity_numbers_follow_gb_11643() {
        // One per check character; region 99 does not exist, so none is a person's.
        let endings = ["0081", "0030", "0022", "0073", "0014", "0065", "0196", "0057", "0188", "0049", "009X"];
        for end in endings {
            let number = format!("99000019450301{end}");
            assert_eq!(check(&number), Ok(number.clone()));
        }
        for (text, wanted) in [
            ("11010519491231002X", Ok("11010519491231002X")),
            (" 99000019450301009x\r\n", Ok("99000019450301009X")),
            ("99000019450301009x", Ok("99000019450301009X")),
            ("\u{FF19}\u{FF19}000019450301009\u{FF58}", Ok("99000019450301009X")),
            ("990000194002290011", Ok("990000194002290011")),
            ("440524188001010014", Err(BadIdentity::Birth)),
            ("990000194102290019", Err(BadIdentity::Birth)),
            ("990000194513010018", Err(BadIdentity::Birth)),
            ("990000203001010016", Err(BadIdentity::Birth)),
            ("990000194503010082", Err(BadIdentity::Check)),
            ("9900001945 3010081", Err(BadIdentity::Shape)),
            ("990000450301008", Err(BadIdentity::Shape)),
            ("九九0000194503010081", Err(BadIdentity::Shape)),
            ("", Err(BadIdentity::Shape)),
        ] {
            assert_eq!(check(text), wanted.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn every_single_wrong_digit_and_every_swap_is_found() {
        let good = *b"11010519491231002X";
        let mut tried = [0, 0];
        for place in 0..17 {
            for digit in b'0'..=b'9' {
                let mut bad = good;
                bad[place] = digit;
                if bad != good {
                    tried[0] += 1;
                    assert!(check(std::str::from_utf8(&bad).unwrap()).is_err());
                }
            }
            if place < 16 && good[place] != good[place + 1] {
                let mut bad = good;
                bad.swap(place, place + 1);
                tried[1] += 1;
                assert!(check(std::str::from_utf8(&bad).unwrap()).is_err());
            }
        }
        assert_eq!(tried, [153, 14]);
    }

    #[test]
    fn a_key_says_nothing_about_the_person_and_forms_of_one_card_are_one_key() {
        let site = IdentityKey::parse(&"0b".repeat(32)).unwrap();
        let key = |text: &str| site.person(KeyKind::Card, text, NOW).unwrap();
        assert_eq!(key("11010519491231002X"), key(" 11010519491231002x"));
        let text = key("11010519491231002X");
        assert!(text.as_str().starts_with("card:") && text.as_str().len() == 5 + 32);
        assert!(!text.as_str().contains("1949"));
        assert_eq!(format!("{text:?}"), "PersonKey(card:..)");
        assert_eq!(PersonKey::parse(text.as_str()), Some(text.clone()));
        let other = IdentityKey::parse(&"0c".repeat(32)).unwrap();
        assert_ne!(other.person(KeyKind::Card, "11010519491231002X", NOW).unwrap(), text, "another site, another key");
        assert_ne!(site.person(KeyKind::Qr, "11010519491231002X", NOW).unwrap(), text, "a code is not a card");
        assert_eq!(site.person(KeyKind::Elder, " 7", NOW), Ok(PersonKey::elder(ElderId(7))));
        // RFC 4231, test case 1: the same construction as everybody's.
        let mut rfc = <Hmac<Sha256> as KeyInit>::new_from_slice(&[0x0b; 20]).unwrap();
        rfc.update(b"Hi There");
        assert_eq!(rfc.finalize().into_bytes()[..4], [0xb0, 0x34, 0x4c, 0x61]);
    }

    #[test]
    fn only_known_forms_are_keys() {
        for good in
            ["elder:7", "none:no_session", &format!("card:{}", "0a".repeat(16)), &format!("qr:{}", "ff".repeat(16))]
        {
            assert!(PersonKey::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "7",
            "elder:",
            "elder:0",
            "elder:-1",
            "elder:4294967295",
            "card:11010519491231002X",
            "none:",
            "none:x",
            "qr:FF",
        ] {
            assert_eq!(PersonKey::parse(bad), None, "{bad}");
        }
        assert_eq!(PersonKey::parse(&format!("card:{}", "a".repeat(90))), None);
        for why in Nobody::ALL {
            assert_eq!(PersonKey::nobody(*why).why_nobody(), Some(*why));
            assert_eq!(PersonKey::nobody(*why).kind(), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_key_or_an_error(text: String) {
            let site = IdentityKey::new([7; 32]);
            for kind in KeyKind::ALL {
                if let Ok(key) = site.person(kind, &text, NOW) {
                    proptest::prop_assert_eq!(PersonKey::parse(key.as_str()), Some(key.clone()));
                    proptest::prop_assert_eq!(key.kind(), Some(kind));
                }
            }
            let _ = PersonKey::parse(&text);
        }
    }
}
