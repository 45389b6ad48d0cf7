//! Copying: whole series, page by page. Ordinary rows go the ordinary way, where a row that is there already costs next to nothing.
//! A page with rows that do not fit (one that was moved away on one side only) goes row by row as the source has it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use model::{Metric, Subject, Time};
use store::readings::{BLOCK_US_MAX, Batch, Error, Page, Progress, Readings, Series, Store};
use store::records::Records;

use super::BEGINNING;
use super::hold::Hold;
use super::load::{Done, Load, Part, as_there, ordinary};
use super::note::{Copied, Note, numbers, series};
use crate::stores::{Meter, Stores, Told};

/// Rows of one page, and of one write.
const PAGE_ROWS: usize = 8_192;
/// Series of one write at most.
const PARTS_MAX: usize = 1_000;
/// Blocks of waveforms of one page: at most 20,000 samples each.
pub(super) const PAGE_BLOCKS: usize = 128;
/// Stretches of a waveform that are new, at most; of more, all time since the target's newest is looked through.
const STRETCHES: usize = 10_000;
/// A copy into the data directory leaves this much of its disk free, bytes: the journal of a running server needs room.
const FREE_MIN: u64 = 1 << 30;
/// Series listed at once.
const SERIES: usize = 10_000;
/// Waveforms are copied again window by window, microseconds: a minute of sixteen leads fits into one answer.
const WINDOW_US: i64 = 60_000_000;
/// Tries of one write before the move is given up (and can be taken up again), and the pause after the first one.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);
/// How often counting says how far it is.
const COUNTING_EVERY: Duration = Duration::from_secs(1);

/// What the audit calls the deletion of an elder's readings.
const FORGOTTEN: &str = "forget_readings";

pub(super) type Of = (Subject, Metric);
/// What a store holds of every series, by the series' numbers.
pub(super) type Tally = BTreeMap<(Kind, (u32, u16)), u64>;

/// Rows of measurements, or blocks of waveforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Rows,
    Waves,
}

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::Rows, Self::Waves];

    fn list(self, store: &Readings, after: Option<Of>) -> Result<Vec<Series>, Error> {
        match self {
            Self::Rows => store.series(after, SERIES),
            Self::Waves => store.wave_series(after, SERIES),
        }
    }

    /// All series after one, in their order.
    fn each(
        self,
        store: &Readings,
        mut after: Option<Of>,
        mut take: impl FnMut(&Series) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let some = self.list(store, after)?;
            let Some(last) = some.last() else { return Ok(()) };
            after = Some((last.subject, last.metric));
            some.iter().try_for_each(&mut take)?;
        }
    }
}

/// Where rows come from and go to.
pub(super) struct Copier<'a> {
    pub(super) source: &'a Readings,
    pub(super) target: &'a Readings,
    pub(super) told: &'a Told,
    /// The target's progress, which copying does not change.
    progress: Progress,
    /// Rows and blocks of each series that are older than the target keeps.
    expired: RefCell<Tally>,
    /// Rows of each series that have another value in the target, which stays.
    conflicts: RefCell<Tally>,
    /// Such rows of earlier tries.
    conflicts_before: u64,
    /// The data directory, when the target is there too.
    beside: Option<PathBuf>,
    /// Elders whose readings were deleted here at some time.
    pub(super) forgotten: BTreeSet<u32>,
}

