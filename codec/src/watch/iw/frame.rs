//! Frames of the IW protocol: `IWAP..#`, `TRVAP..#`. A `#` in the name of a Wi-Fi network ends a frame early; nothing but
//! names of networks is lost by that.

use crate::watch::scan::{Cut, Rule, Start, before, blank, shaped};

const LETTER: fn(&u8) -> bool = u8::is_ascii_uppercase;
const SIGN: fn(&u8) -> bool = |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit();
/// The maker's letters, then two letters and two letters or digits: `IWAP01`, `TRVYP14`, `IWAPHT`.
const IW: &[fn(&u8) -> bool] = &[|b| *b == b'I', |b| *b == b'W', LETTER, LETTER, SIGN, SIGN];
const TRV: &[fn(&u8) -> bool] = &[|b| *b == b'T', |b| *b == b'R', |b| *b == b'V', LETTER, LETTER, SIGN, SIGN];
/// Letters and digits of a command.
const COMMAND_CHARS: usize = 4;

fn start(bytes: &[u8]) -> Start {
    match (shaped(bytes, IW), shaped(bytes, TRV)) {
        (Start::No, other) | (other, Start::No) => other,
        _ => Start::Perhaps,
    }
}

/// Maker, command and what follows.
pub(super) fn parts(frame: &[u8]) -> Option<(&str, &str, &[u8])> {
    if start(frame) != Start::Header {
        return None;
    }
    let maker = if frame.starts_with(b"IW") { 2 } else { 3 };
    let (head, rest) = frame.split_at_checked(maker + COMMAND_CHARS)?;
    let (maker, command) = std::str::from_utf8(head).ok()?.split_at_checked(maker)?;
    Some((maker, command, rest))
}

/// From a header to `#`. Another header on the way means that the end of the first frame was lost.
#[derive(Default)]
pub(super) struct Hash {
    at: usize,
}

impl Rule for Hash {
    fn cut(&mut self, held: &[u8], last: bool) -> Cut {
        if self.at == 0 {
            match start(held) {
                Start::Header => self.at = 1,
                Start::Perhaps if !last => return Cut::Wait,
                _ if blank(held) > 0 => return Cut::Pass(blank(held)),
                _ => return Cut::Skip(before(held, |rest| start(rest) != Start::No), "no header"),
            }
        }
        while let Some(rest) = held.get(self.at..).filter(|rest| !rest.is_empty()) {
            match (rest.first(), start(rest)) {
                (Some(b'#'), _) => return Cut::Frame(self.at + 1),
                (_, Start::Header) => return Cut::Skip(self.at, "no end"),
                (_, Start::Perhaps) if !last => return Cut::Wait,
                _ => self.at += 1,
            }
        }
        if last { Cut::Skip(held.len(), "no end") } else { Cut::Wait }
    }
}
