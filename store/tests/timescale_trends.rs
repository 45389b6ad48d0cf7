//! Trends of the timescale store are those of the embedded store: from rows, from rollups, with late rows, moved rows, compressed
//! chunks, and, as far as rollups tell, after the rows are gone. On a real PostgreSQL and on TimescaleDB's SQL.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use pgtest::{Pglite, Postgres, Session};
use vigil_store::readings::{Batch, Config, Dsn, Forgotten, Moved, Readings, Store, TimescaleConfig, Trend};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// A midnight (UTC), two days before one of the slices ends in which a trend is asked for.
const START: i64 = (16 * 1_240 - 2) * DAY;
const SERIES: [(u32, Metric); 4] =
    [(1, Metric::HeartRate), (2, Metric::HeartRate), (3, Metric::Spo2), (1, Metric::Glucose)];

fn elder(n: u32) -> Subject {
    Subject::Elder(ElderId(n))
}

fn reading(of: u32, metric: Metric, at: i64, value: f64, quality: Quality) -> Reading {
    let sample = if quality.has_value() {
        Sample::new(metric, Time(at), value, quality)
    } else {
        Sample::absent(metric, Time(at), quality)
    };
    Reading { subject: elder(of), device: DeviceId(7), sample }
}

/// Always the same numbers, spread out.
fn spread(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// Some days of four series: rhythms of 10 s to 20 min, pauses, absent runs of some causes, doubtful values.
fn days(many: i64) -> Vec<Reading> {
    let mut rows = Vec::new();
    for (number, (of, metric)) in SERIES.into_iter().enumerate() {
        let (mut at, mut n) = (START + number as i64 * 137 * SECOND, number as u64 * 1_000_003);
        while at < START + many * DAY {
            n += 1;
            let step = [10, 55, 60, 61, 180, 1_200][(spread(n) % 6) as usize] * SECOND;
            let quality = match spread(n + 1) % 12 {
                0 => Quality::SensorOff,
                1 => Quality::LeadOff,
                2 => Quality::Motion,
                3 => Quality::LowBattery,
                _ => Quality::Ok,
            };
            let long = 20 + (spread(n + 2) % 200) as i64;
            for i in 0..long {
                let jitter = (spread(n * 1_000 + i as u64) % 900) as i64 * 1_000;
                let value = 60.0 + (spread(n + i as u64) % 700) as f64 / 10.0;
                rows.push(reading(of, metric, at + jitter, value, quality));
                at += step;
            }
            if spread(n + 3).is_multiple_of(3) {
                at += (spread(n + 4) % 5_400) as i64 * SECOND;
            }
        }
    }
    rows
}

struct Both {
    embedded: Readings,
    timescale: Readings,
    _dir: tempfile::TempDir,
}

impl Both {
    fn open(config: &Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Readings::open(dir.path(), &Config { seal_rows: 500, ..Config::default() }).unwrap();
        Self { embedded, timescale: Readings::open(Path::new("."), config).unwrap(), _dir: dir }
    }

    fn write(&self, rows: &[Reading]) {
        for some in rows.chunks(4_000) {
            let a = self.embedded.write(some, Seq(1)).unwrap();
            let b = self.timescale.write(some, Seq(1)).unwrap();
            assert_eq!((a.stored, a.duplicate, a.conflict), (b.stored, b.duplicate, b.conflict));
        }
    }

    /// Ranges and widths that take every way through the sources.
    fn compare(&self, when: &str) {
        self.compare_doubtful();
        let all = (START - DAY, START + 5 * DAY);
        let odd = (START + 3 * HOUR + 17 * SECOND, START + 2 * DAY + 5 * HOUR + 59 * SECOND);
        for (range, buckets) in [
            (all, 6),
            (all, 144),
            (all, 500),
            (odd, 40),
            (odd, 300),
            ((START + 5 * HOUR, START + 6 * HOUR), 60),
            ((START + 5 * HOUR, START + 6 * HOUR + 1), 720),
            ((START + DAY, START + 2 * DAY), 24),
            ((START + DAY, START + 2 * DAY), 1_440),
        ] {
            let (from, to) = (Time(range.0), Time(range.1));
            for metric in [Metric::HeartRate, Metric::Spo2, Metric::Glucose] {
                let subjects = [elder(1), elder(9), elder(2), elder(3), elder(1)];
                let lines = self.timescale.sparklines(&subjects, metric, from, to, buckets).unwrap();
                for (subject, line) in subjects.iter().zip(&lines) {
                    let expected = self.embedded.trend(*subject, metric, from, to, buckets).unwrap();
                    let found = self.timescale.trend(*subject, metric, from, to, buckets).unwrap();
                    let what = format!("{when}: {subject:?} {metric:?} {range:?} in {buckets}");
                    same(&found, &expected, &what);
                    let points = Trend { absent: Vec::new(), gaps: Vec::new(), ..expected };
                    same(line, &points, &format!("points, {what}"));
                }
            }
        }
    }

    /// Doubtful values are found whether or not their hours are rolled up.
    fn compare_doubtful(&self) {
        let range = (Time(START - DAY), Time(START + 5 * DAY));
        let mut found_any = false;
        for (subject, metric) in [1, 2, 3, 9].into_iter().flat_map(|n| {
            [Metric::HeartRate, Metric::Spo2, Metric::Glucose].into_iter().map(move |metric| (elder(n), metric))
        }) {
            let all = self.embedded.doubtful(subject, metric, range.0, range.1, 300_000).unwrap().rows;
            let of = |most| self.timescale.doubtful(subject, metric, range.0, range.1, most).unwrap();
            let found = of(300_000);
            assert_eq!((&found.rows, found.until), (&all, None), "{subject:?} {metric:?}");
            if all.len() > 3 {
                found_any = true;
                let some = of(3);
                assert_eq!((&some.rows[..], some.until), (&all[..3], Some(all[3].sample.taken_at)));
            }
        }
        assert!(found_any);
    }

    fn page_through(&self) {
        let series = self.embedded.series(None, 100).unwrap();
        assert_eq!(self.timescale.series(None, 100).unwrap(), series);
        assert_eq!(self.timescale.series(Some((elder(1), Metric::HeartRate)), 2).unwrap(), {
            self.embedded.series(Some((elder(1), Metric::HeartRate)), 2).unwrap()
        });
        for one in series {
            let mut after = Time(i64::MIN);
            loop {
                let page = self.timescale.page(one.subject, one.metric, after, 997).unwrap();
                assert_eq!(page, self.embedded.page(one.subject, one.metric, after, 997).unwrap());
                match page.rows.last() {
                    Some(last) if page.more => after = last.sample.taken_at,
                    _ => break,
                }
            }
        }
    }
}

fn same(found: &Trend, expected: &Trend, what: &str) {
    assert_eq!(found.bucket_us, expected.bucket_us, "{what}");
    assert_eq!(found.absent, expected.absent, "{what}");
    assert_eq!(found.gaps, expected.gaps, "{what}");
    assert_eq!(found.points.len(), expected.points.len(), "{what}");
    for (a, b) in found.points.iter().zip(&expected.points) {
        assert_eq!((a.start, a.n, a.min, a.max), (b.start, b.n, b.min, b.max), "{what}");
        assert!((a.mean - b.mean).abs() <= 1e-9 * b.mean.abs(), "{what}: {} {}", a.mean, b.mean);
    }
}

fn settings(dsn: String, pool_max: usize) -> Config {
    let timescale = TimescaleConfig { dsn: Some(Dsn::new(dsn)), pool_max, ..TimescaleConfig::default() };
    Config { store: Store::Timescale, timescale, ..Config::default() }
}

/// Asks the database itself, while nobody else is connected.
type Ask<'a> = &'a dyn Fn(&str) -> String;

/// One story for both kinds of schema.
fn trends_agree(config: &Config, ask: Ask<'_>) {
    let both = Both::open(config);
    let rows = days(3);
    // Every 50th row waits, to come late; the rest comes in two parts, the later one first.
    let (late, rest): (Vec<(usize, Reading)>, Vec<_>) = rows.into_iter().enumerate().partition(|(i, _)| i % 50 == 7);
    let (late, rest): (Vec<Reading>, Vec<Reading>) =
        (late.into_iter().map(|(_, row)| row).collect(), rest.into_iter().map(|(_, row)| row).collect());
    both.write(&rest[rest.len() / 2..]);
    both.write(&rest[..rest.len() / 2]);
    both.compare("from rows");
    let now = START + 2 * DAY + 13 * HOUR + 20 * 60 * SECOND;
    both.timescale.maintain(Time(now)).unwrap();
    both.compare("from rollups and rows");
    both.write(&late);
    both.compare("with late days");
    both.timescale.maintain(Time(now)).unwrap();
    both.compare("with late days made anew");
    both.timescale.maintain(Time(START + 4 * DAY)).unwrap();
    both.compare("from rollups alone");
    move_some(&both);
    both.compare("after a move");
    both.timescale.maintain(Time(START + 4 * DAY + 1)).unwrap();
    both.compare("after a move, made anew");
    both.timescale.seal_all().unwrap();
    both.compare("compressed");
    let more: Vec<Reading> = (0..200)
        .map(|i| reading(2, Metric::HeartRate, START + DAY + i * 431 * SECOND + 7, 99.0, Quality::Ok))
        .collect();
    both.write(&more);
    both.compare("late into compressed");
    both.timescale.maintain(Time(START + 5 * DAY)).unwrap();
    both.timescale.maintain(Time(START + 5 * DAY)).unwrap();
    both.compare("late into compressed, made anew");
    // Until it is sealed the embedded store counts a row that changed its subject twice.
    both.embedded.seal_all().unwrap();
    both.page_through();
    assert_eq!(both.timescale.integrity_check().unwrap(), Vec::<String>::new());
    let stats = both.timescale.stats().unwrap();
    assert_eq!(stats.rows, both.timescale.count());
    assert!(stats.file_bytes > 0 && stats.bytes_per_reading > 0.0, "{stats:?}");
    drop(both.timescale);
    assert_eq!(ask("SELECT count(*) FROM vigil.late"), "0");
    let done: i64 = ask("SELECT (extract(epoch FROM rollup_done) * 1000000)::int8 FROM vigil.state").parse().unwrap();
    assert_eq!(done, START + 4 * DAY + 23 * HOUR);
}

/// A measurement of elder 1 turns out to be elder 3's.
fn move_some(both: &Both) {
    let (from, to) = (Time(START + DAY), Time(START + DAY + 2 * HOUR));
    let rows = both.embedded.raw(elder(1), Metric::HeartRate, from, to, 100_000).unwrap();
    let samples: Vec<Sample> = rows.iter().map(|row| row.sample).collect();
    assert!(!samples.is_empty());
    let moved = Moved { from: elder(1), to: elder(3), device: DeviceId(7), samples, waveforms: Vec::new() };
    let batch = Batch { moves: vec![moved], ..Batch::default() };
    both.embedded.write_batch(&batch, Seq(2)).unwrap();
    both.timescale.write_batch(&batch, Seq(2)).unwrap();
}

/// Rollups stand for rows that retention has dropped; a metric with days of its own keeps those.
fn rows_go_and_rollups_stay(config: &Config, ask: Ask<'_>) {
    let mut config = config.clone();
    "kept".clone_into(&mut config.timescale.schema);
    config.retention.raw_days = 10;
    config.retention.minute_days = 30;
    config.retention.hour_days = 60;
    config.retention.raw_days_of =
        [(Metric::Spo2.slug().to_owned(), 20), (Metric::Glucose.slug().to_owned(), 5)].into();
    let both = Both::open(&config);
    let rows: Vec<Reading> = (0..2 * 1_440)
        .flat_map(|i| {
            SERIES.map(|(of, metric)| {
                reading(of, metric, START + i * 60 * SECOND + 5, 60.0 + (i % 40) as f64, Quality::Ok)
            })
        })
        .collect();
    both.write(&rows);
    let store = &both.timescale;
    let count = |metric, of| store.raw(elder(of), metric, Time(START), Time(START + 9 * DAY), 100_000).unwrap().len();
    let points = |metric, of, width: i64| {
        let trend =
            store.trend(elder(of), metric, Time(START), Time(START + 2 * DAY), (2 * DAY / width) as u32).unwrap();
        (trend.points.len(), trend.points.iter().map(|point| point.n).sum::<u64>(), trend.gaps.len())
    };
    // Somebody else is measured then, and only then is the clock believed.
    let at = |day: i64| {
        let now = START + day * DAY + 12 * HOUR;
        store.write(&[reading(9, Metric::RespiratoryRate, now, 15.0, Quality::Ok)], store.cursor()).unwrap();
        store.maintain(Time(now)).unwrap();
    };
    at(4);
    assert_eq!((count(Metric::HeartRate, 1), count(Metric::Glucose, 1)), (2_880, 2_880));
    at(6);
    assert_eq!((count(Metric::HeartRate, 1), count(Metric::Glucose, 1)), (2_880, 1_440));
    assert_eq!(points(Metric::Glucose, 1, HOUR), (48, 2_880, 0));
    at(13);
    assert_eq!((count(Metric::HeartRate, 1), count(Metric::Glucose, 1), count(Metric::Spo2, 3)), (0, 0, 2_880));
    for width in [HOUR, 60 * SECOND, 10 * SECOND] {
        assert_eq!(points(Metric::HeartRate, 1, width).1, 2_880);
    }
    assert_eq!(points(Metric::HeartRate, 1, HOUR), (48, 2_880, 0));
    assert_eq!(store.count(), 2_880 + 3);
    at(23);
    assert_eq!(store.count(), 2);
    at(45);
    assert_eq!(points(Metric::HeartRate, 1, 60 * SECOND), (48, 2_880, 0));
    at(140);
    assert_eq!(points(Metric::HeartRate, 1, HOUR), (0, 0, 0));
    drop(both);
    assert_eq!(ask("SELECT rows FROM kept.state"), "1");
}

/// Afterwards nothing of the person is found, and everything of the others is.
fn a_person_is_forgotten(config: &Config, ask: Ask<'_>) {
    let mut config = config.clone();
    "forget".clone_into(&mut config.timescale.schema);
    let both = Both::open(&config);
    both.write(&days(2));
    both.timescale.maintain(Time(START + 3 * DAY)).unwrap();
    both.timescale.seal_all().unwrap();
    let before = both.timescale.count();
    let gone = both.timescale.forget(elder(1)).unwrap();
    assert_eq!((gone.series, before - gone.rows), (2, both.timescale.count()));
    assert_eq!(both.timescale.latest(elder(1)), []);
    let range = (Time(START - DAY), Time(START + 5 * DAY));
    for (of, metric) in SERIES {
        let found = both.timescale.trend(elder(of), metric, range.0, range.1, 100).unwrap();
        let expected = both.embedded.trend(elder(of), metric, range.0, range.1, 100).unwrap();
        match of {
            1 => assert!(found.points.is_empty() && found.gaps.is_empty() && found.absent.is_empty()),
            _ => same(&found, &expected, "who stays"),
        }
    }
    assert_eq!(both.timescale.integrity_check().unwrap(), Vec::<String>::new());
    assert_eq!(both.timescale.forget(elder(1)).unwrap(), Forgotten::default());
    drop(both);
    for table in ["reading", "waveform", "origin", "latest", "late", "minute", "hour"] {
        assert_eq!(
            ask(&format!("SELECT count(*) FROM forget.{table} WHERE subject = {}", elder(1).to_u32())),
            "0",
            "{table}"
        );
    }
}

#[test]
fn on_plain_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let config = settings(server.dsn(), 4);
    let ask = |sql: &str| server.one(sql);
    trends_agree(&config, &ask);
    rows_go_and_rollups_stay(&config, &ask);
    a_person_is_forgotten(&config, &ask);
}

