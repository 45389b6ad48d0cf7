//! The server stands still: nobody could be heard, and that is no silence of anybody.

use model::entry::{Entry, Frame};
use model::rule::RuleSet;
use model::{ElderId, Lane, Metric, Quality, Sample, Subject};

use crate::day::{Day, NOTHING, at, frame, say};
use crate::kinds::{CUFF, only};

const MINUTE: i64 = 60;
/// The stop: from a minute after the last word of everybody on, for 65 minutes.
const STOPPED: i64 = MINUTE;
const BACK: i64 = STOPPED + 65 * MINUTE;
const RETURN: i64 = 15 * MINUTE;
const HUNDRED: u32 = 100;

/// Silence as of the severely dependent: T after half an hour, P2 after an hour.
fn rules() -> RuleSet {
    let mut set = only("silence", r#"test.silence = { after_s = 1800, priority = "T" }"#);
    set.rules.extend(only("unheard", r#"test.silence = { after_s = 3600, priority = "P2" }"#).rules);
    set
}

fn speaks(elder: u32, received: i64) -> Entry {
    let samples = vec![Sample::new(Metric::PulseRate, at(received), 70.0, Quality::Ok)];
    Entry::Frame(Frame { samples, subject: Subject::Elder(ElderId(elder)), ..frame(received) })
}

/// A hundred elders who wear a band, all of them heard at second 0 for the last time, and a server that stands still.
fn hundred() -> Day {
    let mut day = Day::with(rules());
    for minutes in [-120, -80, -40, 0] {
        for elder in 1..=HUNDRED {
            assert_eq!(day.told(&speaks(elder, minutes * MINUTE)), NOTHING);
        }
    }
    assert_eq!(day.tick(STOPPED), NOTHING);
    day
}

fn back(day: &mut Day, entry: &Entry) -> Vec<String> {
    day.after_a_stop(entry).iter().map(say).collect()
}

/// Everything told from the end of the stop on, when all but the first elder are back within the minute.
fn told_of_one(mut day: Day, reload_at: &[i64]) -> Vec<String> {
    let mut told = back(&mut day, &Entry::Tick(at(BACK)));
    for second in (BACK + 10..BACK + 3 * 3_600).step_by(10) {
        if second % (20 * MINUTE) == 30 {
            (2..=HUNDRED).for_each(|elder| told.extend(day.told(&speaks(elder, second))));
        }
        told.extend(day.tick(second).into_iter().map(|line| format!("{} {line}", second - BACK)));
        if reload_at.contains(&(second - BACK)) {
            day = day.reloaded();
        }
    }
    told
}

#[test]
fn after_a_stop_of_an_hour_nobody_who_comes_back_is_missed() {
    let mut day = hundred();
    assert_eq!(back(&mut day, &Entry::Tick(at(BACK))), NOTHING, "nobody could be heard");
    for elder in 1..=HUNDRED {
        assert_eq!(day.told(&speaks(elder, BACK + 30)), NOTHING);
    }
    assert_eq!(day.tick(BACK + 1_829), NOTHING);
    assert_eq!(day.tick(BACK + 1_830).len(), 100, "who was heard since is missed as ever");
}

#[test]
fn who_does_not_come_back_is_missed() {
    // Of the half hour one minute was over when the server stopped.
    let (due, urgent) = (RETURN + 29 * MINUTE, RETURN + 59 * MINUTE);
    let expected = [format!("{due} T silence"), format!("{urgent} P2 unheard")];
    assert_eq!(told_of_one(hundred(), &[]), expected);
    assert_eq!(told_of_one(hundred().reloaded(), &[]), expected, "with a checkpoint read at the start");
    assert_eq!(told_of_one(hundred(), &[30, 600, due - 10]), expected, "and with others later");
}

#[test]
fn a_stop_is_seen_whatever_is_written_first() {
    let mut day = hundred();
    assert_eq!(back(&mut day, &speaks(1, BACK)), NOTHING);
    assert_eq!(day.tick(BACK), NOTHING);
}

#[test]
fn a_silence_that_was_due_before_the_stop_is_told() {
    let mut day = hundred();
    day.told(&speaks(2, 25 * MINUTE));
    assert_eq!(day.tick(30 * MINUTE).len(), 99);
    day.told(&speaks(1, 31 * MINUTE));
    assert_eq!(back(&mut day, &Entry::Tick(at(31 * MINUTE + 3_600))), NOTHING);
}

#[test]
fn a_server_that_stops_again_and_again_still_misses_somebody() {
    let mut day = hundred();
    let (mut now, mut told) = (STOPPED, Vec::new());
    for _ in 0..20 {
        now += 20 * MINUTE;
        told.extend(back(&mut day, &Entry::Tick(at(now))));
        for _ in 0..4 {
            now += 5 * MINUTE;
            told.extend(day.tick(now));
        }
    }
    let missed = |rule: &str| told.iter().filter(|line| line.contains(rule)).count();
    assert_eq!((missed("silence"), missed("unheard")), (100, 100), "of every 20 minutes 5 count");
}

#[test]
fn a_traveller_is_not_missed_because_of_a_stop() {
    use model::quiet::{Quiet, QuietKind, Whose};
    let mut day = hundred();
    back(&mut day, &Entry::Tick(at(BACK)));
    let (from, until) = (at(BACK + 20 * MINUTE), at(BACK + 10 * 3_600));
    let whose = Whose::Elder(ElderId(1));
    day.told(&Entry::Quiet(Quiet { id: 1, whose, kind: QuietKind::Travel, from, until, at: at(BACK + MINUTE) }));
    assert_eq!(day.tick(BACK + RETURN + 29 * MINUTE).len(), 99);
}

#[test]
fn what_was_asked_before_the_stop_may_be_answered_after_it() {
    let mut day = Day::with(only("cuff", CUFF));
    assert_eq!(day.reads(0, Metric::Systolic, 186.0), ["P3 cuff", "remeasure cuff"]);
    day.tick(STOPPED);
    assert_eq!(back(&mut day, &Entry::Tick(at(BACK))), NOTHING);
    let mut other = day.reloaded();
    assert_eq!(day.reads(BACK + 300, Metric::Systolic, 184.0), ["worsened P1 cuff"]);
    assert_eq!(other.tick(BACK + RETURN - 1), NOTHING);
    assert_eq!(other.tick(BACK + RETURN), ["worsened P2 cuff"]);
    // What was missed before the stop was missed.
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    assert_eq!(day.tick(601), ["worsened P2 cuff"]);
}

#[test]
fn what_stood_before_the_stop_is_unknown_only_when_its_device_does_not_come_back() {
    let low = r#"test.threshold = { metric = "spo2", side = "low", levels = [{ priority = "P1", limit = 91.0, hold_s = 30 }], clear_margin = 1.0 }"#;
    let mut day = Day::with(only("low", low));
    day.reads(0, Metric::Spo2, 85.0);
    assert_eq!(day.reads(30, Metric::Spo2, 85.0), ["P1 low"]);
    day.tick(STOPPED);
    assert_eq!(back(&mut day, &Entry::Tick(at(BACK))), NOTHING);
    assert_eq!(day.tick(BACK + RETURN - 1), NOTHING);
    assert_eq!(day.tick(BACK + RETURN), ["lost low"]);
}

#[test]
fn a_late_upload_goes_on_after_the_stop() {
    let mut day = Day::new();
    let night = |received: i64, minute: i64| {
        let samples = vec![Sample::new(Metric::Spo2, at(minute * MINUTE - 30_000), 85.0, Quality::Ok)];
        Entry::Frame(Frame { lane: Lane::Hist, samples, ..frame(received) })
    };
    assert_eq!(day.told(&night(0, 0)), NOTHING);
    assert_eq!(day.told(&night(1, 1)), ["late P3 spo2_low"]);
    day.tick(STOPPED);
    assert_eq!(back(&mut day, &Entry::Tick(at(BACK))), NOTHING);
    assert_eq!(day.told(&night(BACK + 60, 2)), NOTHING, "one story, told on");
}
