//! What the step for hearts makes of strips: marks, readings, absences and events.

use super::lead::COUNTS_MAX;
use super::*;
use ecg::made::{self, Dice, Noise};
use model::{EventKind, Quality, Rate, Waveform, lead};

const HZ: f64 = 250.0;
pub(super) const SECOND: i64 = 1_000_000;
const SCALE: f64 = 0.005;

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A device's signal as blocks of so many seconds.
pub(super) fn blocks(values: &[f64], from_s: i64, block_s: usize) -> Vec<Report> {
    let counts = made::counts(values, SCALE);
    let of = |(index, counts): (usize, &[i16])| {
        let block = Waveform {
            metric: Metric::Ecg,
            lead: lead::from_label("II").unwrap(),
            start: Time((from_s + (index * block_s) as i64) * SECOND),
            rate: Rate { samples: HZ as u32, seconds: 1 },
            scale: SCALE,
            offset: 0.0,
            counts: counts.to_vec(),
        };
        Report { device: name("patch"), waveforms: vec![block], ..Report::default() }
    };
    counts.chunks(block_s * HZ as usize).enumerate().map(of).collect()
}

pub(super) fn heart(seconds: f64, per_minute: f64, seed: u64) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    made::heart(&made::beats(seconds, per_minute, &mut dice), seconds, HZ, &mut dice)
}

fn noisy(seconds: f64, per_minute: f64, seed: u64) -> Vec<f64> {
    made::with_noise(&heart(seconds, per_minute, seed), Noise::Motion, -12.0, HZ, &mut Dice::new(seed))
}

fn deliver(hearts: &Hearts, made: &[Report]) {
    for made in made {
        hearts.delivered(made);
    }
}

/// Lets reports pass, each when its last sample was taken; what is derived.
pub(super) fn derived(hearts: &Hearts, reports: Vec<Report>) -> Vec<Report> {
    let pass = |report: Report| {
        let now = report.waveforms.iter().map(Waveform::end).max().unwrap_or_default();
        let made = hearts.pass(report, now).1;
        deliver(hearts, &made);
        made
    };
    reports.into_iter().flat_map(pass).collect()
}

pub(super) fn told(reports: &[Report]) -> Vec<(i64, Quality, Option<i64>)> {
    let samples = reports.iter().flat_map(|report| &report.samples);
    samples
        .map(|sample| (sample.taken_at.0 / SECOND, sample.quality, sample.value().map(|v| v.round() as i64)))
        .collect()
}

pub(super) fn events(reports: &[Report]) -> Vec<(EventKind, i64)> {
    reports.iter().flat_map(|report| &report.events).map(|event| (event.kind, event.at.0 / SECOND)).collect()
}

fn rate(at_s: i64, value: f64) -> Report {
    let samples = vec![Sample::new(Metric::HeartRate, Time(at_s * SECOND), value, Quality::Ok)];
    Report { device: name("patch"), samples, ..Report::default() }
}

#[test]
fn a_device_with_nothing_but_ecg_has_a_heart_rate_every_ten_seconds() {
    for block_s in [1, 2, 5, 10] {
        let hearts = Hearts::new(Arc::default());
        let made = derived(&hearts, blocks(&heart(40.0, 160.0, 1), 1_000, block_s));
        let told = told(&made);
        assert_eq!(told.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [1_010, 1_020, 1_030, 1_040], "{block_s}");
        assert!(
            told.iter().all(|(_, quality, value)| *quality == Quality::Ok && (155..166).contains(&value.unwrap())),
            "{told:?}"
        );
        assert_eq!(made[0].origins[0].raw, Some(("ecg:II".to_owned(), "mV".to_owned())));
        assert_eq!((made[0].lane, events(&made)), (Lane::Vit, vec![]));
    }
}

#[test]
fn a_recording_of_long_ago_is_history() {
    let hearts = Hearts::new(Arc::default());
    let mut reports = blocks(&heart(10.0, 70.0, 1), 1_000, 10);
    let (_, made) = hearts.pass(reports.remove(0), Time(9_000 * SECOND));
    assert_eq!(made[0].lane, Lane::Hist);
}

