//! Readings leave and come: export to CSV and Parquet, import through a map, beside a running server and without one.

use std::path::{Path, PathBuf};

use model::{ElderId, Metric, Quality, Sample, Seq, Subject, Time};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use store::readings::{Batch, Original, Readings};

use crate::world::{World, vigil};

/// Runs a command beside the runtime. Status, standard output, standard error.
pub(crate) async fn run(words: Vec<String>) -> (bool, String, String) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = vigil(&words);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

pub(crate) fn words(fixed: &[&str], config: &Path) -> Vec<String> {
    let config = ["--config", config.to_str().unwrap()];
    fixed.iter().chain(&config).map(|word| (*word).to_owned()).collect()
}

const START: Time = Time::from_secs(1_780_000_000);

/// A value, an absence, and one that was converted.
fn fill(readings: &Readings, elder: ElderId) {
    let (subject, device) = (Subject::Elder(elder), model::DeviceId(3));
    let mut batch = Batch::default();
    for i in 0..2_500_i64 {
        let at = START.plus_us(i * 1_000_000 + 7);
        let sample = match i % 50 {
            0 => Sample::absent(Metric::HeartRate, at, Quality::SensorOff),
            _ => Sample::new(Metric::HeartRate, at, 60.0 + (i % 17) as f64 / 3.0, Quality::Ok),
        };
        batch.rows.push(model::Reading { subject, device, sample });
    }
    let sample = Sample::new(Metric::Systolic, START, 141.761_718, Quality::Ok);
    batch.rows.push(model::Reading { subject, device, sample });
    let origin = model::Origin { raw: Some(("18.9".into(), "kPa".into())), ..model::Origin::default() };
    batch.originals.push(Original { subject, metric: Metric::Systolic, at: START, origin });
    readings.write_batch(&batch, Seq(0)).unwrap();
}

type Line = (String, String, i64, Option<f64>, String, Option<String>);

fn csv_lines(file: &Path) -> Vec<Line> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|one| one == name).unwrap();
    let line = |row: csv::StringRecord| {
        let cell = |name: &str| row[column(name)].to_owned();
        let at = Time::parse(&cell("taken_at")).unwrap();
        assert_eq!(at.micros().to_string(), cell("taken_at_us"));
        let value = Some(cell("value")).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
        let raw = Some(cell("raw_value")).filter(|text| !text.is_empty());
        (cell("subject"), cell("metric"), at.micros(), value, cell("quality"), raw)
    };
    reader.records().map(|row| line(row.unwrap())).collect()
}

