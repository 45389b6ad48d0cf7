//! Exceptions to rotas: who stands in for whom, swaps, leave, and the years of holidays. They begin no earlier than they are
//! written and end no earlier than they are cancelled, so that the past stays as it was.

use model::people::Duty;
use model::{PersonId, TeamId, Time};
use rota::{BadYear, Calendar, Place, Plan, Problem, Weight, Year};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::{Person, bounded, person};
use super::rota::{AHEAD_US_MAX, REASON_CHARS_MAX, RotaError, Saved, calendar, plan, refused};
use super::view::word;
use super::{Records, Tx, limit_of, rows};

/// Longest override or leave, in µs: two years.
const LENGTH_US_MAX: i64 = AHEAD_US_MAX;
/// Holes that are told when a leave makes them.
const HOLES_TOLD: usize = 16;

/// Somebody stands in; to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOverride {
    pub team: TeamId,
    pub from: Time,
    pub until: Time,
    /// Whose turns are taken over. `None`: those of whoever has `post`.
    pub out: Option<PersonId>,
    pub post: Option<String>,
    pub stand_in: PersonId,
    /// As what they stand in. `None`: as what they work as, else as whom they stand in for.
    pub duty: Option<Duty>,
    pub reason: String,
}

/// An override as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverrideRow {
    pub id: u32,
    pub team: TeamId,
    pub from: Time,
    pub until: Time,
    pub out: Option<PersonId>,
    pub post: Option<String>,
    #[serde(rename = "in")]
    pub stand_in: PersonId,
    pub duty: Duty,
    pub reason: String,
    pub author: Option<PersonId>,
    pub saved_at: Time,
    pub cancelled_at: Option<Time>,
}

/// A leave as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaveRow {
    pub id: u32,
    pub person: PersonId,
    pub from: Time,
    pub until: Time,
    pub reason: String,
    pub author: Option<PersonId>,
    pub saved_at: Time,
    pub cancelled_at: Option<Time>,
}

impl Records {
    /// Saves that somebody stands in. Refused: unknown or disabled people, and a second override for the same turns.
    pub fn add_override(&self, new: &NewOverride, by: Option<PersonId>) -> Result<Saved, RotaError> {
        self.write(|tx| add(tx, new, by))
    }

    /// Two people change places: `first` takes the turns that `second` has in `theirs`, and `second` those that `first` has in
    /// `mine`. Both or none.
    pub fn add_swap(
        &self,
        team: TeamId,
        first: (PersonId, Time, Time),
        second: (PersonId, Time, Time),
        reason: &str,
        by: Option<PersonId>,
    ) -> Result<[Saved; 2], RotaError> {
        let one = |(out, from, until): (PersonId, Time, Time), stand_in| NewOverride {
            team,
            from,
            until,
            out: Some(out),
            post: None,
            stand_in,
            duty: None,
            reason: reason.to_owned(),
        };
        self.write(|tx| Ok([add(tx, &one(first, second.0), by)?, add(tx, &one(second, first.0), by)?]))
    }