#[test]
fn a_noisy_strip_is_absent_with_its_cause_and_marks_what_the_device_says() {
    let figures = Arc::new(Figures::default());
    let hearts = Hearts::new(Arc::clone(&figures));
    let made = derived(&hearts, blocks(&noisy(20.0, 75.0, 2), 0, 5));
    assert_eq!(told(&made), [(10, Quality::MeasurementFailed, None), (20, Quality::MeasurementFailed, None)]);
    let pass = |at_s, value| hearts.pass(rate(at_s, value), Time(at_s * SECOND)).0.samples[0];
    assert_eq!((pass(21, 120.0).quality, pass(21, 120.0).value()), (Quality::Noisy, Some(120.0)), "kept, not judged");
    assert_eq!(pass(60, 88.0).quality, Quality::Ok, "of another time");
    // The device tells its rate itself now: nothing is derived.
    let (clean, noise) = (heart(10.0, 75.0, 3), noisy(10.0, 75.0, 4));
    assert_eq!(told(&derived(&hearts, blocks(&clean, 70, 5))), []);
    assert_eq!(pass(81, 80.0).quality, Quality::Ok, "the strip can be read");
    // With the strip in one report; the strip is the newer one.
    let mut both = blocks(&noise, 90, 10).remove(0);
    both.samples = rate(99, 118.0).samples;
    let (both, _) = hearts.pass(both, Time(100 * SECOND));
    assert_eq!(both.samples[0].quality, Quality::Noisy);
    let told = figures.snapshot().devices[&name("patch")].clone();
    assert_eq!((told.strips, told.unreadable_strips, told.derived_rates, told.noisy_rates), (4, 3, 0, 3));
}

#[test]
fn a_lead_that_is_off_is_told_once_as_what_it_is() {
    let hearts = Hearts::new(Arc::default());
    let mut values = heart(20.0, 75.0, 5);
    values.extend(vec![40.0; 60 * HZ as usize]);
    values.extend(heart(10.0, 75.0, 6));
    let made = derived(&hearts, blocks(&values, 0, 5));
    let qualities: Vec<Quality> = told(&made).into_iter().map(|(_, quality, _)| quality).collect();
    assert_eq!(qualities[..2], [Quality::Ok; 2]);
    assert_eq!(qualities[2..8], [Quality::LeadOff; 6]);
    assert_eq!(qualities[8..], [Quality::Ok]);
    // The line stops moving between two strips, and may be a heart that stands: that is said at once, and once.
    assert_eq!(events(&made), [(EventKind::HeartPause, 30), (EventKind::DeviceRemoved, 20)]);
}

#[test]
fn a_heart_that_pauses_in_a_living_line_is_said() {
    let hearts = Hearts::new(Arc::default());
    let mut dice = Dice::new(7);
    let mut beats = made::beats(40.0, 75.0, &mut dice);
    beats.retain(|at| !(13.0..17.0).contains(at) && !(20.5..30.0).contains(at));
    let values = made::heart(&beats, 40.0, HZ, &mut dice);
    let made = derived(&hearts, blocks(&values, 0, 5));
    let events = events(&made);
    assert_eq!(events.first(), Some(&(EventKind::HeartPause, 20)), "{events:?}");
    assert!(told(&made).iter().all(|(_, _, value)| *value != Some(0)));
    // A line that never had beats is no pause: perhaps they are too low to see.
    let hearts = Hearts::new(Arc::default());
    let quiet: Vec<f64> = (0..20 * HZ as usize).map(|_| 0.02 * dice.bell()).collect();
    let made = derived(&hearts, blocks(&quiet, 0, 5));
    assert_eq!(made.iter().flat_map(|report| &report.events).count(), 0);
    assert_eq!(told(&made)[0].1, Quality::MeasurementFailed);
}

#[test]
fn gaps_repeats_and_people_begin_a_strip_anew() {
    let hearts = Hearts::new(Arc::default());
    let values = heart(10.0, 75.0, 8);
    let first: Vec<Report> = blocks(&values[..1_500], 0, 2);
    let again = first.clone();
    assert_eq!(told(&derived(&hearts, first)), []);
    assert_eq!(told(&derived(&hearts, again)), [], "the same blocks once more");
    // After a gap: what was there is read, six seconds of it.
    assert_eq!(told(&derived(&hearts, blocks(&values[..500], 60, 2))).len(), 1);
    // Somebody else at a shared device.
    let shared = |report: Report| Report { person: Some("card:b".to_owned()), shared: true, ..report };
    let made = derived(&hearts, blocks(&values, 62, 10).into_iter().map(shared).collect());
    assert_eq!((made.len(), made[0].person.as_deref(), made[0].shared), (1, Some("card:b"), true));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let hearts = Hearts::new(Arc::default());
    for device in 0..100 {
        for report in blocks(&vec![0.0; 1_000], device, 1) {
            hearts.pass(Report { device: name(&format!("d{device}")), ..report }, Time(0));
        }
    }
    let inner = hearts.inner.lock().unwrap();
    assert_eq!(inner.ecg.len(), DEVICES_MAX);
    assert!(inner.ecg.values().flat_map(|heart| &heart.leads).all(|lead| lead.counts.len() <= COUNTS_MAX + 20_000));
}

