//! One connection's task: moves bytes between its socket and its [`Machine`], batches to the intake, and keeps the clocks.
//!
//! One hand-written poll instead of `select!`: deadlines are instants kept across turns, so nothing outgoing ever moves
//! the keep-alive, and nothing is lost when another branch is ready. An idle session owns no buffers: reads go through
//! one buffer a thread.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use model::Time;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::acl;
use super::identity::{Identity, Login, LoginError};
use super::intake::{LinkChange, Publish, Retained, Verdict};
use super::links::Link;
use super::protocol::{Host, Machine, Output, Will};
use super::server::Shared;
use super::stats::{CloseReason, add};

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1_024;
/// Reads in one go before other connections of this thread get their turn.
const TURNS: usize = 4;
/// With more than this waiting to be written, nothing is read: the client does not take its answers.
const WRITE_BACKLOG_BYTES: usize = 64 * 1_024;
/// A write buffer larger than this is given back when it is empty.
const KEEP_BYTES: usize = 1_024;
/// Time for the last words of a link.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes read and thrown away after them, so that a client that still sends does not get a reset before reading them.
const FAREWELL_BYTES: usize = 16 * 1_024 * 1_024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Serves one socket until it is over.
pub(super) async fn serve<S>(io: S, mut seat: Seat, peer: std::net::SocketAddr, tls: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let machine = Machine::new(Arc::clone(&seat.door.limits), peer, tls);
    let mut session = Session::new(io, machine, &seat);
    let reason = std::future::poll_fn(|cx| session.poll(cx)).await;
    seat.leave(reason, session.machine.qos2_ids());
    // Who was told nothing has nothing to read; such a socket is given back at once.
    if session.spoke && !matches!(reason, CloseReason::Reset | CloseReason::WriteTimeout) {
        farewell(&mut session.io).await;
    }
}

/// A place at the table of links, given back when dropped.
pub(super) struct Seat {
    pub(super) door: Arc<Shared>,
    pub(super) link: Arc<Link>,
    left: bool,
}

impl Seat {
    pub(super) fn new(door: &Arc<Shared>) -> Self {
        Self { link: door.links.enter(), door: Arc::clone(door), left: false }
    }

    /// The link is over: tells the intake, sees to the will, counts the reason. Only the first call counts.
    pub(super) fn leave(&mut self, reason: CloseReason, qos2: Vec<u16>) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        self.door.counters.closed(reason);
        let _turn = self.door.turnstile();
        let seated = self.door.links.leave(&self.link, qos2);
        let (true, Some(identity)) = (seated, self.link.identity()) else { return };
        self.door.intake.link(identity, LinkChange::Lost { cause: reason });
        match (reason, self.link.take_will()) {
            (CloseReason::Disconnected | CloseReason::ShuttingDown, _) | (_, None) => {}
            (_, Some(will)) => self.door.wills.lost(identity, will, reason),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave(CloseReason::Reset, Vec::new());
    }
}

/// What the machine may ask, answered for this link.
struct Desk<'a> {
    door: &'a Shared,
    link: &'a Arc<Link>,
    now: Time,
}

impl Host for Desk<'_> {
    fn identify(&mut self, login: &Login<'_>) -> Result<Identity, LoginError> {
        self.door.gatekeeper.login(login)
    }

    fn admit(&mut self, identity: &Arc<Identity>, will: Option<Will>, clean: bool) -> Result<Vec<u16>, CloseReason> {
        let _turn = self.door.turnstile();
        let admitted = self.door.links.admit(self.link, identity, will, clean, self.door.config.links_max)?;
        if let Some(old) = admitted.old {
            add(&self.door.counters.taken_over, 1);
            // A delayed will is void: the client is back in time.
            if let Some(will) = old.take_will().filter(|will| will.delay_s == 0) {
                self.door.wills.lost(identity, will, CloseReason::TakenOver);
            }
            old.close(CloseReason::TakenOver);
        }
        self.door.wills.cancel(identity.gateway);
        add(&self.door.counters.logins, 1);
        self.door.intake.link(identity, LinkChange::Up);
        Ok(admitted.qos2)
    }

    fn retained(&mut self, filter: &str) -> Vec<Retained> {
        self.door.retained.matching(filter, self.door.config.retained_max)
    }

    fn now(&self) -> Time {
        self.now
    }
}