#[test]
fn on_timescaledb() {
    let Some(server) = Pglite::start() else { return };
    let config = settings(server.dsn(), 1);
    let ask = |sql: &str| server.one(sql);
    trends_agree(&config, &ask);
    rows_go_and_rollups_stay(&config, &ask);
    a_person_is_forgotten(&config, &ask);
}

/// A partition that somebody else holds stops retention there: what went before it is counted and answered from rollups.
#[test]
fn what_is_dropped_is_known_to_be_gone_day_by_day() {
    let Some(server) = Postgres::start() else { return };
    let mut config = settings(server.dsn(), 4);
    "held".clone_into(&mut config.timescale.schema);
    config.timescale.lock_timeout_ms = 200;
    config.retention.raw_days = 10;
    config.retention.raw_days_of = [].into();
    let store = Readings::open(Path::new("."), &config).unwrap();
    pgtest::until("the store is not there", || store.progress().ok());
    let hourly = |i: i64| reading(1, Metric::HeartRate, START + i * HOUR, 60.0 + i as f64, Quality::Ok);
    let now = START + 30 * DAY;
    let rows: Vec<Reading> = (0..6 * 24).chain([30 * 24]).map(hourly).collect();
    store.write(&rows, Seq(1)).unwrap();
    let holder = Session::open(&server.admin_dsn()).unwrap();
    holder.query("BEGIN").unwrap();
    holder.query("SELECT count(*) FROM held.reading_20240428").unwrap();
    store.maintain(Time(now)).unwrap_err();
    let until = "SELECT min((extract(epoch FROM until) * 1000000)::int8) FROM held.swept WHERE what = 'reading'";
    assert_eq!(server.one(until), (START + 3 * DAY).to_string());
    assert_eq!((store.count(), server.one("SELECT rows FROM held.state")), (3 * 24 + 1, "73".to_owned()));
    let n = || -> u64 {
        let trend = store.trend(elder(1), Metric::HeartRate, Time(START), Time(START + 6 * DAY), 144).unwrap();
        trend.points.iter().map(|point| point.n).sum()
    };
    assert_eq!(n(), 144);
    drop(holder);
    pgtest::until("retention does not go on", || store.maintain(Time(now)).ok());
    assert_eq!((store.count(), n()), (1, 144));
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

/// Ten values a second for a day, those that are doubtful spread over all of it or in one hour: of the first kind as many rows are looked
/// at as may be, and the answer is the same with and without rollups; the second kind is found by its hour.
#[test]
fn a_bounded_number_of_rows_is_looked_at_for_doubtful_values() {
    let Some(server) = Postgres::start() else { return };
    let store = Readings::open(Path::new("."), &settings(server.dsn(), 4)).unwrap();
    pgtest::until("the store is not there", || store.progress().ok());
    store.write(&[reading(9, Metric::HeartRate, START, 60.0, Quality::Ok)], Seq(1)).unwrap();
    let fill = |of: u32, doubtful: &str| {
        server.admin(&format!(
            "INSERT INTO vigil.reading (ts, value, subject, device, metric, quality)
             SELECT to_timestamp({}) + i * interval '100 ms', 60, {}, 7, {}, CASE WHEN {doubtful} THEN {} ELSE {} END
             FROM generate_series(0, 863999) AS i",
            START / SECOND,
            elder(of).to_u32(),
            Metric::HeartRate.id(),
            Quality::Motion.id(),
            Quality::Ok.id()
        ));
    };
    fill(1, "i % 1000 = 7");
    fill(2, "i / 36000 = 20 AND i % 1000 = 7");
    server.admin("ANALYZE vigil.reading");
    let look = |of: u32, most| {
        let found = store.doubtful(elder(of), Metric::HeartRate, Time(START), Time(START + 2 * DAY), most).unwrap();
        (found.rows.len(), found.until.map(|until| until.0 - START))
    };
    let end = Some(30_000 * SECOND);
    assert_eq!((look(1, 300_000), look(2, 300_000)), ((300, end), (0, end)), "from rows");
    store.maintain(Time(START + 3 * DAY)).unwrap();
    assert_eq!(server.one("SELECT count(*) FROM vigil.hour"), "49");
    assert_eq!((look(1, 300_000), look(2, 300_000)), ((300, end), (36, None)), "by their hours");
    assert_eq!(look(1, 5), (5, Some(5_000 * SECOND / 10 + 700_000)));
    // A server that does not answer in time costs them, and is no error.
    let held = Session::open(&server.admin_dsn()).unwrap();
    held.query("BEGIN; LOCK TABLE vigil.hour IN ACCESS EXCLUSIVE MODE").unwrap();
    assert_eq!(look(1, 5), (0, Some(0)));
}
