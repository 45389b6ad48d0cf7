//! What a rota is refused for, and what is only flagged.

use vigil_rota::{Calendar, DAY_US, Kind, Layer, Only, Place, Plan, Problem, Rota, Weight};

use crate::{at, layer, leave, only, rota};

fn check(rota: &Rota, plan: &Plan) -> Vec<Problem> {
    rota.check(plan, &Calendar::shipped(), at("2026-03-02 09:00"))
}

fn week() -> Layer {
    layer("weeks", Kind::Weekly, "2026-03-02", &[1, 2])
}

#[test]
fn a_good_rota_has_no_problem() {
    assert_eq!(check(&rota(vec![week()]), &Plan::default()), []);
}

#[test]
fn a_hole_tonight_refuses_it_and_a_hole_later_flags_it() {
    let tomorrow = rota(vec![layer("weeks", Kind::Weekly, "2026-03-03", &[1, 2])]);
    let found = check(&tomorrow, &Plan::default());
    assert_eq!((found.len(), found[0].weight, &found[0].place), (1, Weight::Refused, &Place::Post("main".into())));
    assert!(found[0].en.contains("2026-03-02 09:00") && found[0].zh.contains("无人值班"), "{found:?}");
    let mut away = Plan::default();
    away.leave.push(leave(1, 2, "2026-03-10 00:00", "2026-03-11 00:00"));
    let found = check(&rota(vec![week()]), &away);
    assert_eq!((found.len(), found[0].weight), (1, Weight::Flagged));
    assert!(found[0].en.contains("person 2") && found[0].en.contains("2026-03-10 00:00"), "{found:?}");
    let ends = rota(vec![Layer { until: "2026-03-20".parse().ok(), ..week() }]);
    assert_eq!(check(&ends, &Plan::default())[0].weight, Weight::Flagged);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let refused = |rota: &Rota| {
        let found = check(rota, &Plan::default());
        assert!(found.iter().all(|problem| problem.weight == Weight::Refused) && !found.is_empty(), "{found:?}");
        found[0].place.clone()
    };
    assert_eq!(refused(&Rota { zone: "Asia/Peking".into(), ..rota(vec![week()]) }), Place::Zone);
    assert_eq!(refused(&rota(vec![])), Place::Rota);
    assert_eq!(refused(&rota(vec![week(), week()])), Place::Layer("weeks".into()));
    let bad: [fn(Layer) -> Layer; 7] = [
        |layer| Layer { people: vec![], ..layer },
        |layer| Layer { kind: Kind::Custom, ..layer },
        |layer| Layer { kind: Kind::Custom, length_days: Some(0), ..layer },
        |layer| Layer { length_days: Some(3), ..layer },
        |layer| Layer { kind: Kind::Fixed, ..layer },
        |layer| Layer { until: "2026-03-01".parse().ok(), ..layer },
        |layer| Layer { post: " ".into(), ..layer },
    ];
    for change in bad {
        assert_eq!(refused(&rota(vec![change(week())])), Place::Layer("weeks".into()));
    }
    let nobody = Rota { cover: vec!["night".into()], ..rota(vec![week()]) };
    assert_eq!(refused(&nobody), Place::Post("night".into()));
}

#[test]
fn a_year_without_holidays_cannot_be_planned_into() {
    let holidays = layer("holidays", Kind::Holiday, "2026-01-01", &[3]);
    let rota_with = |layers| rota(layers);
    let autumn = at("2026-11-22 09:00");
    let found = rota_with(vec![week(), holidays.clone()]).check(&Plan::default(), &Calendar::shipped(), autumn);
    assert_eq!((found.len(), found[0].weight), (1, Weight::Refused));
    assert!(found[0].en.contains("2027") && found[0].en.contains("import-holidays"), "{found:?}");
    // Eight weeks earlier the year is still far away.
    let summer = autumn.plus_us(-30 * DAY_US);
    assert_eq!(rota_with(vec![week(), holidays.clone()]).check(&Plan::default(), &Calendar::shipped(), summer), []);
    // With an end the same rota can be saved.
    let till = Layer { until: "2026-12-31".parse().ok(), ..holidays };
    assert_eq!(rota_with(vec![week(), till]).check(&Plan::default(), &Calendar::shipped(), autumn), []);
    let workdays = only(Only::Workdays, layer("work", Kind::Daily, "2026-01-01", &[1]));
    let found = rota_with(vec![workdays, week()]).check(&Plan::default(), &Calendar::shipped(), autumn);
    assert_eq!(found[0].weight, Weight::Refused);
}

#[test]
fn a_rota_is_written_as_people_write_it() {
    let text = r#"{"team":1,"layers":[{"name":"weeks","kind":"weekly","hand_over":"08:00","start_date":"2026-03-02",
        "people":[{"person":1,"duty":"doctor"}]},{"name":"nights","post":"night","kind":"custom","length_days":2,
        "hand_over":"18:00","end":"08:00","start_date":"2026-03-02","until":"2026-05-01","weekdays":["mon","sun"],
        "only":"days_off","people":[{"person":2,"duty":"village_doctor"}]}]}"#;
    let read: Rota = serde_json::from_str(text).unwrap();
    assert_eq!(
        (read.zone.as_str(), read.layers[0].post.as_str(), read.covered()),
        ("Asia/Shanghai", "main", vec!["main"])
    );
    let again: Rota = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(read, again);
    for bad in [r#""hand_over":"8:00""#, r#""hand_over":"08:00","handover":1"#] {
        let text = text.replacen(r#""hand_over":"08:00""#, bad, 1);
        assert!(serde_json::from_str::<Rota>(&text).is_err(), "{bad}");
    }
}