impl<'a> Copier<'a> {
    /// `conflicts_before`: of the tries before this one.
    pub(super) fn new(
        stores: &'a Stores,
        target: &'a Readings,
        told: &'a Told,
        conflicts_before: u64,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            source: &stores.readings,
            target,
            told,
            progress: target.progress()?,
            expired: RefCell::default(),
            conflicts: RefCell::default(),
            conflicts_before,
            forgotten: forgotten(&stores.records)?,
            beside: (target.store() == Store::Embedded).then(|| stores.dir.clone()),
        })
    }

    /// Rows that have another value in the target, of earlier tries too.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts_before + self.conflicts.borrow().values().sum::<u64>()
    }

    /// Those of one series in this try.
    pub(super) fn conflicts_of(&self, kind: Kind, of: Of) -> u64 {
        self.conflicts.borrow().get(&(kind, numbers(of))).copied().unwrap_or_default()
    }

    /// Counts everything that a store holds.
    pub(super) fn tally(&self, store: &Readings, name: &str) -> anyhow::Result<Tally> {
        let mut tally = Tally::new();
        for kind in Kind::BOTH {
            self.told.pass(&format!("counting {name}"))?;
            let mut said = Instant::now();
            kind.each(store, None, |found| {
                tally.insert((kind, numbers((found.subject, found.metric))), found.rows);
                if said.elapsed() >= COUNTING_EVERY {
                    said = Instant::now();
                    self.told.pass(&format!("counting {name}: {} series", tally.len()))?;
                }
                Ok(())
            })?;
        }
        Ok(tally)
    }

    /// Copies what the note does not say is copied.
    pub(super) fn all(&self, note: &mut Note, hold: &Hold<'_>) -> anyhow::Result<()> {
        let mut total = 0;
        for kind in Kind::BOTH {
            kind.each(self.source, None, |found| {
                total += found.rows;
                Ok(())
            })?;
        }
        let mut meter = Meter::new("rows", total, note.copied().count);
        let mut load = Load::default();
        let mut put = |load: &mut Load, note: &mut Note| -> anyhow::Result<()> {
            for done in self.put(load)? {
                meter.add(done.rows, self.told)?;
                if done.last {
                    note.advance(Copied {
                        rows: Some(numbers(done.of)),
                        count: meter.done(),
                        conflicts: self.conflicts(),
                        ..note.copied()
                    })?;
                }
            }
            hold.check()
        };
        Kind::Rows.each(self.source, note.copied().rows.and_then(series), |found| {
            let of = (found.subject, found.metric);
            self.pages(of, BEGINNING, &mut load, |load| put(load, note))
        })?;
        put(&mut load, note)?;
        Kind::Waves.each(self.source, note.copied().waves.and_then(series), |found| {
            let of = (found.subject, found.metric);
            self.waves(of, |done| meter.add(done, self.told))?;
            hold.check()?;
            note.advance(Copied { waves: Some(numbers(of)), count: meter.done(), ..note.copied() })
        })
    }

    /// Copies what is newer than the target's newest of these series, and adds it to what the target holds.
    pub(super) fn newest(&self, series: &[(Kind, Of)], there: &mut Tally) -> anyhow::Result<()> {
        let start = |of: Of| {
            let newest = self.target.latest(of.0).iter().find(|reading| reading.sample.metric == of.1).copied();
            newest.map_or(BEGINNING, |reading| reading.sample.taken_at)
        };
        self.some(series, start, Self::new_waves, there)
    }

    /// Copies these series again, whole, and adds it to what the target holds.
    pub(super) fn again(&self, series: &[(Kind, Of)], there: &mut Tally) -> anyhow::Result<()> {
        self.some(series, |_| BEGINNING, |copier, of| copier.waves(of, |_| Ok(())), there)
    }

    /// Copies rows of some series from an instant on, and blocks of others.
    fn some(
        &self,
        series: &[(Kind, Of)],
        start: impl Fn(Of) -> Time,
        waves: impl Fn(&Self, Of) -> anyhow::Result<u64>,
        there: &mut Tally,
    ) -> anyhow::Result<()> {
        let mut meter = Meter::new("series", series.len() as u64, 0);
        let mut load = Load::default();
        let put = |load: &mut Load, meter: &mut Meter, there: &mut Tally| -> anyhow::Result<()> {
            for done in self.put(load)? {
                *there.entry((Kind::Rows, numbers(done.of))).or_default() += done.stored;
                meter.add(u64::from(done.last), self.told)?;
            }
            Ok(())
        };
        for (kind, of) in series {
            match kind {
                Kind::Rows => self.pages(*of, start(*of), &mut load, |load| put(load, &mut meter, there))?,
                Kind::Waves => {
                    *there.entry((*kind, numbers(*of))).or_default() += waves(self, *of)?;
                    meter.add(1, self.told)?;
                }
            }
        }
        put(&mut load, &mut meter, there)
    }

    /// Rows or blocks that the target does not take because they are older than it keeps.
    pub(super) fn expired(&self, kind: Kind, of: Of) -> u64 {
        self.expired.borrow().get(&(kind, numbers(of))).copied().unwrap_or_default()
    }

    /// Reads a series after an instant into the load, which is put away when it is full.
    fn pages(
        &self,
        (subject, metric): Of,
        start: Time,
        load: &mut Load,
        mut put: impl FnMut(&mut Load) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (of, whole, mut after) = ((subject, metric), start == BEGINNING, start);
        if whole {
            self.expired.borrow_mut().remove(&(Kind::Rows, numbers(of)));
            self.conflicts.borrow_mut().remove(&(Kind::Rows, numbers(of)));
        }
        loop {
            let page = self.source.page(subject, metric, after, PAGE_ROWS)?;
            let more = page.more && !page.rows.is_empty();
            after = page.rows.last().map_or(after, |last| last.sample.taken_at);
            load.rows += page.rows.len();
            load.parts.push(Part { of, page, whole, last: !more });
            if load.rows >= PAGE_ROWS || load.parts.len() >= PARTS_MAX {
                put(load)?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Writes what is loaded, all of it at once. What is not plainly new is written once more part by part, which tells whose rows
    /// are too old or do not fit.
    fn put(&self, load: &mut Load) -> anyhow::Result<Vec<Done>> {
        let Load { parts, rows } = std::mem::take(load);
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = Batch::default();
        for Part { of, page, .. } in &parts {
            ordinary(*of, page, &mut batch);
        }
        let written = self.write(&batch)?;
        let (plain, all_new) = (written.conflict + written.expired == 0, written.stored == rows as u64);
        let mut done = Vec::with_capacity(parts.len());
        for Part { of, page, whole, last } in &parts {
            let rows = page.rows.len() as u64;
            let mut stored = match parts.len() {
                1 => written.stored,
                _ if all_new => rows,
                // Known for all of them only: what is missing in this figure is found when the target is counted.
                _ => 0,
            };
            if !plain {
                stored += self.by_itself(*of, page, *whole)?;
            }
            done.push(Done { of: *of, rows, stored, last: *last });
        }
        Ok(done)
    }

    /// One part again; how many rows were new.
    fn by_itself(&self, of: Of, page: &Page, whole: bool) -> anyhow::Result<u64> {
        let mut batch = Batch::default();
        ordinary(of, page, &mut batch);
        let mut written = self.write(&batch)?;
        if written.conflict > 0 {
            let placed = self.write(&as_there(of, page))?;
            written.stored += placed.stored;
            if placed.conflict > 0 {
                *self.conflicts.borrow_mut().entry((Kind::Rows, numbers(of))).or_default() += placed.conflict;
            }
        }
        if whole && written.expired > 0 {
            *self.expired.borrow_mut().entry((Kind::Rows, numbers(of))).or_default() += written.expired;
        }
        Ok(written.stored)
    }

    fn waves(&self, (subject, metric): Of, mut done: impl FnMut(u64) -> anyhow::Result<()>) -> anyhow::Result<u64> {
        let (mut after, mut stored, mut expired) = (None, 0, 0);
        loop {
            let waves = self.source.wave_page(subject, metric, after, PAGE_BLOCKS)?;
            let Some(last) = waves.last() else {
                if expired > 0 {
                    self.expired.borrow_mut().insert((Kind::Waves, numbers((subject, metric))), expired);
                }
                return Ok(stored);
            };
            after = Some(last.place());
            let blocks = waves.len() as u64;
            let written = self.write(&Batch { waves, ..Batch::default() })?.waves;
            (stored, expired) = (stored + written.stored, expired + written.expired);
            done(blocks)?;
        }
    }

    /// Blocks after the target's newest.
    fn new_waves(&self, (subject, metric): Of) -> anyhow::Result<u64> {
        let newest = |store: &Readings| {
            let found = store.stretches(subject, metric, Time::MIN, Time::MAX, 1)?.found;
            Ok::<_, Error>(found.first().map(|stretch| stretch.to))
        };
        let (Some(here), Some(there)) = (newest(self.source)?, newest(self.target)?) else {
            return self.waves((subject, metric), |_| Ok(()));
        };
        let since = there.plus_us(-BLOCK_US_MAX);
        let new = self.source.stretches(subject, metric, since, Time::MAX, STRETCHES)?;
        let mut spans: Vec<(Time, Time)> = new.found.iter().map(|stretch| (stretch.from, stretch.to)).collect();
        if new.cut {
            spans = vec![(since, here)];
        }
        spans.sort_unstable();
        let (mut reached, mut stored) = (since, 0);
        for (from, to) in spans {
            reached = reached.max(from);
            while reached < to {
                let next = reached.plus_us(WINDOW_US);
                let waves = self.source.waves(subject, metric, reached, next)?;
                stored += self.write(&Batch { waves, ..Batch::default() })?.waves.stored;
                self.told.pass("the newest waveforms")?;
                reached = next;
            }
        }
        Ok(stored)
    }

    /// Writes, patiently: a target that is away for a while does not end hours of work.
    pub(super) fn write(&self, batch: &Batch) -> anyhow::Result<store::readings::Written> {
        if let Some(dir) = &self.beside {
            let disk = rustix::fs::statvfs(dir)?;
            leave_room(disk.f_bavail.saturating_mul(disk.f_frsize))?;
        }
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.target.write_batch(batch, &self.progress) {
                Ok(written) => return Ok(written),
                Err(error) => self.told.pass(&format!("the target does not take rows: {error}; trying again"))?,
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Ok(self.target.write_batch(batch, &self.progress)?)
    }
}

/// An error when so many free bytes are too few to go on.
pub(super) fn leave_room(free: u64) -> anyhow::Result<()> {
    if free < FREE_MIN {
        bail!(
            "the disk of the data directory has {} MiB left, and a copy leaves {} of them to the server: nothing more is copied. Make \
             room and say this again, which goes on where it was, or say --give-up",
            free >> 20,
            FREE_MIN >> 20
        );
    }
    Ok(())
}

fn forgotten(records: &Records) -> anyhow::Result<BTreeSet<u32>> {
    let subjects = records.audit_subjects(FORGOTTEN)?;
    Ok(subjects.iter().filter_map(|subject| subject.strip_prefix("elder/")?.parse().ok()).collect())
}
