//! The examination and repair of a damaged embedded store: bytes are flipped, nothing is thrown away, what is right stays right.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Config, Error, Examination, FILE, Readings, examine};

const START: i64 = 1_700_000_000_000_000;
const ELDERS: u32 = 4;

fn config() -> Config {
    Config { seal_rows: 100_000, block_rows_max: 250, page_bytes: 4_096, ..Config::default() }
}

fn rows(elder: u32, range: std::ops::Range<i64>) -> Vec<Reading> {
    let row = |i: i64| {
        let at = Time(START + i * 5_000_000 + i * 7_919 % 3_000);
        let sample = if i % 90 == 7 {
            Sample::absent(Metric::HeartRate, at, Quality::SensorOff)
        } else {
            Sample::new(Metric::HeartRate, at, 60.0 + (i * 31 % 47) as f64 / 2.0, Quality::Ok)
        };
        Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
    };
    range.map(row).collect()
}

/// Four elders with 1,000 sealed rows each, and 50 each in the log.
fn fill(dir: &Path) {
    let store = Readings::open(dir, &config()).unwrap();
    let sealed: Vec<Reading> = (1..=ELDERS).flat_map(|elder| rows(elder, 0..1_000)).collect();
    store.write(&sealed, Seq(10)).unwrap();
    store.seal_all().unwrap();
    for elder in 1..=ELDERS {
        store.write(&rows(elder, 1_000..1_050), Seq(10 + u64::from(elder))).unwrap();
    }
}

fn look(dir: &Path) -> Examination {
    examine(dir, &config(), None, &mut |_, _, _| {}).unwrap()
}

fn repair(dir: &Path) -> Examination {
    examine(dir, &config(), Some(Seq(4)), &mut |_, _, _| {}).unwrap()
}

fn sql(dir: &Path, sql: &str) {
    let db = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
}

fn number(dir: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(dir.join(FILE)).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn flip(column: &str, at: usize) -> String {
    format!("{column} = CAST(substr({column}, 1, {at}) || x'ee' || substr({column}, {}) AS BLOB)", at + 2)
}

fn stored(dir: &Path, elder: u32) -> Vec<Reading> {
    let store = Readings::open(dir, &config()).unwrap();
    store.raw(Subject::Elder(ElderId(elder)), Metric::HeartRate, Time(0), Time(i64::MAX), 10_000).unwrap()
}

#[test]
fn a_sound_store_is_found_sound_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let mut told = Vec::new();
    let found =
        examine(dir.path(), &config(), None, &mut |what, done, of| told.push((what.to_owned(), done, of))).unwrap();
    assert_eq!(found.findings, []);
    assert_eq!((found.blocks, found.rows, found.logged, found.cursor), (16, 4_000, 200, Seq(14)));
    assert!(told.contains(&("blocks".to_owned(), 16, 16)));
    assert_eq!(repair(dir.path()), found);
    let store = Readings::open(dir.path(), &config()).unwrap();
    assert!(matches!(examine(dir.path(), &config(), None, &mut |_, _, _| {}), Err(Error::Locked { .. })));
    assert_eq!((store.count(), store.cursor()), (4_200, Seq(14)));
}

#[test]
fn a_damaged_block_is_set_aside_and_the_journal_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let before = stored(dir.path(), 1);
    sql(dir.path(), &format!("UPDATE block SET {} WHERE id = 2", flip("data", 40)));
    let found = look(dir.path());
    assert!(found.findings[0].what.contains("block 2") && found.findings[0].done.is_none(), "{found:?}");
    assert_eq!(number(dir.path(), "SELECT count(*) FROM bad_block"), 0);
    let found = repair(dir.path());
    assert!(found.findings[0].done.as_ref().unwrap().contains("set aside"), "{found:?}");
    assert_eq!((found.lost_rows, found.cursor), (250, Seq(4)));
    assert_eq!(number(dir.path(), "SELECT n FROM bad_block WHERE id = 2"), 250);
    let left = stored(dir.path(), 1);
    assert_eq!((left.len(), stored(dir.path(), 2).len()), (800, 1_050));
    assert_eq!(look(dir.path()).findings, []);
    // What the journal still has comes back, once.
    let store = Readings::open(dir.path(), &config()).unwrap();
    let written = store.write(&rows(1, 0..1_000), Seq(10)).unwrap();
    assert_eq!((written.stored, written.duplicate), (250, 750));
    drop(store);
    assert_eq!(stored(dir.path(), 1), before);
}

#[test]
fn rows_that_the_checksum_proves_get_a_new_summary_and_rollup() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let before = stored(dir.path(), 1);
    sql(dir.path(), &format!("UPDATE block SET {} WHERE id = 1", flip("side", 30)));
    sql(dir.path(), "UPDATE block SET hi = hi + 100 WHERE id = 2");
    sql(dir.path(), "UPDATE block SET first_at = first_at - 1 WHERE id = 3");
    sql(dir.path(), "UPDATE series SET rows = rows + 5 WHERE series = (SELECT min(series) FROM series)");
    assert_eq!(look(dir.path()).findings.len(), 4);
    let found = repair(dir.path());
    assert_eq!((found.findings.len(), found.lost_rows, found.cursor), (4, 0, Seq(14)), "{found:?}");
    assert!(found.findings[..3].iter().all(|f| f.done.as_ref().unwrap().contains("proven")), "{found:?}");
    assert_eq!(look(dir.path()).findings, []);
    assert_eq!(stored(dir.path(), 1), before);
}

