//! Layers, assignments, and what of them the journal is told.

use model::layer::{Change, Layer, LevelPatch, Levels, Patch, Scope, Tier};
use model::rule::{EventTest, Level, Rule, RuleSet, Side, Test, Threshold};

use super::*;

fn rule(slug: &str, test: Test) -> Rule {
    Rule { slug: slug.into(), zh: slug.into(), en: slug.into(), test, latching: slug == "sos", hours: None }
}

fn pressure(side: Side, levels: &[(Priority, f64)]) -> Test {
    let levels =
        levels.iter().map(|(priority, limit)| Level { priority: *priority, limit: *limit, hold_s: 60 }).collect();
    Test::Threshold(Threshold { metric: Metric::Systolic, side, levels, clear_margin: 4.0, confirm: None })
}

fn default_set() -> RuleSet {
    use Priority::{P1, P2, P3};
    let sos = Test::Event(EventTest { event: EventKind::Sos, priority: P1, repeat_within_s: 300 });
    let rules = vec![
        rule("sos", sos),
        rule("systolic_high", pressure(Side::High, &[(P1, 180.0), (P2, 160.0), (P3, 140.0)])),
        rule("systolic_low", pressure(Side::Low, &[(P1, 90.0)])),
    ];
    RuleSet { name: "national".into(), version: 1, source: "standard".into(), rules }
}

fn layer(name: &str, patches: &[(&str, Change)]) -> Layer {
    let patch =
        |(rule, change): &(&str, Change)| Patch { rule: (*rule).into(), change: change.clone(), why: "w".into() };
    Layer {
        name: name.into(),
        tier: Tier::Condition,
        zh: name.into(),
        en: name.into(),
        source: "s".into(),
        year: Some(2024),
        doctor_only: false,
        elder_only: false,
        longest_days: None,
        not_with: vec![],
        patches: patches.iter().map(patch).collect(),
    }
}

fn limit(priority: Priority, limit: f64) -> Change {
    Change::Levels(Levels { set: vec![LevelPatch { priority, limit: Some(limit), hold_s: None }], drop: vec![] })
}

pub(super) fn off(name: &str, slug: &str) -> Layer {
    layer(name, &[(slug, Change::Off)])
}

pub(super) fn to(layer: &str, scope: Scope) -> NewAssignment {
    NewAssignment { layer: layer.into(), scope, from: None, until: None, reason: "why".into() }
}

/// Does what alerting does; returns the names of the sets with the elders that were told of them.
pub(super) fn tell(records: &Records) -> Vec<(String, usize)> {
    let due = records.rules_due().unwrap();
    if let Some(set) = &due.default {
        records.rules_told(Told::Default { version: set.version }).unwrap();
    }
    for (aged, elders) in [(true, &due.aged), (false, &due.not_aged)] {
        records.rules_told(Told::Aged { aged, elders }).unwrap();
    }
    for (set, elders) in &due.sets {
        assert!(set.version > 0);
        records.rules_told(Told::Set { version: set.version, elders }).unwrap();
    }
    due.quiet.iter().for_each(|quiet| records.rules_told(Told::Quiet(quiet)).unwrap());
    due.sets.into_iter().map(|(set, elders)| (set.name, elders.len())).collect()
}

pub(super) fn ward() -> House {
    let house = house();
    house.records.ensure_default_rules(&default_set()).unwrap();
    let shipped = [
        layer("htn", &[("systolic_high", limit(Priority::P3, 130.0))]),
        layer("narrow", &[("systolic_low", limit(Priority::P2, 125.0))]),
        layer("low", &[("systolic_high", limit(Priority::P3, 124.0))]),
    ];
    house.records.ensure_layers(&shipped).unwrap();
    house.records.ensure_layers(&shipped).unwrap();
    assert!(house.records.layers().unwrap().iter().all(|layer| layer.version == 1), "taken over once");
    tell(&house.records);
    house
}

