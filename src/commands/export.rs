//! `vigil export`: readings to a file. The work itself: [`crate::export`].

use std::path::absolute;

use model::Time;
use runtime::Clock;

use super::roster::instant;
use crate::cli;
use crate::export::{Spec, Who};
use crate::stores::Request;

/// Has the readings written, by the running server or here.
pub fn export(args: &cli::Export) -> anyhow::Result<()> {
    let config = config::server(&args.at.config)?;
    let who = match (args.elder, &args.team) {
        (Some(elder), _) => Who::Elder(elder),
        (None, Some(team)) => Who::Team(team.clone()),
        (None, None) => Who::All,
    };
    let time = |text: &Option<String>, otherwise| text.as_deref().map_or(Ok(otherwise), instant);
    let spec = Spec {
        who,
        metrics: args.metrics.clone(),
        from: time(&args.from, Time::MIN)?,
        to: time(&args.to, Clock::system().now())?,
        format: args.format,
        out: absolute(&args.out)?,
        pseudonym: args.pseudonym.as_deref().map(absolute).transpose()?,
    };
    Request::Export(spec).carry_out(&config)
}
