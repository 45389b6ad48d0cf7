//! Saving and loading.

use model::entry::Entry;
use model::{ElderId, EventKind, Metric};
use vigil_engine::{BadState, Engine};

use crate::day::{Day, ELDER, NOTHING, at};

fn busy() -> Day {
    let mut day = Day::new();
    day.told(&Entry::Rules { elders: vec![ElderId(9)], at: at(0), set: vigil_engine::for_age(70) });
    day.reads(0, Metric::PulseRate, 140.0);
    day.reads(60, Metric::PulseRate, 140.0);
    day.reads(60, Metric::Spo2, 90.0);
    day.event(70, 70, EventKind::Sos);
    day.reads_late(7_200, 0, Metric::Spo2, 88.0);
    day
}

#[test]
fn a_loaded_engine_goes_on_where_the_saved_one_stood() {
    let day = busy();
    let mut back = day.reloaded();
    assert_eq!(back.engine.save(), day.engine.save());
    assert_eq!(back.engine.position().0, day.seq);
    assert_eq!(back.engine.set_of(ElderId(9)).name, "cn-basic-v3-65");
    assert_eq!(back.engine.set_of(ELDER).name, "cn-basic-v3");
    assert_eq!(back.reads(7_210, Metric::PulseRate, 70.0), ["cleared pulse_rate_high"]);
    assert_eq!(back.reads_late(7_211, 60, Metric::Spo2, 88.0), ["late P3 spo2_low"]);
}

#[test]
fn an_entry_stepped_twice_counts_once() {
    let mut day = busy();
    day.seq -= 1;
    assert_eq!(day.event(7_300, 7_300, EventKind::Fall), NOTHING, "its number was used");
    assert_eq!(day.engine.counters().replayed, 1);
    assert_eq!(day.event(7_300, 7_300, EventKind::Fall), ["P1 fall"]);
}

#[test]
fn damaged_bytes_are_refused_whole() {
    let bytes = busy().engine.save();
    for index in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[index] ^= 0x10;
        assert!(Engine::load(&bad).is_err(), "byte {index}");
        assert!(Engine::load(&bytes[..index]).is_err(), "cut at {index}");
    }
    let mut newer = bytes;
    newer[4] = 99;
    assert_eq!(Engine::load(&newer).unwrap_err(), BadState::Version { found: 99 });
    assert_eq!(Engine::load(b"").unwrap_err(), BadState::NotAnEngine);
}
