//! Frames of the 3G protocol: `[MM*ID*LEN*CMD,..]`, with an index before LEN from some makers.
//!
//! LEN is a hint: it is wrong in a third of published samples. A frame ends where its brackets balance, or where LEN says
//! when a bracket closes there. A name of a Wi-Fi network may hold a lone bracket: then the next header ends the frame.

use crate::watch::scan::{Cut, Rule, Start, before, blank};

/// Longest id, digits. IMEI has 15.
const ID_DIGITS_MAX: usize = 20;
/// Before 1 to 5 in binary content.
const ESCAPE: u8 = 0x7D;
/// Digits of LEN and of the index.
const HEX_DIGITS: usize = 4;

/// What stands before the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) maker: &'a str,
    pub(super) id: &'a str,
    /// Number of the frame, where the maker sends one (ZJ).
    pub(super) index: Option<&'a str>,
    /// Length of the content as declared.
    pub(super) declared: Option<usize>,
    /// Where the content starts.
    pub(super) content: usize,
}

/// `[MM*digits*`: two letters or digits, the id, and a star on either side of it.
fn start(bytes: &[u8]) -> Start {
    for (at, byte) in bytes.iter().enumerate() {
        let fits = match at {
            0 => *byte == b'[',
            1 | 2 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            3 => *byte == b'*',
            4 => byte.is_ascii_digit(),
            _ if *byte == b'*' => return Start::Header,
            _ => byte.is_ascii_digit() && at < 4 + ID_DIGITS_MAX,
        };
        if !fits {
            return Start::No;
        }
    }
    Start::Perhaps
}

/// The header at the start of `bytes`, as far as it can be read.
pub(super) fn head(bytes: &[u8]) -> Option<Head<'_>> {
    if start(bytes) != Start::Header {
        return None;
    }
    let text = |from: usize, to: usize| std::str::from_utf8(bytes.get(from..to)?).ok();
    let star = 4 + bytes.iter().skip(4).position(|byte| *byte == b'*')?;
    let (maker, id) = (text(1, 3)?, text(4, star)?);
    let group = |at: usize| {
        let digits = text(at, at + HEX_DIGITS).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits.filter(|_| bytes.get(at + HEX_DIGITS) == Some(&b'*'))
    };
    let length = |digits: &str| usize::from_str_radix(digits, 16).ok();
    let first = group(star + 1);
    let second = first.and(group(star + 2 + HEX_DIGITS));
    Some(match (first, second) {
        (Some(index), Some(declared)) => {
            let content = star + 3 + 2 * HEX_DIGITS;
            Head { maker, id, index: Some(index), declared: length(declared), content }
        }
        (Some(declared), None) => {
            Head { maker, id, index: None, declared: length(declared), content: star + 2 + HEX_DIGITS }
        }
        _ => Head { maker, id, index: None, declared: None, content: star + 1 },
    })
}

/// Undoes the escapes of binary content. Other bytes after 7D stay: some firmware does not escape at all.
pub(super) fn unescaped(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len());
    let mut rest = content;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [ESCAPE, code, ..] => b"}[],*".get(usize::from(*code).wrapping_sub(1)),
            _ => None,
        };
        plain.push(*escaped.unwrap_or(first));
        rest = if escaped.is_some() { tail.get(1..).unwrap_or_default() } else { tail };
    }
    plain
}

/// Follows the brackets of one frame.
#[derive(Default)]
pub(super) struct Brackets {
    at: usize,
    depth: u32,
    /// Escapes seen: each makes the content one byte shorter than it is on the wire.
    escapes: usize,
}

