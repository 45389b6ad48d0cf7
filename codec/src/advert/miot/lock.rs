//! MiBeacon objects of door locks.

use crate::Decoded;
use crate::advert::products::Buttons;
use crate::advert::put;

pub(super) fn fingerprint(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let (key, [result]) = data.split_first_chunk::<4>()? else { return None };
    put(out, "fingerprint", *result == 0);
    put(out, "key_id", who(u32::from_le_bytes(*key)).unwrap_or_else(|| u32::from_le_bytes(*key).to_string()));
    let words = [
        "match_successful",
        "match_failed",
        "timeout",
        "low_quality_too_light_fuzzy",
        "insufficient_area",
        "skin_is_too_dry",
        "skin_is_too_wet",
    ];
    if let Some(word) = words.get(usize::from(*result)) {
        put(out, "fingerprint_event", *word);
    }
    Some(())
}

fn who(key: u32) -> Option<String> {
    let who = match key {
        0 => "administrator",
        0xFFFF_FFFF => "unknown operator",
        0xDEAD_BEEF => "invalid operator",
        _ => return None,
    };
    Some(who.to_owned())
}

pub(super) fn lock(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let [how, k0, k1, k2, k3, ..] = *<&[u8; 9]>::try_from(data).ok()?;
    let (_, open, action) = LOCK_ACTIONS.iter().find(|(code, ..)| *code == how & 15)?;
    let method = LOCK_METHODS.get(usize::from(how >> 4)).copied().unwrap_or("abnormal");
    let key = u32::from_le_bytes([k0, k1, k2, k3]);
    if key >> 16 == 0xC0DE {
        put(out, "error", format!("0x{key:08X}"));
    } else {
        let kind = LOCK_KEYS.get((key >> 16 & 0x7FFF) as usize).copied().filter(|_| key >> 31 == 1);
        let named = kind.map(|kind| format!("{kind} key id {}", key & 0xFFFF));
        put(out, "key_id", who(key).or(named).unwrap_or_else(|| format!("Bluetooth key {key}")));
    }
    put(out, "lock", *open);
    put(out, "lock_event", *action);
    put(out, "lock_method", method);
    Some(())
}

static LOCK_ACTIONS: &[(u8, bool, &str)] = &[
    (0, true, "unlock_outside_the_door"),
    (1, false, "lock"),
    (2, false, "turn_on_antilock"),
    (3, true, "turn_off_antilock"),
    (4, true, "unlock_inside_the_door"),
    (5, false, "lock_inside_the_door"),
    (6, false, "turn_on_child_lock"),
    (7, true, "turn_off_child_lock"),
    (8, false, "lock_outside_the_door"),
    (15, true, "abnormal"),
];

static LOCK_METHODS: &[&str] = &[
    "bluetooth",
    "password",
    "biometrics",
    "keys",
    "turntable",
    "nfc",
    "one_time_password",
    "two_step_verification",
    "coercion",
    "homekit",
    "manual",
    "automatic",
];

static LOCK_KEYS: &[&str] = &[
    "Bluetooth",
    "Fingerprint",
    "Password",
    "Keys",
    "NFC",
    "Two-step verification",
    "Human face",
    "Finger veins",
    "Palm print",
];