#[test]
fn a_damaged_row_of_the_log_keeps_its_bytes_and_no_longer_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    sql(dir.path(), &format!("UPDATE log SET {} WHERE cursor = 12", flip("rows", 30)));
    assert!(matches!(Readings::open(dir.path(), &config()), Err(Error::Corrupt { .. })));
    assert!(look(dir.path()).findings[0].what.contains("log row"));
    let found = repair(dir.path());
    assert_eq!((found.lost_rows, found.cursor), (50, Seq(4)));
    assert_eq!(number(dir.path(), "SELECT length(rows) FROM bad_log"), 50 * 27);
    assert_eq!(
        (1..=ELDERS).map(|elder| stored(dir.path(), elder).len()).collect::<Vec<_>>(),
        [1_050, 1_000, 1_050, 1_050]
    );
    assert_eq!(look(dir.path()).findings, []);
}

#[test]
fn any_flipped_byte_of_the_file_is_survived_and_the_damaged_file_is_kept() {
    let clean = tempfile::tempdir().unwrap();
    fill(clean.path());
    // Without free pages: every byte means something.
    rusqlite::Connection::open(clean.path().join(FILE)).unwrap().execute_batch("VACUUM").unwrap();
    let bytes = std::fs::read(clean.path().join(FILE)).unwrap();
    let wanted: Vec<Vec<Reading>> = (1..=ELDERS).map(|elder| stored(clean.path(), elder)).collect();
    let (mut noticed, mut copies, mut hopeless) = (0, 0, 0);
    // Not the first page: a file that is not known as a database any more is for the backup.
    for (i, place) in (4_096..bytes.len()).step_by(bytes.len() / 60).enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = bytes.clone();
        // A whole stretch, as a bad sector leaves it, or one byte.
        let stretch = if i % 2 == 0 { 1 } else { 512 };
        damaged[place..(place + stretch).min(bytes.len())].iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(dir.path().join(FILE), &damaged).unwrap();
        let found = match examine(dir.path(), &config(), Some(Seq(0)), &mut |_, _, _| {}) {
            Ok(found) => found,
            // The page that says what tables there are, for one: for the backup.
            Err(Error::Corrupt { .. } | Error::Foreign { .. }) => {
                hopeless += 1;
                continue;
            }
            Err(other) => panic!("{other:?} at {place}"),
        };
        noticed += usize::from(!found.findings.is_empty());
        let is_kept = |name: &str| name.contains("damaged-");
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        for name in names.filter(|name| is_kept(&name.to_string_lossy())) {
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap().len(), damaged.len());
            copies += 1;
        }
        assert_eq!(look(dir.path()).findings, [], "at {place}");
        for (elder, wanted) in (1..=ELDERS).zip(&wanted) {
            let rows = stored(dir.path(), elder);
            assert!(rows.iter().all(|row| wanted.contains(row)), "a value nobody measured, at {place}");
        }
    }
    assert!(noticed >= 8 && copies >= 3 && hopeless <= 4, "{noticed} {copies} {hopeless}");
}

/// Overwrites whole pages, as bad sectors leave them.
fn overwrite(dir: &Path, pages: &[usize]) {
    let path = dir.join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    for page in pages {
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xa5);
    }
    std::fs::write(path, bytes).unwrap();
}

/// Leaf pages of a table in their order in it, counted from 0; the file is brought into one order before.
fn leaves(dir: &Path, table: &str) -> Vec<usize> {
    let db = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE; VACUUM").unwrap();
    let root: usize = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get::<_, i64>(0))
        .unwrap() as usize;
    drop(db);
    let bytes = std::fs::read(dir.join(FILE)).unwrap();
    // The root is an interior page of kind 5: cells of a child's number and a key, and the last child in the header.
    let page = &bytes[(root - 1) * 4_096..root * 4_096];
    assert_eq!(page[0], 5, "{table} is too small to have leaves");
    let number = |at: usize| u32::from_be_bytes(page[at..at + 4].try_into().unwrap()) as usize - 1;
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    let cell = |i: usize| usize::from(u16::from_be_bytes([page[12 + 2 * i], page[13 + 2 * i]]));
    (0..cells).map(|i| number(cell(i))).chain([number(8)]).collect()
}

/// As the server does after a repair: what the journal has after the cursor is written again.
fn read_journal_again(dir: &Path, from: Seq) {
    assert_eq!(from, Seq(4), "the entry before the oldest one of the journal");
    let store = Readings::open(dir, &config()).unwrap();
    assert_eq!(store.cursor(), from);
    for elder in 1..=ELDERS {
        store.write(&rows(elder, 0..1_050), Seq(14)).unwrap();
    }
}