/// Tells the link the verdicts; that nobody will, if the intake drops it.
struct Answer {
    link: Arc<Link>,
    batch: u32,
    /// Retained states among the publishes: rare, so mostly absent.
    states: Option<Box<States>>,
    given: bool,
}

impl Answer {
    fn give(mut self, verdicts: Vec<Verdict>) {
        self.given = true;
        if let Some(states) = self.states.take() {
            states.keep(&verdicts);
        }
        self.link.verdicts(self.batch, verdicts);
    }
}

/// Retained states of one batch. Kept here and not by the session, because a client that says its last state and hangs up
/// has no session any more when the state is stored.
struct States {
    door: Arc<Shared>,
    identity: Arc<Identity>,
    /// Place in the batch, topic, payload.
    list: Vec<(usize, String, Bytes)>,
}

impl States {
    fn of(door: &Arc<Shared>, identity: &Arc<Identity>, publishes: &[Publish]) -> Option<Box<Self>> {
        let is_state = |publish: &Publish| {
            publish.retain && acl::publish(identity, &publish.topic) == acl::Right::Store { state: true }
        };
        let found = publishes.iter().enumerate().filter(|(_, publish)| is_state(publish));
        let list: Vec<_> =
            found.map(|(place, publish)| (place, publish.topic.clone(), publish.payload.clone())).collect();
        let of = |list| Box::new(Self { door: Arc::clone(door), identity: Arc::clone(identity), list });
        (!list.is_empty()).then(|| of(list))
    }

