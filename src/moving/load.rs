//! What is copied in one write: pages of rows, as a batch for the target.

use model::Reading;
use store::readings::{Batch, Original, Page, Placed, Stored};

use super::copy::Of;

/// Pages of one series or of several, for one write: a commit for a few rows would take longer than the rows.
#[derive(Default)]
pub(super) struct Load {
    pub(super) parts: Vec<Part>,
    pub(super) rows: usize,
}

pub(super) struct Part {
    pub(super) of: Of,
    pub(super) page: Page,
    /// The series is copied from its beginning.
    pub(super) whole: bool,
    /// Its last page.
    pub(super) last: bool,
}

/// What became of a part.
pub(super) struct Done {
    pub(super) of: Of,
    pub(super) rows: u64,
    pub(super) stored: u64,
    pub(super) last: bool,
}

/// Rows as they were measured, with their origins, and those that were moved away.
pub(super) fn ordinary((subject, metric): Of, page: &Page, batch: &mut Batch) {
    for stored in &page.rows {
        let reading = Reading { subject, device: stored.device, sample: stored.sample };
        if stored.moved {
            batch.placed.push(Placed { reading, moved: true });
        } else {
            batch.rows.push(reading);
        }
        batch.originals.extend(original((subject, metric), stored));
    }
}

/// Every row as the source has it. A row that comes back brings its origin, which went when it left.
pub(super) fn as_there((subject, metric): Of, page: &Page) -> Batch {
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