#[test]
fn rows_lost_with_a_page_are_counted_told_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let before: Vec<_> = (1..=ELDERS).map(|elder| stored(dir.path(), elder)).collect();
    let leaves = leaves(dir.path(), "block");
    overwrite(dir.path(), &[leaves[leaves.len() / 2]]);
    let found = repair(dir.path());
    assert!(found.lost_rows >= 250, "{found:?}");
    let open: Vec<_> = found.findings.iter().filter(|finding| finding.done.is_none()).collect();
    assert!(open.len() == 1 && open[0].what.contains("block cannot be read"), "{found:?}");
    assert!(open[0].what.contains("readings.db.damaged-1"), "{found:?}");
    read_journal_again(dir.path(), found.cursor);
    assert_eq!((1..=ELDERS).map(|elder| stored(dir.path(), elder)).collect::<Vec<_>>(), before);
    assert_eq!(look(dir.path()).findings, []);
}

#[test]
fn what_lies_between_two_damaged_pages_survives() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &config()).unwrap();
    for elder in 1..=40 {
        store.write(&rows(elder, 0..1_000), Seq(u64::from(elder))).unwrap();
        store.seal_all().unwrap();
    }
    drop(store);
    let leaves = leaves(dir.path(), "block");
    overwrite(dir.path(), &[leaves[leaves.len() / 10], leaves[leaves.len() * 9 / 10]]);
    let blocks = leaves.len() as u64;
    let found = repair(dir.path());
    assert!(found.lost_rows > 0 && found.cursor == Seq(4), "{found:?}");
    let whole: Vec<u32> = (1..=40).filter(|elder| stored(dir.path(), *elder) == rows(*elder, 0..1_000)).collect();
    assert!((30..40).contains(&whole.len()), "{whole:?} of {blocks} leaves");
    assert!([1, 40].into_iter().chain(10..=30).all(|elder| whole.contains(&elder)), "{whole:?} of {blocks} leaves");
    assert_eq!(look(dir.path()).findings, []);
}

#[test]
fn writes_after_a_salvage_that_lost_the_log_are_there_after_a_restart() {
    for (what, damage) in [
        ("the log", "UPDATE meta SET seq = 950; DELETE FROM log"),
        ("meta", "DELETE FROM log; DELETE FROM meta; INSERT INTO meta(id, cursor, seq) VALUES(1, 0, 0)"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        db.execute_batch(&format!("UPDATE series SET sealed_seq = 999; {damage}")).unwrap();
        drop(db);
        // Ended before it is sealed, as by kill -9.
        let store = Readings::open(dir.path(), &config()).unwrap();
        assert_eq!(store.write(&rows(1, 2_000..2_010), Seq(20)).unwrap().stored, 10);
        drop(store);
        assert_eq!(stored(dir.path(), 1).len(), 1_010, "{what}");
    }
}

#[test]
fn a_series_of_which_only_rollups_are_left_gets_its_row_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let day = 86_400_000_000;
    let store = Readings::open(dir.path(), &config()).unwrap();
    store.seal_all().unwrap();
    // Somebody else is measured by then: else the clock is not believed.
    let sample = Sample::new(Metric::Spo2, Time(START + 100 * day), 97.0, Quality::Ok);
    store.write(&[Reading { subject: Subject::Elder(ElderId(9)), device: DeviceId(8), sample }], Seq(15)).unwrap();
    for _ in 0..20 {
        store.maintain(Time(START + 100 * day)).unwrap();
    }
    let of = Subject::Elder(ElderId(1));
    let seen = |store: &Readings| {
        let trend = store.trend(of, Metric::HeartRate, Time(START), Time(START + day), 20).unwrap();
        (trend, store.latest(of)[0].sample)
    };
    let before = seen(&store);
    assert!(
        store.raw(of, Metric::HeartRate, Time(0), Time(i64::MAX), 10).unwrap().is_empty()
            && !before.0.points.is_empty()
    );
    drop(store);
    let key = "series >> 16 = 1";
    sql(dir.path(), &format!("DELETE FROM series WHERE {key}"));
    assert!(look(dir.path()).findings[0].what.contains("without a row of their own"));
    let found = repair(dir.path());
    assert!(found.findings[0].done.is_some() && found.lost_rows == 0, "{found:?}");
    assert_eq!(look(dir.path()).findings, []);
    assert_eq!(seen(&Readings::open(dir.path(), &config()).unwrap()), before);
    // Damage of what is left is told by its time.
    let first: i64 = number(dir.path(), &format!("SELECT min(id) FROM block WHERE {key}"));
    sql(dir.path(), &format!("UPDATE block SET {} WHERE id = {first}", flip("side", 20)));
    let found = repair(dir.path());
    let done = found.findings[0].done.as_ref().unwrap();
    assert!(done.contains("rollup of 2023-11-14T22:13:20Z to 2023-11-14T"), "{done}");
}
