//! What the console is given by the program around it. It opens nothing itself.

use std::fmt;
use std::sync::Arc;

use model::identity::IdentityKey;
use model::policy::NextStep;
use model::rule::{BadRule, RuleSet};
use model::{ElderId, PersonId};
use runtime::Clock;
use serde::Serialize;
use store::readings::Readings;
use store::records::{AlarmView, NewMove, Records};

/// A rule set somebody wants in force.
#[derive(Clone, Debug)]
pub struct RuleChange {
    /// `None`: the default set.
    pub elder: Option<ElderId>,
    pub set: RuleSet,
    pub author: PersonId,
    pub reason: String,
}

/// Why a rule set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RuleChangeError {
    #[error(transparent)]
    Bad(#[from] BadRule),
    /// Try again later; the cause is for the log.
    #[error("the rules could not be saved: {0}")]
    Failed(String),
}

/// Stores a rule set and tells the engine (through the journal). Answers the version. Blocks.
pub type SaveRules = dyn Fn(RuleChange) -> Result<u32, RuleChangeError> + Send + Sync;
/// Puts a quarantined frame through the front door again. Blocks. The error is one sentence for the operator.
pub type ReplayQuarantine = dyn Fn(i64) -> Result<(), String> + Send + Sync;
/// Asks a gateway again for the frames of a gap. Blocks. The error is one sentence for the operator.
pub type AskAgain = dyn Fn(i64) -> Result<(), String> + Send + Sync;
/// Carries out what a person decided about measurements; answers how many moved. Blocks.
pub type Decide = dyn Fn(&NewMove) -> Result<usize, store::records::Error> + Send + Sync;
/// Whom an alarm pages next, and when, as things are now. `None`: nobody. Blocks.
pub type NextPages = dyn Fn(&AlarmView) -> Option<NextStep> + Send + Sync;
/// State of every part. Must answer at once.
pub type Health = dyn Fn() -> Vec<Check> + Send + Sync;
/// All figures as Prometheus text. Must answer at once.
pub type MetricsText = dyn Fn() -> String + Send + Sync;

/// One line of `/api/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}

/// A channel that a policy may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelName {
    pub name: String,
    pub zh: String,
    pub en: String,
    /// Set up here: without that every page by it fails.
    pub configured: bool,
}

/// The demo's stand-in for a doctor's phone: takes webhooks at `POST /demo/phone`.
#[derive(Clone)]
pub struct Demo {
    /// `whsec_` and the base64 of the key, as the paging channel has it.
    pub webhook_secret: String,
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Demo")
    }
}

/// Everything the console works with.
#[derive(Clone)]
pub struct Deps {
    pub records: Records,
    pub readings: Readings,
    pub clock: Clock,
    pub save_rules: Arc<SaveRules>,
    pub replay_quarantine: Arc<ReplayQuarantine>,
    pub ask_again: Arc<AskAgain>,
    pub decide: Arc<Decide>,
    pub next_pages: Arc<NextPages>,
    /// All that exist, in their order.
    pub channels: Arc<[ChannelName]>,
    /// The site's secret for cards and codes. `None`: they cannot be registered here.
    pub identity_key: Option<IdentityKey>,
    pub health: Arc<Health>,
    pub metrics: Arc<MetricsText>,
    /// `None`: there is no `/demo/phone`.
    pub demo: Option<Demo>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("demo", &self.demo).finish_non_exhaustive()
    }
}