fn parquet_lines(file: &Path) -> Vec<Line> {
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let line = |row: parquet::record::Row| {
        let text = |i: usize| row.get_string(i).unwrap().clone();
        let value = row.get_double(6).ok();
        (text(0), text(1), row.get_timestamp_micros(5).unwrap(), value, text(7), row.get_string(9).ok().cloned())
    };
    reader.get_row_iter(None).unwrap().map(|row| line(row.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_is_stored_in_both_forms_and_in_the_audit() {
    let world = World::new(1, 2);
    let elder = ElderId(world.gateways[0].elders[0]);
    let server = world.serve().await;
    fill(&server.parts.readings, elder);
    fill(&server.parts.readings, ElderId(world.gateways[0].elders[1]));
    let config = world.config_file();
    let file = |name: &str| world.dir.path().join(name);
    let export = |more: &[&str], out: &Path| {
        let out = out.to_str().unwrap();
        words(&[&["export", "--out", out], more].concat(), &config)
    };
    let of_elder = ["--elder", &elder.to_string(), "--from", "2026-01-01T00:00:00Z"];
    let (done, said, complaint) = run(export(&of_elder, &file("a.csv"))).await;
    assert!(done && said.contains("2501 readings"), "{said}{complaint}");
    let (done, said, complaint) =
        run(export(&[&of_elder[..], &["--format", "parquet"]].concat(), &file("a.parquet"))).await;
    assert!(done, "{said}{complaint}");
    let lines = csv_lines(&file("a.csv"));
    assert_eq!(lines, parquet_lines(&file("a.parquet")));
    let raw = server.parts.readings.raw(Subject::Elder(elder), Metric::HeartRate, START, Time::MAX, 10_000).unwrap();
    let pulses: Vec<&Line> = lines.iter().filter(|line| line.1 == "heart_rate").collect();
    assert_eq!(raw.len(), pulses.len());
    for (stored, line) in raw.iter().zip(pulses) {
        assert_eq!((stored.sample.taken_at.micros(), stored.sample.value()), (line.2, line.3), "bit for bit");
    }
    let converted = lines.iter().find(|line| line.1 == "systolic").unwrap();
    assert_eq!((converted.3, converted.5.as_deref()), (Some(141.761_718), Some("18.9")));

    // A range, a metric, everybody, without numbers.
    std::fs::write(file("key"), "5a".repeat(32)).unwrap();
    let to = START.plus_us(100_000_000).to_string();
    let key = file("key");
    let some = ["--all", "--metrics", "heart_rate", "--to", &to, "--pseudonym", key.to_str().unwrap()];
    let (done, said, complaint) = run(export(&some, &file("b.csv"))).await;
    assert!(done && said.contains("200 readings"), "{said}{complaint}");
    let lines = csv_lines(&file("b.csv"));
    let mut subjects: Vec<&str> = lines.iter().map(|line| line.0.as_str()).collect();
    subjects.dedup();
    assert!(subjects.len() == 2 && subjects.iter().all(|name| name.len() == 32), "{subjects:?}");
    let (done, _, complaint) = run(export(&of_elder, &file("a.csv"))).await;
    assert!(!done && complaint.contains("exists"), "{complaint}");

    let audit = server.parts.records.audit_list(None, 50).unwrap();
    let mut audit = audit.iter().filter(|row| row.action == "export_readings");
    let (newest, first) = (audit.next().unwrap(), audit.next_back().unwrap());
    assert_eq!(first.subject, format!("elder/{elder}"));
    assert!(newest.subject == "elders" && newest.detail.contains("\"pseudonyms\":true"), "{newest:?}");
    let last = server.parts.records.audit_list(None, 1).unwrap();
    assert!(last[0].action == "export_readings_done" && last[0].detail.contains("\"rows\":"), "{last:?}");
    assert!(last[0].detail.contains(&format!("\"uid\":{}", rustix::process::getuid().as_raw())), "{last:?}");
    let inside = world.data_dir().join("d.csv");
    let (done, _, complaint) = run(export(&["--all"], &inside)).await;
    assert!(!done && complaint.contains("in the data directory"), "{complaint}");
    server.stop().await;
    let (done, said, complaint) = run(export(&["--team", "测试团队"], &file("c.csv"))).await;
    assert!(done && said.contains("5002 readings"), "without a server too: {said}{complaint}");
}

const MAP: &str = "[time]\ncolumn = \"when\"\nformat = \"%Y-%m-%d %H:%M:%S\"\nzone = \"Asia/Shanghai\"\n
[elder]\ncolumn = \"who\"\nwords = { \"A\" = ELDER }\n
[[value]]\ncolumn = \"spo2\"\nmetric = \"spo2\"\n
[[value]]\ncolumn = \"bp\"\nmetric = \"systolic\"\nunit = \"kPa\"\n";

struct File {
    csv: PathBuf,
    map: PathBuf,
}

/// A file with `lines` good lines of low oxygen, and three bad ones.
fn write_file(world: &World, lines: u32) -> File {
    let file = |name: &str| world.dir.path().join(name);
    let line = |i: u32| format!("2026-03-0{} {:02}:{:02}:00,A,71,30.5\n", 1 + i / 1_440, i / 60 % 24, i % 60);
    let mut text = "when,who,spo2,bp\n".to_owned();
    text.extend((0..lines).map(line));
    text += "gestern,A,97,\n2026-03-01 00:00:00,nobody,97,\n2026-03-01 23:59:30,A,9-7,15.0\n";
    std::fs::write(file("in.csv"), text).unwrap();
    std::fs::write(file("map.toml"), MAP.replace("ELDER", &world.gateways[0].elders[0].to_string())).unwrap();
    File { csv: file("in.csv"), map: file("map.toml") }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_history_stored_once_and_says_what_it_did_not_take() {
    let world = World::new(1, 1);
    let elder = Subject::Elder(ElderId(world.gateways[0].elders[0]));
    let file = write_file(&world, 3_000);
    let server = world.serve().await;
    let config = world.config_file();
    let import = |more: &[&str]| {
        let (csv, map) = (file.csv.to_str().unwrap(), file.map.to_str().unwrap());
        words(&[&["import", "--csv", csv, "--map", map], more].concat(), &config)
    };
    let (done, said, _) = run(import(&["--dry-run"])).await;
    assert!(!done && said.contains("6001 readings would be taken, 3 refused"), "{said}");
    assert_eq!(server.parts.readings.count(), 0);
    for round in 0..2 {
        let (done, said, complaint) = run(import(&[])).await;
        assert!(
            !done && said.contains("6001 readings stored, or there already, 3 refused"),
            "{round}: {said}{complaint}"
        );
        assert_eq!(server.parts.readings.count(), 6_001, "once each");
    }
    let report = std::fs::read_to_string(world.dir.path().join("in.csv.refused.csv")).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    assert!(world.dir.path().join("in.csv.refused-3.csv").exists(), "one report a run");
    assert!(lines[1].starts_with("3002,when,not a time"), "{report}");
    assert!(lines[2].starts_with("3003,who,"), "{report}");
    assert!(lines[3].starts_with("3004,spo2,"), "{report}");
    assert!(!report.contains("nobody") && !report.contains("9-7"), "what stood there may be personal");
    let at = Time::parse("2026-03-01T00:00:00+08:00").unwrap();
    let origin = server.parts.readings.origin(elder, Metric::Systolic, at).unwrap().unwrap();
    assert_eq!(origin.raw, Some(("30.5".into(), "kPa".into())));
    // Judged to the end, and nobody was troubled by oxygen of 71 % in March.
    let head = server.parts.journal.head().0;
    while server.parts.alerting.stats().position < head {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let alarms = server.parts.records.alarms(store::records::AlarmFilter::default(), 100).unwrap();
    assert!(alarms.is_empty(), "{alarms:?}");
    server.stop().await;
}

/// The store keeps one value of a moment, and old readings not at all: an import does not call that stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_the_lines_that_the_store_would_drop() {
    let world = World::new(1, 1);
    let file = write_file(&world, 0);
    let lines = |lines: &str| std::fs::write(&file.csv, format!("when,who,spo2,bp\n{lines}")).unwrap();
    let server = world.serve().await;
    let config = world.config_file();
    let import = || {
        let (csv, map) = (file.csv.to_str().unwrap(), file.map.to_str().unwrap());
        run(words(&["import", "--csv", csv, "--map", map], &config))
    };
    // Three pressures of one day by a format without hours: the first stays.
    lines("2026-03-01 00:00:00,A,71,18.0\n2026-03-01 00:00:00,A,71,19.0\n2026-03-02 00:00:00,A,72,\n");
    let (done, said, complaint) = import().await;
    assert!(!done && said.contains("4 readings stored, or there already, 1 refused"), "{said}{complaint}");
    // Again with other values: what agrees is there already, of what does not nothing is taken.
    lines("2026-03-01 00:00:00,A,71,18.5\n2026-03-02 00:00:00,A,73,17.0\n");
    let (done, said, complaint) = import().await;
    assert!(!done && said.contains("2 readings stored, or there already, 2 refused"), "{said}{complaint}");
    let report = |n: &str| std::fs::read_to_string(world.dir.path().join(format!("in.csv.refused{n}.csv"))).unwrap();
    assert!(report("").contains("3,,an earlier line has another value"), "{}", report(""));
    let second = report("-2");
    assert!(second.contains("2,,the store has another value") && second.contains("3,,the store has"), "{second}");
    assert_eq!(server.parts.readings.count(), 3 + 1, "the second day's pressure is new");
    // By now there are readings of later, and those of March are 90 days old.
    let (elder, device) = (Subject::Elder(ElderId(world.gateways[0].elders[0])), model::DeviceId(1));
    let at = Time::parse("2026-10-01T00:00:00+08:00").unwrap();
    let sample = model::Sample::new(Metric::Spo2, at, 97.0, model::Quality::Ok);
    let cursor = server.parts.readings.cursor();
    server.parts.readings.write(&[model::Reading { subject: elder, device, sample }], cursor).unwrap();
    server.parts.readings.maintain(at).unwrap();
    lines("2026-03-03 00:00:00,A,71,\n2026-09-03 00:00:00,A,96,\n");
    let (done, said, complaint) = import().await;
    assert!(!done && said.contains("1 readings stored, or there already, 1 refused"), "{said}{complaint}");
    assert!(report("-3").contains("2,,older than the store keeps"), "{}", report("-3"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_a_server_waits_in_the_journal() {
    let world = World::new(1, 1);
    let file = write_file(&world, 100);
    let config = world.config_file();
    let (csv, map) = (file.csv.to_str().unwrap(), file.map.to_str().unwrap());
    let (_, said, complaint) = run(words(&["import", "--csv", csv, "--map", map], &config)).await;
    assert!(said.contains("201 readings are in the journal"), "{said}{complaint}");
    let out = world.dir.path().join("early.csv");
    let (done, said, complaint) = run(words(&["export", "--all", "--out", out.to_str().unwrap()], &config)).await;
    assert!(done && said.contains("0 readings in"), "{said}{complaint}");
    assert!(said.contains("journal entries are not stored yet") && said.contains("start the server"), "{said}");
    let server = world.serve().await;
    while server.parts.readings.count() < 201 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.parts.readings.count(), 201);
    server.stop().await;
    let out = world.dir.path().join("all.csv");
    let (_, said, complaint) = run(words(&["export", "--all", "--out", out.to_str().unwrap()], &config)).await;
    assert!(said.contains("201 readings in") && !said.contains("not stored yet"), "{said}{complaint}");
    let turned = ["export", "--all", "--from", "2026-03-02 00:00", "--to", "2026-03-02 00:00"];
    let never = world.dir.path().join("never.csv");
    let turned = [&turned[..], &["--out", never.to_str().unwrap()]].concat();
    let (done, _, complaint) = run(words(&turned, &config)).await;
    assert!(!done && complaint.contains("is not before --to") && !never.exists(), "{complaint}");
}
