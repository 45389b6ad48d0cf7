//! Teams, and the people who sign in or are paged.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use model::people::{Duty, Role};
use model::{ElderId, PersonId, TeamId};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::view::{Named, word};
use super::{Records, limit_of, rows};

/// Characters of a name, login or phone number.
pub(super) const SHORT_CHARS_MAX: usize = 64;
const PASSWORD_CHARS_MIN: usize = 8;
/// Longer passwords only cost time.
const PASSWORD_BYTES_MAX: usize = 256;
/// People paged for one alarm at most.
const ON_CALL_MAX: i64 = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Team {
    pub id: TeamId,
    pub name: String,
    /// The unit above it, to which holes in its rota fall through.
    pub parent: Option<TeamId>,
}

/// A person to be written.
#[derive(Clone)]
pub struct NewPerson {
    pub name: String,
    pub phone: String,
    pub role: Role,
    /// Unique; compared as it is.
    pub login: String,
    /// At least 8 characters of 3 of the 4 classes (small, capital, digit, other).
    pub password: String,
    pub team: Option<TeamId>,
    /// `zh` or `en`.
    pub language: String,
    /// Place in the team's order of pages, lowest first. `None`: not on call.
    pub on_call_order: Option<u32>,
}

impl std::fmt::Debug for NewPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPerson").field("role", &self.role).field("team", &self.team).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: PersonId,
    pub name: String,
    pub phone: String,
    pub role: Role,
    pub login: String,
    pub team: Option<Named>,
    pub language: String,
    pub on_call_order: Option<u32>,
    /// May not sign in and is never paged.
    pub disabled: bool,
    /// Place in the team, when another than what goes with the role.
    pub duty: Option<Duty>,
}

impl Person {
    pub fn team_id(&self) -> Option<TeamId> {
        self.team.as_ref().map(|team| TeamId(team.id))
    }

    /// As what this person works in the team: as was said, else as goes with the role.
    pub fn works_as(&self) -> Option<Duty> {
        let by_role = match self.role {
            Role::Doctor => Some(Duty::Doctor),
            Role::Nurse => Some(Duty::Nurse),
            _ => None,
        };
        self.duty.or(by_role)
    }
}

/// Somebody who takes over or goes there, with whether they are signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Helper {
    pub id: PersonId,
    pub name: String,
    pub role: Role,
    pub team: Option<Named>,
    pub signed_in: bool,
}

