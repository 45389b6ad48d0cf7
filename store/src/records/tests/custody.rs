//! Gaps as they stand and losses as they were declared, once each.

use model::note::LossCause;
use model::{GatewayId, Lane, Name};

use super::*;
use crate::records::{Dialect, Gap, GapState, Loss};

fn loss(gateway: GatewayId, first: u64, last: u64, thinned: bool) -> Loss {
    Loss {
        gateway,
        epoch: 1,
        lane: Lane::Wav,
        first,
        last,
        cause: LossCause::DiskBudget,
        by_server: false,
        thinned,
        readings: if thinned { 60 } else { 0 },
        kept: if thinned { 6 } else { 0 },
        declared_at: START,
    }
}

#[test]
fn a_declaration_counts_once_however_often_it_comes() {
    let house = house();
    let records = &house.records;
    let site = records.create_site(&Name::new("s").unwrap()).unwrap();
    let (gateway, _) = records.create_gateway(site, &Name::new("g").unwrap(), Dialect::Vigil).unwrap();
    records.losses_put(&[loss(gateway, 1, 10, false), loss(gateway, 11, 20, false)]).unwrap();
    records.losses_put(&[loss(gateway, 5, 25, false), loss(gateway, 40, 41, false)]).unwrap();
    let ranges: Vec<_> = records.losses(None, 10).unwrap().iter().map(|loss| (loss.first, loss.last)).collect();
    assert_eq!(ranges, [(40, 41), (1, 25)], "joined where they touch, newest first");
    records.losses_put(&[loss(gateway, 100, 200, true)]).unwrap();
    records.losses_put(&[loss(gateway, 100, 220, true)]).unwrap();
    let counts = records.loss_counts().unwrap();
    assert_eq!((counts.frames, counts.readings_thinned), (27, 54));
    let over = records.losses_over(gateway, 1, Lane::Wav, 20, 110).unwrap();
    assert_eq!(over.iter().map(|loss| loss.first).collect::<Vec<_>>(), [1, 40, 100]);
    assert!(records.losses_over(gateway, 2, Lane::Wav, 0, 999).unwrap().is_empty(), "epochs count apart");
}

#[test]
fn gaps_keep_their_number_and_stand_until_they_are_closed_for_a_while() {
    let house = house();
    let records = &house.records;
    let site = records.create_site(&Name::new("s").unwrap()).unwrap();
    let (gateway, _) = records.create_gateway(site, &Name::new("g").unwrap(), Dialect::Vigil).unwrap();
    let gap = Gap::found(gateway, (3, Lane::Vit), (5, 9), START);
    let mut gaps = [gap.clone(), Gap { first: 20, last: 20, ..gap }];
    records.gaps_save(&mut gaps).unwrap();
    assert_eq!(records.gaps_standing(Time::MAX).unwrap(), gaps);
    gaps[0] = Gap { state: GapState::Filled, missing: 0, closed_at: Some(START), ..gaps[0].clone() };
    let cause = Some(LossCause::Corrupt);
    gaps[1] = Gap { state: GapState::Lost, missing: 0, lost: 1, cause, closed_at: Some(START), ..gaps[1].clone() };
    records.gaps_save(&mut gaps).unwrap();
    assert_eq!(records.gaps_standing(START).unwrap(), gaps[1..], "what is lost may still come");
    assert!(records.gaps_standing(Time(START.0 + 1)).unwrap().is_empty());
    assert_eq!(records.gap(gaps[0].id).unwrap().as_ref(), Some(&gaps[0]));
    assert_eq!(records.gaps(Some(gateway), 1).unwrap(), gaps[1..]);
    assert!(records.gaps(Some(GatewayId(999)), 9).unwrap().is_empty());
}