/// Beats at 75 a minute without those in the spans.
fn pausing(seconds: f64, seed: u64, pauses: &[std::ops::Range<f64>]) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    let mut beats = made::beats(seconds, 75.0, &mut dice);
    beats.retain(|at| !pauses.iter().any(|pause| pause.contains(at)));
    made::heart(&beats, seconds, HZ, &mut dice)
}

#[test]
fn a_pause_across_the_end_of_a_strip_is_said_once() {
    let said = |values: &[f64], block_s| {
        let made = derived(&Hearts::new(Arc::default()), blocks(values, 0, block_s));
        events(&made)
    };
    for seed in 20..30 {
        // Four seconds, centred on the boundary; the same with its greater part on either side.
        for pause in [18.4..22.0, 18.0..21.5, 16.6..20.4, 19.6..23.2] {
            let told = said(&pausing(40.0, seed, std::slice::from_ref(&pause)), 5);
            assert!(matches!(told[..], [(EventKind::HeartPause, 20 | 30)]), "{seed} {pause:?} {told:?}");
        }
        // A pause that is none, and a slow heart: a beat at the very end may be missed.
        assert_eq!(said(&pausing(40.0, seed, &[19.5..20.5]), 5), [], "{seed}");
        assert_eq!(said(&heart(60.0, 38.0, seed), 2), [], "{seed}");
    }
    // What is missing between two strips is no pause.
    let values = pausing(40.0, 31, &[18.4..22.0]);
    let hearts = Hearts::new(Arc::default());
    let mut made = derived(&hearts, blocks(&values[..5_000], 0, 5));
    made.extend(derived(&hearts, blocks(&values[5_000..], 25, 5)));
    assert_eq!(events(&made), []);
}

#[test]
fn a_last_beat_before_a_line_that_does_not_move_is_a_pause_said_once() {
    for last in [18.0, 19.5] {
        let mut values = pausing(20.0, 32, &[last..20.0]);
        values.extend(vec![0.0; 20 * HZ as usize]);
        let made = derived(&Hearts::new(Arc::default()), blocks(&values, 0, 5));
        assert_eq!(events(&made), [(EventKind::HeartPause, 30)], "{last}");
    }
    // The pause is told with the strip in which it began; the next ones do not say it again.
    let mut values = pausing(20.0, 33, &[14.0..20.0]);
    values.extend(vec![0.0; 20 * HZ as usize]);
    assert_eq!(events(&derived(&Hearts::new(Arc::default()), blocks(&values, 0, 5))), [(EventKind::HeartPause, 20)]);
    // A line that never had beats.
    assert_eq!(events(&derived(&Hearts::new(Arc::default()), blocks(&vec![0.0; 5_000], 0, 5))), []);
}

#[test]
fn a_critical_rate_beside_noise_stays_when_the_device_does_not_doubt_it() {
    let hearts = Hearts::new(Arc::default());
    derived(&hearts, blocks(&noisy(20.0, 75.0, 2), 0, 5));
    let pass = |value, quality| {
        let samples = vec![Sample::new(Metric::HeartRate, Time(21 * SECOND), value, quality)];
        hearts.pass(Report { samples, ..rate(21, value) }, Time(21 * SECOND)).0.samples[0].quality
    };
    let told = [40.0, 41.0, 130.0, 131.0].map(|value| pass(value, Quality::Ok));
    assert_eq!(told, [Quality::Ok, Quality::Noisy, Quality::Noisy, Quality::Ok], "the red scores of NEWS2");
    assert_eq!(pass(180.0, Quality::LowBattery), Quality::LowBattery, "judged as well");
    assert_eq!(pass(100.0, Quality::LowBattery), Quality::Noisy);
}

#[test]
fn an_ecg_that_cannot_be_read_for_half_a_minute_is_said_once() {
    let hearts = Hearts::new(Arc::default());
    let mut values = noisy(20.0, 75.0, 34);
    values.extend(heart(10.0, 75.0, 35));
    values.extend(noisy(90.0, 75.0, 36));
    let made = derived(&hearts, blocks(&values, 0, 10));
    assert_eq!(events(&made), [(EventKind::MeasurementFailed, 30)]);
    // Two strips an hour later are not in a row with these of now.
    let hearts = Hearts::new(Arc::default());
    let mut made = derived(&hearts, blocks(&noisy(20.0, 75.0, 37), 0, 10));
    made.extend(derived(&hearts, blocks(&noisy(20.0, 75.0, 37), 3_600, 10)));
    assert_eq!(events(&made), []);
}