impl Records {
    /// Everybody who is not disabled and may take an alarm over (dispatchers, supervisors) or be sent (doctors, nurses,
    /// responders), by name. `signed_in`: they used the console within the last minutes.
    pub fn helpers(&self, now: model::Time) -> Result<Vec<Helper>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT p.id, p.name, p.role, t.id, t.name, \
                 EXISTS (SELECT 1 FROM session s WHERE s.person = p.id AND s.seen_at >= ?1) \
                 FROM person p LEFT JOIN team t ON t.id = p.team WHERE p.disabled = FALSE AND p.role <> 'administrator' \
                 ORDER BY p.name, p.id LIMIT ?2",
            )?;
            let since = now.plus_us(-super::storm::SEEN_US);
            rows(query.query(params![since.0, limit_of(usize::MAX)])?, |row| {
                Ok(Helper {
                    id: PersonId(row.get(0)?),
                    name: row.get(1)?,
                    role: word("role", Role::parse, row.get(2)?)?,
                    team: named(row, 3)?,
                    signed_in: row.get(5)?,
                })
            })
        })
    }

    pub fn create_team(&self, name: &str) -> Result<TeamId> {
        bounded("team name", name, SHORT_CHARS_MAX)?;
        self.write(|tx| {
            let id = tx.next_id("team")?;
            tx.execute("INSERT INTO team (id, name, created_at) VALUES (?1, ?2, ?3)", params![id, name, tx.now.0])
                .map_err(|error| taken(error, "team name"))?;
            Ok(TeamId(id as u32))
        })
    }

    pub fn teams(&self) -> Result<Vec<Team>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached("SELECT id, name, parent FROM team ORDER BY id LIMIT ?1")?;
            rows(query.query([limit_of(usize::MAX)])?, |row| {
                let parent = row.get::<_, Option<u32>>(2)?.map(TeamId);
                Ok(Team { id: TeamId(row.get(0)?), name: row.get(1)?, parent })
            })
        })
    }

    pub fn create_person(&self, new: &NewPerson) -> Result<PersonId> {
        bounded("name", &new.name, SHORT_CHARS_MAX)?;
        bounded("login", &new.login, SHORT_CHARS_MAX)?;
        at_most("phone", &new.phone, SHORT_CHARS_MAX)?;
        if !matches!(new.language.as_str(), "zh" | "en") {
            return Err(Error::Invalid("the language is zh or en".into()));
        }
        check_password(&new.password)?;
        let hash = hash_password(&new.password)?;
        self.write(|tx| {
            let id = tx.next_id("person")?;
            tx.execute(
                "INSERT INTO person (id, name, phone, role, login, password, team, language, on_call_order, failures, \
                 locked_until, disabled, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, NULL, FALSE, ?10)",
                params![
                    id,
                    new.name,
                    new.phone,
                    new.role.slug(),
                    new.login,
                    hash,
                    new.team.map(|team| team.0),
                    new.language,
                    new.on_call_order,
                    tx.now.0
                ],
            )
            .map_err(|error| taken(error, "login"))?;
            Ok(PersonId(id as u32))
        })
    }

    pub fn person(&self, id: PersonId) -> Result<Option<Person>> {
        self.read(|conn| person(conn, id))
    }

    /// Everybody, by number.
    pub fn persons(&self) -> Result<Vec<Person>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!("{PERSON_SELECT} ORDER BY p.id LIMIT ?1"))?;
            rows(query.query([limit_of(usize::MAX)])?, read_person)
        })
    }

    /// Whom to page for a team, in this order: its doctors and nurses with a place in the on-call order. When the team
    /// has none (or there is no team), those of all teams; when no team has any, every doctor and nurse: a page to a
    /// stranger is better than no page.
    pub fn on_call(&self, team: Option<TeamId>) -> Result<Vec<PersonId>> {
        self.read(|conn| on_call(conn, team))
    }

    /// The people of one team with a place in its order, in this order; of other teams nobody.
    pub fn order_of(&self, team: TeamId) -> Result<Vec<PersonId>> {
        self.read(|conn| order(conn, Some(team)))
    }

    /// As [`Records::on_call`], for the team of this elder.
    pub fn on_call_for(&self, elder: Option<ElderId>) -> Result<Vec<PersonId>> {
        self.read(|conn| {
            let team = match elder {
                Some(elder) => super::elders::team_of(conn, elder)?,
                None => None,
            };
            on_call(conn, team)
        })
    }

    /// Signs the person out everywhere.
    pub fn set_password(&self, id: PersonId, password: &str) -> Result<()> {
        check_password(password)?;
        let hash = hash_password(password)?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE person SET password = ?2, failures = 0, locked_until = NULL WHERE id = ?1",
                params![id.0, hash],
            )?;
            tx.execute("DELETE FROM session WHERE person = ?1", [id.0])?;
            if changed == 0 { Err(Error::NotFound("person")) } else { Ok(()) }
        })
    }

    /// A disabled person is signed out, cannot sign in and is not paged any more.
    pub fn set_disabled(&self, id: PersonId, disabled: bool) -> Result<()> {
        self.write(|tx| {
            let changed = tx.execute("UPDATE person SET disabled = ?2 WHERE id = ?1", params![id.0, disabled])?;
            if disabled {
                tx.execute("DELETE FROM session WHERE person = ?1", [id.0])?;
            }
            if changed == 0 { Err(Error::NotFound("person")) } else { Ok(()) }
        })
    }
}

pub(super) const PERSON_SELECT: &str = "SELECT p.id, p.name, p.phone, p.role, p.login, t.id, t.name, p.language, \
     p.on_call_order, p.disabled, p.duty FROM person p LEFT JOIN team t ON t.id = p.team";

pub(super) fn read_person(row: &Row<'_>) -> Result<Person> {
    Ok(Person {
        id: PersonId(row.get(0)?),
        name: row.get(1)?,
        phone: row.get(2)?,
        role: word("role", Role::parse, row.get(3)?)?,
        login: row.get(4)?,
        team: named(row, 5)?,
        language: row.get(7)?,
        on_call_order: row.get(8)?,
        disabled: row.get(9)?,
        duty: row.get::<_, Option<String>>(10)?.map(|duty| word("duty", Duty::parse, duty)).transpose()?,
    })
}

