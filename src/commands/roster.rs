//! `vigil roster`: who is on call and why, and what changes it. Works beside a running server, which asks the records anew at
//! every page.

mod file;
mod words;

use std::path::Path;

use anyhow::{Context, bail};
use model::people::Duty;
use model::{ElderId, PersonId, TeamId, Time};
use runtime::Clock;
use store::records::{NewOverride, Records, Responder, RotaError, Saved, problem_words};

use crate::cli::Roster;
use crate::server::say;

/// Largest file of holidays, bytes; the real ones have 4 kB.
const HOLIDAYS_BYTES_MAX: u64 = 256 * 1024;

/// Carries out one `vigil roster ..`. False when there is a hole at the instant asked for.
pub fn roster(what: &Roster) -> anyhow::Result<bool> {
    match what {
        Roster::Show { at, team, time, days, json } => return show(&at.config, team, time.as_deref(), *days, *json),
        Roster::Save { at, file, from, reason } => save(&at.config, file, from.as_deref(), reason)?,
        Roster::End { at, team, reason } => {
            let records = super::add::open(&at.config)?;
            records.end_rota(team_of(&records, team)?, None, reason)?;
            say(&format!("{team} 不再有值班表 has no rota from now on: its plain order on call counts"));
        }
        Roster::Override { at, team, when, out, post, stand_in } => {
            let records = super::add::open(&at.config)?;
            let new = NewOverride {
                team: team_of(&records, team)?,
                from: instant(&when.from)?,
                until: instant(&when.until)?,
                out: out.as_deref().map(|login| person_of(&records, login)).transpose()?,
                post: post.clone(),
                stand_in: person_of(&records, stand_in)?,
                duty: None,
                reason: when.reason.clone(),
            };
            told("换班 override", &records.add_override(&new, None))?;
        }
        Roster::Leave { at, login, when } => {
            let records = super::add::open(&at.config)?;
            let stretch = (instant(&when.from)?, instant(&when.until)?);
            told("休假 leave", &records.add_leave(person_of(&records, login)?, stretch, &when.reason, None))?;
        }
        Roster::Cancel { at, override_id, leave } => {
            let records = super::add::open(&at.config)?;
            match (override_id, leave) {
                (Some(id), _) => records.cancel_override(*id, None)?,
                (None, Some(id)) => records.cancel_leave(*id, None)?,
                (None, None) => {}
            }
            say("已取消 cancelled from now on");
        }
        Roster::ImportHolidays { file, at } => import(&at.config, file)?,
        Roster::Unit { at, team, above } => {
            let records = super::add::open(&at.config)?;
            let above = above.as_deref().map(|name| team_of(&records, name)).transpose()?;
            records.set_parent(team_of(&records, team)?, above, None)?;
            say("已设置 set");
        }
        Roster::Person { at, login, duty, elder, relation, rank } => {
            let records = super::add::open(&at.config)?;
            let person = person_of(&records, login)?;
            if let Some(duty) = duty {
                let known = || Duty::ALL.iter().map(|duty| duty.slug()).collect::<Vec<_>>().join(", ");
                let duty = Duty::parse(duty).with_context(|| format!("--duty is one of {}", known()))?;
                records.set_duty(person, Some(duty), None)?;
            }
            if let (Some(elder), Some(relation)) = (elder, relation) {
                let responder = Responder { person, relation: relation.clone(), rank: *rank };
                records.set_responder(ElderId(*elder), &responder, None)?;
            }
            say("已设置 set");
        }
    }
    Ok(true)
}

fn show(config: &Path, team: &str, time: Option<&str>, days: u32, json: bool) -> anyhow::Result<bool> {
    let records = super::add::open(config)?;
    let at = time.map_or_else(|| Ok(Clock::system().now()), instant)?;
    let board = records.rota_board(team_of(&records, team)?, at, days)?;
    let plain = if board.version.is_none() { Plain::of(&records, TeamId(board.team.id))? } else { Plain::default() };
    if json {
        say(&serde_json::to_string(&board)?);
    } else {
        say(&words::board(&board, &plain));
    }
    // Without a rota the order on call is all there is: an empty one is a hole.
    Ok(board.holes_now.is_empty() && (board.version.is_some() || !plain.own.is_empty()))
}

