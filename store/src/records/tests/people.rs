//! Signing in, passwords, sessions, on-call order, elders.

#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn five_wrong_passwords_lock_for_fifteen_minutes() {
    let house = house();
    let login = |password| house.records.login("wang", password);
    for _ in 0..4 {
        assert!(matches!(login("wrong"), Err(LoginError::BadCredentials)));
    }
    assert!(matches!(login("wrong"), Err(LoginError::Locked { .. })));
    assert!(matches!(login(PASSWORD), Err(LoginError::Locked { .. })), "also with the right one");
    house.pass(15 * 60 - 1);
    assert!(matches!(login(PASSWORD), Err(LoginError::Locked { .. })));
    house.pass(2);
    let (person, _) = login(PASSWORD).unwrap();
    assert_eq!((person.id, person.role), (house.dispatcher, Role::Dispatcher));
    assert!(matches!(house.records.login("nobody", PASSWORD), Err(LoginError::BadCredentials)));
}

#[test]
fn a_session_ends_when_idle_signed_out_or_disabled() {
    let house = house();
    let records = &house.records;
    let (_, token) = records.login("wang", PASSWORD).unwrap();
    for _ in 0..3 {
        house.pass(11 * 3_600);
        assert_eq!(records.session(&token.0).unwrap().unwrap().id, house.dispatcher, "use renews it");
    }
    house.pass(12 * 3_600 + 1);
    assert_eq!(records.session(&token.0).unwrap(), None);

    let (_, token) = records.login("wang", PASSWORD).unwrap();
    records.logout(&token.0).unwrap();
    assert_eq!(records.session(&token.0).unwrap(), None);

    let (_, token) = records.login("wang", PASSWORD).unwrap();
    records.set_password(house.dispatcher, "Another-word-2").unwrap();
    assert_eq!(records.session(&token.0).unwrap(), None, "a new password signs out everywhere");
    assert!(matches!(records.login("wang", PASSWORD), Err(LoginError::BadCredentials)));

    let (_, token) = records.login("wang", "Another-word-2").unwrap();
    records.set_disabled(house.dispatcher, true).unwrap();
    assert_eq!(records.session(&token.0).unwrap(), None);
    assert!(matches!(records.login("wang", "Another-word-2"), Err(LoginError::BadCredentials)));
    // The token itself is nowhere on disk.
    let stored = std::fs::read(house.dir.path().join(FILE)).unwrap();
    let wal = std::fs::read(house.dir.path().join("records.db-wal")).unwrap_or_default();
    for file in [stored, wal] {
        assert!(!file.windows(token.0.len()).any(|part| part == token.0.as_bytes()));
    }
}

#[test]
fn weak_passwords_and_taken_logins_are_refused() {
    let house = house();
    for weak in ["", "Ab1-567", "alllowercase", "lower-and-other", "12345678"] {
        let mut new = new_person("qian", Role::Nurse, None, None);
        new.password = weak.into();
        assert!(matches!(house.records.create_person(&new), Err(Error::Invalid(_))), "{weak}");
    }
    let taken = house.records.create_person(&new_person("wang", Role::Nurse, None, None));
    assert!(matches!(taken, Err(Error::Invalid(text)) if text.contains("taken")));
    house.records.create_person(&new_person("qian", Role::Nurse, None, None)).unwrap();
}

#[test]
fn somebody_is_always_on_call() {
    let house = house();
    let records = &house.records;
    assert_eq!(records.on_call(Some(house.team)).unwrap(), [house.doctor, house.nurse]);
    assert_eq!(records.on_call_for(Some(house.elder)).unwrap(), [house.doctor, house.nurse]);
    let empty = records.create_team("二队").unwrap();
    assert_eq!(records.on_call(Some(empty)).unwrap(), [house.doctor, house.nurse], "falls through to the others");
    let own = records.create_person(&new_person("gao", Role::Doctor, Some(empty), Some(9))).unwrap();
    assert_eq!(records.on_call(Some(empty)).unwrap(), [own]);
    assert_eq!(records.on_call_for(None).unwrap(), [house.doctor, house.nurse, own]);
    records.set_disabled(house.doctor, true).unwrap();
    assert_eq!(records.on_call(Some(house.team)).unwrap(), [house.nurse]);
    // Nobody has a place in any order: everybody who may be paged, and nobody else.
    let off = records.create_person(&new_person("sun", Role::Doctor, None, None)).unwrap();
    for person in [house.nurse, own] {
        records.set_disabled(person, true).unwrap();
    }
    assert_eq!(records.on_call(Some(house.team)).unwrap(), [off]);
    assert_eq!(records.on_call(None).unwrap(), [off]);
}

#[test]
fn elders_are_found_by_any_part() {
    let house = house();
    let records = &house.records;
    let other = records.create_elder(&new_elder("李小四", None)).unwrap();
    let ids = |search: &str| records.elders(search, 10).unwrap().into_iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(ids(""), [house.elder, other]);
    assert_eq!(ids("小四"), [other]);
    assert_eq!(ids("幸福路"), [house.elder, other]);
    assert_eq!(ids("%"), [house.elder, other], "a wildcard is not one");
    assert!(ids("王").is_empty());
    assert_eq!(records.elders("", 1).unwrap().len(), 1);
    let mut changed = new_elder("李四", Some(house.team));
    records.update_elder(other, &changed).unwrap();
    assert_eq!(records.elder(other).unwrap().unwrap().team.unwrap().id, house.team.0);
    assert_eq!(records.elders_of_team(house.team, 10).unwrap().len(), 2);
    changed.birth_date = Some("1940-02-30".into());
    assert!(matches!(records.update_elder(other, &changed), Err(Error::Invalid(_))));
    // Nobody is born tomorrow, by the calendar of Asia/Shanghai.
    let day = |days: i64| {
        let (year, month, day) = crate::records::view::shanghai_date(records.now().plus_us(days * 86_400_000_000));
        NewElder { birth_date: Some(format!("{year:04}-{month:02}-{day:02}")), ..new_elder("赵七", None) }
    };
    assert!(records.create_elder(&day(0)).is_ok());
    let refused = records.create_elder(&day(1)).unwrap_err().to_string();
    assert!(refused.contains("in the future"), "{refused}");
    assert!(matches!(records.update_elder(other, &day(1)), Err(Error::Invalid(_))));
    assert!(matches!(records.update_elder(ElderId(99), &new_elder("x", None)), Err(Error::NotFound(_))));
    let no_team = records.create_elder(&new_elder("x", Some(TeamId(99))));
    assert!(matches!(no_team, Err(Error::NotFound(_))));
}

#[test]
fn age_counts_birthdays_in_shanghai() {
    use crate::records::view::age;
    // 1940-02-29 has its birthday on the first of March in a common year.
    let at = |text| Time::parse(text).unwrap();
    assert_eq!(age("1940-02-29", at("2026-02-28T15:59:59Z")), Some(85));
    assert_eq!(age("1940-02-29", at("2026-02-28T16:00:00Z")), Some(86));
    assert_eq!(age("1940-02-29", at("2024-02-28T15:59:59Z")), Some(83));
    assert_eq!(age("1940-02-29", at("2024-02-28T16:00:00Z")), Some(84));
    assert_eq!(age("2030-01-01", at("2026-01-01T00:00:00Z")), None);
    assert_eq!(age("rubbish", at("2026-01-01T00:00:00Z")), None);
}
