//! `vigil import`: measurements from a CSV file. The work itself: [`crate::import`].

use std::path::{Path, PathBuf, absolute};

use crate::cli;
use crate::import::Spec;
use crate::stores::Request;

/// Has the file taken in, by the running server or here.
pub fn import(args: &cli::Import) -> anyhow::Result<()> {
    let config = config::server(&args.at.config)?;
    let report = args.report.clone().unwrap_or_else(|| free_name(&args.csv));
    let spec = Spec {
        csv: absolute(&args.csv)?,
        map: absolute(&args.map)?,
        elder: args.elder,
        dry_run: args.dry_run,
        report: absolute(&report)?,
        review: args.review,
    };
    Request::Import(spec).carry_out(&config)
}

/// Reports that may lie beside one file.
const REPORTS_MAX: u32 = 1_000;

/// `FILE.refused.csv`, or with the next free number: a report is never written over.
fn free_name(csv: &Path) -> PathBuf {
    let first = csv.with_added_extension("refused.csv");
    let numbered = (2..REPORTS_MAX).map(|n| csv.with_added_extension(format!("refused-{n}.csv")));
    let free = std::iter::once(first.clone()).chain(numbered).find(|name| name.symlink_metadata().is_err());
    free.unwrap_or(first)
}