    fn keep(&self, verdicts: &[Verdict]) {
        for (place, topic, payload) in &self.list {
            match verdicts.get(*place) {
                Some(Verdict::Stored | Verdict::Duplicate) if payload.is_empty() => {
                    self.door.retained.remove(&self.identity, topic);
                }
                Some(Verdict::Stored | Verdict::Duplicate) => self.door.retained.put(&self.identity, topic, payload),
                _ => {}
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            self.link.verdicts(self.batch, Vec::new());
        }
    }
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts about one socket, not states of one thing")]
struct Session<S> {
    io: S,
    door: Arc<Shared>,
    link: Arc<Link>,
    machine: Machine,
    out: Output,
    written: usize,
    unflushed: bool,
    /// We have written something.
    spoke: bool,
    /// Bytes read but not used: the link is paused.
    held: Vec<u8>,
    paused: bool,
    draining: bool,
    /// When the last byte came in.
    heard: Instant,
    login_due: Instant,
    write_due: Option<Instant>,
    close_due: Option<(Instant, CloseReason)>,
    timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(io: S, machine: Machine, seat: &Seat) -> Self {
        let heard = Instant::now();
        let login_due = heard + Duration::from_millis(seat.door.config.login_timeout_ms);
        Self {
            io,
            door: Arc::clone(&seat.door),
            link: Arc::clone(&seat.link),
            machine,
            out: Output::default(),
            written: 0,
            unflushed: false,
            spoke: false,
            held: Vec::new(),
            paused: false,
            draining: false,
            heard,
            login_due,
            write_due: None,
            close_due: None,
            timer: Box::pin(tokio::time::sleep_until(login_due)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..TURNS {
            // Decided once a turn: what is left out now for want of room is taken up in the next turn, see below.
            let crowded = self.backlog() > WRITE_BACKLOG_BYTES;
            self.letters(cx, crowded);
            self.use_held();
            let read = match self.read(cx, crowded) {
                Ok(read) => read,
                Err(reason) => {
                    self.submit();
                    self.count();
                    return Poll::Ready(self.machine.closed().unwrap_or(reason));
                }
            };
            self.submit();
            self.count();
            if let Err(reason) = self.write(cx) {
                return Poll::Ready(self.machine.closed().unwrap_or(reason));
            }
            match self.machine.closed() {
                Some(reason) if self.out.write.is_empty() && !self.unflushed => return Poll::Ready(reason),
                Some(_) => self.write_due = self.write_due.or(Some(Instant::now() + FAREWELL)),
                None => {}
            }
            match self.clocks(cx) {
                Some(CloseReason::WriteTimeout) => {
                    return Poll::Ready(self.machine.closed().unwrap_or(CloseReason::WriteTimeout));
                }
                Some(reason) => self.machine.close(reason, &mut self.out),
                // Nobody would wake us for what was left out while it was crowded: neither bytes nor letters.
                None if read || (crowded && self.backlog() <= WRITE_BACKLOG_BYTES) => {}
                None => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Bytes that wait for the socket.
    fn backlog(&self) -> usize {
        self.out.write.len() - self.written
    }

    /// Verdicts, messages for the client, and the wish that this link ends.
    fn letters(&mut self, cx: &Context<'_>, crowded: bool) {
        let letters = self.link.collect(cx.waker(), !crowded && self.machine.queued() == 0);
        for (batch, verdicts) in &letters.verdicts {
            self.machine.verdicts(*batch, verdicts, &mut self.out);
        }
        if self.machine.closed().is_none() {
            for (topic, payload, qos) in letters.down {
                self.machine.send(topic, payload, qos, &mut self.out);
            }
        }
        match letters.close {
            Some(CloseReason::ShuttingDown) => {
                self.draining = true;
                if self.machine.pending() == 0 {
                    self.machine.close(CloseReason::ShuttingDown, &mut self.out);
                }
                let drain = Duration::from_millis(self.door.config.drain_ms);
                self.close_due = self.close_due.or(Some((Instant::now() + drain, CloseReason::ShuttingDown)));
            }
            Some(reason) => self.machine.close(reason, &mut self.out),
            None => {}
        }
        if self.machine.is_busy() && self.close_due.is_none() {
            let pause = Duration::from_millis(self.door.config.busy_close_ms);
            self.close_due = Some((Instant::now() + pause, CloseReason::Busy));
        }
    }

    /// Feeds what was read before the link was paused.
    fn use_held(&mut self) {
        if !self.held.is_empty() && self.may_feed() {
            let held = std::mem::take(&mut self.held);
            self.feed(&held);
        }
        let paused = self.machine.is_paused() || !self.held.is_empty();
        if self.paused && !paused {
            // The keep-alive was suspended while we did not read.
            self.heard = Instant::now();
        }
        if paused && !self.paused {
            add(&self.door.counters.paused, 1);
        }
        self.paused = paused;
    }

    fn may_feed(&self) -> bool {
        self.machine.closed().is_none() && !self.machine.is_paused() && !self.draining
    }

    /// Reads once. `Ok(true)`: bytes came.
    fn read(&mut self, cx: &mut Context<'_>, crowded: bool) -> Result<bool, CloseReason> {
        if !self.may_feed() || !self.held.is_empty() {
            return Ok(false);
        }
        if crowded {
            // The keep-alive is suspended while we do not read; a client that takes nothing meets `write_due`.
            self.heard = Instant::now();
            return Ok(false);
        }
        READ.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Pending => Ok(false),
                Poll::Ready(Err(_)) => Err(CloseReason::Reset),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(CloseReason::Reset),
                Poll::Ready(Ok(())) => {
                    self.heard = Instant::now();
                    add(&self.door.counters.bytes_in, buffer.filled().len() as u64);
                    self.feed(buffer.filled());
                    Ok(true)
                }
            }
        })
    }

    fn feed(&mut self, data: &[u8]) {
        let mut desk = Desk { door: &self.door, link: &self.link, now: self.door.clock.now() };
        let used = self.machine.feed(data, &mut desk, &mut self.out);
        if self.machine.closed().is_none() {
            self.held.extend_from_slice(data.get(used..).unwrap_or_default());
        }
        if std::mem::take(&mut self.out.subscriptions_changed) {
            self.link.set_subscriptions(self.machine.subscriptions().to_vec());
        }
    }

    /// One batch to the intake for all publishes of one read.
    fn submit(&mut self) {
        if self.out.publishes.is_empty() {
            return;
        }
        let Some(identity) = self.machine.identity() else { return };
        let publishes = std::mem::take(&mut self.out.publishes);
        add(&self.door.counters.publishes, publishes.len() as u64);
        let identity = Arc::clone(identity);
        let states = States::of(&self.door, &identity, &publishes);
        let answer = Answer { link: Arc::clone(&self.link), batch: self.machine.batch(), states, given: false };
        self.door.intake.submit(&identity, publishes, Box::new(move |verdicts| answer.give(verdicts)));
    }

    fn count(&mut self) {
        let counters = &self.door.counters;
        add(&counters.publishes_refused, std::mem::take(&mut self.out.refused));
        add(&counters.publishes_ignored, std::mem::take(&mut self.out.ignored));
        add(&counters.down_sent, std::mem::take(&mut self.out.down_sent));
        add(&counters.down_too_large, std::mem::take(&mut self.out.down_too_large));
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.written < self.out.write.len() {
            match Pin::new(&mut self.io).poll_write(cx, &self.out.write[self.written..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.unflushed = true;
                    self.spoke = true;
                    self.write_due = None;
                    add(&self.door.counters.bytes_out, count as u64);
                }
                Poll::Ready(_) => return Err(CloseReason::Reset),
                Poll::Pending => {
                    self.write_blocked();
                    return Ok(());
                }
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Err(CloseReason::Reset),
                Poll::Pending => {
                    self.write_blocked();
                    return Ok(());
                }
            }
        }
        self.written = 0;
        self.out.write.clear();
        if self.out.write.capacity() > KEEP_BYTES {
            self.out.write = Vec::new();
        }
        if self.machine.closed().is_none() {
            self.write_due = None;
        }
        Ok(())
    }

    fn write_blocked(&mut self) {
        let limit = Duration::from_millis(self.door.config.write_timeout_ms);
        self.write_due = self.write_due.or_else(|| Some(Instant::now() + limit));
    }

    /// The earliest deadline and what it means.
    fn next_due(&self) -> Option<(Instant, CloseReason)> {
        let waiting = self.machine.identity().is_none() && self.machine.closed().is_none();
        let login = waiting.then_some((self.login_due, CloseReason::ConnectTimeout));
        let keep_alive_s = u64::from(self.machine.keep_alive_s());
        // Suspended while we do not read.
        let listening = keep_alive_s > 0 && !self.paused && !self.draining && self.machine.closed().is_none();
        let silence = Duration::from_millis(keep_alive_s * 1_500);
        let keep_alive = listening.then(|| (self.heard + silence, CloseReason::KeepAlive));
        let write = self.write_due.map(|due| (due, CloseReason::WriteTimeout));
        let close = self.close_due.filter(|_| self.machine.closed().is_none());
        [login, keep_alive, write, close].into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    /// Gives the reason of a deadline that has passed; else makes sure that this task wakes for the next one.
    fn clocks(&mut self, cx: &mut Context<'_>) -> Option<CloseReason> {
        let (due, reason) = self.next_due()?;
        loop {
            // Moving a timer back is put off until it fires: most deadlines move with every read.
            if due < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            if Instant::now() >= due {
                return Some(reason);
            }
        }
    }
}

/// Closes our side and gives the client time to read our last words before the socket is gone.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) {
    let goodbye = async {
        if io.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 512];
        let mut left = FAREWELL_BYTES;
        while let Ok(count) = io.read(&mut rest).await {
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                return;
            }
        }
    };
    let _in_time = tokio::time::timeout(FAREWELL, goodbye).await;
}
