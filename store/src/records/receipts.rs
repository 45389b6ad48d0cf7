//! What comes back for a page: receipts of providers, and answers of people by SMS, key press, code or link.
//!
//! Everything here may come twice, late or out of order: nothing is done twice, and nothing goes back.

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::{PageId, PersonId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::actions::Act;
use super::answers::take_over;
use super::error::{ActionError, Error, Result};
use super::pages::page_row;
use super::view::PageView;
use super::{Records, limit_of, rows};

/// Of a code's digits: as few as keep it unlikely that a wrong one meets a page.
const CODE_DIGITS: std::ops::RangeInclusive<u32> = 4..=6;
/// Tries to find a free code of one length.
const CODE_TRIES: u32 = 20;
/// A reply means a page that was sent at most so long before it, in µs.
const REPLY_WITHIN_US: i64 = 48 * 3_600_000_000;
/// Pages looked at for one reply.
const REPLY_PAGES_MAX: usize = 50;

/// What a person says to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Accept,
    Decline,
    /// It is a false alarm. The person has it all the same: an outcome is still to be written.
    MarkFalse,
}

/// What became of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replied {
    /// Done, on this page.
    Done(PageId),
    /// It was taken before.
    Before,
    /// No page of this person waits.
    NoPage,
    /// The page could not be answered so: somebody else has it, or it is over.
    Refused(String),
}

/// SQL: the page `g` of the alarm `a` still takes an answer.
const LIVE: &str = "g.state NOT IN ('accepted', 'declined', 'superseded', 'marked_false') AND \
     a.handling NOT IN ('resolved', 'closed', 'void')";

/// Names a reply for good in a fixed length: a provider's number may be long, and may hold a telephone number.
fn once(channel: &str, key: &str) -> String {
    super::hex(&Sha256::digest(format!("{channel}/{key}").as_bytes()))
}

impl Records {
    /// A provider's word about a message: `Delivered`, `Read` or `PermFailed`. `false`: no page has this reference. Twice, late or
    /// in the wrong order it changes nothing; a failure goes on by the next channel, once.
    pub fn page_receipt(&self, channel: &str, provider_ref: &str, state: PageState, at: Time) -> Result<bool> {
        let from: &[PageState] = match state {
            PageState::Read => &[
                PageState::Sending,
                PageState::ProviderAccepted,
                PageState::InDoubt,
                PageState::Delivered,
                PageState::Expired,
            ],
            PageState::Delivered | PageState::PermFailed => {
                &[PageState::Sending, PageState::ProviderAccepted, PageState::InDoubt, PageState::Expired]
            }
            _ => return Err(Error::Invalid("a receipt says delivered, read or failed".into())),
        };
        self.write(|tx| {
            let page: Option<i64> = tx
                .prepare_cached(
                    "SELECT id FROM page WHERE channel = ?1 AND provider_ref = ?2 ORDER BY id DESC LIMIT 1",
                )?
                .query_row(params![channel, provider_ref], |row| row.get(0))
                .optional()?;
            let Some(page) = page.map(|page| PageId(page as u64)) else { return Ok(false) };
            let row = page_row(tx, page)?.ok_or(Error::NotFound("page"))?;
            if !from.contains(&row.state) {
                return Ok(true);
            }
            tx.execute(
                "UPDATE page SET state = ?2, due_at = NULL, updated_at = ?3 WHERE id = ?1",
                params![page.0 as i64, state.slug(), tx.now.0],
            )?;
            tx.pages = true;
            let told = json!({ "person": row.person.name, "channel": row.channel, "receipt": state, "at": at });
            match state {
                // The next channel had its turn when the receipt was overdue.
                PageState::PermFailed if row.state == PageState::Expired => Ok(true),
                PageState::PermFailed => {
                    tx.event(row.alarm, AlarmEventKind::PageFailed, None, told)?;
                    tx.next_channel(&row)?;
                    Ok(true)
                }
                _ => {
                    tx.event(row.alarm, AlarmEventKind::PageSent, None, told)?;
                    Ok(true)
                }
            }
        })
    }

