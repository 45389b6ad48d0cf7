//! One connection from CONNECT to its end: subscribe, birth, then the outbox through a window of our own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use journal::Journal;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, ConnectReturnCode, Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, ConnectionError, Event};
use runtime::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::Events;
use super::lanes::{Lanes, Open, Place};
use super::{Config, Down, Hello, Stats};

/// Bytes of a PUBLISH beside topic and payload, at most.
const PUBLISH_OVERHEAD: usize = 32;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// A look at the queues even when nobody calls, for journal errors that cure themselves.
const LOOK: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum End {
    Stopped,
    Lost {
        after_connack: bool,
    },
    /// The server does not want us: wrong token, wrong name. Trying fast would not help.
    Refused,
}

/// What a slot of the window holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Birth,
    Entry(Place),
    /// Acknowledged, waiting for those before it.
    Free,
}

pub(super) struct Session<'a> {
    pub(super) config: &'a Config,
    pub(super) hello: &'a Hello,
    pub(super) refused: &'a Journal,
    pub(super) down: &'a mpsc::Sender<Down>,
    pub(super) stats: &'a Stats,
    pub(super) client: AsyncClient,
    pub(super) events: Events,
    pub(super) lanes: &'a mut Lanes,
}

/// The connection broke, or must be broken.
struct Broken(&'static str);

/// The window: slots in order of hand-over. Its length, not the number of missing acks, is limited, so that the oldest
/// un-acknowledged packet id is never reached again: rumqttc would "collide" and freeze.
struct Window {
    slots: VecDeque<Slot>,
    /// Number of the first slot since the connection began.
    first: u64,
    /// Slots handed to rumqttc that have no packet id yet: number of the next one to get it.
    unnamed: u64,
    by_packet: HashMap<u16, u64>,
    max: usize,
    packet_max: usize,
    last_ack: Instant,
    /// Not before these instants, after the server asked for patience.
    urgent_from: Instant,
    ordinary_from: Instant,
    patience: u32,
}

impl Window {
    fn new(config: &Config, connack: &ConnAck) -> Self {
        let properties = connack.properties.as_ref();
        let receive_max = properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX);
        let packet_max = properties.and_then(|p| p.max_packet_size).map_or(usize::MAX, |max| max as usize);
        let now = Instant::now();
        Self {
            slots: VecDeque::new(),
            first: 0,
            unnamed: 0,
            by_packet: HashMap::new(),
            max: usize::from(config.window.min(receive_max).max(1)),
            packet_max,
            last_ack: now,
            urgent_from: now,
            ordinary_from: now,
            patience: 0,
        }
    }

    fn push(&mut self, slot: Slot) {
        if self.slots.is_empty() {
            self.last_ack = Instant::now();
        }
        self.slots.push_back(slot);
    }

    /// rumqttc gave the next slot in line a packet id.
    fn named(&mut self, packet_id: u16) -> Result<(), Broken> {
        if self.unnamed >= self.first + self.slots.len() as u64 || self.by_packet.contains_key(&packet_id) {
            return Err(Broken("a packet id without a publish of ours"));
        }
        self.by_packet.insert(packet_id, self.unnamed);
        self.unnamed += 1;
        Ok(())
    }

    fn acked(&mut self, packet_id: u16) -> Result<Slot, Broken> {
        let number = self.by_packet.remove(&packet_id).ok_or(Broken("an ack without a publish of ours"))?;
        let slot = number.checked_sub(self.first).and_then(|at| self.slots.get_mut(at as usize));
        let slot = std::mem::replace(slot.ok_or(Broken("an ack for a publish that is gone"))?, Slot::Free);
        while self.slots.front() == Some(&Slot::Free) {
            self.slots.pop_front();
            self.first += 1;
        }
        self.last_ack = Instant::now();
        Ok(slot)
    }
}