    /// Ends an override now; one that has not begun never does.
    pub fn cancel_override(&self, id: u32, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| cancel(tx, "rota_override", id, by))
    }

    pub fn override_row(&self, id: u32) -> Result<Option<OverrideRow>> {
        self.read(|conn| Ok(override_rows(conn, "id = ?1 AND ?2 = ?2", params![id, 0, 1])?.pop()))
    }

    /// Overrides of a team that end after `from`, cancelled ones among them, oldest first.
    pub fn overrides_of(&self, team: TeamId, from: Time) -> Result<Vec<OverrideRow>> {
        self.read(|conn| {
            override_rows(conn, "team = ?1 AND ends_at > ?2", params![team.0, from.0, limit_of(usize::MAX)])
        })
    }

    /// Saves that a person is away. Never refused for the hole it makes (who is ill is ill): the holes of the next 8 weeks in the
    /// rotas of `teams` are told.
    pub fn add_leave(
        &self,
        who: PersonId,
        (from, until): (Time, Time),
        reason: &str,
        by: Option<PersonId>,
    ) -> Result<Saved, RotaError> {
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let from = stretch(from, until, tx.now)?;
            let found = person(tx, who)?.ok_or(Error::NotFound("person"))?;
            let id = tx.next_id("leave")? as u32;
            tx.execute(
                "INSERT INTO leave (id, person, starts_at, ends_at, reason, author, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![id, who.0, from.0, until.0, reason, by.map(|by| by.0), tx.now.0],
            )?;
            super::audit::write(tx, by, "add_leave", &format!("person/{who}"), &format!("leave {id}"))?;
            let problems = found.team_id().map_or(Ok(Vec::new()), |team| holes_by(tx, team, id))?;
            Ok(Saved { id, from, problems })
        })
    }

    /// Ends a leave now; one that has not begun never does.
    pub fn cancel_leave(&self, id: u32, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| cancel(tx, "leave", id, by))
    }

    /// Leave that ends after `from`, cancelled ones among it, oldest first; of one person, or of everybody.
    pub fn leave_rows(&self, person: Option<PersonId>, from: Time) -> Result<Vec<LeaveRow>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT id, person, starts_at, ends_at, reason, author, saved_at, cancelled_at FROM leave \
                 WHERE ends_at > ?1 AND (person = ?2 OR ?2 IS NULL) ORDER BY id LIMIT ?3",
            )?;
            rows(query.query(params![from.0, person.map(|person| person.0), limit_of(usize::MAX)])?, |row| {
                Ok(LeaveRow {
                    id: row.get(0)?,
                    person: PersonId(row.get(1)?),
                    from: Time(row.get(2)?),
                    until: Time(row.get(3)?),
                    reason: row.get(4)?,
                    author: row.get::<_, Option<u32>>(5)?.map(PersonId),
                    saved_at: Time(row.get(6)?),
                    cancelled_at: row.get::<_, Option<i64>>(7)?.map(Time),
                })
            })
        })
    }

    /// Which days are off, as far as it is known: the years that come with the program and those that were imported.
    pub fn calendar(&self) -> Result<Calendar> {
        self.read(calendar)
    }

    /// Takes a year of holidays in. False: it was known with the same content.
    pub fn import_holidays(&self, year: &Year, by: Option<PersonId>) -> Result<bool> {
        year.check().map_err(|error: BadYear| Error::Invalid(error.to_string()))?;
        let body = serde_json::to_string(year).map_err(|error| Error::Invalid(error.to_string()))?;
        self.write(|tx| {
            let newest = "SELECT body FROM holiday_year WHERE year = ?1 ORDER BY id DESC LIMIT 1";
            let known: Option<String> = {
                let mut query = tx.prepare_cached(newest)?;
                rows(query.query([year.year])?, |row| Ok(row.get(0)?))?.pop()
            };
            if known.as_deref() == Some(body.as_str()) {
                return Ok(false);
            }
            let id = tx.next_id("holiday_year")?;
            tx.execute(
                "INSERT INTO holiday_year (id, year, body, author, known_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id, year.year, body, by.map(|by| by.0), tx.now.0],
            )?;
            super::audit::write(tx, by, "import_holidays", &format!("holidays/{}", year.year), "")?;
            Ok(true)
        })
    }
}

/// The begin, moved to now when it is past; refused when nothing would be left.
fn stretch(from: Time, until: Time, now: Time) -> Result<Time, RotaError> {
    let from = from.max(now);
    if until <= from {
        let (zh, en) = ("结束时间须晚于开始时间和现在", "it must end later than it begins, and later than now");
        return Err(RotaError::Refused(vec![refused(Place::Rota, zh, en)]));
    }
    if from.since_us(now) > AHEAD_US_MAX || until.since_us(from) > LENGTH_US_MAX {
        let (zh, en) = ("最长两年,最晚两年后开始", "it lasts at most two years, and begins at most two years from now");
        return Err(RotaError::Refused(vec![refused(Place::Rota, zh, en)]));
    }
    Ok(from)
}

