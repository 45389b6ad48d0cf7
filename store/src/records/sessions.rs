//! Signing in and out. Passwords are compared with Argon2id; only the SHA-256 of a session's token is stored.

use model::{PersonId, Time};
use rusqlite::{OptionalExtension, params};

use super::error::{LoginError, Result};
use super::people::{PERSON_SELECT, Person, password_fits, read_person};
use super::{Records, new_token, rows, token_sha256};

/// A session ends this long after it was last used, in µs.
pub const SESSION_IDLE_US: i64 = 12 * 3_600_000_000;
/// A use is written at most this often, in µs: a request is not a disk write.
const SEEN_EVERY_US: i64 = 5 * 60_000_000;
/// Wrong passwords in a row before the account is locked.
const FAILURES_MAX: i64 = 5;
/// How long it stays locked, in µs.
const LOCK_US: i64 = 15 * 60_000_000;
/// Sessions one person may have; the oldest ends when there are more.
const SESSIONS_PER_PERSON_MAX: i64 = 10;

/// The secret a browser keeps. Never logged, never stored as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(pub String);

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// What a sign-in compares with.
struct Account {
    id: PersonId,
    hash: String,
    locked_until: Option<Time>,
}

impl Records {
    /// Takes tens of milliseconds on purpose (Argon2id). Five failures in a row lock the login for 15 minutes; the
    /// right password then also answers `Locked`.
    pub fn login(&self, login: &str, password: &str) -> Result<(Person, SessionToken), LoginError> {
        let account = self.read(|conn| {
            let found = conn
                .prepare_cached("SELECT id, password, locked_until FROM person WHERE login = ?1 AND disabled = FALSE")?
                .query_row([login], |row| {
                    Ok(Account {
                        id: PersonId(row.get(0)?),
                        hash: row.get(1)?,
                        locked_until: row.get::<_, Option<i64>>(2)?.map(Time),
                    })
                })
                .optional()?;
            Ok(found)
        })?;
        let Some(account) = account else {
            password_fits(password, &self.0.decoy_password);
            return Err(LoginError::BadCredentials);
        };
        if let Some(until) = account.locked_until.filter(|until| *until > self.now()) {
            return Err(LoginError::Locked { until });
        }
        if password_fits(password, &account.hash) { self.sign_in(account.id) } else { self.count_failure(account.id) }
    }

    fn sign_in(&self, person: PersonId) -> Result<(Person, SessionToken), LoginError> {
        let (token, sha256) = new_token()?;
        self.write(|tx| {
            // Failures of other attempts may have locked it while the password was being compared.
            let until: Option<i64> =
                tx.query_row("SELECT locked_until FROM person WHERE id = ?1", [person.0], |row| row.get(0))?;
            if let Some(until) = until.map(Time).filter(|until| *until > tx.now) {
                return Err(LoginError::Locked { until });
            }
            tx.execute("UPDATE person SET failures = 0, locked_until = NULL WHERE id = ?1", [person.0])?;
            tx.execute("DELETE FROM session WHERE seen_at < ?1", [tx.now.plus_us(-SESSION_IDLE_US).0])?;
            tx.execute(
                "DELETE FROM session WHERE person = ?1 AND token_sha256 NOT IN \
                 (SELECT token_sha256 FROM session WHERE person = ?1 ORDER BY seen_at DESC LIMIT ?2)",
                params![person.0, SESSIONS_PER_PERSON_MAX - 1],
            )?;
            tx.execute(
                "INSERT INTO session (token_sha256, person, created_at, seen_at) VALUES (?1, ?2, ?3, ?3)",
                params![sha256, person.0, tx.now.0],
            )?;
            super::audit::write(tx, Some(person), "login", &format!("person/{person}"), "")?;
            let found = super::people::person(tx, person)?.ok_or(LoginError::BadCredentials)?;
            Ok((found, SessionToken(token)))
        })
    }

    fn count_failure<T>(&self, person: PersonId) -> Result<T, LoginError> {
        let locked = self.write(|tx| -> Result<Option<Time>, LoginError> {
            let failures: i64 = tx.query_row(
                "UPDATE person SET failures = failures + 1 WHERE id = ?1 RETURNING failures",
                [person.0],
                |row| row.get(0),
            )?;
            super::audit::write(tx, Some(person), "login_failed", &format!("person/{person}"), "")?;
            if failures < FAILURES_MAX {
                return Ok(None);
            }
            let until = tx.now.plus_us(LOCK_US);
            tx.execute("UPDATE person SET failures = 0, locked_until = ?2 WHERE id = ?1", params![person.0, until.0])?;
            super::audit::write(tx, Some(person), "login_locked", &format!("person/{person}"), "")?;
            Ok(Some(until))
        })?;
        Err(locked.map_or(LoginError::BadCredentials, |until| LoginError::Locked { until }))
    }

    /// Who is signed in with this token. `None`: nobody, or not used for [`SESSION_IDLE_US`].
    pub fn session(&self, token: &str) -> Result<Option<Person>> {
        let sha256 = token_sha256(token);
        let now = self.now();
        let found = self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "{PERSON_SELECT} JOIN session s ON s.person = p.id \
                 WHERE s.token_sha256 = ?1 AND s.seen_at >= ?2 AND p.disabled = FALSE"
            ))?;
            let person = rows(query.query(params![sha256, now.plus_us(-SESSION_IDLE_US).0])?, read_person)?.pop();
            let stale = conn
                .prepare_cached("SELECT 1 FROM session WHERE token_sha256 = ?1 AND seen_at < ?2")?
                .exists(params![sha256, now.plus_us(-SEEN_EVERY_US).0])?;
            Ok(person.map(|person| (person, stale)))
        })?;
        let Some((person, stale)) = found else { return Ok(None) };
        if stale {
            self.write(|tx| -> Result<()> {
                tx.execute("UPDATE session SET seen_at = ?2 WHERE token_sha256 = ?1", params![sha256, now.0])?;
                Ok(())
            })?;
        }
        Ok(Some(person))
    }

    pub fn logout(&self, token: &str) -> Result<()> {
        self.write(|tx| {
            let ended: Option<u32> = tx
                .query_row(
                    "DELETE FROM session WHERE token_sha256 = ?1 RETURNING person",
                    [token_sha256(token)],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(person) = ended.map(PersonId) else { return Ok(()) };
            super::audit::write(tx, Some(person), "logout", &format!("person/{person}"), "")
        })
    }
}
