//! What comes late, and what retention ends: rows for days that are sealed, rolled up and compressed already, and trends of
//! days whose rows are gone.

use model::{Metric, Quality, Reading, Sample, Seq, Time};
use vigil_store::readings::{Batch, Config, Readings, Retention, Trend};

use crate::naive::Naive;
use crate::place::Place;
use crate::world::{ALL, BASE, DAY, SECOND, all_of, assert_same_trend, elder, reading};

const OF: (u32, Metric) = (1, Metric::HeartRate);
const MINUTE: i64 = 60 * SECOND;

/// Days of one person, one value every `every` seconds, with an hour's pause and a sensor that was off for 20 minutes each day.
fn days(from: i64, to: i64, every: i64) -> Vec<Reading> {
    let row = |i: i64| {
        let second = i * every % 86_400;
        let at = BASE + i * every * SECOND;
        let asleep = (10_000..13_600).contains(&second);
        let off = || Sample::absent(OF.1, Time(at), Quality::SensorOff);
        let plain = reading(OF.0, at, 55.0 + (i * 7_919 % 431) as f64 / 10.0);
        (!asleep).then(|| if (40_000..41_200).contains(&second) { Reading { sample: off(), ..plain } } else { plain })
    };
    (from * 86_400 / every..to * 86_400 / every).filter_map(row).collect()
}

struct Both<'a> {
    place: &'a Place,
    store: Option<Readings>,
    naive: Naive,
    seq: u64,
}

impl<'a> Both<'a> {
    fn of(place: &'a Place) -> Self {
        Self { place, store: Some(place.open()), naive: Naive::default(), seq: 0 }
    }

    fn write(&mut self, rows: &[Reading]) {
        for rows in rows.chunks(5_000) {
            self.seq += 1;
            let batch = Batch { rows: rows.to_vec(), ..Batch::default() };
            let written = self.store.as_ref().unwrap().write_batch(&batch, Seq(self.seq)).unwrap();
            let expected = self.naive.write(&batch, self.seq);
            assert_eq!(
                (written.stored, written.duplicate, written.conflict),
                (expected.stored, expected.duplicate, expected.conflict)
            );
        }
    }

    fn settle(&mut self) {
        self.store = self.store.take().map(|store| self.place.settle(store));
    }

    fn compare(&self, what: &str) {
        let (store, of) = (self.store.as_ref().unwrap(), (elder(OF.0), OF.1));
        assert_eq!(all_of(store, OF.0), self.naive.raw(of, i64::MIN, i64::MAX), "{what}");
        assert_eq!(store.latest(of.0), self.naive.latest(of.0), "{what}");
        let ranges = [(0, 6 * DAY), (DAY + 61_234_567, 2 * DAY + 1), (DAY, DAY + 3 * 3_600 * SECOND), (-DAY, 40 * DAY)];
        for (from, to) in ranges.map(|(from, to)| (BASE + from, BASE + to)) {
            for buckets in [1, 24, 200, 4_000] {
                let trend = store.trend(of.0, of.1, Time(from), Time(to), buckets).unwrap();
                let expected = self.naive.trend(of, from, to, trend.bucket_us);
                assert_same_trend(&trend, &expected, &format!("{what}: {from} {to} {buckets}"));
            }
        }
    }
}

pub(crate) fn late_and_duplicate_rows_find_their_place_in_what_is_settled(place: &Place) {
    let mut both = Both::of(place);
    let first = days(0, 3, 120);
    both.write(&first);
    both.settle();
    both.compare("settled");
    // A gateway's buffer: every tenth told again, every seventh with another value, between them what never came.
    let between = |row: &Reading| {
        let at = Time(row.sample.taken_at.0 + 13 * SECOND);
        Reading { sample: Sample::new(OF.1, at, row.sample.value().unwrap_or_default(), row.sample.quality), ..*row }
    };
    let other = |row: &Reading| reading(OF.0, row.sample.taken_at.0, 199.0);
    let mut late: Vec<Reading> = first.iter().step_by(10).copied().collect();
    late.extend(first.iter().step_by(7).map(other));
    late.extend(first.iter().step_by(3).map(between));
    late.reverse();
    both.write(&late);
    both.compare("late rows came");
    both.settle();
    both.compare("settled again");
    both.write(&late);
    both.compare("told again");
    assert_eq!(both.store.unwrap().integrity_check().unwrap(), Vec::<String>::new());
}

pub(crate) fn trends_are_exact_over_rollups_with_late_days(place: &Place) {
    let mut both = Both::of(place);
    both.write(&days(0, 2, 30));
    both.write(&days(3, 5, 300));
    both.settle();
    both.compare("with a day missing");
    both.write(&days(2, 3, 60));
    both.compare("the missing day came late");
    // Into the pause and into the time without a sensor of a day that is rolled up.
    let fill: Vec<Reading> =
        [10_500, 12_000, 12_001, 40_010, 41_100].map(|s| reading(OF.0, BASE + DAY + s * SECOND + 7, 61.3)).into();
    both.write(&fill);
    both.compare("pauses filled late");
    both.settle();
    both.compare("all of it settled");
    both.write(&days(5, 6, 120));
    both.compare("with a day that is not rolled up");
}

/// Raw 30 days, minutes 60, hours for ever.
fn ends(place: &Place) -> Config {
    let retention = Retention { raw_days: 30, minute_days: 60, hour_days: 0, ..place.config().retention };
    let mut config = Config { retention, ..place.config() };
    // Fewer chunks to make and to drop; without the extension they are days.
    config.timescale.chunk_hours = 168;
    config
}

