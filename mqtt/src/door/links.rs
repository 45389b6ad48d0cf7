//! Who is connected: every socket's mailbox, the seat of each gateway, and take-over.
//!
//! A gateway has one seat. A newer link takes it at once: the old link's will is fired before the newcomer's CONNACK,
//! so that its birth message follows the will in the journal, never the other way round.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use model::GatewayId;

use super::identity::Identity;
use super::intake::Verdict;
use super::protocol::{Subscription, Will};
use super::stats::CloseReason;

/// One connection as others see it: a mailbox. Its task is woken by every letter.
pub(super) struct Link {
    serial: u64,
    identity: OnceLock<Arc<Identity>>,
    inbox: Mutex<Inbox>,
}

/// What waits for a connection's task.
#[derive(Default)]
pub(super) struct Inbox {
    /// Verdicts by batch. At most as many as publishes without an answer.
    pub(super) verdicts: Vec<(u32, Vec<Verdict>)>,
    /// Messages for the client: topic, payload, QoS. Bounded by `down_queue_max`.
    pub(super) down: VecDeque<(String, Bytes, u8)>,
    /// Someone wants this link to end.
    pub(super) close: Option<CloseReason>,
    subscriptions: Vec<Subscription>,
    will: Option<Will>,
    waker: Option<Waker>,
}

