//! Where publishes go. The door hands them over in arrival order and answers each client only after the verdicts are in.

use std::sync::Arc;

use bytes::Bytes;
use model::Time;

use super::identity::Identity;
use super::stats::CloseReason;

/// One PUBLISH of a client, or its will, after the rights check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Full topic: an alias is already resolved.
    pub topic: String,
    pub payload: Bytes,
    /// 0, 1 or 2, as sent.
    pub qos: u8,
    pub retain: bool,
    /// The client says it sends this packet again.
    pub dup: bool,
    pub received_at: Time,
    /// `Some` when this is the client's will, with the reason its link ended.
    pub will: Option<CloseReason>,
}

/// What became of one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Durable. v5 0x00, 3.1.1 PUBACK.
    Stored,
    /// Was durable before. Acknowledged as stored.
    Duplicate,
    /// Does not decode; kept in quarantine with this cause. v5 0x99; 3.1.1 PUBACK, so that the device does not loop.
    Malformed(&'static str),
    /// v5 0x87; 3.1.1 the link is closed.
    NotAuthorised,
    /// Not stored, try later. v5 0x97; 3.1.1 the link is closed after a pause, so that the device sends it again.
    Busy,
    /// The journal is broken: nothing is acknowledged any more, the link is closed (v5 0x89).
    Failed,
}

/// Receives the verdicts of one [`Intake::submit`], one per publish, in order.
pub type Done = Box<dyn FnOnce(Vec<Verdict>) + Send>;

/// Takes publishes to the journal. Implemented by `ingest`.
pub trait Intake: Send + Sync + 'static {
    /// Publishes of one client in arrival order. Calls `done` exactly once, after the journal's fsync and from any
    /// thread, with one verdict for each publish. Dropping `done` uncalled counts as [`Verdict::Failed`] for all.
    /// Must not block and must not panic. Calls for one client never overlap in order: what is submitted first is
    /// journalled first; `done`s may come in any order, the door puts the PUBACKs right.
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done);

    /// A client's link came or went. Must not block.
    fn link(&self, from: &Arc<Identity>, change: LinkChange);
}

/// A change of a client's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// Logged in, CONNACK is on its way. After a take-over there is no `Lost` before it.
    Up,
    /// The link ended and no newer link of the same client exists. The will, if any, follows through `submit`, at once
    /// or after its Will Delay.
    Lost { cause: CloseReason },
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    pub topic: String,
    pub payload: Bytes,
}

/// Retained `st` messages. `put` and `remove` are called after the publish was stored and before it is acknowledged, from
/// any thread: must not block. What must survive a restart is the intake's business, before it says `Stored`.
pub trait RetainedStore: Send + Sync + 'static {
    /// Replaces the retained message of this topic.
    fn put(&self, from: &Arc<Identity>, topic: &str, payload: &Bytes);
    /// An empty payload with the retain flag came.
    fn remove(&self, from: &Arc<Identity>, topic: &str);
    /// All retained messages whose topic matches the filter (`+` and `#` allowed), at most `limit`.
    fn matching(&self, filter: &str, limit: usize) -> Vec<Retained>;
}