fn outermost(records: &Records, elder: ElderId) -> f64 {
    let set = records.rules_for(elder).unwrap().set;
    match &set.rules[1].test {
        Test::Threshold(test) => test.outermost(),
        other => panic!("{other:?}"),
    }
}

/// A doctor gives her team a template at 08:00; it judges until it is ended, and equal rules are one version.
#[test]
fn an_assignment_to_a_team_is_one_set_for_all_and_ends() {
    let house = ward();
    let records = &house.records;
    let second = records.create_elder(&new_elder("李四", Some(house.team))).unwrap();
    let stranger = records.create_elder(&new_elder("王五", None)).unwrap();
    let id = records.assign(&to("htn", Scope::Team(house.team)), house.doctor).unwrap();
    assert_eq!(tell(records), [("national-65+htn@1".to_owned(), 2)]);
    assert!(records.rules_due().unwrap().is_empty(), "told once");
    let versions: Vec<u32> = [house.elder, second].map(|elder| records.rules_for(elder).unwrap().set.version).into();
    assert_eq!(versions[0], versions[1]);
    let limits = [house.elder, second, stranger].map(|elder| outermost(records, elder) as i64);
    assert_eq!(limits, [130, 130, 150]);
    let origins = records.elder_rules(second).unwrap().effective.origins;
    let origin = origins.last().unwrap();
    assert_eq!((origin.assignment, origin.who, origin.why.as_str()), (Some(id), Some(house.doctor), "why"));
    house.pass(60);
    records.end_assignment(id, house.doctor, "over").unwrap();
    assert_eq!(tell(records), [("national-65".to_owned(), 2)], "the engine keeps a set by name for whoever had layers");
    assert!((outermost(records, second) - 150.0).abs() < f64::EPSILON);
    assert!(records.end_assignment(id, house.doctor, "twice").is_err());
    let history = records.assignments(&AssignmentFilter { all: true, ..Default::default() }, 10).unwrap();
    assert_eq!((history.len(), history[0].end_reason.as_deref()), (1, Some("over")), "ended, not deleted");
}

#[test]
fn beginnings_ends_birthdays_and_moves_to_another_team_take_force_by_themselves() {
    let house = ward();
    let records = &house.records;
    let from = Some(house.clock.now().plus_us(3_600_000_000));
    let until = Some(house.clock.now().plus_us(7_200_000_000));
    let planned = NewAssignment { from, until, ..to("htn", Scope::Elder(house.elder)) };
    records.assign(&planned, house.doctor).unwrap();
    assert!(records.rules_due().unwrap().is_empty());
    house.pass(3_600);
    assert_eq!(tell(records), [("national-65+htn@1".to_owned(), 1)]);
    house.pass(3_600);
    assert_eq!(tell(records), [("national-65".to_owned(), 1)]);
    // 80 years old the day after.
    let born = NewElder { birth_date: Some("1946-09-23".into()), ..new_elder("赵六", None) };
    let young = records.create_elder(&born).unwrap();
    records.assign(&to("htn", Scope::AgeFrom(80)), house.doctor).unwrap();
    let sets = tell(records);
    assert_eq!(sets, [("national-65+htn@1".to_owned(), 1)], "born 1940-02-29; the other is not 80 yet");
    house.clock.set(Time::parse("2026-09-23T00:00:00+08:00").unwrap());
    assert_eq!(tell(records), [("national-65+htn@1".to_owned(), 1)]);
    assert!((outermost(records, young) - 130.0).abs() < f64::EPSILON);
    // Another team.
    let other = records.create_team("二队").unwrap();
    records.assign(&to("low", Scope::Team(other)), house.doctor).unwrap();
    assert_eq!(tell(records), []);
    records.update_elder(young, &NewElder { team: Some(other), ..born }).unwrap();
    assert_eq!(tell(records).len(), 1);
}

