//! AES-128-CCM with a check value of 4 bytes, as encrypted advertisements use it (NIST SP 800-38C).

use aes::Aes128;
use ccm::aead::inout::InOutBuf;
use ccm::aead::{Aead, AeadInOut, KeyInit, Payload};
use ccm::consts::{U4, U12, U13};
use ccm::{Ccm, Nonce};

use crate::Malformed;

const WRONG: Malformed = Malformed::Key("the key does not fit");

/// Opens a MiBeacon v4 or v5 payload: `sealed` ends with the check value.
pub(super) fn open_mibeacon(key: &[u8; 16], nonce: [u8; 12], sealed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let cipher = Ccm::<Aes128, U4, U12>::new(key.into());
    cipher.decrypt(&Nonce::<U12>::from(nonce), Payload { msg: sealed, aad: &[0x11] }).map_err(|_| WRONG)
}

/// Opens a BTHome v2 payload: `sealed` ends with the check value.
pub(super) fn open_bthome(key: &[u8; 16], nonce: [u8; 13], sealed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let cipher = Ccm::<Aes128, U4, U13>::new(key.into());
    cipher.decrypt(&Nonce::<U13>::from(nonce), sealed).map_err(|_| WRONG)
}

/// Lifts the key stream off a MiBeacon v2 or v3 payload. Its single check byte is of an unknown rule, so this proves nothing:
/// the caller must see from the result whether the key was right.
pub(super) fn lift_legacy(key: &[u8; 16], nonce: [u8; 13], covered: &[u8]) -> Result<Vec<u8>, Malformed> {
    let cipher = Ccm::<Aes128, U4, U13>::new(key.into());
    let mut bytes = covered.to_vec();
    // Counter mode is its own inverse; the check value that falls out belongs to the cipher text and is of no use.
    cipher
        .encrypt_inout_detached(&Nonce::<U13>::from(nonce), &[0x11], InOutBuf::from(bytes.as_mut_slice()))
        .map_err(|_| WRONG)?;
    Ok(bytes)
}
