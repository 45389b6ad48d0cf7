//! Which days are off in China: weekends, public holidays, and the weekends worked in return (调休). Known only for the years
//! whose notice was read; a year without data is never guessed.
//!
//! A file of one year has the shape of NateScarlet/holiday-cn. A date it lists wins; one it does not list is off on Saturday and
//! Sunday. Its `year` is that of the notice: a notice may also change the December before, so December is looked up in both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::civil::{Date, Weekday};
use model::Time;
use serde::{Deserialize, Serialize};

/// Days a notice may list; the longest so far has 40.
const DAYS_MAX: usize = 120;
const PAPERS_MAX: usize = 32;
/// Characters of a holiday's name or of a paper's address.
const CHARS_MAX: usize = 300;
/// Days off in a row that are looked through for a named one.
const ROW_MAX: usize = 21;

/// The notice of one year, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Year {
    pub year: i16,
    /// Where it is from: addresses of the notices.
    #[serde(default)]
    pub papers: Vec<String>,
    #[serde(default)]
    pub days: Vec<Day>,
}

/// A date whose kind the notice decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    pub name: String,
    pub date: Date,
    pub is_off_day: bool,
}

/// Why a file of holidays is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadYear {
    #[error("it is not a file of holidays: {0}")]
    Form(String),
    #[error("the file of {0} has no papers or no days: the notice is not out yet, so this is no data")]
    Empty(i16),
    #[error("the file of {year} lists {date}, which is not of that year (or the December before)")]
    Stray { year: i16, date: Date },
    #[error("the file of {year} lists {date} twice")]
    Twice { year: i16, date: Date },
    #[error("the file of {0} is larger than any notice")]
    TooLarge(i16),
}

/// What is known of all years. Files that were corrected stay: a day is judged by what was known when it began.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// By the year of the notice, each with since when it is known, ascending.
    years: BTreeMap<i16, Vec<(Time, Listed)>>,
}

/// The dates of one notice; true: off.
type Listed = BTreeMap<Date, bool>;

impl Year {
    /// Reads a file and checks it.
    pub fn parse(text: &str) -> Result<Self, BadYear> {
        let year: Self = serde_json::from_str(text).map_err(|error| BadYear::Form(error.to_string()))?;
        year.check()?;
        Ok(year)
    }

    pub fn check(&self) -> Result<(), BadYear> {
        let year = self.year;
        if self.papers.is_empty() || self.days.is_empty() {
            return Err(BadYear::Empty(year));
        }
        let long = |text: &String| text.chars().count() > CHARS_MAX;
        if self.days.len() > DAYS_MAX || self.papers.len() > PAPERS_MAX || self.papers.iter().any(long) {
            return Err(BadYear::TooLarge(year));
        }
        let mut seen = BTreeSet::new();
        for day in &self.days {
            let date = day.date;
            if long(&day.name) {
                return Err(BadYear::TooLarge(year));
            }
            let before = date.year() == year.saturating_sub(1) && date.month() == 12;
            if date.year() != year && !before {
                return Err(BadYear::Stray { year, date });
            }
            if !seen.insert(date) {
                return Err(BadYear::Twice { year, date });
            }
        }
        Ok(())
    }
}

impl Calendar {
    /// The years that come with the program: 2004 to 2026 (`scripts/holidays.py` says from where).
    pub fn shipped() -> Self {
        static SHIPPED: OnceLock<Calendar> = OnceLock::new();
        let read = || {
            let mut calendar = Calendar::default();
            for text in SHIPPED_YEARS {
                // A test reads every one of them.
                if let Ok(year) = Year::parse(text) {
                    calendar.add(Time::MIN, &year);
                }
            }
            calendar
        };
        SHIPPED.get_or_init(read).clone()
    }

    /// Adds a year that is known since `since`. What was known of it before still holds for the days that began before.
    pub fn add(&mut self, since: Time, year: &Year) {
        let days = year.days.iter().map(|day| (day.date, day.is_off_day)).collect();
        let known = self.years.entry(year.year).or_default();
        known.push((since, days));
        known.sort_by_key(|(since, _)| *since);
    }

    /// There are data of this year, by what was known at `known_at`.
    pub fn has(&self, year: i16, known_at: Time) -> bool {
        self.file(year, known_at).is_some()
    }

    /// The years with data, ascending.
    pub fn years(&self) -> Vec<i16> {
        self.years.keys().copied().collect()
    }

    /// The day may still be changed by the notice of the next year.
    pub fn is_provisional(&self, date: Date, known_at: Time) -> bool {
        date.month() == 12 && !self.has(date.year().saturating_add(1), known_at)
    }

    /// Whether `date` is off, by what was known at `known_at`. `None`: there are no data of its year.
    pub fn is_off(&self, date: Date, known_at: Time) -> Option<bool> {
        let own = self.file(date.year(), known_at)?;
        let next = self.next_notice(date, known_at);
        let listed = next.and_then(|days| days.get(&date)).or_else(|| own.get(&date));
        Some(listed.copied().unwrap_or(matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)))
    }

    /// Whether `date` is off in a row of days off of which at least one is listed. `None`: not known.
    pub fn is_holiday(&self, date: Date, known_at: Time) -> Option<bool> {
        if !self.is_off(date, known_at)? {
            return Some(false);
        }
        let forwards = date.series(jiff::Span::new().days(1)).take(ROW_MAX);
        let backwards = date.series(jiff::Span::new().days(-1)).take(ROW_MAX);
        // A row that runs into a year without data is judged by the part that is known.
        let off = |day: &Date| self.is_off(*day, known_at) == Some(true);
        let mut row = forwards.take_while(off).chain(backwards.take_while(off));
        Some(row.any(|day| self.is_listed(day, known_at)))
    }

    fn is_listed(&self, date: Date, known_at: Time) -> bool {
        let own = self.file(date.year(), known_at);
        own.into_iter().chain(self.next_notice(date, known_at)).any(|days| days.contains_key(&date))
    }

    fn next_notice(&self, date: Date, known_at: Time) -> Option<&Listed> {
        if date.month() == 12 { self.file(date.year().saturating_add(1), known_at) } else { None }
    }

    fn file(&self, year: i16, known_at: Time) -> Option<&Listed> {
        let known = self.years.get(&year)?;
        known.iter().rev().find(|(since, _)| *since <= known_at).map(|(_, days)| days)
    }
}

macro_rules! years {
    ($($year:literal)*) => { &[$(include_str!(concat!("../holidays/", $year, ".json"))),*] };
}

const SHIPPED_YEARS: &[&str] = years![2004 2005 2006 2007 2008 2009 2010 2011 2012 2013 2014 2015 2016 2017 2018 2019
    2020 2021 2022 2023 2024 2025 2026];

#[cfg(test)]
mod tests;
