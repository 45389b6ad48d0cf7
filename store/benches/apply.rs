//! How long the records store takes for what a dispatcher waits for: one SOS made durable, its event read for the
//! stream, and the list of 200 open alarms; with 100,000 events of history.
//!
//! `cargo bench -p vigil-store --bench apply`; VIGIL_BENCH_DIR names a directory on the disk to be measured.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use model::alarm::{Change, Transition};
use model::people::{Role, Sex};
use model::{AlarmId, AlarmKind, EventKind, PersonId, Priority, Seq, Subject, Time};
use runtime::Clock;
use vigil_store::records::{NewElder, NewPage, NewPerson, Records};

const OPEN_ALARMS: i64 = 200;
const REPEATS: i64 = 500;
const SOS: AlarmKind = AlarmKind::Event { kind: EventKind::Sos };

fn transition(subject: Subject, started_at: Time, at: Time, change: Change) -> Transition {
    Transition {
        alarm: AlarmId::of(subject, "sos", started_at),
        subject: subject.to_u32(),
        rule: "sos".into(),
        rules_version: 1,
        change,
        at,
        received_at: at,
    }
}

fn raise(subject: Subject, at: Time) -> Transition {
    transition(subject, at, at, Change::Raised { priority: Priority::P1, kind: SOS, started_at: at, late: false })
}

/// A store with its history, whose elder and doctor exist.
fn filled(dir: &std::path::Path, clock: &Clock) -> (Records, Subject, PersonId) {
    let records = Records::open(dir, clock.clone()).unwrap();
    let elder = NewElder {
        name: "张三".into(),
        sex: Sex::Male,
        birth_date: Some("1940-01-01".into()),
        phone: String::new(),
        address: String::new(),
        notes: String::new(),
        team: None,
    };
    let subject = Subject::Elder(records.create_elder(&elder).unwrap());
    let doctor = NewPerson {
        name: "李".into(),
        phone: String::new(),
        role: Role::Doctor,
        login: "li".into(),
        password: "Correct-horse-1".into(),
        team: None,
        language: "zh".into(),
        on_call_order: Some(1),
    };
    let doctor = records.create_person(&doctor).unwrap();
    let mut log = Vec::new();
    for i in 0..OPEN_ALARMS {
        let at = clock.now().plus_us(i);
        log.push(raise(subject, at));
        log.extend(
            (1..REPEATS).map(|n| transition(subject, at, at.plus_us(n * 1_000_000), Change::Repeated { kind: SOS })),
        );
    }
    records.apply(&log, Seq(1), clock.now(), &|_| Vec::new()).unwrap();
    (records, subject, doctor)
}

fn measure(bench: &mut Criterion) {
    let dir = match std::env::var_os("VIGIL_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(PathBuf::from(dir)).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    let (records, subject, doctor) = filled(dir.path(), &clock);
    bench.bench_function("list 200 open alarms", |b| {
        b.iter(|| assert_eq!(black_box(records.alarms_open(200).unwrap()).len(), 200));
    });
    let last = records.last_alarm_event().unwrap();
    bench.bench_function("read the newest of 100,000 events", |b| {
        b.iter(|| assert_eq!(black_box(records.alarm_events_after(last - 1, 100).unwrap()).len(), 1));
    });
    let mut n = 1_u64;
    bench.bench_function("apply one SOS with one page", |b| {
        b.iter(|| {
            n += 1;
            let raised = raise(subject, clock.now().plus_us(n as i64 * 10_000_000));
            let page = |_: &_| vec![NewPage::to(doctor, "webhook")];
            let applied = records.apply(&[raised], Seq(n), clock.now(), &page).unwrap();
            assert_eq!((applied.events.len(), applied.pages), (1, 1));
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = measure
}
criterion_main!(benches);
