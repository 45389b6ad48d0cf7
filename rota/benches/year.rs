//! How long a year of rotas takes: 1 team, and a county of 800.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use model::people::Duty;
use model::{PersonId, TeamId, Time};
use vigil_rota::{Calendar, Kind, Layer, Leave, Member, Override, Plan, Rota, Version, WEEK_US, Wall};

/// 2025-12-29 08:00 in Shanghai, a Monday.
const START: Time = Time::from_secs(1_766_966_400);

fn layer(name: &str, post: &str, kind: Kind, first: u32) -> Layer {
    let people = (first..first + 5).map(|id| Member { person: PersonId(id), duty: Duty::Doctor }).collect();
    Layer {
        name: name.into(),
        post: post.into(),
        kind,
        hand_over: Wall::parse("08:00").expect("a time"),
        end: None,
        start_date: "2025-12-01".parse().expect("a date"),
        until: None,
        length_days: None,
        people,
        weekdays: vec![],
        only: None,
    }
}

/// Three posts, a holiday layer, 50 overrides and 50 weeks with somebody on leave.
fn plan() -> Plan {
    let layers = vec![
        layer("doctors", "doctor", Kind::Weekly, 1),
        layer("holidays", "doctor", Kind::Holiday, 1),
        layer("nurses", "nurse", Kind::Daily, 11),
        layer("village", "village", Kind::Weekly, 21),
    ];
    let rota = Rota { team: TeamId(1), zone: "Asia/Shanghai".into(), cover: vec![], layers };
    let week = |n: u32| START.plus_us(i64::from(n) * WEEK_US);
    let member = Member { person: PersonId(2), duty: Duty::Doctor };
    let overrides = (1..=50).map(|id| Override {
        id,
        from: week(id),
        until: week(id).plus_us(WEEK_US / 7),
        out: Some(PersonId(1 + id % 5)),
        post: None,
        stand_in: member,
        reason: String::new(),
    });
    let leave = (1..=50).map(|id| Leave { id, person: PersonId(11 + id % 5), from: week(id), until: week(id + 1) });
    Plan {
        versions: vec![Version { version: 1, from: START, rota }],
        overrides: overrides.collect(),
        leave: leave.collect(),
    }
}

fn bench(c: &mut Criterion) {
    let (plan, calendar) = (plan(), Calendar::shipped());
    let until = START.plus_us(52 * WEEK_US);
    c.bench_function("52 weeks of one team", |b| {
        b.iter(|| black_box(plan.shifts(&calendar, START, until)).shifts.len());
    });
    c.bench_function("who is on call at one instant", |b| {
        b.iter(|| black_box(plan.on_call(&calendar, START.plus_us(20 * WEEK_US))).shifts.len());
    });
    c.bench_function("8 weeks of holes of 800 teams", |b| {
        b.iter(|| (0..800).map(|_| plan.holes(&calendar, START, START.plus_us(8 * WEEK_US)).len()).sum::<usize>());
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