#[test]
fn a_new_version_of_a_layer_judges_wherever_it_is_assigned_and_every_version_stays() {
    let house = ward();
    let records = &house.records;
    records.assign(&to("htn", Scope::Team(house.team)), house.doctor).unwrap();
    tell(records);
    let before = records.rules_for(house.elder).unwrap().set.version;
    let next = layer("htn", &[("systolic_high", limit(Priority::P3, 135.0))]);
    assert_eq!(records.save_layer(&next, house.doctor, "new guideline").unwrap(), 2);
    assert_eq!(tell(records), [("national-65+htn@2".to_owned(), 1)]);
    assert_ne!(records.rules_for(house.elder).unwrap().set.version, before);
    let versions = records.layer_versions("htn", 10).unwrap();
    assert_eq!(
        versions.iter().map(|stored| (stored.version, stored.author)).collect::<Vec<_>>(),
        [(2, Some(house.doctor)), (1, None)]
    );
    records.ensure_layers(&[layer("htn", &[("systolic_high", limit(Priority::P3, 131.0))])]).unwrap();
    assert_eq!(records.layer_versions("htn", 10).unwrap().len(), 2, "what a person saved is not overwritten");
    assert!(rule_at(&house, before), "an alarm of the version before still finds its rule");
}

fn rule_at(house: &House, version: u32) -> bool {
    let conn = Connection::open(house.dir.path().join(FILE)).unwrap();
    crate::records::rules::rule_of_version(&conn, version, "systolic_high").unwrap().is_some()
}

#[test]
fn what_does_not_fit_together_is_refused_at_saving_with_its_place() {
    let house = ward();
    let records = &house.records;
    records.assign(&to("narrow", Scope::Elder(house.elder)), house.doctor).unwrap();
    // Low at 125 and high at 124, on somebody who has both: now, in the future, and by a new version of a layer.
    let refused = |result: Result<u32>| match result.unwrap_err() {
        Error::Rules(refused) => refused,
        other => panic!("{other}"),
    };
    let now = refused(records.assign(&to("low", Scope::Team(house.team)), house.doctor));
    assert_eq!((now.rule.as_str(), now.level), ("systolic_low", Some(Priority::P2)), "{now}");
    let later =
        NewAssignment { from: Some(house.clock.now().plus_us(86_400_000_000)), ..to("low", Scope::AgeFrom(60)) };
    refused(records.assign(&later, house.doctor));
    records.assign(&to("htn", Scope::Team(house.team)), house.doctor).unwrap();
    let edited = refused(records.save_layer(
        &layer("htn", &[("systolic_high", limit(Priority::P3, 120.0))]),
        house.doctor,
        "typing error",
    ));
    assert!(edited.reason.contains("125") && edited.reason.contains("120"), "{edited}");
    assert_eq!(records.layer_versions("htn", 10).unwrap().len(), 1, "nothing was saved");
    for bad in [
        layer("x", &[("no_such_rule", Change::Off)]),
        layer("x", &[("sos", Change::Off)]),
        layer("x", &[("systolic_high", limit(Priority::P3, 185.0))]),
        layer("own", &[]),
    ] {
        refused(records.save_layer(&bad, house.doctor, "bad"));
    }
}