#[test]
fn a_long_report_is_read_as_strips_of_ten_seconds() {
    // Three minutes at once, in blocks that do not fit: twenty seconds of a fast heart among slow ones are not averaged away.
    let mut values = heart(70.0, 60.0, 40);
    values.extend(heart(20.0, 150.0, 41));
    values.extend(heart(90.0, 60.0, 42));
    let parts = blocks(&values, 0, 7);
    let together = |order: fn(&mut Vec<Waveform>)| {
        let mut waveforms: Vec<Waveform> = parts.iter().flat_map(|report| report.waveforms.clone()).collect();
        order(&mut waveforms);
        let report = Report { waveforms, ..parts[0].clone() };
        told(&derived(&Hearts::new(Arc::default()), vec![report]))
    };
    let made = together(|_| ());
    assert_eq!(made.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), (1..=18).map(|i| 10 * i).collect::<Vec<_>>());
    let fast: Vec<i64> =
        made.iter().filter(|(_, _, rate)| rate.is_some_and(|rate| rate > 140)).map(|(at, ..)| *at).collect();
    assert_eq!(fast, [80, 90]);
    assert_eq!(together(|waves| waves.reverse()), made, "in any order");
}

#[test]
fn what_is_derived_is_kept_until_it_is_delivered() {
    let hearts = Hearts::new(Arc::default());
    let reports = blocks(&pausing(20.0, 43, &[13.0..17.0]), 0, 10);
    let refused: Vec<Report> = reports.iter().flat_map(|report| hearts.pass(report.clone(), Time(0)).1).collect();
    assert!(!refused.is_empty());
    // The device repeats its last block, which is no new strip: the pause and both rates come out.
    let owed = hearts.pass(reports[1].clone(), Time(0)).1;
    assert_eq!(events(&owed), [(EventKind::HeartPause, 20)]);
    assert_eq!(told(&owed).len(), 2);
    deliver(&hearts, &owed);
    assert_eq!(hearts.pass(reports[1].clone(), Time(0)).1, []);
    // Nothing is delivered for long: rates go, the event stays.
    let hearts = Hearts::new(Arc::default());
    for report in reports.into_iter().chain(blocks(&heart(1_000.0, 75.0, 44), 100, 10)) {
        hearts.pass(report, Time(0));
    }
    let owed = hearts.pass(rate(1_100, 75.0), Time(0)).1;
    assert_eq!((owed.len(), events(&owed)), (heart::OWED_MAX, vec![(EventKind::HeartPause, 20)]));
}

#[test]
fn a_clock_that_was_set_back_loses_no_ecg() {
    let hearts = Hearts::new(Arc::default());
    assert_eq!(told(&derived(&hearts, blocks(&heart(60.0, 75.0, 45), 1_000, 5))).len(), 6);
    let made = derived(&hearts, blocks(&heart(60.0, 75.0, 46), 1_020, 5));
    assert_eq!(told(&made).len(), 6, "other samples at times that were");
    assert_eq!(told(&derived(&hearts, blocks(&heart(60.0, 75.0, 46), 1_020, 5))), [], "the same once more");
}

#[test]
fn only_a_rate_with_a_value_is_one_of_the_devices_own() {
    for quality in [Quality::Absent, Quality::SensorOff] {
        let hearts = Hearts::new(Arc::default());
        let samples = vec![Sample::absent(Metric::HeartRate, Time(5 * SECOND), quality)];
        hearts.pass(Report { samples, ..blocks(&heart(5.0, 75.0, 47), 0, 5).remove(0) }, Time(0));
        assert_eq!(told(&derived(&hearts, blocks(&heart(10.0, 75.0, 48), 5, 5))).len(), 1, "{quality:?}");
    }
    let hearts = Hearts::new(Arc::default());
    let samples = vec![Sample::new(Metric::HeartRate, Time(5 * SECOND), 80.0, Quality::Questionable)];
    hearts.pass(Report { samples, ..blocks(&heart(5.0, 75.0, 47), 0, 5).remove(0) }, Time(0));
    assert_eq!(told(&derived(&hearts, blocks(&heart(10.0, 75.0, 48), 5, 5))).len(), 1);
}

