//! Waveforms that went to another person after an earlier copy: a block that leaves its owner leaves no mark there, so the target still
//! has it at both. What the source has at another owner is carried there in the target too.

use std::collections::BTreeSet;

use anyhow::bail;
use model::{Metric, Subject};
use store::readings::{Batch, Moved, Readings, Wave};

use super::copy::{Copier, Kind, Of, PAGE_BLOCKS, Tally};
use super::note::series;
use super::settle::of_tally;

/// Looks into the source for owners of blocks, at most: minutes.
const LOOKS_MAX: usize = 200_000;

/// Carries on in the target what was moved in the source. A block that nobody has in the source stays: the target keeps longer.
/// Moves that the journal still brings to the target come out the same, done before or not.
pub(super) fn carry_on(copier: &Copier<'_>, here: &Tally, there: &Tally) -> anyhow::Result<()> {
    let mut looks = 0;
    for (kind, numbers) in there.keys() {
        let Some(of) = series(*numbers).filter(|_| *kind == Kind::Waves) else { continue };
        let more = of_tally(there, Kind::Waves, of) + copier.expired(Kind::Waves, of) > of_tally(here, Kind::Waves, of);
        if more {
            one(copier, here, of, &mut looks)?;
        }
    }
    Ok(())
}

/// One series of which the target has more, page by page.
fn one(copier: &Copier<'_>, here: &Tally, (subject, metric): Of, looks: &mut usize) -> anyhow::Result<()> {
    let mut owners = owners(here, metric);
    let mut after = None;
    loop {
        let page = copier.target.wave_page(subject, metric, after, PAGE_BLOCKS)?;
        let known = copier.source.wave_page(subject, metric, after, PAGE_BLOCKS)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.place());
        let known: BTreeSet<_> = known.iter().map(Wave::place).collect();
        let mut batch = Batch::default();
        for wave in page.into_iter().filter(|wave| !known.contains(&wave.place())) {
            copier.told.pass("waveforms that went to another person")?;
            if has(copier.source, subject, &wave)? {
                continue;
            }
            if *looks > LOOKS_MAX {
                bail!(
                    "the target has too many waveforms that the source has not, or not at the same person: move into an empty one \
                     (drop the schema, or put the other readings.db away)"
                );
            }
            if let Some(to) = owner(copier.source, &mut owners, &wave, looks)? {
                let (from, device) = (subject, wave.device);
                batch.moves.push(Moved { from, to, device, samples: Vec::new(), waveforms: vec![wave.block] });
            }
        }
        if !batch.moves.is_empty() {
            copier.write(&batch)?;
        }
    }
}

/// Everybody with such waveforms in the source.
fn owners(here: &Tally, metric: Metric) -> Vec<Subject> {
    let waves = here.keys().filter(|(kind, (_, id))| *kind == Kind::Waves && *id == metric.id());
    waves.map(|(_, (subject, _))| Subject::from_u32(*subject)).collect()
}

/// Who has this block in the source: often the same as the last one, who is asked first.
fn owner(source: &Readings, owners: &mut [Subject], wave: &Wave, looks: &mut usize) -> anyhow::Result<Option<Subject>> {
    for i in 0..owners.len() {
        *looks += 1;
        if has(source, owners[i], wave)? {
            owners.swap(0, i);
            return Ok(owners.first().copied());
        }
    }
    Ok(None)
}

fn has(source: &Readings, subject: Subject, wave: &Wave) -> anyhow::Result<bool> {
    let start = wave.block.start;
    let found = source.waves(subject, wave.block.metric, start, start.plus_us(1))?;
    Ok(found.iter().any(|one| one.place() == wave.place()))
}
