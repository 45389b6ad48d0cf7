//! Journal entries gathered for one transaction of the readings store.

use model::entry::{Entry, Frame};
use model::{Reading, Seq, Subject, Time};
use store::readings::{self, Moved, Original, Wave};

use crate::stats::{Counters, add};

/// Samples of waveforms that weigh as much as one row of the batch.
const SAMPLES_A_ROW: usize = 64;

/// What one transaction stores, and which entries it comes from.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) content: readings::Batch,
    /// How much is there, in rows.
    pub(super) weight: usize,
    pub(super) entries: usize,
    pub(super) last: Option<Seq>,
    /// When the first entry that says so came to the server.
    pub(super) arrived: Option<Time>,
    /// Moves in it that are not carried out yet, because something older is not stored.
    pub(super) left: Vec<Seq>,
    /// Leave moves out.
    pub(super) leave_moves: bool,
}

impl Batch {
    pub(super) fn clear(&mut self, leave_moves: bool) {
        let readings::Batch { rows, waves, originals, placed, moves } = &mut self.content;
        placed.clear();
        moves.clear();
        rows.clear();
        waves.clear();
        originals.clear();
        self.left.clear();
        (self.weight, self.entries, self.last, self.arrived) = (0, 0, None, None);
        self.leave_moves = leave_moves;
    }

    pub(super) fn push(&mut self, seq: Seq, bytes: &[u8], counters: &Counters) {
        self.last = Some(seq);
        self.entries += 1;
        match Entry::decode(bytes) {
            Ok(Entry::Frame(frame)) => self.take(frame),
            Ok(Entry::Moved { .. }) if self.leave_moves => self.left.push(seq),
            Ok(Entry::Moved { from, frame }) => self.take_moved(from, frame),
            Ok(Entry::Tick(at)) => self.came(at),
            Ok(_) => {}
            Err(error) => {
                add(&counters.bad_entries, 1);
                tracing::error!(journal.seq = seq.0, %error, "a journal entry does not decode; the writer leaves it out");
            }
        }
    }

    fn came(&mut self, at: Time) {
        self.arrived.get_or_insert(at);
    }

    fn take(&mut self, mut frame: Frame) {
        self.came(frame.received_at);
        self.take_origins(&mut frame);
        let Frame { subject, device, samples, extras, .. } = frame;
        self.weight += samples.len();
        self.content.rows.extend(samples.into_iter().map(|sample| Reading { subject, device, sample }));
        for block in extras.waveforms {
            self.weight += 1 + block.counts.len() / SAMPLES_A_ROW;
            self.content.waves.push(Wave { subject, device, block });
        }
    }

    fn take_origins(&mut self, frame: &mut Frame) {
        let subject = frame.subject;
        for origin in std::mem::take(&mut frame.extras.origins) {
            if let Some(sample) = frame.samples.get(usize::from(origin.index)) {
                let (metric, at) = (sample.metric, sample.taken_at);
                self.content.originals.push(Original { subject, metric, at, origin });
            }
        }
    }

    /// A measurement that is somebody else's now.
    fn take_moved(&mut self, from: Subject, mut frame: Frame) {
        self.take_origins(&mut frame);
        let Frame { subject: to, device, samples, extras, .. } = frame;
        let waveforms = extras.waveforms;
        self.weight += samples.len() + waveforms.len();
        self.content.moves.push(Moved { from, to, device, samples, waveforms });
    }
}
