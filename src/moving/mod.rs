//! `vigil migrate-store`: every row, origin and waveform of one readings store to the other, while the server runs
//! (docs/adr/0006-moving-a-store.md).
//!
//! 1. *Hold.* A cursor of its own keeps the journal's entries from the place P on that the source had reached when the move began.
//! 2. *Copy.* Series by series, page by page, with a note of how far it is. What is written meanwhile may be copied or not.
//! 3. *Settle* (`settle.rs`). The writer rests for a moment, what came meanwhile is copied, all rows are counted in both stores, and
//!    some are compared one by one.
//! 4. *Hand over.* The target's progress becomes P. A server that starts with the target (`gate.rs`) stores the journal from P on: all
//!    that the copy may have missed, and rows stored twice are stored once. Only then the journal forgets.
//!
//! Killed at any point, the same command goes on. Nothing of the source is changed, so until the configuration is changed nothing
//! has happened.

mod check;
mod copy;
mod gate;
mod hold;
mod load;
mod note;
mod settle;
mod surplus;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, bail};
use model::{Seq, Time};
use serde::{Deserialize, Serialize};
use store::readings::{Batch, Config, Progress, Readings, Store};

pub(crate) use gate::{Elsewhere, before_changing, check_start};
pub use hold::mind;
pub use note::Way;

use crate::stores::{Stores, Told};
use copy::Copier;
use hold::Hold;
use note::State;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spec {
    Move(Move),
    /// End the move that is under way.
    GiveUp,
}

/// What to move.
#[derive(Debug, Serialize, Deserialize)]
pub struct Move {
    pub from: Store,
    pub to: Store,
    /// The configuration that says where the stores are.
    pub config: PathBuf,
    /// A file with the data source name of the server to move to, instead of the configuration's.
    pub dsn_file: Option<PathBuf>,
    /// Series compared row by row at the end.
    pub sample: usize,
    /// The target may hold readings that no move of this data directory brought there.
    pub onto_existing: bool,
}

/// On which terms the target is handed over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Series compared row by row.
    pub sample: usize,
    /// What the target has besides stays: other values of the same instants, and elders of whom the source has nothing.
    pub onto_existing: bool,
}

/// A store as the configuration and the commands call it.
pub fn word(store: Store) -> &'static str {
    match store {
        Store::Embedded => "embedded",
        Store::Timescale => "timescale",
    }
}

/// Moves, counts, hands over; or ends that.
pub(crate) fn run(spec: &Spec, stores: &Stores, told: &Told) -> anyhow::Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let spec = match spec {
        Spec::GiveUp => return gate::give_up(stores, told),
        Spec::Move(spec) => spec,
    };
    let Ok(_one) = ONE.try_lock() else {
        bail!("the readings are being moved already: this is shown where it was asked for")
    };
    let in_use = stores.readings.store();
    if spec.from == spec.to {
        bail!("--from and --to name the same store");
    }
    gate::check_in_use(&stores.dir, in_use)?;
    if in_use != spec.from {
        bail!(
            "the store in use is {} ([readings] store): a move begins there, so say --from {} --to {}",
            word(in_use),
            word(in_use),
            word(spec.from)
        );
    }
    if spec.dsn_file.is_some() && spec.to == Store::Embedded {
        bail!("--dsn-file names a server to move to; --to embedded needs none: leave it out");
    }
    let target = target_config(spec)?;
    let server = target.timescale.place().context("cannot tell which server is meant")?;
    let way = Way { from: spec.from, to: spec.to, server };
    let target = Readings::open(&stores.dir, &target).context("cannot use the store to move to")?;
    if !spec.onto_existing && !gate::is_ours(&stores.dir, &way)? && is_used(&target)? {
        bail!(
            "{} holds readings already, and no move of this data directory brought them there: another installation's would become \
             one with these. Name another schema ([readings.timescale] schema), drop this one, or, if they are this installation's, \
             say --onto-existing",
            way.server
        );
    }
    let terms = Terms { sample: spec.sample, onto_existing: spec.onto_existing };
    move_to(&way, terms, stores, &target, told)
}