fn add(tx: &mut Tx<'_>, new: &NewOverride, by: Option<PersonId>) -> Result<Saved, RotaError> {
    bounded("reason", &new.reason, REASON_CHARS_MAX)?;
    let from = stretch(new.from, new.until, tx.now)?;
    let plan = plan(tx, new.team, from, new.until)?;
    let refuse = |zh: &str, en: &str| RotaError::Refused(vec![refused(Place::Rota, zh, en)]);
    let known = |id: PersonId| person(tx, id)?.ok_or(Error::NotFound("person"));
    let stand_in = known(new.stand_in)?;
    let out = new.out.map(known).transpose()?;
    if stand_in.disabled {
        return Err(refuse("代班人员的账号已停用,请换人", "the one who stands in is disabled: take another"));
    }
    if !stand_in.role.accepts_pages() {
        let (zh, en) = (
            "代班人员的角色不能接寻呼,请换人",
            "the one who stands in has a role that cannot accept pages: take another",
        );
        return Err(refuse(zh, en));
    }
    if new.out == Some(new.stand_in) {
        return Err(refuse("代班人与原值班人相同", "nobody stands in for himself"));
    }
    if plan.versions.iter().all(|version| version.rota.layers.is_empty()) {
        return Err(refuse("该团队在这段时间没有值班表", "the team has no rota in that time"));
    }
    check_post(new, &plan)?;
    check_overlap(new, &plan)?;
    let duty = new.duty.unwrap_or_else(|| duty_of(&plan, &stand_in, out.as_ref()));
    let mut problems = Vec::new();
    if super::rota::leave(tx, from, new.until)?.iter().any(|leave| leave.person == new.stand_in) {
        problems.push(flagged("代班人在这段时间有休假", "the one who stands in is on leave in a part of that time"));
    }
    let shifts = plan.shifts(&calendar(tx)?, from, new.until).shifts;
    if let Some(out) = new.out
        && !shifts.iter().any(|shift| shift.person == out || shift.why.instead_of == Some(out))
    {
        problems.push(flagged("原值班人在这段时间没有班", "the one who is replaced has no turn in that time"));
    }
    let id = tx.next_id("rota_override")? as u32;
    tx.execute(
        "INSERT INTO rota_override (id, team, starts_at, ends_at, out_person, post, in_person, in_duty, reason, author, saved_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id,
            new.team.0,
            from.0,
            new.until.0,
            new.out.map(|out| out.0),
            new.post,
            new.stand_in.0,
            duty.slug(),
            new.reason,
            by.map(|by| by.0),
            tx.now.0
        ],
    )?;
    super::audit::write(tx, by, "add_override", &format!("team/{}", new.team), &format!("override {id}"))?;
    Ok(Saved { id, from, problems })
}

fn check_post(new: &NewOverride, plan: &Plan) -> Result<(), RotaError> {
    let has = |post: &str| plan.versions.iter().any(|version| version.rota.posts().contains(&post));
    match &new.post {
        None if new.out.is_none() => {
            let (zh, en) = ("请写明顶替谁或哪个岗位", "say who is replaced, or in which post");
            Err(RotaError::Refused(vec![refused(Place::Rota, zh, en)]))
        }
        Some(post) if !has(post) => {
            let (zh, en) = ("值班表中没有这个岗位", "the rota has no such post");
            Err(RotaError::Refused(vec![refused(Place::Post(post.clone()), zh, en)]))
        }
        _ => Ok(()),
    }
}

