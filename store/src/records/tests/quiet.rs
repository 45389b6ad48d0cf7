//! Quiet periods.

use model::{QuietKind, Whose};

use super::*;

#[test]
fn a_quiet_period_is_told_shown_ended_early_and_told_again() {
    let house = house();
    let records = &house.records;
    records
        .ensure_default_rules(&model::rule::RuleSet {
            name: "x".into(),
            version: 1,
            source: String::new(),
            rules: vec![],
        })
        .unwrap();
    let whose = Whose::Elder(house.elder);
    let hours = |hours: i64| house.clock.now().plus_us(hours * 3_600_000_000);
    let new = NewQuiet { kind: QuietKind::Hospital, whose, from: None, until: hours(48), reason: "住院".into() };
    let id = records.quiet_begin(&new, house.nurse).unwrap();
    let due = records.rules_due().unwrap().quiet;
    assert_eq!((due.len(), due[0].id, due[0].whose, due[0].until), (1, id, whose, hours(48)));
    super::layers::tell(records);
    assert_eq!(records.rules_due().unwrap().quiet, []);
    let shown = records.quiets(QuietFilter::default(), 10).unwrap();
    assert_eq!((shown.len(), shown[0].author, shown[0].elder_name.as_deref()), (1, Some(house.nurse), Some("张三")));
    house.pass(3_600);
    records.quiet_end(id, house.doctor, "回家了").unwrap();
    let due = records.rules_due().unwrap().quiet;
    assert_eq!((due[0].id, due[0].until, due[0].at), (id, house.clock.now(), house.clock.now()));
    // Ended while an older form was being told: what the journal knows is not the newest.
    let older = model::Quiet { until: hours(47), ..due[0].clone() };
    records.rules_told(Told::Quiet(&older)).unwrap();
    assert_eq!(records.rules_due().unwrap().quiet.len(), 1);
    super::layers::tell(records);
    assert_eq!(records.quiets(QuietFilter::default(), 10).unwrap(), []);
    let all = records.quiets(QuietFilter { all: true, whose: Some(whose) }, 10).unwrap();
    assert_eq!((all.len(), all[0].end_reason.as_deref()), (1, Some("回家了")));
    assert!(records.quiet_end(id, house.doctor, "twice").is_err());
    let audited: Vec<String> = records.audit_list(None, 10).unwrap().into_iter().map(|row| row.action).collect();
    assert!(audited.contains(&"quiet_begin".to_owned()) && audited.contains(&"quiet_end".to_owned()));
}

#[test]
fn nonsense_is_refused() {
    let house = house();
    let records = &house.records;
    let whose = Whose::Elder(house.elder);
    let days = |days: i64| house.clock.now().plus_us(days * 86_400_000_000);
    let good = NewQuiet { kind: QuietKind::Travel, whose, from: None, until: days(3), reason: "探亲".into() };
    for bad in [
        NewQuiet { until: days(-1), ..good.clone() },
        NewQuiet { until: days(91), ..good.clone() },
        NewQuiet { kind: QuietKind::Maintenance, ..good.clone() },
        NewQuiet { reason: " ".into(), ..good.clone() },
        NewQuiet { whose: Whose::Elder(ElderId(99)), ..good.clone() },
    ] {
        assert!(records.quiet_begin(&bad, house.nurse).is_err(), "{bad:?}");
    }
    for _ in 0..QUIETS_MAX {
        records.quiet_begin(&good, house.nurse).unwrap();
    }
    assert!(matches!(records.quiet_begin(&good, house.nurse), Err(Error::TooMany { .. })));
}
