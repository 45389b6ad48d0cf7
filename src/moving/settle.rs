//! Brings the target to what the source holds at one moment, and looks whether it is so.
//!
//! The writer rests only while the source is counted and what is new is copied; late rows of many series are copied again while it
//! works. The target is counted afresh afterwards: nobody else writes there, so it can take its time.

use store::readings::Readings;

use super::check::{self, Checked, Compared};
use super::copy::{Copier, Kind, Of, Tally};
use super::note::series;
use super::surplus;
use crate::stores::Stores;

/// Rounds before the differences are shown.
const ROUNDS_MAX: u32 = 5;
/// Rows of series that are copied whole while the writer rests. More are copied while it works, and looked at again.
const CALM_ROWS_MAX: u64 = 1_000_000;

/// Rounds of copying what came meanwhile, until nothing is missing.
pub(super) fn settle(copier: &Copier<'_>, stores: &Stores, sample: usize) -> anyhow::Result<Checked> {
    let mut there = copier.tally(copier.target, "the target")?;
    let mut round = 0;
    loop {
        round += 1;
        let here = copier.tally(copier.source, "the source")?;
        copier.newest(&behind(copier, &here, &there), &mut there)?;
        let Still { here, left: mut again, compared } = calmly(copier, stores, sample, &mut there)?;
        if again.is_empty() || round == ROUNDS_MAX {
            surplus::carry_on(copier, &here, &there)?;
            there = copier.tally(copier.target, "the target once more")?;
            let checked = Checked::new(copier, &here, &there, compared);
            if checked.good() || round == ROUNDS_MAX {
                return Ok(checked);
            }
            again = behind(copier, &here, &there);
            again.extend(checked.differing());
        }
        copier.again(&again, &mut there)?;
        there = copier.tally(copier.target, "the target")?;
    }
}

/// What was seen while nothing was written in the source.
struct Still {
    here: Tally,
    /// Series that are still behind in the target.
    left: Vec<(Kind, Of)>,
    compared: Compared,
}

/// Looks, copies and compares while nothing is written in the source.
fn calmly(copier: &Copier<'_>, stores: &Stores, sample: usize, there: &mut Tally) -> anyhow::Result<Still> {
    copier.told.pass("the writer rests while what came last is counted and copied; alarms do not rest")?;
    let _calm = Calm::new(&stores.readings, stores.live);
    let here = copier.tally(copier.source, "the source")?;
    copier.newest(&behind(copier, &here, there), there)?;
    let mut left = behind(copier, &here, there);
    let rows: u64 = left.iter().map(|(kind, of)| of_tally(&here, *kind, *of)).sum();
    if rows <= CALM_ROWS_MAX {
        copier.again(&left, there)?;
        left.clear();
    }
    let compared = if left.is_empty() { check::compare(copier, &here, sample)? } else { Compared::default() };
    Ok(Still { here, left, compared })
}

/// Series of which the target has less than the source.
fn behind(copier: &Copier<'_>, here: &Tally, there: &Tally) -> Vec<(Kind, Of)> {
    let known = here.iter().filter_map(|((kind, numbers), rows)| Some((*kind, series(*numbers)?, *rows)));
    let short = known.filter(|(kind, of, rows)| *rows > of_tally(there, *kind, *of) + copier.expired(*kind, *of));
    short.map(|(kind, of, _)| (kind, of)).collect()
}

/// What a store holds of one series.
pub(super) fn of_tally(tally: &Tally, kind: Kind, of: Of) -> u64 {
    tally.get(&(kind, super::note::numbers(of))).copied().unwrap_or_default()
}

/// No writing in the source while it lives.
struct Calm<'a>(Option<&'a Readings>);

impl<'a> Calm<'a> {
    fn new(source: &'a Readings, live: bool) -> Self {
        if live {
            source.pause_writes(true);
        }
        Self(live.then_some(source))
    }
}

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        if let Some(source) = self.0 {
            source.pause_writes(false);
        }
    }
}