/// A row every two hours of the hundred days before [`BASE`].
fn hundred_days() -> Vec<Reading> {
    (-1_200..0).map(|i| reading(OF.0, BASE + i * 120 * MINUTE, 70.0 + (i % 13) as f64)).collect()
}

pub(crate) fn retention_ends_old_rows_and_never_young_ones(place: &Place) {
    let rows = hundred_days();
    let mut store = place.open_with(&ends(place));
    store.write(&rows, Seq(1)).unwrap();
    store = place.settle_at(store, Time(BASE));
    let found = all_of(&store, OF.0);
    let young = |row: &&Reading| row.sample.taken_at.0 >= BASE - 30 * DAY;
    assert!(rows.iter().filter(young).all(|row| found.contains(row)), "a young row is gone");
    // Whole blocks and chunks go: some days more may stay.
    let oldest = found.first().unwrap().sample.taken_at.0;
    assert!(oldest >= BASE - 45 * DAY, "{} days old", (BASE - oldest) / DAY);
    assert_eq!(store.latest(elder(OF.0)), rows[rows.len() - 1..]);
    // What is too old already does not come back: not what was here, and nothing new.
    let written = store.write(&rows[..100], Seq(2)).unwrap();
    assert_eq!((written.stored, written.expired), (0, 100));
    assert_eq!(store.cursor(), Seq(2));
    assert_eq!(store.write(&rows[1_100..], Seq(3)).unwrap().duplicate, 100);
    drop(store);
    let store = place.open_with(&ends(place));
    assert_eq!(all_of(&store, OF.0), found);
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

pub(crate) fn rollups_outlive_their_rows(place: &Place) {
    let mut store = place.open_with(&ends(place));
    store.write(&hundred_days(), Seq(1)).unwrap();
    let ask = |store: &Readings| -> Trend {
        // From a full hour on: an hour that is gone cannot be divided.
        let hour = |at: i64| Time(at.div_euclid(60 * MINUTE) * 60 * MINUTE);
        store.trend(elder(OF.0), OF.1, hour(BASE - 100 * DAY), hour(BASE), 100).unwrap()
    };
    let before = ask(&store);
    store = place.settle_at(store, Time(BASE));
    let rows = store.raw(elder(OF.0), OF.1, ALL.0, Time(BASE - 60 * DAY), 10).unwrap();
    assert_eq!(rows, [], "the rows themselves are gone");
    let after = ask(&store);
    // What of pauses can still be known is the store's affair; the values are not.
    let values = |trend: Trend| Trend { gaps: Vec::new(), absent: Vec::new(), ..trend };
    assert_same_trend(&values(after), &values(before), "a hundred days in a hundred buckets");
}

pub(crate) fn a_clock_that_jumps_forward_ends_nothing(place: &Place) {
    let (rows, jumped) = (&hundred_days()[960..], Time(BASE + 20 * 365 * DAY));
    let mut store = place.open_with(&ends(place));
    // An empty store learns nothing of a wrong clock.
    store.maintain(jumped).unwrap();
    store.write(rows, Seq(1)).unwrap();
    store = place.settle_at(store, jumped);
    assert_eq!(all_of(&store, OF.0), rows);
    drop(store);
    // The clock is right again, also for a start: what comes now is not too old, nor is what comes late.
    let mut store = place.settle_at(place.open_with(&ends(place)), Time(BASE));
    let come = [reading(OF.0, BASE + MINUTE, 71.0), reading(OF.0, BASE - 15 * DAY + MINUTE, 71.0)];
    let written = store.write(&come, Seq(2)).unwrap();
    assert_eq!((written.stored, written.expired), (2, 0));
    assert_eq!(all_of(&store, OF.0).len(), rows.len() + 2);
    // It does go when readings of that time are there.
    store.write(&[reading(2, BASE + 100 * DAY, 70.0)], Seq(3)).unwrap();
    store = place.settle_at(store, Time(BASE + 100 * DAY));
    assert_eq!((all_of(&store, OF.0), all_of(&store, 2).len()), (vec![], 1));
}

pub(crate) fn what_retention_ended_is_counted_as_such_when_days_are_raised(place: &Place) {
    let store = place.open_with(&ends(place));
    store.write(&hundred_days(), Seq(1)).unwrap();
    drop(place.settle_at(store, Time(BASE)));
    // Rows are kept for ever from now on; those of this time are gone, and rollups answer for it.
    let mut store = place.open();
    let n = |store: &Readings| -> u64 {
        let hour = |at: i64| Time(at.div_euclid(60 * MINUTE) * 60 * MINUTE);
        let trend = store.trend(elder(OF.0), OF.1, hour(BASE - 100 * DAY), hour(BASE), 100).unwrap();
        trend.points.iter().map(|point| point.n).sum()
    };
    let before = n(&store);
    let late: Vec<Reading> = (0..50).map(|i| reading(OF.0, BASE - 80 * DAY + i * 60 * MINUTE + 7, 99.0)).collect();
    let written = store.write(&late, Seq(2)).unwrap();
    assert_eq!(written.stored + written.expired, 50);
    assert!(place.kind == crate::place::Kind::Embedded || written.expired == 50, "{written:?}");
    store = place.settle(store);
    assert_eq!(n(&store), before + written.stored, "what was taken is in no answer");
}
