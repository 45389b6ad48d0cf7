//! What operators see while a backlog comes and goes.

use std::time::Duration;

use model::{Seq, Time};
use store::readings::Progress;

use crate::writer::Figures;
use crate::writer::figures::Stored;
use crate::writer::plan::Lane;

const NOON: Time = Time::from_secs(1_800_000_000);

fn stored(figures: &Figures, progress: &Progress) {
    let commit = Duration::from_millis(5);
    let batch = Stored { lane: Lane::Backlog, rows: 100, entries: 10, commit, size: 500, arrived: Some(NOON) };
    figures.stored(&batch, progress, NOON);
}

fn pending(after: u64, upto: u64) -> Progress {
    Progress { pending: vec![(Seq(after), Seq(upto))], live: Seq(2_000) }
}

#[test]
fn the_most_of_a_backlog_is_kept_until_it_is_empty() {
    let figures = Figures::new(0);
    let shown = || {
        let backlog = figures.writing(NOON, Seq(2_000), Seq::default()).backlog;
        (backlog.entries, backlog.peak_entries)
    };
    figures.known(&Progress::at(Seq(1_000)));
    assert_eq!(shown(), (0, 0));
    figures.went_live(&pending(1_000, 2_000));
    assert_eq!(shown(), (1_000, 1_000));
    stored(&figures, &pending(1_600, 2_000));
    assert_eq!(shown(), (400, 1_000));
    // A second outage on top of what is left of the first.
    figures.went_live(&Progress { pending: vec![(Seq(100), Seq(1_900))], live: Seq(2_000) });
    assert_eq!(shown(), (1_800, 1_800));
    stored(&figures, &Progress::at(Seq(2_000)));
    assert_eq!(shown(), (0, 0));
    // The next one is measured by itself.
    figures.went_live(&pending(1_990, 2_000));
    assert_eq!(shown(), (10, 10));
}
