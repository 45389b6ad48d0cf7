//! Each nasty case of time (facts: devices, cases 27 to 34) as a row or a short story, and a property over random days.

use codec::{Facts, Happened};
use model::EventKind;
use model::extra::sync;
use proptest::prelude::*;

use super::*;

const OWN: OwnClock = OwnClock { sync: sync::NTP, uncertainty_ms: 0 };
const HOUR_S: i64 = 3_600;

/// 2026-11-22 08:00:00 UTC and so many seconds.
fn at(secs: i64) -> Time {
    Time::from_secs(1_795_334_400 + secs)
}

/// What a device's clock shows at this instant when it is `minutes` east of UTC.
fn wall(time: Time, minutes: i16) -> DeviceTime {
    let stamp = jiff::Timestamp::from_microsecond(time.0).unwrap();
    let wall = jiff::tz::Offset::from_seconds(i32::from(minutes) * 60).unwrap().to_datetime(stamp);
    DeviceTime { wall, offset_min: minutes, suspect: wall.year() <= 2000 }
}

fn unset(text: &str) -> DeviceTime {
    DeviceTime { wall: text.parse().unwrap(), offset_min: 480, suspect: true }
}

fn reading(said: Option<DeviceTime>) -> Measured {
    let doubt = if said.is_some_and(|said| said.suspect) { Quality::ClockSuspect } else { Quality::Ok };
    Measured::new(Metric::Systolic, 120.0).at(said).doubted(doubt)
}

fn live(said: Option<DeviceTime>) -> Decoded {
    Decoded { readings: vec![reading(said)], ..Decoded::default() }
}

fn stored(said: Option<DeviceTime>) -> Decoded {
    Decoded { stored: true, ..live(said) }
}

fn one(timeline: &mut Timeline, decoded: &Decoded, received: Time) -> (Placed, bool) {
    let timed = timeline.hear(decoded, received, OWN);
    (timed.readings[0], timed.suspect)
}

#[test]
fn every_kind_of_time_gets_its_answer() {
    let impossible = Measured::new(Metric::Systolic, 120.0).doubted(Quality::ClockSuspect);
    let month_13 = Decoded { readings: vec![impossible], ..Decoded::default() };
    let in_step = wall(at(-3), 480);
    // Case, frame, when taken (seconds from reception), judged, said once.
    let cases: Vec<(&str, Decoded, i64, bool, bool)> = vec![
        ("27: a watch at 2020-01-01 without a fix", live(Some(unset("2020-01-01T00:00:17"))), 0, true, true),
        ("28: year 0: no time", live(None), 0, true, false),
        ("29: 1970", live(Some(unset("1970-01-01T08:00:05"))), 0, true, true),
        ("29: 2000", live(Some(unset("2000-01-01T00:00:00"))), 0, true, true),
        ("30: month 13", month_13.clone(), 0, true, true),
        ("a clock in step", live(Some(in_step)), -3, true, false),
        ("an hour old: kept through a time without a link", live(Some(wall(at(-HOUR_S), 480))), -HOUR_S, true, false),
        ("ahead by 4 min", live(Some(wall(at(240), 480))), 240, true, false),
        ("ahead by 6 min", live(Some(wall(at(360), 480))), 0, true, true),
        ("two years old", live(Some(wall(at(-730 * 24 * HOUR_S), 480))), 0, true, true),
        ("stored, a good time", stored(Some(wall(at(-90 * 24 * HOUR_S), 480))), -90 * 24 * HOUR_S, true, false),
        ("34: stored yesterday", stored(Some(wall(at(-24 * HOUR_S), 480))), -24 * HOUR_S, true, false),
        ("stored, 1970", stored(Some(unset("1970-01-01T08:00:05"))), 0, false, true),
        ("stored, no time", stored(None), 0, false, false),
        ("stored, month 13", Decoded { stored: true, ..month_13 }, 0, false, true),
        ("stored, in the future", stored(Some(wall(at(HOUR_S), 480))), 0, false, true),
    ];
    for (case, frame, taken, judged, said) in cases {
        let (placed, suspect) = one(&mut Timeline::default(), &frame, at(0));
        assert_eq!(placed.taken_at, at(taken), "{case}");
        assert_eq!(placed.quality.is_judged(), judged, "{case}");
        assert_eq!(suspect, said, "{case}");
        let told = frame.readings[0].at.and_then(DeviceTime::wall_millis);
        assert_eq!(placed.device_ms, told, "{case}: the device's own time is kept");
    }
}

