//! The words of a page: sentences for chats, variables for the approved templates of SMS and calls, and telephone numbers.
//!
//! Masked name, kind, time and code; no value, no address. A variable never holds a link: providers refuse the message.

use jiff::tz::Offset;
use model::Time;
use serde::{Deserialize, Serialize};

use super::{Message, Recipient};

/// A variable of an approved template, in characters; longer ones are cut.
const VARIABLE_CHARS_MAX: usize = 35;
/// What stands for something that is not known: an empty variable is refused.
const NONE: &str = "-";

/// What a variable of an approved template is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The masked name of the elder.
    Elder,
    /// What happened: 紧急呼叫.
    Kind,
    /// 紧急, 高, 关注, 技术.
    Priority,
    /// When it began: `11-22 14:03`.
    Time,
    /// The digits to answer with.
    Code,
    /// The number of the page.
    Page,
}

/// One variable, in the recipient's language.
pub(crate) fn variable(message: &Message, to: &Recipient, word: Word) -> String {
    let text = match word {
        Word::Elder => message.elder.clone(),
        Word::Kind => kind(message, to).to_owned(),
        Word::Priority => priority(message, to).to_owned(),
        Word::Time => time(message.at),
        Word::Code => message.code.clone().unwrap_or_default(),
        Word::Page => message.page.to_string(),
    };
    let plain: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).take(VARIABLE_CHARS_MAX).collect();
    let plain = plain.trim();
    if plain.is_empty() { NONE.to_owned() } else { plain.to_owned() }
}

/// Nothing a link is made of, and nothing a template engine would read.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || " *-:%".contains(c)
}

/// The head of a message in a chat: `P1 紧急 紧急呼叫`.
pub(crate) fn title(message: &Message, to: &Recipient) -> String {
    let test = match (message.test, is_english(to)) {
        (false, _) => "",
        (true, false) => "【测试】",
        (true, true) => "TEST ",
    };
    let slug = message.priority.slug();
    line(&format!("{test}{slug} {} {}", priority(message, to), kind(message, to)))
}

/// The rest of a message in a chat. The number of the attempt makes every text another one: a provider that drops doubles
/// would otherwise swallow a second page.
pub(crate) fn body(message: &Message, to: &Recipient) -> String {
    let (page, attempt, at) = (message.page, message.attempt, time(message.at));
    let elder = if message.elder.is_empty() { NONE } else { &message.elder };
    line(&if is_english(to) {
        format!("{elder}, {at}. 守望 Vigil page {page}-{attempt}")
    } else {
        format!("{elder},{at}。守望寻呼 {page}-{attempt}")
    })
}

/// The whole message into a group: the page to open (signing in is asked there), never the link or code that answers for one
/// person.
pub(crate) fn group(message: &Message, to: &Recipient) -> String {
    format!("{}\n{}\n{}", title(message, to), body(message, to), message.ack_url)
}

/// Asks for the answer by digits. Only to one person: in a group anybody could answer.
pub(crate) fn code(message: &Message, to: &Recipient) -> Option<String> {
    let code = message.code.as_deref()?;
    Some(if is_english(to) { format!("Answer code {code}") } else { format!("回复码 {code}") })
}

pub(crate) fn is_english(to: &Recipient) -> bool {
    to.language == "en"
}

fn kind<'a>(message: &'a Message, to: &Recipient) -> &'a str {
    let words = if is_english(to) { &message.title_en } else { &message.title_zh };
    if words.is_empty() { &message.kind } else { words }
}

fn priority(message: &Message, to: &Recipient) -> &'static str {
    if is_english(to) { message.priority.en() } else { message.priority.zh() }
}

/// Month, day, hour and minute in Asia/Shanghai (UTC+8, no daylight saving).
fn time(at: Time) -> String {
    let Ok(stamp) = jiff::Timestamp::from_microsecond(at.micros()) else { return NONE.to_owned() };
    let wall = Offset::constant(8).to_datetime(stamp);
    format!("{:02}-{:02} {:02}:{:02}", wall.month(), wall.day(), wall.hour(), wall.minute())
}

/// One line: no control characters, and none by which a chat's markup begins.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "<>[]()`#|_~\\&".contains(c) { ' ' } else { c }).collect()
}

/// Cut to so many bytes, at a character.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A mobile number of the mainland without its prefix: eleven digits.
pub(crate) fn mobile(phone: &str) -> Option<String> {
    let digits = national(phone)?;
    let mut bytes = digits.bytes();
    let fits =
        digits.len() == 11 && bytes.next() == Some(b'1') && bytes.next().is_some_and(|b| (b'3'..=b'9').contains(&b));
    fits.then_some(digits)
}