pub(super) fn person(conn: &Connection, id: PersonId) -> Result<Option<Person>> {
    let mut query = conn.prepare_cached(&format!("{PERSON_SELECT} WHERE p.id = ?1"))?;
    Ok(rows(query.query([id.0])?, read_person)?.pop())
}

fn order(conn: &Connection, team: Option<TeamId>) -> Result<Vec<PersonId>> {
    let mut query = conn.prepare_cached(
        "SELECT id FROM person WHERE (team = ?1 OR ?1 IS NULL) AND role IN ('doctor', 'nurse') \
         AND on_call_order IS NOT NULL AND disabled = FALSE ORDER BY on_call_order, id LIMIT ?2",
    )?;
    rows(query.query(params![team.map(|team| team.0), ON_CALL_MAX])?, |row| Ok(PersonId(row.get(0)?)))
}

pub(super) fn on_call(conn: &Connection, team: Option<TeamId>) -> Result<Vec<PersonId>> {
    let found = order(conn, team)?;
    if !found.is_empty() {
        return Ok(found);
    }
    if team.is_some() {
        return on_call(conn, None);
    }
    // Nobody has a place in any order: every doctor, then every nurse.
    let mut query = conn.prepare_cached(
        "SELECT id FROM person WHERE role IN ('doctor', 'nurse') AND disabled = FALSE ORDER BY role, id LIMIT ?1",
    )?;
    rows(query.query([ON_CALL_MAX])?, |row| Ok(PersonId(row.get(0)?)))
}

/// All who supervise and can sign in.
pub(super) fn supervisors(conn: &Connection) -> Result<Vec<PersonId>> {
    let mut query = conn
        .prepare_cached("SELECT id FROM person WHERE role = 'supervisor' AND disabled = FALSE ORDER BY id LIMIT ?1")?;
    rows(query.query([ON_CALL_MAX])?, |row| Ok(PersonId(row.get(0)?)))
}

pub(super) fn named(row: &Row<'_>, at: usize) -> Result<Option<Named>> {
    let (id, name): (Option<u32>, Option<String>) = (row.get(at)?, row.get(at + 1)?);
    Ok(id.map(|id| Named { id, name: name.unwrap_or_default() }))
}

/// Argon2id with the crate's default cost (19 MiB, 2 passes) and a random salt, as a PHC string.
pub(super) fn hash_password(password: &str) -> Result<String> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|_| Error::Invalid("the system gives no random bytes".into()))?;
    Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash: phc::PasswordHash| hash.to_string())
        .map_err(|error| Error::Invalid(format!("the password cannot be hashed: {error}")))
}

pub(super) fn password_fits(password: &str, hash: &str) -> bool {
    password.len() <= PASSWORD_BYTES_MAX
        && phc::PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn check_password(password: &str) -> Result<()> {
    let classes: [fn(char) -> bool; 4] = [
        |c| c.is_lowercase(),
        |c| c.is_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !(c.is_lowercase() || c.is_uppercase() || c.is_ascii_digit()),
    ];
    let used = classes.iter().filter(|class| password.chars().any(class)).count();
    if password.chars().count() < PASSWORD_CHARS_MIN || used < 3 || password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::Invalid(
            "a password has 8 to 256 characters, of at least three of: small letters, capitals, digits, others".into(),
        ));
    }
    Ok(())
}

pub(super) fn bounded(what: &str, text: &str, chars_max: usize) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::Invalid(format!("the {what} is empty")));
    }
    at_most(what, text, chars_max)
}

pub(super) fn at_most(what: &str, text: &str, chars_max: usize) -> Result<()> {
    if text.chars().count() > chars_max {
        return Err(Error::Invalid(format!("the {what} has more than {chars_max} characters")));
    }
    Ok(())
}

/// A broken UNIQUE becomes a sentence; a broken reference names what is missing.
pub(super) fn taken(error: rusqlite::Error, what: &'static str) -> Error {
    match error.sqlite_error().map(|cause| cause.extended_code) {
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
            Error::Invalid(format!("this {what} is taken"))
        }
        _ => error.into(),
    }
}