#[test]
fn a_wrong_clock_is_said_once_until_it_is_right_again() {
    let mut timeline = Timeline::default();
    let said: Vec<bool> =
        (0..5).map(|i| one(&mut timeline, &live(Some(unset("1970-01-01T08:00:00"))), at(60 * i)).1).collect();
    assert_eq!(said, [true, false, false, false, false]);
    assert!(!one(&mut timeline, &live(Some(wall(at(400), 480))), at(401)).1);
    assert!(one(&mut timeline, &live(Some(unset("2000-01-01T00:00:00"))), at(500)).1, "a new episode");
}

/// A device whose clock is off by the same time at each of some live transfers, a minute apart.
fn constant(hours: i64) -> Vec<(i64, bool)> {
    let mut timeline = Timeline::default();
    let mut out = Vec::new();
    for i in 0..5 {
        let (taken, received) = (at(i * 60), at(i * 60 + 2));
        let (placed, said) =
            one(&mut timeline, &live(Some(wall(taken.plus_us(hours * HOUR_S * SECOND_US), 0))), received);
        assert!(placed.quality.is_judged());
        out.push((placed.taken_at.since_us(taken) / SECOND_US, said));
    }
    out
}

#[test]
fn a_constant_offset_is_found_from_several_transfers_and_corrected() {
    // Case 31: local time sent as UTC, 8 h ahead: impossible from the first, so the time of reception until it is known.
    assert_eq!(constant(8), [(2, true), (2, false), (0, false), (0, false), (0, false)]);
    assert_eq!(constant(12), [(2, true), (2, false), (0, false), (0, false), (0, false)]);
    // 8 h behind may be a stored value; the third of the same kind is not.
    assert_eq!(constant(-8)[1], (-8 * HOUR_S, false));
    assert_eq!(constant(-8)[2..], [(0, true), (0, false), (0, false)]);
    assert_eq!(constant(-12)[2..], [(0, true), (0, false), (0, false)]);
}

#[test]
fn a_memory_that_is_emptied_is_no_constant_offset() {
    let mut timeline = Timeline::default();
    for i in 0..20 {
        // Values of last night, a minute apart, sent within ten seconds as if they were live.
        let taken = at(-8 * HOUR_S + i * 60);
        let (placed, said) = one(&mut timeline, &live(Some(wall(taken, 480))), at(i / 2));
        assert_eq!((placed.taken_at, said), (taken, false));
    }
    assert_eq!(timeline.known(), Known::Nothing);
}

#[test]
fn a_clock_that_was_set_right_is_believed_again() {
    let mut timeline = Timeline::default();
    for i in 0..4 {
        one(&mut timeline, &live(Some(wall(at(i * 60 + 8 * HOUR_S), 480))), at(i * 60 + 1));
    }
    assert!(matches!(timeline.known(), Known::Off { .. }));
    let (placed, _) = one(&mut timeline, &live(Some(wall(at(600), 480))), at(601));
    assert_eq!(placed.taken_at, at(600));
    assert_eq!(placed.uncertainty_ms, Some(2_000), "one second of delay, one of resolution");
}

#[test]
fn a_frame_that_tells_the_clock_gives_the_offset_at_once() {
    let mut timeline = Timeline::default();
    let told = |taken: Time, now: Time, off_s: i64| Decoded {
        device: Facts { clock: Some(wall(now.plus_us(off_s * SECOND_US), 480)), ..Facts::default() },
        ..stored(Some(wall(taken.plus_us(off_s * SECOND_US), 480)))
    };
    let timed = timeline.hear(&told(at(-7_200), at(0), -600), at(0), OWN);
    assert_eq!(timed.readings[0].taken_at, at(-7_200));
    assert_eq!(timed.readings[0].uncertainty_ms, Some(2_000));
    assert!(timed.suspect, "ten minutes off");
    let pair = timed.pair.unwrap();
    assert_eq!((pair.gateway, pair.sync), (at(0), sync::NTP));
    assert_eq!(pair.gateway.millis() + 8 * HOUR_S * 1_000 - pair.device, 600_000);
    // The same record again a day later, the link a second slower: the same time, and no news about the clock.
    let again = timeline.hear(&told(at(-7_200), at(86_399), -600), at(86_400), OWN);
    assert_eq!((again.readings[0].taken_at, again.pair), (at(-7_200), None));
    // Somebody set the clock: a new timeline, told to the server.
    let after = timeline.hear(&told(at(86_500), at(86_600), 0), at(86_600), OWN);
    assert_eq!(after.readings[0].taken_at, at(86_500));
    assert!(after.pair.is_some());
}

#[test]
fn a_clock_that_was_never_set_still_counts_the_minutes() {
    let decoded = Decoded {
        device: Facts { clock: Some(unset("1970-01-01T05:00:00")), ..Facts::default() },
        ..stored(Some(unset("1970-01-01T04:48:00")))
    };
    let (placed, said) = one(&mut Timeline::default(), &decoded, at(0));
    assert_eq!((placed.taken_at, placed.quality, said), (at(-720), Quality::Ok, true));
}