/// A number that can be called: a mobile one, or a line with its area code (`02112345678`).
pub(crate) fn callable(phone: &str) -> Option<String> {
    mobile(phone)
        .or_else(|| national(phone).filter(|digits| digits.starts_with('0') && (10..=12).contains(&digits.len())))
}

/// The same in the form of E.164.
pub(crate) fn e164(national: &str) -> String {
    format!("+86{}", national.strip_prefix('0').unwrap_or(national))
}

fn national(phone: &str) -> Option<String> {
    let bare: String = phone.chars().filter(|c| !" -()".contains(*c)).collect();
    let rest = ["+86", "0086"].iter().find_map(|prefix| bare.strip_prefix(prefix)).unwrap_or(&bare);
    let rest = rest.strip_prefix("86").filter(|digits| digits.len() == 11).unwrap_or(rest);
    (!rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())).then(|| rest.to_owned())
}

/// A person's id in a chat service: nothing that stands for more than one person (`@all`, `a|b`), nothing a text would read.
pub(crate) fn chat_id(to: &Recipient) -> Option<&str> {
    let id = to.address.as_deref()?;
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@".contains(&b));
    (fits && !id.starts_with('@')).then_some(id)
}

#[cfg(test)]
mod tests {
    use model::{AlarmId, PageId, PersonId, Priority};

    use super::*;

    fn message() -> Message {
        Message {
            page: PageId(7),
            alarm: AlarmId(1),
            attempt: 2,
            priority: Priority::P1,
            kind: "sos".into(),
            title_zh: "紧急呼叫".into(),
            title_en: "SOS".into(),
            elder: "王*明".into(),
            at: Time::parse("2026-11-22T14:03:59+08:00").unwrap(),
            ack_url: "https://vigil.example.org/phone/pages/7".into(),
            code: Some("4821".into()),
            tap_url: None,
            test: false,
        }
    }

    fn to(language: &str, address: Option<&str>) -> Recipient {
        let address = address.map(str::to_owned);
        Recipient { person: PersonId(1), phone: "13800000000".into(), address, language: language.into() }
    }

    #[test]
    fn a_page_in_words() {
        let (zh, en) = (to("zh", None), to("en", None));
        assert_eq!(title(&message(), &zh), "P1 紧急 紧急呼叫");
        assert_eq!(body(&message(), &zh), "王*明,11-22 14:03。守望寻呼 7-2");
        assert_eq!(body(&message(), &en), "王*明, 11-22 14:03. 守望 Vigil page 7-2");
        assert_eq!(code(&message(), &zh).as_deref(), Some("回复码 4821"));
        let test = Message { test: true, ..message() };
        assert_eq!(title(&test, &zh), "【测试】P1 紧急 紧急呼叫");
        assert_eq!(title(&test, &en), "TEST P1 Urgent SOS");
    }

    #[test]
    fn variables_hold_no_link_and_are_never_empty() {
        let zh = to("zh", None);
        let odd = Message {
            title_zh: "见 https://evil.example/?a={b}&c".into(),
            elder: String::new(),
            code: None,
            ..message()
        };
        let kind = variable(&odd, &zh, Word::Kind);
        assert!(!kind.contains(['/', '.', '?', '{', '&']), "{kind}");
        assert_eq!(variable(&odd, &zh, Word::Elder), "-");
        assert_eq!(variable(&odd, &zh, Word::Code), "-");
        assert_eq!(variable(&message(), &zh, Word::Time), "11-22 14:03");
        let long = Message { title_zh: "长".repeat(99), ..message() };
        assert_eq!(variable(&long, &zh, Word::Kind).chars().count(), VARIABLE_CHARS_MAX);
    }

    #[test]
    fn numbers_in_any_writing() {
        for text in ["13800000000", "+8613800000000", "0086 138-0000-0000", "8613800000000"] {
            assert_eq!(mobile(text).as_deref(), Some("13800000000"), "{text}");
        }
        for text in ["", "1380000000", "12800000000", "+1 555 0100", "021-12345678", "13800000000,13900000000"] {
            assert_eq!(mobile(text), None, "{text}");
        }
        assert_eq!(callable("021-12345678").as_deref(), Some("02112345678"));
        assert_eq!(e164("02112345678"), "+862112345678");
        assert_eq!(e164("13800000000"), "+8613800000000");
    }

    #[test]
    fn an_id_is_one_person() {
        assert_eq!(chat_id(&to("zh", Some("li.doctor-1@cd"))), Some("li.doctor-1@cd"));
        for bad in [Some("@all"), Some("a|b"), Some(""), Some("a b"), Some("<at>"), None] {
            assert_eq!(chat_id(&to("zh", bad)), None, "{bad:?}");
        }
        assert_eq!(cut("张三丰", 7), "张三");
    }
}
