//! Copying: whole series, page by page. Ordinary rows go the ordinary way, where a row that is there already costs next to nothing.
//! A page with rows that do not fit (one that was moved away on one side only) goes row by row as the source has it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Metric, Reading, Subject, Time};
use store::readings::{BLOCK_US_MAX, Batch, Error, Original, Page, Placed, Progress, Readings, Series, Stored};

use super::BEGINNING;
use super::hold::Hold;
use super::note::{Copied, Note, numbers, series};
use crate::stores::{Meter, Told};

/// Rows of one page, and of one write.
const PAGE_ROWS: usize = 8_192;
/// Blocks of waveforms of one page: at most 20,000 samples each.
const PAGE_BLOCKS: usize = 128;
/// Series listed at once.
const SERIES: usize = 10_000;
/// Waveforms are copied again window by window, microseconds: a minute of sixteen leads fits into one answer.
const WINDOW_US: i64 = 60_000_000;
/// Tries of one write before the move is given up (and can be taken up again), and the pause after the first one.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);
/// How often counting says how far it is.
const COUNTING_EVERY: Duration = Duration::from_secs(1);

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
}

impl<'a> Copier<'a> {
    pub(super) fn new(source: &'a Readings, target: &'a Readings, told: &'a Told) -> anyhow::Result<Self> {
        let progress = target.progress()?;
        Ok(Self { source, target, told, progress, expired: RefCell::default() })
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
        for kind in Kind::BOTH {
            let copied = note.copied();
            let after = if kind == Kind::Rows { copied.rows } else { copied.waves };
            kind.each(self.source, after.and_then(series), |found| {
                let of = (found.subject, found.metric);
                match kind {
                    Kind::Rows => self.rows(of, BEGINNING, |done| meter.add(done, self.told))?,
                    Kind::Waves => self.waves(of, |done| meter.add(done, self.told))?,
                };
                hold.check()?;
                let place = Some(numbers(of));
                let copied = Copied { count: meter.done(), ..note.copied() };
                note.advance(match kind {
                    Kind::Rows => Copied { rows: place, ..copied },
                    Kind::Waves => Copied { waves: place, ..copied },
                })
            })?;
        }
        Ok(())
    }

    /// Copies what is newer than the target's newest of these series, and adds it to what the target holds.
    pub(super) fn newest(&self, series: &[(Kind, Of)], there: &mut Tally) -> anyhow::Result<()> {
        let mut meter = Meter::new("series", series.len() as u64, 0);
        for (kind, of) in series {
            let stored = match kind {
                Kind::Rows => {
                    let newest = self.target.latest(of.0).iter().find(|reading| reading.sample.metric == of.1).copied();
                    self.rows(*of, newest.map_or(BEGINNING, |reading| reading.sample.taken_at), |_| Ok(()))?
                }
                Kind::Waves => self.new_waves(*of)?,
            };
            *there.entry((*kind, numbers(*of))).or_default() += stored;
            meter.add(1, self.told)?;
        }
        Ok(())
    }

    /// Copies these series again, whole, and adds it to what the target holds.
    pub(super) fn again(&self, series: &[(Kind, Of)], there: &mut Tally) -> anyhow::Result<()> {
        let mut meter = Meter::new("series", series.len() as u64, 0);
        for (kind, of) in series {
            let stored = match kind {
                Kind::Rows => self.rows(*of, BEGINNING, |_| Ok(()))?,
                Kind::Waves => self.waves(*of, |_| Ok(()))?,
            };
            *there.entry((*kind, numbers(*of))).or_default() += stored;
            meter.add(1, self.told)?;
        }
        Ok(())
    }

    /// Rows or blocks that the target does not take because they are older than it keeps.
    pub(super) fn expired(&self, kind: Kind, of: Of) -> u64 {
        self.expired.borrow().get(&(kind, numbers(of))).copied().unwrap_or_default()
    }

    /// Copies rows of a series after an instant; how many were new.
    fn rows(
        &self,
        (subject, metric): Of,
        mut after: Time,
        mut done: impl FnMut(u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let (whole, mut expired, mut stored) = (after == BEGINNING, 0, 0);
        loop {
            let page = self.source.page(subject, metric, after, PAGE_ROWS)?;
            if let Some(last) = page.rows.last() {
                after = last.sample.taken_at;
                let written = self.write(&ordinary((subject, metric), &page))?;
                stored += written.stored;
                if written.conflict > 0 {
                    stored += self.write(&as_there((subject, metric), &page))?.stored;
                }
                expired += written.expired;
                done(page.rows.len() as u64)?;
            }
            if !page.more {
                if whole && expired > 0 {
                    self.expired.borrow_mut().insert((Kind::Rows, numbers((subject, metric))), expired);
                }
                return Ok(stored);
            }
        }
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
        let (mut from, mut stored) = (there.plus_us(-BLOCK_US_MAX), 0);
        while from < here {
            let to = from.plus_us(WINDOW_US);
            let waves = self.source.waves(subject, metric, from, to)?;
            if !waves.is_empty() {
                stored += self.write(&Batch { waves, ..Batch::default() })?.waves.stored;
            }
            self.told.pass("the newest waveforms")?;
            from = to;
        }
        Ok(stored)
    }

    /// Writes, patiently: a target that is away for a while does not end hours of work.
    fn write(&self, batch: &Batch) -> anyhow::Result<store::readings::Written> {
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

/// Rows as they were measured, with their origins, and those that were moved away.
fn ordinary((subject, metric): Of, page: &Page) -> Batch {
    let mut batch = Batch::default();
    for stored in &page.rows {
        let reading = Reading { subject, device: stored.device, sample: stored.sample };
        if stored.moved {
            batch.placed.push(Placed { reading, moved: true });
        } else {
            batch.rows.push(reading);
        }
        batch.originals.extend(original((subject, metric), stored));
    }
    batch
}

/// Every row as the source has it. A row that comes back brings its origin, which went when it left.
fn as_there((subject, metric): Of, page: &Page) -> Batch {
    let placed = page.rows.iter().map(|stored| {
        let reading = Reading { subject, device: stored.device, sample: stored.sample };
        Placed { reading, moved: stored.moved }
    });
    let originals = page.rows.iter().filter_map(|stored| original((subject, metric), stored));
    Batch { placed: placed.collect(), originals: originals.collect(), ..Batch::default() }
}

fn original((subject, metric): Of, stored: &Stored) -> Option<Original> {
    let (at, origin) = (stored.sample.taken_at, stored.origin.clone()?);
    Some(Original { subject, metric, at, origin })
}