#[test]
fn a_batch_of_stored_records_keeps_its_order_and_loses_none() {
    // Case 33: 500 records in two seconds; the meter's clock has whole minutes.
    let record = |number: u32, said: Option<DeviceTime>| {
        let mut decoded = stored(said);
        decoded.readings[0].sequence = Some(number);
        decoded
    };
    let mut timeline = Timeline::default();
    let mut upload = |from: i64| -> Vec<Time> {
        let minute = |i: u32| at(-40 * 24 * HOUR_S + i64::from(i / 3) * 60);
        (0..500)
            .map(|i| {
                one(&mut timeline, &record(i, Some(wall(minute(i), 480))), at(from + i64::from(i) / 250)).0.taken_at
            })
            .collect()
    };
    let first = upload(0);
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(upload(600), first, "the same records at the next upload");
    let mut timeline = Timeline::default();
    let unknown: Vec<Time> = (0..500)
        .map(|i| one(&mut timeline, &record(i, Some(unset("2000-01-01T00:00:00"))), at(i64::from(i) / 250)).0.taken_at)
        .collect();
    assert!(unknown.windows(2).all(|pair| pair[0] < pair[1]), "without a time the order is what is left");
}

#[test]
fn values_of_one_metric_in_one_frame_are_told_apart() {
    let decoded = Decoded { readings: vec![reading(None), reading(None), reading(None)], ..Decoded::default() };
    let timed = Timeline::default().hear(&decoded, at(0).plus_us(777), OWN);
    let us: Vec<i64> = timed.readings.iter().map(|placed| placed.taken_at.since_us(at(0))).collect();
    assert_eq!(us, [0, 1, 2]);
}

#[test]
fn an_event_of_a_wrong_clock_is_one_of_now() {
    let happened = |said| Happened { at: said, ..Happened::new(EventKind::Sos) };
    let frame = |said| Decoded { events: vec![happened(said)], ..Decoded::default() };
    for (said, wanted) in [
        (None, at(0)),
        (Some(unset("1970-01-01T00:00:00")), at(0)),
        (Some(wall(at(8 * HOUR_S), 480)), at(0)),
        (Some(wall(at(-30), 480)), at(-30)),
    ] {
        assert_eq!(Timeline::default().hear(&frame(said), at(0), OWN).events, [wanted], "{said:?}");
    }
}

proptest! {
    /// Whatever clocks do: no value is lost, none is of the future, and a live one that is judged with a wrong clock has the
    /// time of its reception.
    #[test]
    fn any_clock_gives_times_that_can_be(
        frames in proptest::collection::vec((0..600_i64, -40_000_000_000_i64..2_000_000_000, any::<bool>(), any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut timeline = Timeline::default();
        let mut now = at(0);
        for (wait, off_s, is_stored, tells, gives) in frames {
            now = now.plus_us(wait * SECOND_US);
            let said = wall(Time::from_secs((now.secs() + off_s).max(0)), 480);
            let device = Facts { clock: tells.then_some(said), ..Facts::default() };
            let mut decoded = Decoded { device, ..if is_stored { stored(Some(said)) } else { live(gives.then_some(said)) } };
            decoded.events.push(Happened { at: Some(said), ..Happened::new(EventKind::Fall) });
            let timed = timeline.hear(&decoded, now, OWN);
            prop_assert_eq!((timed.readings.len(), timed.events.len()), (1, 1));
            prop_assert!(timed.events[0].since_us(now) <= FUTURE_US);
            let placed = timed.readings[0];
            prop_assert!(placed.taken_at.since_us(now) <= FUTURE_US + SECOND_US);
            if !is_stored {
                prop_assert!(placed.quality.is_judged());
                prop_assert!(now.since_us(placed.taken_at) <= LIVE_AGE_MAX_US);
            }
            if said.suspect && is_stored && !tells {
                prop_assert_eq!(placed.quality, Quality::ClockSuspect);
            }
        }
    }
}

#[test]
fn an_offset_that_was_found_outlives_a_restart() {
    let known = Known::Off { by_us: -8 * HOUR_S * SECOND_US, uncertainty_ms: 3_000 };
    let text = serde_json::to_string(&known).unwrap();
    let mut timeline = Timeline::new(serde_json::from_str(&text).unwrap());
    let (placed, said) = one(&mut timeline, &live(Some(wall(at(8 * HOUR_S), 480))), at(2));
    assert_eq!((placed.taken_at, placed.uncertainty_ms, said), (at(0), Some(4_000), false));
}