impl Rule for Brackets {
    fn cut(&mut self, held: &[u8], last: bool) -> Cut {
        if self.at == 0 {
            match start(held) {
                Start::Header => (self.at, self.depth) = (1, 1),
                Start::Perhaps if !last => return Cut::Wait,
                _ if blank(held) > 0 => return Cut::Pass(blank(held)),
                _ => return Cut::Skip(before(held, |rest| start(rest) != Start::No), "no header"),
            }
        }
        while let Some(rest) = held.get(self.at..).filter(|rest| !rest.is_empty()) {
            match (rest.first(), start(rest)) {
                (Some(b'['), Start::Header) => return ended(held, self.at),
                (Some(b'['), Start::Perhaps) if !last => return Cut::Wait,
                (Some(b'['), _) => self.depth += 1,
                (Some(b']'), _) => {
                    self.depth -= 1;
                    if self.depth == 0 || self.as_declared(held) {
                        return Cut::Frame(self.at + 1);
                    }
                }
                (Some(1..=5), _) if held.get(self.at - 1) == Some(&ESCAPE) => self.escapes += 1,
                _ => {}
            }
            self.at += 1;
        }
        if last { ended(held, held.len()) } else { Cut::Wait }
    }
}

/// A frame whose brackets did not balance ends before the next header, or in silence, if a bracket closes there.
fn ended(held: &[u8], at: usize) -> Cut {
    let whole = held.get(..at).unwrap_or_default().trim_ascii_end();
    if whole.ends_with(b"]") { Cut::Frame(whole.len()) } else { Cut::Skip(at, "no end") }
}

impl Brackets {
    /// The bracket at hand closes where LEN says, counted with or without escapes.
    fn as_declared(&self, held: &[u8]) -> bool {
        let Some(Head { content, declared: Some(declared), .. }) = head(held) else { return false };
        let length = self.at.saturating_sub(content);
        length == declared || length.checked_sub(self.escapes) == Some(declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::scan::framer;
    use crate::{Framed, hex};

    #[test]
    fn headers_with_and_without_index() {
        let head_of = |text: &'static str| head(text.as_bytes()).unwrap();
        let zj = head_of("[ZJ*689466020014198*0003*0113*AL,2");
        assert_eq!((zj.id, zj.index, zj.declared, zj.content), ("689466020014198", Some("0003"), Some(0x113), 30));
        let plain = head_of("[3G*6005412902*0007*heart,0]");
        assert_eq!((plain.maker, plain.index, plain.declared, plain.content), ("3G", None, Some(7), 20));
        assert_eq!(head_of("[3G*6005412902*x*LK]").declared, None);
        assert_eq!(head(b"[3G*600541290"), None);
    }

    #[test]
    fn escapes_of_binary_content() {
        assert_eq!(hex(&unescaped(&[0x7D, 1, 0x7D, 2, 0x7D, 3, 0x7D, 4, 0x7D, 5, 0x7D, 6, 0x7D])), "7d5b5d2c2a7d067d");
    }

    fn frames(stream: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut framer = framer::<Brackets>();
        framer.push(stream.as_bytes(), &mut found);
        framer.silent(&mut found);
        found
            .into_iter()
            .filter_map(|part| match part {
                Framed::Frame(bytes) => Some(String::from_utf8(bytes).unwrap()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_lone_bracket_costs_nothing_more_than_its_frame() {
        let ssid = "[3G*1*00DD*UD,010120,my[ssid,0.0]";
        assert_eq!(frames(&format!("{ssid}[3G*1*0002*LK]")), [ssid, "[3G*1*0002*LK]"]);
        // LEN is right: the frame ends at once.
        assert_eq!(frames("[3G*1*0004*a[bc]x[3G*1*0002*LK]"), ["[3G*1*0004*a[bc]", "[3G*1*0002*LK]"]);
        // The closing bracket is lost, and LEN says nothing.
        assert_eq!(frames("[3G*1*0009*UD,01[3G*1*0002*LK]"), ["[3G*1*0002*LK]"]);
        assert_eq!(frames("zz]][[3G[3G*1*0002*LK]\r\n[SG*2*0002*LK]"), ["[3G*1*0002*LK]", "[SG*2*0002*LK]"]);
    }
}
