//! The file itself: opening, migrating, backing up, and being opened twice.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::records::migrate;

#[test]
fn data_of_a_newer_version_are_refused_and_untouched() {
    let house = house();
    let path = house.dir.path().join(FILE);
    drop(house.records);
    let raw = Connection::open(&path).unwrap();
    raw.execute("INSERT INTO migration (version, sha256, at) VALUES (99, 'x', 0)", []).unwrap();
    drop(raw);
    let before = std::fs::read(&path).unwrap();
    let error = Records::open(house.dir.path(), Clock::system()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_changed_migration_is_noticed_and_a_broken_one_leaves_nothing() {
    let house = house();
    let path = house.dir.path().join(FILE);
    let mut raw = Connection::open(&path).unwrap();
    let changed = [(1, "CREATE TABLE other (id BIGINT)")];
    let error = migrate::run(&mut raw, &changed, START).unwrap_err();
    assert!(matches!(error, Error::MigrationChanged(1)), "{error}");
    let next = migrate::MIGRATIONS.last().unwrap().0 + 1;
    let with = |text| [migrate::MIGRATIONS, &[(next, text)]].concat();
    let broken = with("CREATE TABLE half (id BIGINT); CREATE TABLE half (id BIGINT);");
    migrate::run(&mut raw, &broken, START).unwrap_err();
    assert!(raw.prepare("SELECT * FROM half").is_err(), "half a migration is none");
    let good = with("CREATE TABLE whole (id BIGINT);");
    assert_eq!(migrate::run(&mut raw, &good, START).unwrap(), next);
    assert_eq!(migrate::run(&mut raw, &good, START).unwrap(), next);
}

#[test]
fn a_place_that_cannot_be_used_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Records::open(&dir.path().join("missing"), Clock::system()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    // In the way of the file.
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    let blocked = Records::open(dir.path(), Clock::system()).unwrap_err();
    assert!(matches!(blocked, Error::ReadOnly(_)), "{blocked}");
}

#[test]
fn a_read_only_directory_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let set_mode = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o555);
    if std::fs::write(dir.path().join("probe"), "x").is_ok() {
        eprintln!("skipped: this user (root) may write everywhere");
        return;
    }
    let error = Records::open(dir.path(), Clock::system()).unwrap_err();
    set_mode(0o755);
    assert!(matches!(error, Error::ReadOnly(_)), "{error}");
}

#[test]
fn the_command_line_may_open_the_data_of_a_running_server() {
    let house = house();
    let other = Records::open(house.dir.path(), house.clock.clone()).unwrap();
    let id = house.sos();
    assert_eq!(other.alarm_view(id).unwrap().unwrap().id, id);
    other.claim(id, house.dispatcher, None).unwrap();
    assert!(house.view(id).claimed_by.is_some());
}

#[test]
fn a_backup_taken_while_writing_is_whole() {
    let house = house();
    let target = house.dir.path().join("copy");
    std::fs::create_dir(&target).unwrap();
    // Each of a rule of its own: presses of one button are one alarm.
    let press = |n: u32| {
        house.pass(1);
        let at = house.clock.now();
        house.apply(&[house.change(&format!("sos_{n}"), at, raised(Priority::P1, SOS, at, false))]);
    };
    (0..20).for_each(press);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| (20..40).for_each(press));
        house.records.backup_to(&target.join(FILE)).unwrap();
        writer.join().unwrap();
    });
    let copy = Records::open(&target, house.clock.clone()).unwrap();
    assert_eq!(copy.integrity_check().unwrap(), Vec::<String>::new());
    let alarms = copy.alarms(AlarmFilter::default(), 100).unwrap().len();
    assert!((20..=40).contains(&alarms), "{alarms}");
    assert_eq!(copy.alerting_cursor().unwrap().0, alarms as u64, "alarms and cursor are of one instant");
    let again = house.records.backup_to(&target.join(FILE));
    assert!(matches!(again, Err(Error::Io { .. })), "a backup never overwrites a file");
}

#[test]
fn the_stream_and_the_list_use_indexes() {
    let house = house();
    let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
    for (sql, index) in [
        ("SELECT seq FROM alarm_event v WHERE v.seq > 5 ORDER BY v.seq LIMIT 9", "SEARCH v"),
        ("SELECT id FROM alarm a WHERE a.handling IN ('open', 'claimed', 'engaged')", "alarm_by_handling"),
        ("SELECT id FROM alarm a WHERE a.page_due_at <= 9 AND a.handling = 'open'", "alarm_by_"),
        ("SELECT id FROM alarm a WHERE a.page_due_at <= 9 AND a.handling IN ('open', 'engaged')", "alarm_by_"),
        (
            "SELECT 1 FROM page WHERE alarm = 1 AND person = 2 AND channel = 'c' AND state IN ('queued')",
            "page_by_alarm",
        ),
        ("SELECT 1 FROM alarm_event WHERE change_key = 'x'", "change_key=?"),
        ("SELECT id FROM page g WHERE g.due_at <= 9", "page_by_due"),
        ("SELECT state FROM page g WHERE g.alarm = 1 ORDER BY g.id DESC LIMIT 1", "page_by_alarm"),
    ] {
        let plan: String = raw.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get("detail")).unwrap();
        assert!(plan.contains(index), "{sql}: {plan}");
    }
}

#[test]
fn tidying_forgets_what_is_over() {
    let house = house();
    let id = house.sos();
    house.records.note(id, house.dispatcher, "a", Some("k")).unwrap();
    house.records.login("wang", PASSWORD).unwrap();
    let rows = |table: &str| -> i64 {
        let raw = Connection::open(house.dir.path().join(FILE)).unwrap();
        raw.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    house.records.tidy(house.clock.now()).unwrap();
    assert_eq!((rows("idempotency"), rows("session")), (1, 1));
    house.pass(8 * 86_400);
    house.records.tidy(house.clock.now()).unwrap();
    assert_eq!((rows("idempotency"), rows("session")), (0, 0));
    assert!(Path::new(&house.dir.path().join(FILE)).exists());
}
