//! Counts for health and metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::Seq;
use serde::Serialize;
use tokio::sync::watch;

/// Since the start of the process, except `engine`, which goes on over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Last journal entry judged.
    pub position: u64,
    /// Elders heard.
    pub subjects: u64,
    /// Live conditions that stand.
    pub present: u64,
    /// Transitions written to the records.
    pub transitions: u64,
    /// Journal entries that did not decode; skipped.
    pub undecodable: u64,
    /// Journal entries given up because they are damaged on disk.
    pub damaged: u64,
    /// The records do not take transitions right now; tried again until they do.
    pub stalled: bool,
    pub checkpoints: u64,
    /// Attempts by what became of them.
    pub pages_accepted: u64,
    pub pages_retried: u64,
    pub pages_refused: u64,
    pub pages_in_doubt: u64,
    /// Results of attempts that the disk did not take yet; tried again at every look.
    pub pages_unsaved: u64,
    /// Steps of policies that paged people because nobody had taken an alarm.
    pub rounds: u64,
    /// Steps without anybody to page, or whose conditions did not hold.
    pub steps_passed_over: u64,
    /// Looks of the auditor, and all it ever found.
    pub audits: u64,
    pub audit_findings: u64,
    /// At its last look: alarms that wait for people although nothing will remind anybody. Always 0.
    pub unattended: u64,
    pub engine: engine::Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) position: watch::Sender<Seq>,
    pub(crate) subjects: AtomicU64,
    pub(crate) present: AtomicU64,
    pub(crate) transitions: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) stalled: AtomicBool,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) pages_accepted: AtomicU64,
    pub(crate) pages_retried: AtomicU64,
    pub(crate) pages_refused: AtomicU64,
    pub(crate) pages_in_doubt: AtomicU64,
    pub(crate) pages_unsaved: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) steps_passed_over: AtomicU64,
    pub(crate) audits: AtomicU64,
    pub(crate) audit_findings: AtomicU64,
    pub(crate) unattended: AtomicU64,
    pub(crate) engine: Mutex<engine::Counters>,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn set_engine(&self, counters: engine::Counters) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    pub(crate) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            position: self.position.borrow().0,
            subjects: get(&self.subjects),
            present: get(&self.present),
            transitions: get(&self.transitions),
            undecodable: get(&self.undecodable),
            damaged: get(&self.damaged),
            stalled: self.stalled.load(Ordering::Relaxed),
            checkpoints: get(&self.checkpoints),
            pages_accepted: get(&self.pages_accepted),
            pages_retried: get(&self.pages_retried),
            pages_refused: get(&self.pages_refused),
            pages_in_doubt: get(&self.pages_in_doubt),
            pages_unsaved: get(&self.pages_unsaved),
            rounds: get(&self.rounds),
            steps_passed_over: get(&self.steps_passed_over),
            audits: get(&self.audits),
            audit_findings: get(&self.audit_findings),
            unattended: get(&self.unattended),
            engine: *self.engine.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
