//! How far the writer has come in the journal, when what is live goes before what waited.

use model::Seq;

/// Entries of the journal whose readings are stored: all up to `live`, but for those in `pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Ranges still to be stored, each `(after, upto]`, in the order they are to be taken. Empty in quiet times.
    pub pending: Vec<(Seq, Seq)>,
    /// Newest entry stored.
    pub live: Seq,
}

impl Progress {
    /// Everything up to here is stored, and nothing after it.
    pub fn at(live: Seq) -> Self {
        Self { pending: Vec::new(), live }
    }

    /// Everything up to here is stored: what the journal may forget.
    pub fn done(&self) -> Seq {
        self.pending.iter().map(|(after, _)| *after).min().unwrap_or(self.live)
    }

    /// Entries that wait behind `live`.
    pub fn behind(&self) -> u64 {
        self.pending.iter().map(|(after, upto)| upto.0.saturating_sub(after.0)).sum()
    }
}

impl From<Seq> for Progress {
    fn from(live: Seq) -> Self {
        Self::at(live)
    }
}

impl From<&Progress> for Progress {
    fn from(progress: &Progress) -> Self {
        progress.clone()
    }
}