/// Names of those who are asked when a team has no rota.
#[derive(Default)]
struct Plain {
    /// With a place in the team's own order on call.
    own: Vec<String>,
    /// Who is asked when that is nobody.
    everybody: Vec<String>,
}

impl Plain {
    fn of(records: &Records, team: TeamId) -> anyhow::Result<Self> {
        let names = |ids: Vec<PersonId>| -> anyhow::Result<Vec<String>> {
            let mut names = Vec::with_capacity(ids.len());
            for id in ids {
                names.extend(records.person(id)?.map(|person| person.name));
            }
            Ok(names)
        };
        Ok(Self { own: names(records.order_of(team)?)?, everybody: names(records.on_call(None)?)? })
    }
}

fn save(config: &Path, file: &Path, from: Option<&str>, reason: &str) -> anyhow::Result<()> {
    let records = super::add::open(config)?;
    let rota = file::read(file, &records)?;
    let from = from.map(instant).transpose()?;
    told("值班表 rota version", &records.save_rota(&rota, from, None, reason))
}

fn told(what: &str, saved: &Result<Saved, RotaError>) -> anyhow::Result<()> {
    match saved {
        Ok(saved) => {
            say(&format!("{what} {} 自 from {}", saved.id, words::local(saved.from, rota::ZONE)));
            for problem in &saved.problems {
                let (zh, en) = problem_words(std::slice::from_ref(problem));
                say(&format!("注意 {zh}\n  note: {en}"));
            }
            Ok(())
        }
        Err(RotaError::Refused(problems)) => {
            let (zh, en) = problem_words(problems);
            bail!("未保存 not saved: {zh} / {en}")
        }
        Err(RotaError::Store(error)) => bail!("{error}"),
    }
}

fn import(config: &Path, file: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot read {}", file.display());
    let size = std::fs::metadata(file).with_context(cannot)?.len();
    if size > HOLIDAYS_BYTES_MAX {
        bail!("{} has {size} bytes: no file of holidays is larger than {HOLIDAYS_BYTES_MAX}", file.display());
    }
    let year = rota::Year::parse(&std::fs::read_to_string(file).with_context(cannot)?)
        .with_context(|| format!("{} was not imported", file.display()))?;
    let changed = super::add::open(config)?.import_holidays(&year, None)?;
    let (year, days) = (year.year, year.days.len());
    say(&if changed {
        format!("已导入 {year} 年节假日 {days} 天 the holidays of {year} are known ({days} days listed)")
    } else {
        format!("{year} 年节假日没有变化 the holidays of {year} are the same as before")
    });
    Ok(())
}

fn team_of(records: &Records, name: &str) -> anyhow::Result<TeamId> {
    super::add::team_id(records, Some(name))?.context("--team")
}

fn person_of(records: &Records, login: &str) -> anyhow::Result<PersonId> {
    let found = records.persons()?.into_iter().find(|person| person.login == login);
    Ok(found.with_context(|| format!("there is no person with the login {login}: add them with `vigil add user`"))?.id)
}

/// RFC 3339, or `2026-11-22 20:00` by the clock of Asia/Shanghai.
pub(super) fn instant(text: &str) -> anyhow::Result<Time> {
    let by_wall = || Time::parse(&format!("{}:00+08:00", text.replace(' ', "T")));
    Time::parse(text).or_else(by_wall).with_context(|| {
        format!("{text:?} is no time: write 2026-11-22T20:00:00+08:00, or \"2026-11-22 20:00\" for the clock of Asia/Shanghai")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_an_offset_or_by_the_clock_of_shanghai() {
        assert_eq!(instant("2026-11-22 20:00").unwrap(), instant("2026-11-22T12:00:00Z").unwrap());
        for bad in ["", "tomorrow", "2026-11-22", "2026-02-30 08:00", "20:00"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
