//! What the step for hearts makes of strips: marks, readings, absences and events.

use super::*;
use ecg::made::{self, Dice, Noise};

const HZ: f64 = 250.0;
const SECOND: i64 = 1_000_000;
const SCALE: f64 = 0.005;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A device's signal as blocks of so many seconds.
fn blocks(values: &[f64], from_s: i64, block_s: usize) -> Vec<Report> {
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

fn heart(seconds: f64, per_minute: f64, seed: u64) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    made::heart(&made::beats(seconds, per_minute, &mut dice), seconds, HZ, &mut dice)
}

fn noisy(seconds: f64, per_minute: f64, seed: u64) -> Vec<f64> {
    made::with_noise(&heart(seconds, per_minute, seed), Noise::Motion, -12.0, HZ, &mut Dice::new(seed))
}

/// Lets reports pass, each when its last sample was taken; what is derived.
fn derived(hearts: &Hearts, reports: Vec<Report>) -> Vec<Report> {
    let pass = |report: Report| {
        let now = report.waveforms.iter().map(Waveform::end).max().unwrap_or_default();
        hearts.pass(report, now).1
    };
    reports.into_iter().filter_map(pass).collect()
}

fn told(reports: &[Report]) -> Vec<(i64, Quality, Option<i64>)> {
    let samples = reports.iter().flat_map(|report| &report.samples);
    samples
        .map(|sample| (sample.taken_at.0 / SECOND, sample.quality, sample.value().map(|v| v.round() as i64)))
        .collect()
}

fn events(reports: &[Report]) -> Vec<(EventKind, i64)> {
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
    assert_eq!(made.unwrap().lane, Lane::Hist);
}

#[test]
fn a_noisy_strip_is_absent_with_its_cause_and_marks_what_the_device_says() {
    let figures = Arc::new(Figures::default());
    let hearts = Hearts::new(Arc::clone(&figures));
    let made = derived(&hearts, blocks(&noisy(20.0, 75.0, 2), 0, 5));
    assert_eq!(told(&made), [(10, Quality::MeasurementFailed, None), (20, Quality::MeasurementFailed, None)]);
    let pass = |at_s, value| hearts.pass(rate(at_s, value), Time(at_s * SECOND)).0.samples[0];
    assert_eq!((pass(21, 190.0).quality, pass(21, 190.0).value()), (Quality::Noisy, Some(190.0)), "kept, not judged");
    assert_eq!(pass(60, 88.0).quality, Quality::Ok, "of another time");
    // The device tells its rate itself now: nothing is derived.
    let (clean, noise) = (heart(10.0, 75.0, 3), noisy(10.0, 75.0, 4));
    assert_eq!(told(&derived(&hearts, blocks(&clean, 70, 5))), []);
    assert_eq!(pass(81, 80.0).quality, Quality::Ok, "the strip can be read");
    // With the strip in one report; the strip is the newer one.
    let mut both = blocks(&noise, 90, 10).remove(0);
    both.samples = rate(99, 188.0).samples;
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
    assert_eq!(events(&made), [(EventKind::DeviceRemoved, 20)]);
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
    assert_eq!(inner.len(), DEVICES_MAX);
    assert!(inner.values().flat_map(|heart| &heart.leads).all(|lead| lead.counts.len() <= COUNTS_MAX + 20_000));
}

/// What the default rules of the engine raise from reports that pass, as the server or the edge would judge them.
fn raised(reports: Vec<Report>) -> Vec<String> {
    use model::entry::{Entry, Flags, Frame};
    use model::{DeviceId, ElderId, Extras, GatewayId, Seq, Subject};
    let (hearts, mut engine, mut out) =
        (Hearts::new(Arc::default()), engine::Engine::new(engine::default_rules()), Vec::new());
    let mut seq = 0;
    for report in reports {
        let times =
            report.waveforms.iter().map(Waveform::end).chain(report.samples.iter().map(|sample| sample.taken_at));
        let now = times.max().unwrap_or_default();
        let (report, derived) = hearts.pass(report, now);
        for report in [Some(report), derived].into_iter().flatten() {
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
    raises.map(|one| one.rule.to_string()).collect()
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
    // The device takes motion for a heart of 190; with a strip that can be read the same number is an alarm.
    assert_eq!(raised(with_rates(&noisy(180.0, 75.0, 11), 190.0)), Vec::<String>::new());
    assert_eq!(raised(with_rates(&heart(180.0, 160.0, 12), 160.0)), ["heart_rate_high"]);
    // A device that tells no rate.
    assert_eq!(raised(blocks(&noisy(180.0, 75.0, 13), 1_000_000, 5)), Vec::<String>::new());
    assert_eq!(raised(blocks(&heart(180.0, 160.0, 14), 1_000_000, 5)), ["heart_rate_high"]);
    assert_eq!(raised(blocks(&heart(180.0, 75.0, 15), 1_000_000, 5)), Vec::<String>::new());
    let mut off = heart(60.0, 75.0, 16);
    off.extend(vec![0.0; 120 * HZ as usize]);
    assert_eq!(raised(blocks(&off, 1_000_000, 5)), ["device_removed"], "not a heart of 0");
    let mut dice = Dice::new(17);
    let mut beats = made::beats(60.0, 75.0, &mut dice);
    beats.retain(|at| !(33.0..38.0).contains(at));
    assert_eq!(raised(blocks(&made::heart(&beats, 60.0, HZ, &mut dice), 1_000_000, 5)), ["heart_pause"]);
}
