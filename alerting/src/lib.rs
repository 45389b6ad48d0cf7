//! Alerting: follows the journal, lets the pure engine judge, writes alarms to the records, and pages people until a named
//! human has accepted.
//!
//! - Thread `alerting.engine` ([`follow`]): journal entries -> engine -> one transaction of alarms, pages and cursor.
//! - Thread `alerting.rules`: tells the journal which rules, ages and quiet periods are in force.
//! - Thread `alerting.checkpoint`: writes the engine's state down now and then, so that a restart is short.
//! - Task `alerting.pager`: sends what is due, records every attempt, runs the steps of policies until somebody takes the alarm.
//! - Task `alerting.canary`: tests every channel once a day.
//! - Task `alerting.deadlines`: what people were to do by a time and did not; incidents; the storm.
//! - Task `alerting.auditor`: looks whether every alarm that waits for people will remind somebody.
//!
//! The alarm path needs the journal and the records, and nothing else: neither the readings store nor the network.

mod auditor;
mod canary;
mod channel;
mod checkpoint;
mod config;
mod deadlines;
mod error;
mod escalation;
mod follow;
mod pager;
pub mod roster;
mod rules;
mod secret;
mod state;
mod stats;

use std::path::PathBuf;
use std::sync::Arc;

use journal::Journal;
use model::Seq;
use runtime::{Clock, Tasks};
use store::records::Records;
use tokio::sync::watch;

pub use canary::Config as CanaryConfig;
pub use channel::{
    Channel, Channels, Configs as ChannelConfigs, Fate, Limit, Message, Quota, Reach, Recipient, Sent, Window, Word,
    aliyun_sms, aliyun_voice, channel_names, command, demo, dingtalk, feishu, is_channel, smtp, tencent_sms,
    tencent_voice, webhook, wecom_app, wecom_robot,
};
pub use checkpoint::copy_state;
pub use config::Config;
pub use error::Error;
pub use escalation::{next_step, shipped_policies};
pub use secret::Secret;
pub use state::{ChannelState, QuotaState, TestResult};
pub use stats::Stats;

/// Name of the journal cursor.
pub const CURSOR: &str = "alerting";

/// What alerting works with.
#[derive(Clone, Debug)]
pub struct Deps {
    pub journal: Journal,
    pub records: Records,
    pub clock: Clock,
    /// Data directory: the engine's checkpoints are `engine.ckpt` and `engine.ckpt.old` in it.
    pub dir: PathBuf,
}

/// Handle to the running parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Alerting {
    counts: Arc<stats::Counts>,
    rounds: Arc<rules::Rounds>,
    channels: Arc<channel::Desk>,
    records: Records,
    clock: Clock,
}

impl Alerting {
    /// Follows the last journal entry judged; what it said is in the records by then.
    pub fn watch_position(&self) -> watch::Receiver<Seq> {
        self.counts.position.subscribe()
    }

    /// Somebody saved rules, layers or a quiet period: has the journal told of it, and waits until it is. Blocks, at most some
    /// seconds. `false`: not yet, it goes on being tried.
    pub fn publish_rules(&self) -> bool {
        self.rounds.publish()
    }

    pub fn stats(&self) -> Stats {
        self.counts.read()
    }
}

/// Starts all parts under `tasks`. Must be called inside a tokio runtime. When it returns, the default rules are in the
/// journal before any frame that comes later.
pub fn start(config: &Config, deps: &Deps, tasks: &Tasks) -> Result<Alerting, Error> {
    let channels = Arc::new(channel::Desk::new(config, deps.records.clone(), deps.clock.clone())?);
    let counts = Arc::new(stats::Counts::default());
    let follower = follow::Follower::open(config, deps, Arc::clone(&counts))?;
    // Before the engine: an alarm must open under a policy.
    deps.records.ensure_policies(&shipped_policies(config))?;
    let in_doubt = deps.records.pages_in_doubt_at_start()?;
    if in_doubt > 0 {
        tracing::warn!(pages = in_doubt, "pages were being sent when the process ended; they are sent again");
    }
    let saver = checkpoint::Saver::new(&deps.dir, deps.journal.clone(), Arc::clone(&counts));
    let (files, written) = checkpoint::channel();
    tasks.spawn_thread("alerting.checkpoint", move |_| saver.run(&written)).map_err(Error::Thread)?;
    tasks.spawn_thread("alerting.engine", move |stop| follower.run(&files, &stop)).map_err(Error::Thread)?;
    let (publisher, rounds) = (rules::Publisher::new(&deps.records, &deps.journal, &deps.clock), Arc::default());
    let publishing: Arc<rules::Rounds> = Arc::clone(&rounds);
    tasks.spawn_thread("alerting.rules", move |stop| publisher.run(&publishing, &stop)).map_err(Error::Thread)?;
    let pager = pager::Pager::new(config, deps, Arc::clone(&channels), Arc::clone(&counts));
    tasks.spawn("alerting.pager", |stop| pager.run(stop));
    let (records, clock) = (deps.records.clone(), deps.clock.clone());
    let audited = (records.clone(), clock.clone(), Arc::clone(&counts));
    tasks.spawn("alerting.deadlines", |stop| deadlines::run(records, clock, stop));
    let (records, clock, findings) = audited;
    tasks.spawn("alerting.auditor", |stop| auditor::run(records, clock, findings, stop));
    let (records, clock) = (deps.records.clone(), deps.clock.clone());
    let canary = canary::Canary::new(&config.canary, Arc::clone(&channels), records.clone(), clock.clone())?;
    tasks.spawn("alerting.canary", |stop| canary.run(stop));
    Ok(Alerting { counts, rounds, channels, records, clock })
}
