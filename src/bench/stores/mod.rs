//! `vigil bench` of the readings stores: the writer, from a journal on the disk to a store, in this process and without the front door.

mod bed;
mod fill;
mod line;
mod outage;
mod strips;
mod team;
mod trend;

use anyhow::bail;
use serde_json::Value;

use crate::cli::{Bench, Profile};

pub(super) use bed::Bed;

/// Runs a profile of a store. Blocking. The answer's keys are in docs/performance.md.
pub fn run(args: &Bench) -> anyhow::Result<Value> {
    crate::cpus::pin(&args.server_cpus)?;
    match args.profile {
        Profile::Fill => Ok(serde_json::to_value(fill::one(args, args.elders)?)?),
        Profile::Elders => Ok(serde_json::to_value(fill::growth(args)?)?),
        Profile::Outage => Ok(serde_json::to_value(outage::run(args)?)?),
        Profile::Team => Ok(serde_json::to_value(team::run(args)?)?),
        Profile::Trend => Ok(serde_json::to_value(trend::run(args)?)?),
        Profile::Strips => Ok(serde_json::to_value(strips::run(args)?)?),
        Profile::Frames30 | Profile::Single | Profile::Mixed => bail!("this profile is not one of a store"),
    }
}