#[test]
fn who_may_have_a_layer_is_part_of_it() {
    let house = ward();
    let records = &house.records;
    let mut palliative = layer("palliative", &[("*", Change::Only(vec![]))]);
    palliative.tier = Tier::Palliative;
    (palliative.doctor_only, palliative.elder_only, palliative.longest_days) = (true, true, Some(90));
    let mut rival = layer("rival", &[]);
    rival.not_with = vec!["htn".into()];
    records.ensure_layers(&[palliative.clone(), rival]).unwrap();
    let elder = Scope::Elder(house.elder);
    let days = |days: i64| Some(house.clock.now().plus_us(days * 86_400_000_000));
    let for_days = |count| NewAssignment { until: days(count), ..to("palliative", elder) };
    assert!(records.assign(&for_days(30), house.nurse).is_err(), "only a doctor");
    assert!(records.assign(&to("palliative", elder), house.doctor).is_err(), "no end");
    assert!(records.assign(&for_days(91), house.doctor).is_err(), "too long");
    let to_team = NewAssignment { until: days(30), ..to("palliative", Scope::Team(house.team)) };
    assert!(records.assign(&to_team, house.doctor).is_err(), "not for a team");
    let id = records.assign(&for_days(30), house.doctor).unwrap();
    assert!(records.assign(&for_days(30), house.doctor).is_err(), "there already");
    let found = records.elder_rules(house.elder).unwrap().effective;
    assert_eq!((found.set.rules.len(), found.off.len()), (1, 2));
    assert!(records.end_assignment(id, house.nurse, "x").is_err(), "only a doctor ends it");
    let weaker = Layer { doctor_only: false, ..palliative };
    assert!(records.save_layer(&weaker, house.nurse, "x").is_err(), "nor takes the signature away");
    records.assign(&to("htn", elder), house.doctor).unwrap();
    assert!(records.assign(&to("rival", elder), house.doctor).is_err());
    records.assign(&to("rival", Scope::Team(house.team)), house.doctor).unwrap();
    assert_eq!(records.elder_rules(house.elder).unwrap().effective.superseded[0].layer, "rival");
    assert!(records.assign(&to("nothing", elder), house.doctor).is_err());
    assert!(records.assign(&to("htn", Scope::Elder(ElderId(99))), house.doctor).is_err());
}

#[test]
fn an_own_layer_follows_what_it_does_not_say_and_is_taken_back_by_saving_what_is_below() {
    let house = ward();
    let records = &house.records;
    let below = records.rules_for(house.elder).unwrap();
    let mut set = below.set.clone();
    let Test::Threshold(test) = &mut set.rules[1].test else { panic!() };
    test.levels[0].limit = 170.0;
    let until = house.clock.now().plus_us(86_400_000_000);
    let version = records.save_own_rules(house.elder, &set, Some(until), Some(house.doctor), "体位性低血压").unwrap();
    assert_eq!(records.rules_for(house.elder).unwrap().set.version, version);
    records.assign(&to("htn", Scope::Team(house.team)), house.doctor).unwrap();
    assert!((outermost(records, house.elder) - 130.0).abs() < f64::EPSILON, "not said by the own layer");
    assert_eq!(tell(records), [("national-65+htn@1+own".to_owned(), 1)]);
    let found = records.rules_for(house.elder).unwrap();
    assert_eq!((found.own, found.reason.as_str(), found.author), (true, "体位性低血压", Some(house.doctor)));
    house.pass(86_400);
    assert_eq!(tell(records), [("national-65+htn@1".to_owned(), 1)], "it ended by itself");
    records.save_rules(Some(house.elder), set, Some(house.doctor), "again").unwrap();
    let back = records.save_rules(Some(house.elder), below.set, Some(house.doctor), "back").unwrap();
    let found = records.rules_for(house.elder).unwrap();
    assert_eq!((found.own, found.set.version), (true, back), "150 again instead of the team's 130 is a change, too");
    let without_sos = RuleSet { rules: vec![], ..found.set };
    let bad = records.save_rules(Some(house.elder), without_sos, Some(house.doctor), "no calls").unwrap_err();
    assert!(matches!(&bad, Error::Rules(refused) if refused.rule == "sos"), "{bad}");
    assert_eq!(records.own_layer_versions(house.elder, 10).unwrap().len(), 3);
}

/// The process ends between the journal and the records: told once more. A new journal: told everything.
#[test]
fn what_was_not_told_stays_due() {
    let house = ward();
    let records = &house.records;
    records.assign(&to("htn", Scope::Team(house.team)), house.doctor).unwrap();
    let due = records.rules_due().unwrap();
    assert_eq!(records.rules_due().unwrap(), due, "the same sets with the same numbers");
    tell(records);
    records.rules_untold().unwrap();
    let again = records.rules_due().unwrap();
    assert_eq!((again.default.is_some(), again.aged.len(), &again.sets), (true, 1, &due.sets));
    assert_eq!(records.own_rules().unwrap(), []);
    tell(records);
    assert_eq!(records.own_rules().unwrap().len(), 1);
}

