//! What trends ask about times that are over: rules, wear, outages, missing frames; and everybody without names.

use model::entry::LinkState;
use model::layer::Scope;
use model::note::LossCause;
use model::rule::Test;
use model::{Lane, Name};

use super::layers::{to, ward};
use super::*;

const DAY_US: i64 = 86_400_000_000;

/// The national default from 65 years on says 150; a template says 130 for a day, then ends; then the default changes.
#[test]
fn rules_are_known_as_they_were() {
    let house = ward();
    let records = &house.records;
    let day = |n: i64| START.plus_us(n * DAY_US);
    house.clock.set(day(1));
    let id = records.assign(&to("htn", Scope::Elder(house.elder)), house.doctor).unwrap();
    house.clock.set(day(2));
    records.end_assignment(id, house.doctor, "over").unwrap();
    house.clock.set(day(3));
    let mut set = records.default_rules().unwrap().unwrap().set;
    let Test::Threshold(test) = &mut set.rules[1].test else { panic!() };
    test.levels[2].limit = 155.0;
    records.save_rules(None, set, Some(house.doctor), "another").unwrap();
    house.clock.set(day(9));

    let outermost = |from, to| -> Vec<(i64, i64)> {
        let history = records.rules_history(house.elder, from, to).unwrap();
        let limit = |span: &RulesThen| match &span.effective.set.rules[1].test {
            Test::Threshold(test) => test.outermost() as i64,
            other => panic!("{other:?}"),
        };
        history.spans.iter().map(|span| (span.from.since_us(START) / DAY_US, limit(span))).collect()
    };
    // Of 65 years and more 140 is 150.
    assert_eq!(outermost(START, day(9)), [(0, 150), (1, 130), (2, 150), (3, 155)]);
    assert_eq!(outermost(day(1).plus_us(1), day(2)), [(1, 130)], "one span, from where the question begins");
    assert_eq!(outermost(day(5), day(6)), [(5, 155)]);
    let before = records.rules_history(house.elder, day(-5), day(1)).unwrap();
    assert_eq!((before.known_from, before.spans.len()), (Some(START), 1), "nothing was saved before");
    assert!(records.rules_history(ElderId(99), START, day(1)).is_err());
}

#[test]
fn wear_outages_and_missing_frames_are_those_of_the_elder() {
    let house = house();
    let records = &house.records;
    let site = records.create_site(&Name::new("s").unwrap()).unwrap();
    let gateway = |name: &str| records.create_gateway(site, &Name::new(name).unwrap(), Dialect::Vigil).unwrap().0;
    let (ours, other) = (gateway("a"), gateway("b"));
    let band = records.ensure_device(ours, &Name::new("band").unwrap()).unwrap();
    let day = |n: i64| START.plus_us(n * DAY_US);
    assert!(!records.ever_wore(house.elder).unwrap());
    records.bind(band, house.elder, day(0), None).unwrap();
    for (gateway, lost) in [(ours, 1), (other, 2)] {
        records.links_changed(&[(gateway, LinkState::Lost, day(lost))]).unwrap();
    }
    let outages = records.outages(house.elder, day(0), day(9)).unwrap();
    assert_eq!(outages, [Outage { gateway: ours, from: day(1), until: None }], "a link that is lost now");
    assert!(records.outages(house.elder, day(0), day(1)).unwrap().is_empty());
    house.clock.set(day(1).plus_us(3_600_000_000));
    records.handling_due(house.clock.now(), &|_: &AlarmView| Vec::new()).unwrap();
    house.clock.set(day(2));
    records.links_changed(&[(ours, LinkState::Up, day(2))]).unwrap();
    for minutes in 0..60 {
        house.clock.set(day(2).plus_us(minutes * 60_000_000));
        records.handling_due(house.clock.now(), &|_: &AlarmView| Vec::new()).unwrap();
    }
    let over = records.outages(house.elder, day(0), day(9)).unwrap();
    assert!(!over.is_empty() && over.iter().all(|one| one.gateway == ours && one.from >= day(1)), "{over:?}");
    assert!(over.iter().all(|one| one.until.is_some_and(|until| until >= day(2))), "{over:?}");

    records.unbind(band, day(4), None).unwrap();
    assert!(records.ever_wore(house.elder).unwrap());
    let worn = records.worn(house.elder, day(1), day(9)).unwrap();
    assert_eq!((worn.len(), worn[0].from, worn[0].until, worn[0].gateway), (1, day(0), Some(day(4)), ours));
    assert!(records.worn(house.elder, day(4), day(9)).unwrap().is_empty(), "the end is not part of it");

    let loss = |gateway, lane, at| Loss {
        gateway,
        epoch: 1,
        lane,
        first: 1,
        last: 9,
        cause: LossCause::DiskBudget,
        by_server: false,
        thinned: false,
        readings: 0,
        kept: 0,
        declared_at: at,
    };
    records
        .losses_put(&[loss(ours, Lane::Vit, day(1)), loss(other, Lane::Vit, day(1)), loss(ours, Lane::Wav, day(1))])
        .unwrap();
    let mut gaps =
        [Gap::found(ours, (1, Lane::Vit), (50, 59), day(2)), Gap::found(ours, (1, Lane::Vit), (70, 79), day(8))];
    records.gaps_save(&mut gaps).unwrap();
    let found = records.missing(house.elder, day(0), day(3)).unwrap();
    let expected = [
        Missing { gateway: ours, at: day(1), lost: true, cause: Some(LossCause::DiskBudget) },
        Missing { gateway: ours, at: day(2), lost: false, cause: None },
    ];
    assert_eq!(found, expected, "not of another gateway, not waveforms");
    assert!(records.missing(house.elder, day(5), day(9)).unwrap().is_empty(), "nothing of it was worn any more");
}

#[test]
fn the_cohort_is_everybody_without_names() {
    let house = house();
    let records = &house.records;
    let town = records.create_team("镇卫生院").unwrap();
    records.set_parent(house.team, Some(town), None).unwrap();
    records.create_elder(&NewElder { birth_date: None, sex: Sex::Male, ..new_elder("李四", None) }).unwrap();
    let cohort = records.cohort().unwrap();
    assert_eq!(cohort.members.len(), 2);
    assert_eq!((cohort.members[0].team, cohort.members[0].age.is_some()), (Some(house.team), true));
    assert_eq!((cohort.members[1].sex, cohort.members[1].age, cohort.members[1].team), (Sex::Male, None, None));
    let unit = cohort.units.iter().find(|unit| unit.id == house.team).unwrap();
    assert_eq!(unit.parent, Some(town));
}