    /// The digits that name this page as long as it waits, the same at every call.
    pub fn page_code(&self, page: PageId) -> Result<String> {
        self.write(|tx| {
            let known: Option<String> = tx
                .prepare_cached("SELECT code FROM page_code WHERE page = ?1")?
                .query_row([page.0 as i64], |row| row.get(0))
                .optional()?;
            if let Some(code) = known {
                return Ok(code);
            }
            for digits in CODE_DIGITS {
                for _ in 0..CODE_TRIES {
                    let code = random_digits(digits)?;
                    if live_page_of(tx, &code)?.is_some() {
                        continue;
                    }
                    // What it named before is over.
                    tx.execute("DELETE FROM page_code WHERE code = ?1", [&code])?;
                    tx.execute(
                        "INSERT INTO page_code (page, code, issued_at) VALUES (?1, ?2, ?3)",
                        params![page.0 as i64, code, tx.now.0],
                    )?;
                    return Ok(code);
                }
            }
            Err(Error::TooMany { what: "pages that wait", limit: 10_usize.pow(*CODE_DIGITS.end()) })
        })
    }

    /// The waiting page that these digits name, and whom it went to.
    pub fn page_of_code(&self, code: &str) -> Result<Option<(PageId, PersonId)>> {
        self.read(|conn| live_page_of(conn, code))
    }

    /// The person answers their page. As `accept_page` and `decline_page`, and a false alarm.
    pub fn answer_page(
        &self,
        page: PageId,
        by: PersonId,
        reply: Reply,
        key: Option<&str>,
    ) -> Result<PageView, ActionError> {
        match reply {
            Reply::Accept => self.accept_page(page, by, key),
            Reply::Decline => self.decline_page(page, by, "", key),
            Reply::MarkFalse => self.mark_false(page, by, key),
        }
    }

    /// The paged person says that it is a false alarm. Nobody else is paged, and they have it: the outcome is still to be written,
    /// by them or by a dispatcher.
    pub fn mark_false(&self, page: PageId, by: PersonId, key: Option<&str>) -> Result<PageView, ActionError> {
        self.act_page(page, &Act { by, key, action: "mark_false" }, |tx, row, view| {
            take_over(tx, row, view, by)?;
            tx.execute("UPDATE page SET state = 'marked_false' WHERE id = ?1", [row.id.0 as i64])?;
            let told = json!({ "note": "误报 / false alarm", "channel": row.channel });
            tx.event(view.id, AlarmEventKind::Note, Some(by), told)?;
            Ok(())
        })
    }

    /// An answer that came by SMS: by its code, else it means the page that went to this number last before `sent_at`. `key` is
    /// the provider's number for the reply.
    pub fn reply_from(
        &self,
        channel: &str,
        phone: &str,
        code: Option<&str>,
        reply: Reply,
        at: ReplyAt<'_>,
    ) -> Result<Replied> {
        let found = self.read(|conn| waiting_pages(conn, channel, at.sent_at))?;
        let mut mine = found.into_iter().filter(|waiting| same_phone(&waiting.phone, phone));
        let page = match code {
            Some(code) => mine.find(|waiting| waiting.code.as_deref() == Some(code)),
            None => mine.next(),
        };
        let Some(Waiting { page, person, .. }) = page else { return Ok(Replied::NoPage) };
        self.replied(page, person, reply, &once(channel, at.key))
    }

