//! Bytes of lines and messages to text, and back.

use encoding_rs::{Encoding, GB18030, UTF_8};

use crate::TextEncoding;

const fn encoding(text: TextEncoding) -> &'static Encoding {
    match text {
        TextEncoding::Utf8 => UTF_8,
        TextEncoding::Gb18030 => GB18030,
    }
}

/// The text of `bytes`; what is not of the encoding becomes U+FFFD, which no number and no code contains.
///
/// Always before splitting: the second byte of a GB18030 character can be a delimiter (`|`, `^`, `\`).
pub(super) fn decode(bytes: &[u8], text: TextEncoding) -> String {
    encoding(text).decode_without_bom_handling(bytes).0.into_owned()
}

/// The bytes of a text in the same encoding.
pub(super) fn encode(written: &str, text: TextEncoding) -> Vec<u8> {
    encoding(text).encode(written).0.into_owned()
}

/// Lines ended by CR, LF or both, without control characters (printer text has NUL and ESC in it) and without empty ones.
pub(super) fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(['\r', '\n'])
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned())
        .filter(|line| !line.is_empty())
}