#[test]
fn own_sets_of_an_older_program_become_own_layers() {
    let house = ward();
    let mut set = default_set();
    set.rules.remove(0);
    let Test::Threshold(test) = &mut set.rules[0].test else { panic!() };
    test.levels[0].limit = 175.0;
    let conn = Connection::open(house.dir.path().join(FILE)).unwrap();
    conn.execute(
        "INSERT INTO rule_set (version, elder, body, author, reason, saved_at) VALUES (40, ?1, ?2, ?3, '心衰', 5)",
        rusqlite::params![house.elder.0, serde_json::to_string(&set).unwrap(), house.doctor.0],
    )
    .unwrap();
    for _ in 0..2 {
        let records = Records::open(house.dir.path(), house.clock.clone()).unwrap();
        let found = records.rules_for(house.elder).unwrap();
        assert_eq!((found.own, found.reason.as_str(), found.author), (true, "心衰", Some(house.doctor)));
        let slugs: Vec<&str> = found.set.rules.iter().map(|rule| rule.slug.as_str()).collect();
        assert_eq!(slugs, ["sos", "systolic_high", "systolic_low"], "the call for help is back");
        assert_eq!(records.own_layer_versions(house.elder, 10).unwrap().len(), 1);
    }
}

/// A template for a team of 2,000, then for everybody of 65 and more in a county: seconds, one set, and a small journal.
#[test]
fn a_county_is_one_set_and_a_small_journal() {
    const COUNTY: u32 = 47_754;
    const ELDERS_PER_ENTRY: usize = 2_000;
    let house = ward();
    let records = &house.records;
    let other = records.create_team("二队").unwrap();
    let mut conn = Connection::open(house.dir.path().join(FILE)).unwrap();
    let tx = conn.transaction().unwrap();
    for id in 100..COUNTY + 99 {
        let team = if id < 2_100 { other.0 } else { house.team.0 };
        tx.execute(
            "INSERT INTO elder (id, name, sex, birth_date, phone, address, notes, team, created_at) \
             VALUES (?1, '老人', 'female', '1945-05-06', '', '', '', ?2, 0)",
            [id, team],
        )
        .unwrap();
    }
    tx.commit().unwrap();
    tell(records);
    let mut figures = Vec::new();
    for (layer, scope, elders) in [("htn", Scope::Team(other), 2_000), ("low", Scope::AgeFrom(65), COUNTY as usize)] {
        let began = std::time::Instant::now();
        records.assign(&to(layer, scope), house.doctor).unwrap();
        let due = records.rules_due().unwrap();
        let mut bytes = 0;
        for (set, some) in &due.sets {
            for part in some.chunks(ELDERS_PER_ENTRY) {
                let at = house.clock.now();
                bytes += model::entry::Entry::Rules { elders: part.to_vec(), at, set: set.clone() }.to_bytes().len();
            }
            records.rules_told(Told::Set { version: set.version, elders: some }).unwrap();
        }
        figures.push((elders, due.sets.len(), bytes, began.elapsed()));
        assert_eq!(due.sets.iter().map(|(_, some)| some.len()).sum::<usize>(), elders);
        assert!(bytes < 16 * elders + 64 * 1_024, "{bytes} bytes of journal for {elders} elders");
        assert!(records.rules_due().unwrap().is_empty());
    }
    // The team's own template stands beside the county's: two sets for 47,754 people.
    assert_eq!(figures.iter().map(|(_, sets, ..)| *sets).collect::<Vec<_>>(), [1, 2]);
    let began = std::time::Instant::now();
    assert!(records.rules_due().unwrap().is_empty());
    eprintln!("{figures:?}; a minute in which nothing changed: {:?}", began.elapsed());
}