impl Session<'_> {
    pub(super) async fn run(mut self, stop: &Stop) -> End {
        let connack = tokio::select! {
            () = stop.requested() => return End::Stopped,
            connack = self.connack() => connack,
        };
        let connack = match connack {
            Ok(connack) => connack,
            Err(end) => return end,
        };
        self.stats.connected(true, self.lanes.now());
        tracing::info!(uplink = ?self.config, "connected");
        let mut window = Window::new(self.config, &connack);
        let ended = tokio::select! {
            () = stop.requested() => None,
            greeted = self.greet(&mut window) => greeted.err(),
        };
        let ended = match ended {
            Some(broken) => Some(broken),
            None if stop.is_requested() => None,
            None => self.turn(&mut window, stop).await.err(),
        };
        if let Some(Broken(cause)) = ended {
            tracing::info!(cause, "the connection ended");
            return End::Lost { after_connack: true };
        }
        self.goodbye().await;
        End::Stopped
    }

    async fn connack(&mut self) -> Result<ConnAck, End> {
        match self.events.next().await {
            Some(Ok(Event::Incoming(Packet::ConnAck(connack)))) => Ok(connack),
            Some(Err(ConnectionError::ConnectionRefused(code))) => {
                tracing::warn!(?code, "the server refuses this gateway: check its name and token");
                let busy = matches!(code, ConnectReturnCode::ServerUnavailable | ConnectReturnCode::ServerBusy);
                Err(if busy { End::Lost { after_connack: false } } else { End::Refused })
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "no connection");
                Err(End::Lost { after_connack: false })
            }
            _ => Err(End::Lost { after_connack: false }),
        }
    }

    /// Subscribes and waits for the answer (a subscription takes a packet id: rule 6), then says who we are.
    async fn greet(&mut self, window: &mut Window) -> Result<(), Broken> {
        if !self.hello.down_filter.is_empty() {
            let asked = self.client.try_subscribe(&self.hello.down_filter, QoS::AtLeastOnce);
            asked.map_err(|_| Broken("the client does not take requests"))?;
            let patience = Duration::from_secs(self.config.connect_timeout_s.into());
            timeout(patience, self.suback()).await.map_err(|_| Broken("no answer to SUBSCRIBE"))??;
        }
        if !self.hello.state_topic.is_empty() {
            let birth = std::sync::Arc::clone(&self.hello.birth);
            let birth = tokio::task::spawn_blocking(move || birth()).await.map_err(|_| Broken("there is no birth"))?;
            let said = self.client.try_publish(&self.hello.state_topic, QoS::AtLeastOnce, true, birth);
            said.map_err(|_| Broken("the client does not take requests"))?;
            window.push(Slot::Birth);
        }
        Ok(())
    }

    async fn suback(&mut self) -> Result<(), Broken> {
        loop {
            match self.events.next().await {
                Some(Ok(Event::Incoming(Packet::SubAck(_)))) => return Ok(()),
                Some(Ok(Event::Incoming(Packet::Publish(publish)))) => self.deliver(&publish),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Broken("the link broke while subscribing")),
            }
        }
    }

    async fn turn(&mut self, window: &mut Window, stop: &Stop) -> Result<(), Broken> {
        let stall = Duration::from_millis(self.config.stall_ms);
        loop {
            self.fill().await;
            self.send(window).await?;
            let mut wake = Instant::now() + LOOK;
            if !window.slots.is_empty() {
                wake = wake.min(window.last_ack + stall);
            }
            let allowed = self.lanes.next_allowance();
            for from in [Some(window.urgent_from), Some(window.ordinary_from), allowed].into_iter().flatten() {
                if from > Instant::now() {
                    wake = wake.min(from);
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                event = self.events.next() => self.take(event, window).await?,
                () = self.lanes.changed() => {}
                () = sleep_until(wake) => {}
            }
            if !window.slots.is_empty() && window.last_ack.elapsed() >= stall {
                return Err(Broken("no ack for too long"));
            }
        }
    }

    async fn fill(&mut self) {
        let (damaged, failed) = self.lanes.fill().await;
        if damaged > 0 {
            tracing::error!(entries = damaged, "the outbox could not give entries back");
            self.stats.damaged(damaged);
        }
        if let Some(error) = failed {
            tracing::warn!(%error, "the outbox cannot be read; trying again");
        }
        self.note_oldest();
    }

    fn note_oldest(&self) {
        self.stats.oldest(self.lanes.oldest());
    }

    /// Hands over as much as the window allows, by rank of the lanes; some slots are for SOS and events alone.
    async fn send(&mut self, window: &mut Window) -> Result<(), Broken> {
        let ordinary_max = window.max.saturating_sub(self.config.window_urgent.into()).max(1);
        loop {
            let (now, used) = (Instant::now(), window.slots.len());
            let open = Open {
                urgent: used < window.max && now >= window.urgent_from,
                ordinary: used < ordinary_max && now >= window.ordinary_from,
            };
            let Some((place, item)) = self.lanes.hand_over(open) else { return Ok(()) };
            if item.topic.len() + item.payload.len() + PUBLISH_OVERHEAD > window.packet_max {
                self.refuse(place, window).await;
                continue;
            }
            let taken = self.client.try_publish(item.topic, QoS::AtLeastOnce, false, item.payload);
            taken.map_err(|_| Broken("the client does not take publishes"))?;
            window.push(Slot::Entry(place));
            self.stats.sent();
        }
    }

    async fn take(&mut self, event: Option<Result<Event, ConnectionError>>, window: &mut Window) -> Result<(), Broken> {
        match event {
            None => Err(Broken("the event loop ended")),
            Some(Err(error)) => {
                tracing::debug!(%error, "the link broke");
                Err(Broken("the link broke"))
            }
            Some(Ok(Event::Outgoing(Outgoing::Publish(packet_id)))) => window.named(packet_id),
            Some(Ok(Event::Outgoing(Outgoing::AwaitAck(_)))) => {
                Err(Broken("rumqttc reports a collision of packet ids"))
            }
            Some(Ok(Event::Incoming(Packet::PubAck(ack)))) => {
                let slot = window.acked(ack.pkid)?;
                self.settle(slot, ack.reason, window).await;
                Ok(())
            }
            Some(Ok(Event::Incoming(Packet::Publish(publish)))) => {
                self.deliver(&publish);
                Ok(())
            }
            Some(Ok(_)) => Ok(()),
        }
    }

    /// Rule 8: what each reason means for the entry.
    async fn settle(&mut self, slot: Slot, reason: PubAckReason, window: &mut Window) {
        let place = match slot {
            Slot::Entry(place) => Some(place),
            Slot::Birth | Slot::Free => None,
        };
        match (reason, place) {
            (PubAckReason::Success, place) => {
                window.patience = 0;
                if let Some(Place { lane, seq }) = place {
                    self.lanes.queue(lane).done(seq);
                    self.stats.acked();
                }
            }
            (_, None) => {}
            (PubAckReason::PayloadFormatInvalid, Some(place)) => self.refuse(place, window).await,
            (other, Some(place)) => {
                if matches!(other, PubAckReason::NotAuthorized | PubAckReason::TopicNameInvalid) {
                    tracing::error!(reason = ?other, "the server does not let this gateway publish there: check its site and name");
                }
                self.again(place, window);
            }
        }
        self.note_oldest();
    }

    /// Keeps the entry and lets its lanes wait. The others go on.
    fn again(&mut self, place: Place, window: &mut Window) {
        let wait = self.config.retry_min_ms.saturating_mul(1 << window.patience.min(16)).min(self.config.retry_max_ms);
        window.patience = window.patience.saturating_add(1);
        let wait = super::jittered(wait);
        if place.is_urgent() {
            // An SOS does not wait a minute because a quota is used up.
            window.urgent_from = Instant::now() + wait.min(Duration::from_millis(self.config.retry_min_ms));
        } else {
            window.ordinary_from = Instant::now() + wait;
        }
        self.lanes.queue(place.lane).again(place.seq);
        self.stats.retried();
    }

    /// Moves an entry the server will never take to the local quarantine. It leaves the outbox only when it is durable there.
    async fn refuse(&mut self, place: Place, window: &mut Window) {
        let Some(item) = self.lanes.queue(place.lane).get(place.seq).cloned() else { return };
        match self.refused.append_wait(vec![item.encode()]).await {
            Ok(_) => {
                tracing::error!(
                    topic = item.topic,
                    bytes = item.payload.len(),
                    "refused by the server; moved to quarantine"
                );
                self.stats.refused();
                self.lanes.queue(place.lane).done(place.seq);
            }
            Err(error) => {
                tracing::error!(%error, "the local quarantine takes nothing; the entry stays in the outbox");
                self.again(place, window);
            }
        }
    }

    fn deliver(&self, publish: &rumqttc::v5::mqttbytes::v5::Publish) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if self.down.try_send(Down { topic, payload: publish.payload.clone() }).is_err() {
            self.stats.down_dropped();
        }
    }

    /// DISCONNECT, so that the server does not publish our will.
    async fn goodbye(mut self) {
        if self.client.try_disconnect().is_ok() {
            let gone = async {
                while let Some(Ok(event)) = self.events.next().await {
                    if event == Event::Outgoing(Outgoing::Disconnect) {
                        return;
                    }
                }
            };
            let _late = timeout(GOODBYE, gone).await;
        }
    }
}
