//! What the console is given by the program around it. It opens nothing itself.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use model::PersonId;
use model::identity::IdentityKey;
use model::policy::NextStep;
use runtime::Clock;
use serde::Serialize;
use store::readings::Readings;
use store::records::{AlarmView, NewMove, Records};

/// Rules, layers or a quiet period were saved: has the journal told of it, and waits until it is. `false`: not yet, it goes on
/// being tried. Blocks, at most some seconds.
pub type PublishRules = dyn Fn() -> bool + Send + Sync;
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

/// Every paging channel with its health and its limits, as JSON. Blocks.
pub type ChannelStates = dyn Fn() -> Result<Vec<serde_json::Value>, store::records::Error> + Send + Sync;
/// Sends a test by this channel to this person; answers what became of it, `None` when there is no such channel.
pub type TestChannel = dyn Fn(
        String,
        PersonId,
    ) -> Pin<Box<dyn Future<Output = Result<Option<serde_json::Value>, store::records::Error>> + Send>>
    + Send
    + Sync;

/// How the writer of readings is doing, as JSON. Does not block.
pub type WriterState = dyn Fn() -> serde_json::Value + Send + Sync;

/// What the console needs of paging.
#[derive(Clone)]
pub struct Paging {
    pub states: Arc<ChannelStates>,
    pub test: Arc<TestChannel>,
    /// Channel and secret word of each address to which a provider sends receipts and replies.
    pub callbacks: Arc<[(String, String)]>,
    /// Signs what the webhook's receiver sends back.
    pub webhook_secret: Option<String>,
}

impl fmt::Debug for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paging")
    }
}

/// Everything the console works with.
#[derive(Clone)]
pub struct Deps {
    pub records: Records,
    pub readings: Readings,
    pub clock: Clock,
    pub publish_rules: Arc<PublishRules>,
    pub replay_quarantine: Arc<ReplayQuarantine>,
    pub ask_again: Arc<AskAgain>,
    pub decide: Arc<Decide>,
    pub next_pages: Arc<NextPages>,
    /// All that exist, in their order.
    pub channels: Arc<[ChannelName]>,
    pub paging: Paging,
    /// The site's secret for cards and codes. `None`: they cannot be registered here.
    pub identity_key: Option<IdentityKey>,
    pub health: Arc<Health>,
    pub writer: Arc<WriterState>,
    pub metrics: Arc<MetricsText>,
    /// `None`: there is no `/demo/phone`.
    pub demo: Option<Demo>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("demo", &self.demo).finish_non_exhaustive()
    }
}