fn check_overlap(new: &NewOverride, plan: &Plan) -> Result<(), RotaError> {
    let same_post = |a: Option<&String>, b: Option<&String>| a.is_none() || b.is_none() || a == b;
    let other = plan.overrides.iter().find(|o| {
        let meets = o.from < new.until && new.from < o.until;
        meets && o.out == new.out && same_post(o.post.as_ref(), new.post.as_ref())
    });
    let Some(other) = other else { return Ok(()) };
    let (id, from, until) = (other.id, other.from, other.until);
    let zh = format!("与第 {id} 号换班({from} 至 {until})重叠,请先取消它");
    let en = format!("it overlaps override {id} ({from} to {until}): cancel that one first");
    Err(RotaError::Refused(vec![refused(Place::Rota, &zh, &en)]))
}

/// As what somebody stands in, when it is not said: as in the rota, as they work, or as whom they stand in for.
fn duty_of(plan: &Plan, stand_in: &Person, out: Option<&Person>) -> Duty {
    let in_rota = |id: PersonId| {
        let mut members = plan.versions.iter().flat_map(|version| &version.rota.layers).flat_map(|layer| &layer.people);
        members.find(|member| member.person == id).map(|member| member.duty)
    };
    let theirs = in_rota(stand_in.id).or_else(|| stand_in.works_as());
    theirs.or_else(|| out.and_then(|out| in_rota(out.id).or_else(|| out.works_as()))).unwrap_or(Duty::Doctor)
}

fn flagged(zh: &str, en: &str) -> Problem {
    Problem { weight: Weight::Flagged, place: Place::Rota, zh: zh.to_owned(), en: en.to_owned() }
}

/// The holes that this leave makes in the team's rota.
fn holes_by(conn: &Connection, team: TeamId, leave: u32) -> Result<Vec<Problem>> {
    let stored = super::rota::leave(conn, Time::MIN, Time::MAX)?;
    let Some(leave) = stored.into_iter().find(|one| one.id == leave) else { return Ok(Vec::new()) };
    let until = leave.until.min(leave.from.plus_us(rota::WEEKS_AHEAD * rota::WEEK_US));
    let plan = plan(conn, team, leave.from, until)?;
    let holes = plan.holes(&calendar(conn)?, leave.from, until);
    let told = holes.iter().take(HOLES_TOLD).map(|hole| {
        let zh = format!("{} 岗 {} 至 {} 将无人值班,请安排代班", hole.post, hole.from, hole.until);
        let en = format!("post {} has nobody from {} to {}: find somebody", hole.post, hole.from, hole.until);
        Problem { weight: Weight::Flagged, place: Place::Post(hole.post.clone()), zh, en }
    });
    Ok(told.collect())
}

fn cancel(tx: &mut Tx<'_>, table: &'static str, id: u32, by: Option<PersonId>) -> Result<()> {
    let changed = tx.execute(
        &format!("UPDATE {table} SET cancelled_at = ?2 WHERE id = ?1 AND cancelled_at IS NULL AND ends_at > ?2"),
        params![id, tx.now.0],
    )?;
    if changed == 0 {
        return Err(Error::NotFound("a running or coming override or leave of this number"));
    }
    super::audit::write(tx, by, "cancel", &format!("{table}/{id}"), "")
}

fn override_rows(conn: &Connection, filter: &str, params: impl rusqlite::Params) -> Result<Vec<OverrideRow>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT id, team, starts_at, ends_at, out_person, post, in_person, in_duty, reason, author, saved_at, cancelled_at \
         FROM rota_override WHERE {filter} ORDER BY id LIMIT ?3"
    ))?;
    rows(query.query(params)?, |row| {
        Ok(OverrideRow {
            id: row.get(0)?,
            team: TeamId(row.get(1)?),
            from: Time(row.get(2)?),
            until: Time(row.get(3)?),
            out: row.get::<_, Option<u32>>(4)?.map(PersonId),
            post: row.get(5)?,
            stand_in: PersonId(row.get(6)?),
            duty: word("duty", Duty::parse, row.get(7)?)?,
            reason: row.get(8)?,
            author: row.get::<_, Option<u32>>(9)?.map(PersonId),
            saved_at: Time(row.get(10)?),
            cancelled_at: row.get::<_, Option<i64>>(11)?.map(Time),
        })
    })
}