#[test]
fn a_device_too_many_is_counted_and_drives_out_only_a_silent_one() {
    let figures = Arc::new(Figures::default());
    let hearts = Hearts::new(Arc::clone(&figures));
    let speak = |device: usize, at_s: i64| {
        let report = blocks(&vec![0.0; 250], at_s, 1).remove(0);
        hearts.pass(Report { device: name(&format!("d{device}")), ..report }, Time(at_s * SECOND));
    };
    (0..DEVICES_MAX).for_each(|device| speak(device, 1_000));
    speak(99, 1_060);
    let follows = |device: &str| hearts.inner.lock().unwrap().ecg.contains_key(&name(device));
    assert!(!follows("d99"));
    assert_eq!(figures.snapshot().devices[&name("d99")].unheard_ecg, 1);
    (1..DEVICES_MAX).for_each(|device| speak(device, 1_061));
    speak(99, 1_062);
    assert!(follows("d99") && !follows("d0") && follows("d1"));
}

/// What the limits of the default rules, each held for a minute, raise from reports that pass, as the server or the edge would
/// judge them.
fn raised(reports: Vec<Report>) -> Vec<String> {
    use model::entry::{Entry, Flags, Frame};
    use model::{DeviceId, ElderId, Extras, GatewayId, Seq, Subject};
    let mut rules = engine::default_rules();
    for rule in &mut rules.rules {
        if let model::rule::Test::Threshold(test) = &mut rule.test {
            test.levels.iter_mut().for_each(|level| level.hold_s = level.hold_s.min(60));
        }
    }
    let (hearts, mut engine, mut out) = (Hearts::new(Arc::default()), engine::Engine::new(rules), Vec::new());
    let mut seq = 0;
    for report in reports {
        let times =
            report.waveforms.iter().map(Waveform::end).chain(report.samples.iter().map(|sample| sample.taken_at));
        let now = times.max().unwrap_or_default();
        let (report, derived) = hearts.pass(report, now);
        deliver(&hearts, &derived);
        for report in [report].into_iter().chain(derived) {
            seq += 1;
            let frame = Frame {
                gateway: GatewayId(1),
                device: DeviceId(1),
                subject: Subject::Elder(ElderId(1)),
                lane: report.lane,
                flags: Flags::default(),
                epoch: 1,
                seq,
                received_at: now,
                events: report.events,
                samples: report.samples,
                extras: Extras::default(),
            };
            engine.step(Seq(seq), &Entry::Frame(frame), &mut out);
        }
    }
    let raises = out.iter().filter(|one| matches!(one.change, model::alarm::Change::Raised { .. }));
    raises.map(|one| one.rule.clone()).collect()
}

/// Strips of a device, and beside each the heart rate the device tells itself.
fn with_rates(values: &[f64], per_minute: f64) -> Vec<Report> {
    let beside = |report: Report| {
        let end = report.waveforms[0].end();
        let samples = vec![Sample::new(Metric::HeartRate, end, per_minute, Quality::Ok)];
        Report { samples, ..report }
    };
    blocks(values, 1_000_000, 10).into_iter().map(beside).collect()
}

#[test]
fn noise_raises_no_alarm_a_fast_heart_does_and_a_lead_that_is_off_is_technical() {
    // The device takes motion for a heart of 120; with a strip that can be read the same number is an alarm.
    assert_eq!(raised(with_rates(&noisy(180.0, 75.0, 11), 120.0)), Vec::<String>::new());
    assert_eq!(raised(with_rates(&heart(180.0, 120.0, 12), 120.0)), ["heart_rate_high"]);
    // A critical number is nobody's to silence: a fibrillating heart looks like noise.
    assert_eq!(raised(with_rates(&noisy(180.0, 75.0, 11), 131.0)), ["heart_rate_high"]);
    assert_eq!(raised(with_rates(&noisy(180.0, 75.0, 11), 40.0)), ["heart_rate_low"]);
    assert_eq!(raised(with_rates(&heart(180.0, 160.0, 12), 160.0)), ["heart_rate_high"]);
    // A device that tells no rate.
    assert_eq!(raised(blocks(&noisy(180.0, 75.0, 13), 1_000_000, 5)), Vec::<String>::new());
    assert_eq!(raised(blocks(&heart(180.0, 160.0, 14), 1_000_000, 5)), ["heart_rate_high"]);
    assert_eq!(raised(blocks(&heart(180.0, 75.0, 15), 1_000_000, 5)), Vec::<String>::new());
    let mut off = heart(60.0, 75.0, 16);
    off.extend(vec![0.0; 120 * HZ as usize]);
    assert_eq!(raised(blocks(&off, 1_000_000, 5)), ["heart_pause", "device_removed"], "not a heart of 0");
    let mut dice = Dice::new(17);
    let mut beats = made::beats(60.0, 75.0, &mut dice);
    beats.retain(|at| !(33.0..38.0).contains(at));
    assert_eq!(raised(blocks(&made::heart(&beats, 60.0, HZ, &mut dice), 1_000_000, 5)), ["heart_pause"]);
}