/// Whether a store holds anything.
fn is_used(store: &Readings) -> anyhow::Result<bool> {
    let cannot = "cannot use the store to move to";
    Ok(!store.series(None, 1).context(cannot)?.is_empty() || !store.wave_series(None, 1).context(cannot)?.is_empty())
}

/// The settings of the configuration, for the target.
fn target_config(spec: &Move) -> anyhow::Result<Config> {
    let mut config = Config { store: spec.to, ..config::server(&spec.config)?.readings };
    if let Some(file) = &spec.dsn_file {
        config.timescale.dsn = None;
        config.timescale.dsn_file = Some(file.clone());
    }
    Ok(config)
}

/// The move itself, to an opened target.
#[doc(hidden)]
pub fn move_to(way: &Way, terms: Terms, stores: &Stores, target: &Readings, told: &Told) -> anyhow::Result<()> {
    let source = &stores.readings;
    let ahead = target.progress().context("cannot use the store to move to")?.done();
    let stands = source.progress()?.done();
    if ahead > stands && ahead <= stores.journal.head() {
        bail!("the store in use has not caught up yet ({stands} of {ahead}): wait, then say this again");
    }
    if ahead > stands {
        bail!(
            "the target has seen entry {ahead} of the journal, which has not come so far: they belong to different journals. Move \
             into an empty schema, or put the other readings.db away"
        );
    }
    let (hold, mut note) = Hold::take(&stores.journal, &stores.dir, source, way, stores.live)?;
    audit(stores, way, "move_readings", serde_json::json!({ "entry": hold.place().0 }))?;
    let before = match note.copied().count {
        0 => String::new(),
        count => format!(", {count} rows and blocks are there already"),
    };
    told.say(&format!("moving from journal entry {}{before}", hold.place()))?;
    let copier = Copier::new(stores, target, told, note.copied().conflicts)?;
    copier.all(&mut note, &hold)?;
    let checked = settle::settle(&copier, stores, terms.sample)?;
    checked.tell(told)?;
    note.advance(note::Copied { conflicts: copier.conflicts(), ..note.copied() })?;
    note.keep()?;
    if !checked.good() {
        bail!(
            "the stores differ: nothing was handed over. Say this again (it is quick now), if need be with the server stopped; if \
             the same rows differ again, the target has other values of the same instants: move into an empty one (drop the schema, \
             or put the other readings.db away)"
        );
    }
    if !terms.onto_existing {
        checked.refuse_besides()?;
    }
    hold.check()?;
    hand_over(target, hold.place())?;
    if note.state() != State::Complete {
        note.enter(State::Complete)?;
    }
    hold.check()?;
    let (rows, blocks) = checked.totals();
    audit(stores, way, "move_readings_done", serde_json::json!({ "rows": rows, "blocks": blocks }))?;
    told.say(&format!(
        "the target holds {rows} rows and {blocks} blocks of waveforms and is complete up to journal entry {}",
        hold.place()
    ))?;
    told.say(
        "not moved: rollups of time whose readings are gone already (older than raw_days); they stay in the old store",
    )?;
    told.say(&format!(
        "now set [readings] store = \"{}\" and restart the server: the rest follows from the journal",
        word(way.to)
    ))?;
    if stores.live {
        told.say("until then the server stores where it did, and the journal keeps what comes, up to half of journal.bytes_max")?;
    }
    Ok(())
}

/// One line of audit: who by user id, from where, on which server. Neither names nor passwords.
fn audit(stores: &Stores, way: &Way, action: &str, more: serde_json::Value) -> anyhow::Result<()> {
    let mut detail = serde_json::json!({ "uid": stores.uid, "from": word(way.from), "server": way.server });
    if let (Some(detail), serde_json::Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
    Ok(stores.records.audit(None, action, &gate::subject(way.to), &detail.to_string())?)
}

/// From now on the journal goes on at this place for the target.
fn hand_over(target: &Readings, place: Seq) -> anyhow::Result<()> {
    target.write_batch(&Batch::default(), Progress::at(place))?;
    let told = target.progress()?.done();
    if told != place {
        bail!("the target stands at journal entry {told} instead of {place}");
    }
    Ok(())
}

/// Before everything that is stored.
const BEGINNING: Time = Time(i64::MIN);
