//! The shipped years against figures counted elsewhere, and what a file may and may not say.

use super::*;

const NOW: Time = Time(0);

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// Working days of each year, counted by the `is_workday` of chinesecalendar 1.11.0.
const WORKDAYS: [(i16, usize); 23] = [
    (2004, 252),
    (2005, 250),
    (2006, 251),
    (2007, 249),
    (2008, 251),
    (2009, 250),
    (2010, 250),
    (2011, 250),
    (2012, 249),
    (2013, 250),
    (2014, 250),
    (2015, 249),
    (2016, 250),
    (2017, 249),
    (2018, 250),
    (2019, 250),
    (2020, 249),
    (2021, 250),
    (2022, 249),
    (2023, 249),
    (2024, 251),
    (2025, 248),
    (2026, 248),
];

#[test]
fn every_shipped_year_is_read_and_counts_right() {
    for text in SHIPPED_YEARS {
        Year::parse(text).unwrap();
    }
    let calendar = Calendar::shipped();
    for (year, workdays) in WORKDAYS {
        let days = Date::new(year, 1, 1).unwrap().series(jiff::Span::new().days(1));
        let of_year = days.take_while(|day| day.year() == year);
        let counted = of_year.filter(|day| calendar.is_off(*day, NOW) == Some(false)).count();
        assert_eq!(counted, workdays, "{year}");
    }
    assert_eq!(calendar.years(), (2004..=2026).collect::<Vec<_>>());
}

#[test]
fn the_year_2026_is_that_of_its_notice() {
    let calendar = Calendar::shipped();
    let is_off = |day: &str| calendar.is_off(date(day), NOW).unwrap();
    for working in ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"] {
        assert!(!is_off(working), "{working} is a 调休 weekend");
    }
    let holidays = [("2026-01-01", 3), ("2026-02-15", 9), ("2026-04-04", 3), ("2026-05-01", 5), ("2026-06-19", 3)];
    for (first, days) in holidays.into_iter().chain([("2026-09-25", 3), ("2026-10-01", 7)]) {
        for day in date(first).series(jiff::Span::new().days(1)).take(days) {
            assert_eq!(calendar.is_off(day, NOW), Some(true), "{day}");
            assert_eq!(calendar.is_holiday(day, NOW), Some(true), "{day}");
        }
    }
    assert_eq!(calendar.is_holiday(date("2026-03-07"), NOW), Some(false), "an ordinary Saturday");
    assert!(is_off("2026-03-07") && !is_off("2026-03-09"));
}

#[test]
fn a_year_without_data_is_not_guessed() {
    let calendar = Calendar::shipped();
    assert_eq!(calendar.is_off(date("2027-01-01"), NOW), None);
    assert_eq!(calendar.is_off(date("2027-01-02"), NOW), None, "a Saturday, and still not known");
    assert_eq!(calendar.is_holiday(date("2027-01-01"), NOW), None);
    assert_eq!(calendar.is_off(date("2003-12-31"), NOW), None);
    assert!(calendar.is_provisional(date("2026-12-31"), NOW) && !calendar.is_provisional(date("2026-11-30"), NOW));
    assert!(!calendar.is_provisional(date("2025-12-31"), NOW));
}

fn year(year: i16, days: &[(&str, bool)]) -> Year {
    let days = days.iter().map(|(day, off)| Day { name: "元旦".into(), date: date(day), is_off_day: *off });
    Year { year, papers: vec!["notice".into()], days: days.collect() }
}

#[test]
fn a_notice_may_change_the_december_before() {
    let mut calendar = Calendar::shipped();
    assert_eq!(calendar.is_off(date("2026-12-31"), NOW), Some(false));
    calendar.add(Time(100), &year(2027, &[("2026-12-31", true), ("2027-01-01", true), ("2027-01-03", false)]));
    assert_eq!(calendar.is_off(date("2026-12-31"), Time(99)), Some(false), "what was known then");
    assert_eq!(calendar.is_off(date("2026-12-31"), Time(100)), Some(true));
    assert_eq!(calendar.is_off(date("2027-01-03"), Time(100)), Some(false));
    assert_eq!(calendar.is_off(date("2027-01-01"), Time(99)), None);
    assert!(!calendar.is_provisional(date("2026-12-31"), Time(100)));
    calendar.add(Time(200), &year(2027, &[("2027-01-01", true)]));
    assert_eq!(calendar.is_off(date("2027-01-03"), Time(150)), Some(false), "the file before the correction");
    assert_eq!(calendar.is_off(date("2027-01-03"), Time(200)), Some(true));
}

#[test]
fn a_weekend_that_a_later_file_leaves_out_is_holiday_all_the_same() {
    let mut calendar = Calendar::default();
    // Friday is the holiday; the weekend after it is not listed.
    calendar.add(NOW, &year(2026, &[("2026-06-19", true)]));
    for day in ["2026-06-19", "2026-06-20", "2026-06-21"] {
        assert_eq!(calendar.is_holiday(date(day), NOW), Some(true), "{day}");
    }
    assert_eq!(calendar.is_holiday(date("2026-06-22"), NOW), Some(false));
    assert_eq!(calendar.is_holiday(date("2026-06-27"), NOW), Some(false));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let parse = |text: &str| Year::parse(text).unwrap_err();
    assert!(matches!(parse(r#"{"year":2027}"#), BadYear::Empty(2027)));
    assert!(matches!(parse(r#"{"year":2027,"papers":[],"days":[]}"#), BadYear::Empty(2027)));
    let days = |days: &str| format!(r#"{{"year":2027,"papers":["p"],"days":[{days}]}}"#);
    assert!(matches!(parse(&days("")), BadYear::Empty(2027)));
    let day = |date: &str| format!(r#"{{"name":"元旦","date":"{date}","isOffDay":true}}"#);
    assert!(matches!(parse(&days(&day("2028-01-01"))), BadYear::Stray { .. }));
    assert!(matches!(parse(&days(&day("2026-11-30"))), BadYear::Stray { .. }));
    assert!(matches!(parse(&days(&day("2027-02-29"))), BadYear::Form(_)));
    let twice = format!("{},{}", day("2027-01-01"), day("2027-01-01"));
    assert!(matches!(parse(&days(&twice)), BadYear::Twice { .. }));
    assert!(matches!(parse("[]"), BadYear::Form(_)));
    assert!(matches!(parse(""), BadYear::Form(_)));
    // The real files also have "$schema" and "$id".
    let schema =
        r#"{"$schema":"x","year":2027,"papers":["p"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}"#;
    assert_eq!(Year::parse(schema).unwrap().days.len(), 1);
}