    /// An answer to the page that has this reference: a key pressed during a call, a button.
    pub fn reply_to(&self, channel: &str, provider_ref: &str, reply: Reply, key: &str) -> Result<Replied> {
        let found = self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT id, person FROM page WHERE channel = ?1 AND provider_ref = ?2 ORDER BY id DESC LIMIT 1",
            )?;
            let mut found = rows(query.query(params![channel, provider_ref])?, |row| {
                Ok((PageId(row.get::<_, i64>(0)? as u64), PersonId(row.get(1)?)))
            })?;
            Ok(found.pop())
        })?;
        let Some((page, person)) = found else { return Ok(Replied::NoPage) };
        self.replied(page, person, reply, &once(channel, key))
    }

    /// `key` makes it once: the same reply again, which may seem to mean another page by now, is refused by it.
    fn replied(&self, page: PageId, person: PersonId, reply: Reply, key: &str) -> Result<Replied> {
        match self.answer_page(page, person, reply, Some(key)) {
            Ok(view) => Ok(Replied::Done(view.id)),
            Err(ActionError::KeyReused) => Ok(Replied::Before),
            Err(ActionError::Store(error)) => Err(error),
            Err(refused) => Ok(Replied::Refused(refused.to_string())),
        }
    }
}

/// When a reply was sent, and the provider's number for it.
#[derive(Clone, Copy, Debug)]
pub struct ReplyAt<'a> {
    pub sent_at: Time,
    pub key: &'a str,
}

struct Waiting {
    page: PageId,
    person: PersonId,
    phone: String,
    code: Option<String>,
}

/// Pages by this channel that wait for an answer and were sent before `sent_at`, newest first.
fn waiting_pages(conn: &Connection, channel: &str, sent_at: Time) -> Result<Vec<Waiting>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT g.id, g.person, p.phone, c.code FROM page g JOIN alarm a ON a.id = g.alarm JOIN person p ON p.id = g.person \
         LEFT JOIN page_code c ON c.page = g.id WHERE g.channel = ?1 AND g.attempts > 0 AND g.queued_at <= ?2 AND \
         g.queued_at > ?3 AND {LIVE} ORDER BY g.id DESC LIMIT ?4"
    ))?;
    let since = sent_at.plus_us(-REPLY_WITHIN_US);
    rows(query.query(params![channel, sent_at.0, since.0, limit_of(REPLY_PAGES_MAX * 20)])?, |row| {
        Ok(Waiting {
            page: PageId(row.get::<_, i64>(0)? as u64),
            person: PersonId(row.get(1)?),
            phone: row.get(2)?,
            code: row.get(3)?,
        })
    })
}

fn live_page_of(conn: &Connection, code: &str) -> Result<Option<(PageId, PersonId)>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT g.id, g.person FROM page_code c JOIN page g ON g.id = c.page JOIN alarm a ON a.id = g.alarm \
         WHERE c.code = ?1 AND {LIVE} ORDER BY g.id DESC LIMIT 1"
    ))?;
    let mut found =
        rows(query.query([code])?, |row| Ok((PageId(row.get::<_, i64>(0)? as u64), PersonId(row.get(1)?))))?;
    Ok(found.pop())
}

/// The same mobile number, with or without the prefix of China.
fn same_phone(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").unwrap_or(&digits).to_owned();
        match digits.strip_prefix("86") {
            Some(rest) if rest.len() == 11 => rest.to_owned(),
            _ => digits,
        }
    };
    let (one, other) = (bare(one), bare(other));
    !one.is_empty() && one == other
}

fn random_digits(digits: u32) -> Result<String> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|_| Error::Invalid("the system gives no random bytes".into()))?;
    let number = u64::from_le_bytes(bytes) % 10_u64.pow(digits);
    Ok(format!("{number:0width$}", width = digits as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_with_and_without_its_prefix() {
        for other in ["13800000000", "+8613800000000", "008613800000000", "8613800000000", "138 0000 0000"] {
            assert!(same_phone("13800000000", other), "{other}");
        }
        for other in ["13800000001", "", "3800000000", "86", "+85213800000000"] {
            assert!(!same_phone("13800000000", other), "{other}");
        }
        assert!(!same_phone("", ""), "no number is nobody's");
    }
}
