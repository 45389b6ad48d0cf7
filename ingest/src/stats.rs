//! Counters of ingest: nothing is dropped, refused or marked without one of these going up.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Counts since start. One instance, shared.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub(crate) $name: AtomicU64,)* }

        impl Counters {
            /// Name and value of each counter, for metrics and `vigil bench`.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }

            pub fn get(&self, name: &str) -> Option<u64> {
                self.snapshot().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
            }
        }
    };
}

counters! {
    /// Frames journalled.
    frames;
    /// Readings journalled, absent values included.
    readings;
    /// Events (SOS, fall ..) journalled.
    events;
    /// Frames that were durable already.
    duplicate_frames;
    /// Frames of a device that is bound to nobody: stored, not judged.
    unattributed_frames;
    /// Frames that did not decode and were put into quarantine.
    quarantined_frames;
    /// Of these, frames with a block of a waveform that cannot be stored: kept whole, the rest of them is journalled.
    waveform_frames;
    /// Blocks of waveforms journalled.
    waveform_blocks;
    /// Blocks of an impossible time: taken to end at their arrival.
    clock_suspect_blocks;
    /// Stretches of numbers that did not come within the reorder wait.
    gaps_opened;
    /// Of these, those that came in full.
    gaps_filled;
    /// Of these, those declared lost at least in part.
    gaps_lost;
    /// Requests to gateways to send frames again.
    resends_asked;
    /// Notes of gateways that declare frames gone or thinned.
    loss_notes;
    /// Publishes to topics that carry no frames.
    refused_topics;
    /// Publishes answered "busy": journal or desk full.
    busy;
    /// Publishes lost to a failed journal; never acknowledged.
    failed;
    /// Lines about a link that came or went which the full journal did not take.
    link_lines_lost;
    /// Readings outside the plausible range: stored, not judged.
    out_of_range_readings;
    /// Readings with an impossible time: stored at their arrival, not judged.
    clock_suspect_readings;
    /// Events with an impossible time: taken at their arrival.
    clock_suspect_events;
    /// Retained states the records refused; answered "busy", so the client keeps them.
    retained_unsaved;
    /// Values of metrics this version does not know.
    unknown_metrics;
    /// Readings stored by the writer.
    stored_readings;
    /// Readings the store already had.
    duplicate_readings;
    /// Readings that contradict a stored one of the same instant; the first is kept.
    conflicting_readings;
    /// Readings older than their retention when they came: not stored.
    expired_readings;
    /// Blocks of waveforms stored by the writer.
    stored_blocks;
    /// Blocks the store already had: the strip of an alarm told them first.
    duplicate_blocks;
    /// Blocks the store cannot place; they stay in the journal only.
    refused_blocks;
    /// Decisions about whose a measurement is, put into the journal.
    moved_measurements;
    /// Measurements that the writer moved from one subject to another.
    rehomed_measurements;
    /// Times the writer could not write and tried again.
    writer_retries;
    /// Entries that the store refuses for good, set aside in a file.
    refused_entries;
    /// Journal entries that do not decode.
    bad_entries;
    /// Journal entries damaged on disk or gone, which the writer left out.
    damaged_entries;
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