impl Link {
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.get()
    }

    /// Called by the intake, from its own thread.
    pub(super) fn verdicts(&self, batch: u32, verdicts: Vec<Verdict>) {
        self.post(|inbox| inbox.verdicts.push((batch, verdicts)));
    }

    /// Asks the link to end. The first reason stands.
    pub(super) fn close(&self, reason: CloseReason) {
        self.post(|inbox| inbox.close = inbox.close.or(Some(reason)));
    }

    pub(super) fn set_subscriptions(&self, subscriptions: Vec<Subscription>) {
        self.inbox().subscriptions = subscriptions;
    }

    pub(super) fn take_will(&self) -> Option<Will> {
        self.inbox().will.take()
    }

    /// Queues a message for the client. `false`: nobody subscribed to it, the link is ending, or the queue is full.
    pub(super) fn send(&self, topic: String, payload: Bytes, qos: u8, queue_max: usize) -> Sent {
        let mut inbox = self.inbox();
        if inbox.close.is_some() {
            return Sent::Gone;
        }
        let granted = inbox.subscriptions.iter().filter(|one| one.matches(&topic)).map(|one| one.qos).max();
        let Some(granted) = granted else { return Sent::NotSubscribed };
        if inbox.down.len() >= queue_max {
            return Sent::Full;
        }
        inbox.down.push_back((topic, payload, qos.min(granted)));
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        Sent::Queued
    }

    /// Empties the mailbox for its task and remembers whom to wake next time.
    pub(super) fn collect(&self, waker: &Waker, down_too: bool) -> Letters {
        let mut inbox = self.inbox();
        if !inbox.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inbox.waker = Some(waker.clone());
        }
        Letters {
            verdicts: std::mem::take(&mut inbox.verdicts),
            down: if down_too { std::mem::take(&mut inbox.down) } else { VecDeque::new() },
            close: inbox.close,
        }
    }

    /// Resolves when someone wants this link to end. For its own task, while no session reads the mailbox yet.
    pub(super) async fn asked_to_end(&self) -> CloseReason {
        let asked = |cx: &mut std::task::Context<'_>| match self.collect(cx.waker(), false).close {
            Some(reason) => Poll::Ready(reason),
            None => Poll::Pending,
        };
        std::future::poll_fn(asked).await
    }

    fn post(&self, letter: impl FnOnce(&mut Inbox)) {
        let waker = {
            let mut inbox = self.inbox();
            letter(&mut inbox);
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The contents of a mailbox.
pub(super) struct Letters {
    pub(super) verdicts: Vec<(u32, Vec<Verdict>)>,
    pub(super) down: VecDeque<(String, Bytes, u8)>,
    pub(super) close: Option<CloseReason>,
}

/// What became of a down-link message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    NotSubscribed,
    Full,
    Gone,
}

/// All connections.
#[derive(Default)]
pub(super) struct Links(Mutex<Table>);

#[derive(Default)]
struct Table {
    last_serial: u64,
    sockets: HashMap<u64, Arc<Link>>,
    /// Sockets that are not logged in, oldest first.
    strangers: BTreeMap<u64, Arc<Link>>,
    seats: HashMap<GatewayId, Arc<Link>>,
    /// QoS 2 packet ids without PUBREL, of gateways that asked to keep their session. Sets are never empty.
    qos2: HashMap<GatewayId, Vec<u16>>,
    closing: bool,
}

/// A seat taken.
pub(super) struct Admitted {
    /// The link that had the seat before.
    pub(super) old: Option<Arc<Link>>,
    pub(super) qos2: Vec<u16>,
}

impl Links {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mailbox for a new socket.
    pub(super) fn enter(&self) -> Arc<Link> {
        let mut table = self.table();
        table.last_serial += 1;
        let inbox = Inbox { close: table.closing.then_some(CloseReason::ShuttingDown), ..Inbox::default() };
        let link = Arc::new(Link { serial: table.last_serial, identity: OnceLock::new(), inbox: Mutex::new(inbox) });
        table.sockets.insert(link.serial, Arc::clone(&link));
        table.strangers.insert(link.serial, Arc::clone(&link));
        link
    }

    /// Sends the strangers away that have waited longest, until there is room for one more. An honest client logs in
    /// within a round trip or two, so those who block the entrance go first and nobody is locked out by idle sockets.
    pub(super) fn make_room(&self, strangers_max: usize) {
        let mut gone = Vec::new();
        {
            let mut table = self.table();
            while table.strangers.len() >= strangers_max.max(1) {
                let Some((_, oldest)) = table.strangers.pop_first() else { break };
                gone.push(oldest);
            }
        }
        for link in gone {
            link.close(CloseReason::TooManyLinks);
        }
    }

    /// Gives the identity's seat to this link.
    pub(super) fn admit(
        &self,
        link: &Arc<Link>,
        identity: &Arc<Identity>,
        will: Option<Will>,
        clean: bool,
        links_max: usize,
    ) -> Result<Admitted, CloseReason> {
        let mut table = self.table();
        if table.closing {
            return Err(CloseReason::ShuttingDown);
        }
        let gateway = identity.gateway;
        if table.seats.len() >= links_max && !table.seats.contains_key(&gateway) {
            return Err(CloseReason::TooManyLinks);
        }
        // An identity is set once: a second CONNECT on a link never gets here.
        let _first = link.identity.set(Arc::clone(identity));
        table.strangers.remove(&link.serial);
        link.inbox().will = will;
        let old = table.seats.insert(gateway, Arc::clone(link));
        let kept = table.qos2.remove(&gateway).unwrap_or_default();
        Ok(Admitted { old, qos2: if clean { Vec::new() } else { kept } })
    }

    /// The connection is over. `true`: its gateway has no link any more.
    pub(super) fn leave(&self, link: &Link, qos2: Vec<u16>) -> bool {
        let mut table = self.table();
        table.sockets.remove(&link.serial);
        table.strangers.remove(&link.serial);
        let Some(identity) = link.identity() else { return false };
        let seated = table.seats.get(&identity.gateway).is_some_and(|seat| seat.serial == link.serial);
        if seated {
            table.seats.remove(&identity.gateway);
            if !qos2.is_empty() {
                table.qos2.insert(identity.gateway, qos2);
            }
        }
        seated
    }

    pub(super) fn seat(&self, gateway: GatewayId) -> Option<Arc<Link>> {
        self.table().seats.get(&gateway).cloned()
    }

    pub(super) fn seats(&self) -> Vec<GatewayId> {
        self.table().seats.keys().copied().collect()
    }

    pub(super) fn seats_len(&self) -> usize {
        self.table().seats.len()
    }

    pub(super) fn sockets_len(&self) -> usize {
        self.table().sockets.len()
    }

    /// Nobody gets in any more, and everyone is asked to end.
    pub(super) fn close_all(&self) {
        let links: Vec<_> = {
            let mut table = self.table();
            table.closing = true;
            table.sockets.values().cloned().collect()
        };
        for link in links {
            link.close(CloseReason::ShuttingDown);
        }
    }
}
