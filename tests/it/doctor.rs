//! `vigil doctor`, `vigil forget-elder` and `vigil readings` as an operator uses them, on the data directory of a stopped server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingest::writer::REFUSED_FILE;
use model::entry::{Entry, Flags, Frame};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use store::readings::{Config, FILE, Readings};

use crate::world::{World, vigil};

const START: i64 = 1_700_000_000_000_000;

fn fill(world: &World) {
    let readings = Readings::open(&world.config().data_dir, &Config::default()).unwrap();
    let row = |elder: u32, i: i64| Reading {
        subject: Subject::Elder(ElderId(elder)),
        device: DeviceId(1),
        sample: Sample::new(Metric::HeartRate, Time(START + i * 1_000_000), 60.0 + (i * 7 % 13) as f64, Quality::Ok),
    };
    let rows: Vec<Reading> = (0..1_000).flat_map(|i| [row(7, i), row(8, i)]).collect();
    readings.write(&rows, Seq(0)).unwrap();
    readings.seal_all().unwrap();
}

fn run(args: &[&str], config: &str) -> (bool, String) {
    let mut all = args.to_vec();
    all.extend(["--config", config]);
    let output = vigil(&all).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

#[test]
fn damage_is_named_mended_and_then_gone() {
    let world = World::new(1, 1);
    fill(&world);
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let (sound, said) = run(&["doctor"], config);
    assert!(sound && said.contains("all sound"), "{said}");
    let db = rusqlite::Connection::open(world.config().data_dir.join(FILE)).unwrap();
    db.execute(
        "UPDATE block SET data = CAST(substr(data, 1, 20) || x'ee' || substr(data, 22) AS BLOB) WHERE id = 1",
        [],
    )
    .unwrap();
    drop(db);
    let (sound, said) = run(&["doctor"], config);
    assert!(!sound && said.contains("bad  readings: block 1"), "{said}");
    let (sound, said) = run(&["doctor", "--repair"], config);
    assert!(sound && said.contains("1000 rows lost or set aside") && said.contains("bad_block"), "{said}");
    let (sound, said) = run(&["doctor"], config);
    assert!(sound, "{said}");
    let held = Readings::open(&world.config().data_dir, &Config::default()).unwrap();
    let (sound, said) = run(&["doctor"], config);
    assert!(!sound && said.contains("in use by another process"), "{said}");
    drop(held);
}

#[test]
fn an_elder_is_forgotten_only_when_asked_twice_and_it_is_shown_and_written_down() {
    let world = World::new(1, 1);
    fill(&world);
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let (done, said) = run(&["forget-elder", "7"], config);
    assert!(!done && said.contains("1000 readings in 1 series") && said.contains("--yes"), "{said}");
    let held = Readings::open(&world.config().data_dir, &Config::default()).unwrap();
    let (done, said) = run(&["forget-elder", "7", "--yes"], config);
    assert!(!done && said.contains("in use by another process"), "{said}");
    assert_eq!(held.latest(Subject::Elder(ElderId(7))).len(), 1);
    drop(held);
    let (done, said) = run(&["forget-elder", "7", "--yes"], config);
    assert!(
        done && said.contains("refused 0") && said.contains("rows 1000") && said.contains("places before, 0 after"),
        "{said}"
    );
    let line = &world.records().audit_list(None, 1).unwrap()[0];
    assert_eq!((line.action.as_str(), line.subject.as_str()), ("forget_readings", "elder/7"));
    let readings = Readings::open(&world.config().data_dir, &Config::default()).unwrap();
    let of = |elder| readings.latest(Subject::Elder(ElderId(elder))).len();
    assert_eq!((of(7), of(8), readings.count()), (0, 1, 1_000));
    drop(readings);
    // What a repair left is named, and goes when that is said.
    let copy = world.config().data_dir.join(format!("{FILE}.damaged-1"));
    std::fs::write(&copy, "everybody").unwrap();
    let (done, said) = run(&["forget-elder", "8", "--yes"], config);
    assert!(!done && said.contains("readings.db.damaged-1: not touched") && copy.exists(), "{said}");
    let (done, said) = run(&["forget-elder", "8", "--yes", "--damaged-copies"], config);
    assert!(done && said.contains("readings.db.damaged-1: deleted") && !copy.exists(), "{said}");
}

#[test]
fn rows_lost_with_a_page_are_wrong_and_the_journal_is_read_again() {
    let world = World::new(1, 1);
    fill(&world);
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let path = world.config().data_dir.join(FILE);
    let root = {
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'block'", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let root = root as usize;
    bytes[(root - 1) * page..root * page].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let (sound, said) = run(&["doctor", "--repair"], config);
    assert!(!sound && said.contains("bad  readings: rows of block cannot be read any more"), "{said}");
    assert!(
        said.contains("2000 rows lost or set aside: the next start reads the journal again from entry 0"),
        "{said}"
    );
    let (sound, said) = run(&["doctor"], config);
    assert!(sound, "{said}");
}

#[test]
fn a_wrong_number_is_refused_and_the_person_is_named_before_and_after() {
    let world = World::new(1, 1);
    fill(&world);
    let records = world.records();
    let new = store::records::NewElder {
        name: "王秀兰".to_owned(),
        sex: model::people::Sex::Female,
        birth_date: Some("1941-03-05".to_owned()),
        phone: "13800000000".to_owned(),
        address: String::new(),
        notes: String::new(),
        team: None,
    };
    let known = records.create_elder(&new).unwrap().0;
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let forget = |elder: u32, more: &[&str]| run(&[&["forget-elder", &elder.to_string()], more].concat(), config);
    for more in [&[][..], &["--yes"]] {
        let (done, said) = forget(77, more);
        assert!(!done && said.contains("there is no elder 77") && !said.contains("deleted"), "{said}");
    }
    assert!(
        records.audit_list(None, 9).unwrap().iter().all(|line| !line.action.starts_with("forget")),
        "nothing was done"
    );
    let (done, said) = forget(known, &[]);
    assert!(!done && said.contains("王*兰, born 1941: 0 readings") && !said.contains("03-05"), "{said}");
    let (done, said) = forget(known, &["--yes"]);
    let named = said.lines().filter(|line| line.contains("王*兰, born 1941")).count();
    assert!(done && named == 2 && said.contains("deleted: series 0"), "before and after: {said}");
    let (done, said) = forget(known, &["--yes"]);
    assert!(done && said.contains("born 1941, deleted before on 20"), "{said}");
    // Readings of a number that the registry does not know: deleted, and said so again later.
    let (done, said) = forget(7, &["--yes"]);
    assert!(done && said.contains("elder 7, whom the registry does not know") && said.contains("rows 1000"), "{said}");
    let (done, said) = forget(7, &["--yes"]);
    assert!(done && said.contains("deleted before on 20"), "{said}");
    // Killed in the middle: the line that it began is there, the readings are gone.
    records.audit(None, "forget_readings_begun", "elder/55", "").unwrap();
    let (done, said) = forget(55, &["--yes"]);
    assert!(done && said.contains("did not come to its end") && said.contains("proof: "), "{said}");
}

#[test]
fn refused_readings_are_listed_and_put_through_the_store_again() {
    let world = World::new(1, 1);
    let config = world.config_file();
    let config = config.to_str().unwrap();
    let (none, said) = run(&["readings", "refused"], config);
    assert!(none && said.contains("no readings are set aside"), "{said}");
    let frame = Frame {
        gateway: GatewayId(1),
        device: DeviceId(1),
        subject: Subject::Elder(ElderId(7)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: 1,
        received_at: Time(START),
        events: vec![],
        samples: vec![Sample::new(Metric::HeartRate, Time(START), 70.0, Quality::Ok)],
        extras: Extras::default(),
    };
    let entry = STANDARD.encode(Entry::Frame(frame).to_bytes());
    let line = serde_json::json!({ "journal_seq": 1, "at_us": START, "cause": "refused", "entry": entry });
    let file = world.config().data_dir.join(REFUSED_FILE);
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let (none, said) = run(&["readings", "refused"], config);
    assert!(!none && said.contains("1 entries") && said.contains("refused 1") && said.contains("2023-11-14"), "{said}");
    // Not while somebody else has the directory.
    let lock = vigil::server::lock(&world.config().data_dir).unwrap();
    let (done, said) = run(&["readings", "refused", "--retry"], config);
    assert!(!done && said.contains("in use by another vigil server") && file.exists(), "{said}");
    drop(lock);
    let (done, said) = run(&["readings", "refused", "--retry"], config);
    assert!(done && said.contains("1 new readings") && !file.exists(), "{said}");
    let line = &world.records().audit_list(None, 1).unwrap()[0];
    assert_eq!((line.action.as_str(), line.subject.as_str()), ("retry_refused_readings", REFUSED_FILE));
    let readings = Readings::open(&world.config().data_dir, &Config::default()).unwrap();
    assert_eq!(readings.latest(Subject::Elder(ElderId(7))).len(), 1);
}
