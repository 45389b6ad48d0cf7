//! What a provider's answer means for a page: a table of codes a provider, one way to read it.
//!
//! A chat service says "no" with HTTP 200, so the code in the body decides and the status only where there is none.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::http::{Answer, retry_after};
use super::{Fate, Sent};

/// Asia/Shanghai is ahead of UTC by so much; it has had no daylight saving since 1991.
const SHANGHAI_S: i64 = 8 * 3_600;
const DAY_S: i64 = 86_400;
/// Of a provider's code so much is kept for the operator.
const CODE_CHARS_MAX: usize = 80;

/// What one code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Passes by itself.
    Retry,
    /// The same, not before so many seconds.
    RetryAfter(u64),
    /// This number or id cannot be reached.
    Person,
    /// A limit of this person (of this robot) is used up for so many seconds.
    PersonFor(u64),
    /// The same until midnight in Asia/Shanghai.
    PersonToday,
    /// Somebody has to change the set-up, or to pay.
    Config,
}

/// Code (a `*` at its end stands for anything), class, and our words for it.
pub(crate) type Codes = [(&'static str, Class, &'static str)];

/// The row of a code: an exact one before one with a star, an earlier before a later.
pub(crate) fn find<'a>(codes: &'a Codes, code: &str) -> Option<(Class, &'a str)> {
    let exact = codes.iter().find(|row| row.0 == code);
    let starred = || codes.iter().find(|row| row.0.strip_suffix('*').is_some_and(|start| code.starts_with(start)));
    exact.or_else(starred).map(|row| (row.1, row.2))
}

/// What a code that is not "success" means. An unknown one passes by itself when the status says so (5xx); otherwise the
/// provider has refused for a reason we do not know, and waiting would not change it.
pub(crate) fn refused(codes: &Codes, code: &str, answer: &Answer, now: model::Time) -> Sent {
    let shown: String =
        code.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(CODE_CHARS_MAX).collect();
    if let Some((class, words)) = find(codes, code) {
        return Sent::new(fate(class, answer, now), format!("{shown}: {words}"));
    }
    let fate = match by_status(answer).fate {
        Fate::InDoubt => Fate::Misconfigured,
        fate => fate,
    };
    Sent::new(fate, format!("{shown} (HTTP {}): not in our list", answer.status.as_u16()))
}

fn fate(class: Class, answer: &Answer, now: model::Time) -> Fate {
    match class {
        Class::Retry => Fate::Retry { after: retry_after(&answer.headers) },
        Class::RetryAfter(seconds) => Fate::Retry { after: Some(Duration::from_secs(seconds)) },
        Class::Person => Fate::RefusedPerson { until: None },
        Class::PersonFor(seconds) => Fate::RefusedPerson { until: Some(Duration::from_secs(seconds)) },
        Class::PersonToday => Fate::RefusedPerson { until: Some(until_midnight(now)) },
        Class::Config => Fate::Misconfigured,
    }
}

fn until_midnight(now: model::Time) -> Duration {
    let passed = (now.secs() + SHANGHAI_S).rem_euclid(DAY_S);
    Duration::from_secs((DAY_S - passed) as u64)
}

/// The body in the provider's form; otherwise what the status alone means.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Sent> {
    serde_json::from_slice(&answer.body).map_err(|_| by_status(answer))
}

/// An answer whose body says nothing. With a status of success it may have been sent.
pub(crate) fn by_status(answer: &Answer) -> Sent {
    let status = answer.status.as_u16();
    match status {
        200..=299 => Sent::new(Fate::InDoubt, format!("HTTP {status} with an answer that is not the provider's")),
        408 | 429 | 500..=599 => {
            Sent::new(Fate::Retry { after: retry_after(&answer.headers) }, format!("HTTP {status}"))
        }
        _ => Sent::new(Fate::Misconfigured, format!("HTTP {status}")),
    }
}

/// The provider has it, by its own word. A word of success under a status of failure is in doubt.
pub(crate) fn accepted(answer: &Answer, provider_ref: Option<String>) -> Sent {
    if !answer.status.is_success() {
        return Sent::new(Fate::InDoubt, format!("success with HTTP {}", answer.status.as_u16()));
    }
    let provider_ref = provider_ref.filter(|name| !name.is_empty() && name.len() <= 200);
    Sent { provider_ref, ..Sent::new(Fate::Accepted, "accepted") }
}

#[cfg(test)]
mod tests {
    use model::Time;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    const CODES: &Codes = &[
        ("isv.LIMIT", Class::PersonToday, "used up"),
        ("isv.*", Class::Config, "refused"),
        ("busy", Class::Retry, "busy"),
    ];

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    #[test]
    fn the_code_decides_and_the_status_only_where_there_is_none_we_know() {
        let noon = Time::parse("2026-11-22T12:00:00+08:00").unwrap();
        let fate = |code: &str, status| refused(CODES, code, &answer(status, ""), noon).fate;
        assert_eq!(fate("isv.LIMIT", 500), Fate::RefusedPerson { until: Some(Duration::from_hours(12)) });
        assert_eq!(fate("isv.ELSE", 200), Fate::Misconfigured);
        assert_eq!(fate("busy", 400), Fate::Retry { after: None });
        assert_eq!(fate("new", 200), Fate::Misconfigured);
        assert_eq!(fate("new", 503), Fate::Retry { after: None });
    }

    #[test]
    fn nothing_but_a_code_is_repeated() {
        let sent = refused(CODES, "x y<b>13800000000?token=1\n", &answer(200, ""), Time::from_secs(0));
        assert!(!sent.detail.contains(['<', '\n', '?', '=']), "{}", sent.detail);
    }

    #[test]
    fn without_a_word_the_status_decides() {
        for (status, expected) in [
            (200, Fate::InDoubt),
            (204, Fate::InDoubt),
            (302, Fate::Misconfigured),
            (404, Fate::Misconfigured),
            (408, Fate::Retry { after: None }),
            (429, Fate::Retry { after: None }),
            (502, Fate::Retry { after: None }),
        ] {
            assert_eq!(by_status(&answer(status, "<html>")).fate, expected, "{status}");
        }
        assert_eq!(accepted(&answer(500, ""), None).fate, Fate::InDoubt);
        assert_eq!(accepted(&answer(200, ""), Some(String::new())).provider_ref, None);
    }
}
