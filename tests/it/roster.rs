//! `vigil roster` as an administrator at a terminal uses it.

use std::path::Path;

use model::people::Role;
use serde_json::Value;
use store::records::{NewPerson, Records};

use crate::world::{World, vigil};

const ROTA: &str = r#"
team = "城东一队"

[[layers]]
name = "工作日"
kind = "daily"
only = "workdays"
hand_over = "08:00"
start_date = 2026-01-01
until = 2026-12-31
people = ["li", { login = "wang", duty = "doctor" }]

[[layers]]
name = "周末和节假日"
kind = "weekly"
hand_over = "08:00"
start_date = "2025-12-29"
people = ["sun"]
"#;

fn seeded(world: &World) -> Records {
    let records = world.records();
    let team = records.create_team("城东一队").unwrap();
    for (login, role) in [("li", Role::Doctor), ("wang", Role::Doctor), ("sun", Role::Nurse), ("grid", Role::Responder)]
    {
        let new = NewPerson {
            name: format!("{login}某"),
            phone: String::new(),
            role,
            login: login.into(),
            password: "Langes-Wort-7".into(),
            team: Some(team),
            language: "zh".into(),
            on_call_order: None,
        };
        records.create_person(&new).unwrap();
    }
    records
}

/// Exit status, what it printed, what it complained.
fn roster(config: &Path, words: &[&str]) -> (i32, String, String) {
    let mut all = vec!["roster"];
    all.extend(words);
    all.extend(["--config", config.to_str().unwrap()]);
    let output = vigil(&all).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_team_that_nobody_is_on_call_for_is_a_hole() {
    let world = World::new(1, 1);
    let records = world.records();
    let team = records.create_team("城西队").unwrap();
    let config = world.config_file();
    let show = || roster(&config, &["show", "--team", "城西队"]);
    let (status, text, _) = show();
    assert!(status == 1 && text.contains("nobody: pages go to everybody: 李医生"), "{text}");
    let new = |login: &str, order| NewPerson {
        name: format!("{login}某"),
        phone: String::new(),
        role: Role::Doctor,
        login: login.into(),
        password: "Langes-Wort-7".into(),
        team: Some(team),
        language: "zh".into(),
        on_call_order: order,
    };
    let li = records.create_person(&new("li", Some(1))).unwrap();
    let (status, text, _) = show();
    assert!(status == 0 && text.contains("li某") && !text.contains("nobody"), "{text}");
    let everybody = records.persons().unwrap();
    for person in everybody.iter().filter(|person| person.role.accepts_pages()) {
        records.set_disabled(person.id, true).unwrap();
    }
    assert!(everybody.iter().any(|person| person.id == li));
    let (status, text, _) = show();
    assert!(status == 1 && text.contains("there is nobody to page at all"), "{text}");
}

#[test]
fn a_rota_is_saved_shown_changed_and_its_holes_are_told() {
    let world = World::new(1, 1);
    let records = seeded(&world);
    let config = world.config_file();
    let show = |when: &str, more: &[&str]| {
        let words = [&["show", "--team", "城东一队", "--at", when][..], more].concat();
        roster(&config, &words)
    };
    let (status, text, _) = show("2027-03-01 12:00", &[]);
    assert_eq!(status, 1, "nobody has a place in the team's order: {text}");
    assert!(
        text.contains("no rota, the plain order on call") && text.contains("nobody: pages go to everybody: "),
        "{text}"
    );
    assert!(text.contains("everybody: 李医生"), "who everybody is: {text}");
    assert_eq!(show("2027-03-01 12:00", &["--json"]).0, 1);

    let file = world.data_dir().join("rota.toml");
    let save = |text: &str| {
        std::fs::write(&file, text).unwrap();
        roster(&config, &["save", "--file", file.to_str().unwrap()])
    };
    let (status, _, why) = save(&ROTA.replace("\"sun\"", "\"nobody\""));
    assert!(status == 1 && why.contains("周末和节假日") && why.contains("no person with the login nobody"), "{why}");
    let (status, _, why) = save(&ROTA.replace("08:00", "8 am"));
    assert!(status == 1 && why.contains("HH:MM"), "{why}");
    let (status, _, why) = save(&ROTA.replace("\"sun\"", "\"grid\""));
    assert!(status == 1 && why.contains("say as what grid works"), "{why}");
    let (status, _, why) = save(&ROTA.replace("城东一队", "城西"));
    assert!(status == 1 && why.contains("there is no team 城西"), "{why}");
    let (status, text, why) = save(ROTA);
    assert!(status == 0 && text.contains("rota version 1"), "{text} {why}");
    let team = records.teams().unwrap().into_iter().find(|team| team.name == "城东一队").unwrap().id;
    let saved = records.rota_versions(team, 9).unwrap()[0].rota.layers[1].people[0].person;
    assert_eq!(records.person(saved).unwrap().unwrap().login, "sun");

    let (status, text, _) = show("2030-03-02 12:00", &["--days", "7"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("main: sun某 (护士 nurse)") && text.contains("weekly"), "{text}");
    // Far enough that only the layer without an end is left, near enough to be planned.
    let day = |days: i64| {
        let at = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC) + jiff::Span::new().days(days);
        at.strftime("%Y-%m-%d").to_string()
    };
    let (from, until, within) = (day(400) + " 08:00", day(401) + " 08:00", day(400) + " 09:00");
    let leave = ["leave", "--login", "sun", "--from", &from, "--until", &until, "--reason", "病假"];
    let (status, text, why) = roster(&config, &leave);
    assert!(status == 0 && text.contains("has nobody from"), "{text} {why}");
    let (status, text, _) = show(&within, &["--json"]);
    assert_eq!(status, 1, "a hole");
    let board: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&board["on_call"], &board["holes_now"][0]["cause"]["cause"]),
        (&serde_json::json!([]), &"leave".into())
    );
    let stand_in = ["override", "--team", "城东一队", "--from", &from, "--until", &until];
    let words = [&stand_in[..], &["--out", "sun", "--in", "wang", "--reason", "代班"]].concat();
    let (status, text, why) = roster(&config, &words);
    assert!(status == 0 && text.contains("override 1"), "{text} {why}");
    let (status, text, _) = show(&within, &[]);
    assert!(status == 0 && text.contains("override 1 代 for sun某"), "{text}");
    let (status, _, why) = roster(&config, &words);
    assert!(status == 1 && why.contains("it overlaps override 1"), "{why}");
    assert_eq!(roster(&config, &["cancel", "--override", "1"]).0, 0);
    assert_eq!(show(&within, &[]).0, 1);
    assert_eq!(roster(&config, &["end", "--team", "城东一队", "--reason", "停用"]).0, 0);
    assert!(show("2030-03-02 12:00", &[]).1.contains("no rota"));
}

