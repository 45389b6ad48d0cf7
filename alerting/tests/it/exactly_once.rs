//! Promise 2: an alarm is raised exactly once, whatever is restarted, and however old the engine's checkpoint is.

use model::alarm::AlarmEventKind as Kind;
use model::entry::{Entry, Frame};
use model::{
    AlarmKind, DeviceId, ElderId, EventKind, GatewayId, Lane, Metric, Priority, Quality, Sample, Seq, Sounded, Subject,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigil_alerting::Config;

use crate::world::{World, at, frame, judged, sos, stop};

const ENTRIES: i64 = 600;
const RESTARTS: usize = 8;

fn sounded(elder: ElderId, now: i64, rule: &str, began: i64) -> Entry {
    let kind = if rule == "sos" {
        AlarmKind::Event { kind: EventKind::Sos }
    } else {
        AlarmKind::Threshold { metric: Metric::Spo2, high: false, value: 85.0, limit: 91.0 }
    };
    Entry::Sounded(Sounded {
        gateway: GatewayId(1),
        device: DeviceId(1),
        subject: Subject::Elder(elder),
        rule: rule.to_owned(),
        priority: Priority::P1,
        kind,
        started_at: at(began),
        sounded_at: at(began + 31),
        by: "command".to_owned(),
        ok: true,
        at: at(now),
    })
}

/// A day in which conditions come and go, some of it late, some of it twice, some of it sounded at home meanwhile.
fn day(seed: u64, elder: ElderId) -> Vec<Entry> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut log = Vec::new();
    for i in 0..ENTRIES {
        let now = 36_000 + i * 20;
        if i % 40 == 39 {
            log.push(sos(elder, now));
            continue;
        }
        if i % 50 == 20 {
            // A gateway's word about hours ago, or about just now; sometimes twice.
            let began = if random.random_bool(0.5) { now - 20_000 } else { now - 100 };
            log.push(sounded(elder, now, if random.random_bool(0.3) { "sos" } else { "spo2_low" }, began));
            if random.random_bool(0.3) {
                log.push(sounded(elder, now, "spo2_low", began));
            }
            continue;
        }
        if i % 6 == 5 {
            log.push(Entry::Tick(at(now)));
            continue;
        }
        let late = random.random_bool(0.2);
        let taken = if late { now - 20_000 } else { now };
        let low = (i / 25) % 2 == 1;
        let spo2 = if low { random.random_range(84..91) } else { random.random_range(96..100) };
        let samples = vec![Sample::new(Metric::Spo2, at(taken), f64::from(spo2), Quality::Ok)];
        let lane = if late { Lane::Hist } else { Lane::Vit };
        let entry = Entry::Frame(Frame { samples, lane, ..frame(elder, now) });
        if random.random_bool(0.1) {
            log.push(entry.clone());
        }
        log.push(entry);
    }
    log
}

/// What the data say of every alarm, and its first pages; how far the pager got meanwhile is another matter.
fn told(world: &World) -> Vec<String> {
    let mut all: Vec<String> = world
        .alarms()
        .iter()
        .map(|alarm| {
            let of_pager =
                |kind| matches!(kind, Kind::PageFailed | Kind::PageSent | Kind::Escalated | Kind::StepSkipped);
            let by_data = alarm.events.iter().filter(|event| !of_pager(event.kind));
            let events: Vec<_> = by_data.map(|event| (event.kind.slug(), event.at)).collect();
            let view = &alarm.view;
            format!(
                "{} {} {} {} late={} repeats={} pages={} {events:?}",
                view.id,
                view.rule,
                view.priority.slug(),
                view.condition.slug(),
                view.late,
                view.repeats,
                alarm.pages.iter().filter(|page| page.round == 0).count()
            )
        })
        .collect();
    all.sort();
    all
}

async fn undisturbed(log: &[Entry]) -> Vec<String> {
    let world = World::new();
    let (alerting, tasks) = world.start(&Config::default());
    let mut last = Seq(0);
    for entry in log {
        last = world.say(entry).await;
    }
    judged(&alerting, last).await;
    stop(tasks).await;
    told(&world)
}

#[tokio::test]
async fn restarts_with_checkpoints_of_any_age_change_nothing() {
    let seed = rand::random_seed();
    eprintln!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let elder = World::new().elder;
    let log = day(seed, elder);
    let expected = undisturbed(&log).await;
    // An alarm a line; presses of one button are one alarm with many.
    let lines: usize = expected.iter().map(|alarm| alarm.matches("(\"").count()).sum();
    assert!(lines > 10, "a day without alarms shows nothing: {expected:?}");

    let world = World::new();
    let mut said = 0;
    let mut kept: Option<Vec<u8>> = None;
    for turn in 0..=RESTARTS {
        let checkpoint_entries = random.random_range(1..150);
        let (alerting, tasks) = world.start(&Config { checkpoint_entries, ..Config::default() });
        let upto = if turn == RESTARTS { log.len() } else { (log.len() * (turn + 1)) / (RESTARTS + 1) };
        let mut last = Seq(0);
        while said < upto {
            last = world.say(&log[said]).await;
            said += 1;
        }
        if turn == RESTARTS || random.random_bool(0.5) {
            judged(&alerting, last).await;
        }
        stop(tasks).await;
        disturb(&world, &mut random, &mut kept);
    }
    assert_eq!(told(&world), expected);
}

/// What may befall the checkpoints: gone, damaged, or older than the newest.
fn disturb(world: &World, random: &mut SmallRng, kept: &mut Option<Vec<u8>>) {
    let files = ["engine.ckpt", "engine.ckpt.old"].map(|name| world.path().join(name));
    match random.random_range(0..5) {
        // Both gone is made good by the whole log only; once it is trimmed, one of the two must be there.
        0 if world.journal.first() <= Seq(1) => files.iter().for_each(|file| drop(std::fs::remove_file(file))),
        1 => std::fs::write(&files[0], b"VGEN rubbish").unwrap(),
        2 => drop(std::fs::remove_file(&files[0])),
        3 => {
            if let Some(old) = kept.as_ref() {
                std::fs::write(&files[0], old).unwrap();
            }
            *kept = std::fs::read(&files[1]).ok();
        }
        _ => {}
    }
}

mod rand {
    //! The crate, and a seed that differs from run to run and is printed. VIGIL_SEED repeats a run.
    pub(crate) use ::rand::{Rng, SeedableRng, rngs};

    pub(crate) fn random_seed() -> u64 {
        if let Some(seed) = std::env::var("VIGIL_SEED").ok().and_then(|seed| seed.parse().ok()) {
            return seed;
        }
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }
}
