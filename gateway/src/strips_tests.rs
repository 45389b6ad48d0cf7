//! Which strips follow an alarm, and what is kept for it.

use super::*;
use model::{Event, Lane, Metric, Rate};

const SECOND: i64 = 1_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Five seconds of a device's waveform.
fn wave(device: &str, second: i64) -> Report {
    let block = Waveform {
        metric: Metric::Ecg,
        lead: 1,
        start: Time(second * SECOND),
        rate: Rate { samples: 10, seconds: 1 },
        scale: 1.0,
        offset: 0.0,
        counts: vec![second as i16; 50],
    };
    Report { device: name(device), waveforms: vec![block], ..Report::default() }
}

fn event(device: &str, kind: EventKind, second: i64) -> Report {
    Report { device: name(device), events: vec![Event { kind, at: Time(second * SECOND) }], ..Report::default() }
}

fn seconds(reports: &[Report]) -> Vec<(String, Vec<i64>)> {
    let starts = |report: &Report| report.waveforms.iter().map(|block| block.start.0 / SECOND).collect();
    reports.iter().map(|report| (report.device.to_string(), starts(report))).collect()
}

/// When the newest of it happened.
fn pass(strips: &Strips, report: Report) -> (Report, Vec<Report>) {
    let blocks = report.waveforms.iter().map(Waveform::end);
    let now = blocks.chain(report.events.iter().map(|event| event.at)).max().unwrap_or_default();
    strips.pass(report, now)
}

#[test]
fn an_sos_takes_the_half_minute_before_it_and_the_seconds_after() {
    let strips = Strips::new(Arc::default());
    for second in (0..100).step_by(5) {
        let (report, behind) = pass(&strips, wave("patch", second));
        assert!(!report.strip && behind.is_empty());
    }
    let (sos, behind) = pass(&strips, event("pendant", EventKind::Sos, 103));
    assert_eq!(sos.parts()[0].0, Lane::Sos);
    assert_eq!(seconds(&behind), [("patch".to_owned(), vec![70, 75, 80, 85, 90, 95])]);
    assert!(behind.into_iter().all(|strip| strip.parts()[0].0 == Lane::Evt), "right behind the SOS");
    // The block in which it was pressed, and the ones after it for ten seconds, do not wait in lane wav.
    let lanes = [100, 105, 110, 115].map(|second| pass(&strips, wave("patch", second)).0.parts()[0].0);
    assert_eq!(lanes, [Lane::Evt, Lane::Evt, Lane::Evt, Lane::Wav]);
    // Pressed again: only what was not told yet.
    let (_, behind) = pass(&strips, event("pendant", EventKind::Sos, 119));
    assert_eq!(seconds(&behind), [("patch".to_owned(), vec![115])]);
    assert!(pass(&strips, event("pendant", EventKind::Sos, 119)).1.is_empty());
}

#[test]
fn what_is_old_or_of_somebody_else_stays() {
    let strips = Strips::new(Arc::default());
    pass(&strips, wave("patch", 0));
    let shared = |report: Report, person: &str| Report { shared: true, person: Some(person.to_owned()), ..report };
    pass(&strips, shared(wave("cabin-ecg", 95), "card:a"));
    // Nobody calls: a battery that runs low, and a cancelled call.
    for kind in [EventKind::LowBattery, EventKind::Cancelled] {
        assert!(pass(&strips, event("pendant", kind, 100)).1.is_empty());
    }
    // The patch was taken off long ago, and the cabin's ECG is not the pendant's wearer's.
    assert!(pass(&strips, event("pendant", EventKind::Fall, 100)).1.is_empty());
    let (_, behind) = pass(&strips, shared(event("cabin-ecg", EventKind::UnspecifiedAlarm, 100), "card:a"));
    assert_eq!(seconds(&behind), [("cabin-ecg".to_owned(), vec![95])]);
    // The next person's strip has nothing of the first one's.
    pass(&strips, shared(wave("cabin-ecg", 115), "card:b"));
    let (_, behind) = pass(&strips, shared(event("cabin-ecg", EventKind::Sos, 121), "card:b"));
    assert_eq!(seconds(&behind), [("cabin-ecg".to_owned(), vec![115])]);
    assert_eq!(behind[0].person.as_deref(), Some("card:b"));
}

#[test]
fn memory_is_bounded_and_what_is_given_up_is_counted() {
    let figures = Arc::new(Figures::default());
    let strips = Strips::new(Arc::clone(&figures));
    let long = |device: &str| {
        let mut report = wave(device, 0);
        let block = report.waveforms[0].clone();
        let long = Waveform { rate: Rate { samples: 20_000, seconds: 1 }, counts: vec![0; 20_000], ..block };
        report.waveforms = (0..40).map(|i| Waveform { start: Time(i * SECOND / 2), ..long.clone() }).collect();
        report
    };
    (0..40).for_each(|device| drop(strips.pass(long(&format!("d{device}")), Time(20 * SECOND))));
    let inner = strips.inner.lock().unwrap();
    assert!(inner.counts <= ALL_COUNTS_MAX && inner.counts > ALL_COUNTS_MAX - 40_000);
    assert_eq!(inner.counts, inner.kept.values().map(|kept| kept.counts).sum::<usize>());
    assert!(
        inner.kept.values().all(|kept| kept.counts <= COUNTS_MAX && kept.counts > COUNTS_MAX / 2),
        "each has its share"
    );
    let lost: u64 = figures.snapshot().devices.values().map(|device| device.unkept_blocks).sum();
    assert_eq!(lost as usize, 40 * 40 - inner.kept.values().map(|kept| kept.blocks.len()).sum::<usize>());
}

#[test]
fn many_patches_have_their_strips_and_one_too_many_drives_out_only_a_silent_one() {
    let figures = Arc::new(Figures::default());
    let strips = Strips::new(Arc::clone(&figures));
    let speak =
        |device: usize, second: i64| drop(strips.pass(wave(&format!("d{device}"), second), Time(second * SECOND)));
    (0..DEVICES_MAX).for_each(|device| speak(device, 100));
    speak(2_000, 120);
    let has = |device: &str| strips.inner.lock().unwrap().kept.contains_key(&name(device));
    assert!(!has("d2000") && has("d0"));
    assert_eq!(figures.snapshot().devices[&name("d2000")].unkept_blocks, 1);
    (1..DEVICES_MAX).for_each(|device| speak(device, 131));
    speak(2_000, 132);
    assert!(has("d2000") && !has("d0") && has("d1"));
    let all = figures.snapshot().devices.values().map(|device| device.unkept_blocks).sum::<u64>();
    assert_eq!(all, 1, "nobody else lost anything");
}