#[test]
fn holidays_are_imported_and_an_empty_file_is_no_data() {
    let world = World::new(1, 1);
    let records = seeded(&world);
    let config = world.config_file();
    let file = world.data_dir().join("2031.json");
    let import = |text: &str| {
        std::fs::write(&file, text).unwrap();
        roster(&config, &["import-holidays", file.to_str().unwrap()])
    };
    let (status, _, why) = import(r#"{"year":2031,"papers":[],"days":[]}"#);
    assert!(status == 1 && why.contains("no papers or no days"), "{why}");
    let (status, _, why) = import("<html>");
    assert!(status == 1 && why.contains("not a file of holidays"), "{why}");
    let year = r#"{"year":2031,"papers":["p"],"days":[{"name":"元旦","date":"2031-01-01","isOffDay":true}]}"#;
    assert!(import(year).1.contains("holidays of 2031 are known"));
    assert!(import(year).1.contains("the same as before"));
    assert!(records.calendar().unwrap().years().contains(&2031));
    assert_eq!(roster(&config, &["unit", "--team", "城东一队", "--above", "没有"]).0, 1);
    records.create_team("镇卫生院").unwrap();
    assert_eq!(roster(&config, &["unit", "--team", "城东一队", "--above", "镇卫生院"]).0, 0);
    assert_eq!(roster(&config, &["person", "--login", "grid", "--duty", "grid_worker"]).0, 0);
    assert_eq!(roster(&config, &["show", "--team", "城东一队", "--at", "soon"]).0, 1);
}

/// The rotas that docs/alarms.md shows are saved as they stand there, and do what the text says.
#[test]
fn the_example_of_the_documentation_is_true() {
    let world = World::new(1, 1);
    let records = world.records();
    let teams = ["镇卫生院", "城东一队"].map(|name| records.create_team(name).unwrap());
    for login in ["gp1", "gp2", "gp3", "gp4", "ph1", "li", "wang", "sun", "he", "ma"] {
        let role = match login {
            "sun" => Role::Nurse,
            "he" | "ma" | "ph1" => Role::Responder,
            _ => Role::Doctor,
        };
        let name = login.to_owned();
        let (login, password) = (name.clone(), "Langes-Wort-7".to_owned());
        let new = NewPerson {
            name,
            phone: String::new(),
            role,
            login,
            password,
            team: None,
            language: "zh".into(),
            on_call_order: None,
        };
        records.create_person(&new).unwrap();
    }
    let text = include_str!("../../docs/alarms.md");
    let section = text.split("## Rotas").nth(1).unwrap().split("\n## ").next().unwrap();
    let rotas: Vec<&str> = section.split("```toml").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert_eq!(rotas.len(), 2);
    let config = world.config_file();
    for (place, rota) in rotas.iter().enumerate() {
        let file = world.data_dir().join(format!("{place}.toml"));
        std::fs::write(&file, rota).unwrap();
        let (status, text, why) = roster(&config, &["save", "--file", file.to_str().unwrap()]);
        assert_eq!(status, 0, "{text} {why}");
    }
    // What it says of 2026 is asked of the rota itself: the command shows only what is in force, and that began now.
    let rota = records.rota_versions(teams[1], 1).unwrap().remove(0);
    let version = rota::Version { version: rota.version, from: model::Time::MIN, rota: rota.rota };
    let plan = rota::Plan { versions: vec![version], ..rota::Plan::default() };
    let who = |when: &str| {
        let at = model::Time::parse(&format!("{}:00+08:00", when.replace(' ', "T"))).unwrap();
        let found = plan.on_call(&rota::Calendar::shipped(), at);
        assert_eq!(found.holes, [], "{when}");
        let name = |shift: &rota::Shift| records.person(shift.person).unwrap().unwrap().login;
        found.shifts.iter().map(|shift| (shift.post.clone(), name(shift), shift.layer.clone())).collect::<Vec<_>>()
    };
    let posts = |when: &str| who(when).into_iter().map(|(post, ..)| post).collect::<Vec<_>>();
    assert_eq!(posts("2026-10-10 12:00"), ["doctor", "nurse"], "a worked Saturday");
    assert_eq!(posts("2026-10-03 12:00"), ["doctor"]);
    assert_eq!((who("2026-10-03 12:00")[0].2.as_str(), who("2026-10-10 12:00")[0].2.as_str()), ("节假日", "医生周轮"));
    assert_eq!(posts("2026-10-10 23:00"), ["doctor", "night"]);
}
