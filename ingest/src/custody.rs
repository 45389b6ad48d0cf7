//! The auditor of custody: numbers that do not come are asked for, and what will never come is known with its cause.
//!
//! The frame itself is never at risk here: until it is acknowledged it lies in its gateway's outbox. This part finds out
//! about frames that were lost there, or here. Every second it compares the ledger (what came), the gaps that stand and
//! the losses that were declared:
//! ```text
//! hole older than the reorder wait -> gap open -> d/resend -> gap asked -> the frames: filled
//!                                                                       -> a note "gone" or "thinned": lost, with its cause
//!                                                                       -> the gateway has a newer epoch: lost, outbox_lost
//! ```
//! Gaps and losses are rows of the records store; the ledger is a cache. After a restart the gaps that stood stand again,
//! and holes that were too young for a row are found anew, or filled by the gateway that still has them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::note::LossCause;
use model::runs::Runs;
use model::{GatewayId, Lane, Note, Time};
use store::records::{self, Gap, GapState, Loss};

use crate::Shared;
use crate::ledger::LaneKey;
use crate::stats::add;

const SECOND_US: i64 = 1_000_000;
/// A hole this old is no longer frames overtaking each other, microseconds.
const REORDER_LIVE_US: i64 = 5 * SECOND_US;
/// The same in the lane of history.
const REORDER_HIST_US: i64 = 60 * SECOND_US;
/// First and longest wait between two requests for one gap, microseconds.
const ASK_MIN_US: i64 = 10 * SECOND_US;
const ASK_MAX_US: i64 = 3_600 * SECOND_US;
/// Time a gateway with a newer epoch has to answer for the old one, microseconds.
const CLOSE_US: i64 = 60 * SECOND_US;
/// Frames that were declared lost and come after all are noticed for this long, microseconds.
const WATCH_US: i64 = 24 * 3_600 * SECOND_US;
/// Progress of a gap is written this often; what changes its state, at once. Microseconds.
const PROGRESS_US: i64 = 10 * SECOND_US;
/// Gaps of one gateway that stand at once. Further holes wait until one of them is closed.
const GAPS_PER_GATEWAY_MAX: usize = 256;
/// Ranges asked for at once of one gap.
const ASK_RANGES_MAX: usize = 16;

/// What the auditor remembers between two looks.
#[derive(Debug, Default)]
pub(crate) struct Custody(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watched: Vec<Watched>,
    /// Holes that have no gap yet, by lane and first number.
    young: HashMap<(LaneKey, u64), Young>,
}

#[derive(Clone, Copy, Debug)]
struct Young {
    since: Time,
    /// Up to here the hole is accounted for: by gaps, or by what was declared.
    accounted: Option<u64>,
}

/// A gap with what is needed to follow it.
#[derive(Debug)]
struct Watched {
    gap: Gap,
    /// What of it was declared, and the last cause.
    declared: Runs,
    /// Numbers not stored when it was last looked at; `None`: look at the declarations again.
    seen: Option<u64>,
    /// Changed since it was written.
    dirty: bool,
    /// The change is more than progress.
    urgent: bool,
    saved_at: Time,
}

/// What is missing now, over all gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    pub gaps: u64,
    pub frames: u64,
}

impl Watched {
    const fn new(gap: Gap, now: Time) -> Self {
        Self { gap, declared: Runs::new(), seen: None, dirty: false, urgent: false, saved_at: now }
    }

    const fn lane(&self) -> LaneKey {
        LaneKey { gateway: self.gap.gateway, lane: self.gap.lane, epoch: self.gap.epoch }
    }

    const fn stands(&self) -> bool {
        matches!(self.gap.state, GapState::Open | GapState::Asked)
    }

    fn change(&mut self, urgent: bool) {
        self.dirty = true;
        self.urgent |= urgent;
    }
}

impl Custody {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With the gaps that stood when the server ended. Blocking.
    pub(crate) fn load(records: &records::Records, now: Time) -> records::Result<Self> {
        let standing = records.gaps_standing(now.plus_us(-WATCH_US))?;
        let watched = standing.into_iter().map(|gap| Watched::new(gap, now)).collect();
        Ok(Self(Mutex::new(Inner { watched, young: HashMap::new() })))
    }

    pub(crate) fn missing(&self) -> Missing {
        let inner = self.lock();
        let standing = inner.watched.iter().filter(|watched| watched.stands());
        standing.fold(Missing::default(), |sum, watched| Missing {
            gaps: sum.gaps + 1,
            frames: sum.frames + watched.gap.missing,
        })
    }

    /// A declaration of this gateway came: its gaps are looked at anew.
    fn declared(&self, gateway: GatewayId) {
        for watched in self.lock().watched.iter_mut().filter(|watched| watched.gap.gateway == gateway) {
            watched.seen = None;
        }
    }
}

/// The part of a birth that says what waits in the gateway's outbox: `{"epoch":4,"lanes":{"vit":{"first":7,"next":90}}}`.
#[derive(serde::Deserialize)]
struct Birth {
    epoch: u32,
    lanes: HashMap<Lane, Announced>,
}

#[derive(serde::Deserialize)]
struct Announced {
    /// The oldest number that waits; absent when none does.
    first: Option<u64>,
    next: u64,
}

impl Shared {
    /// Takes note of what a gateway, just born, says it has. A birth of another form says nothing.
    pub(crate) fn announced(&self, gateway: GatewayId, birth: &[u8]) {
        let Ok(Birth { epoch, lanes }) = serde_json::from_slice(birth) else { return };
        for (lane, Announced { first, next }) in lanes {
            self.ledger.announce(gateway, lane, epoch, first.unwrap_or(next).min(next), next);
        }
    }

    /// Writes what a gateway's note declares. Blocking; durable when it returns. False: the note declares nothing.
    pub(crate) fn declare(&self, gateway: GatewayId, at: Time, note: &Note) -> records::Result<bool> {
        let (epoch, lane, first, last, cause) = match note {
            Note::Gone { epoch, lane, from, to, cause } | Note::Thinned { epoch, lane, from, to, cause, .. } => {
                (*epoch, *lane, *from, *to, *cause)
            }
            _ => return Ok(false),
        };
        let (thinned, readings, kept) = match note {
            Note::Thinned { readings, kept, .. } => (true, *readings, (*kept).min(*readings)),
            _ => (false, 0, 0),
        };
        if first > last {
            return Ok(true);
        }
        let loss = Loss {
            gateway,
            epoch,
            lane,
            first,
            last,
            cause,
            by_server: false,
            thinned,
            readings,
            kept,
            declared_at: at,
        };
        self.records.losses_put(std::slice::from_ref(&loss))?;
        add(&self.counters.loss_notes, 1);
        tracing::warn!(
            gateway.id = gateway.0,
            epoch,
            lane = lane.as_str(),
            first,
            last,
            cause = cause.slug(),
            thinned,
            "a gateway declares frames lost"
        );
        self.custody.declared(gateway);
        Ok(true)
    }

    /// One look at everything. Blocking, once a second.
    pub(crate) fn audit_custody(&self) -> records::Result<()> {
        let now = self.clock.now();
        let mut inner = self.custody.lock();
        self.find(&mut inner, now)?;
        self.follow(&mut inner, now)?;
        self.ask(&mut inner, now)?;
        self.keep(&mut inner, now)
    }

    /// Asks for a gap again, at the next look; also one that was declared lost. Blocking.
    pub(crate) fn ask_again(&self, id: i64) -> records::Result<()> {
        let mut inner = self.custody.lock();
        let known = inner.watched.iter().position(|watched| watched.gap.id == id);
        let at = if let Some(at) = known {
            at
        } else {
            let gap = self.records.gap(id)?.ok_or(records::Error::NotFound("gap"))?;
            inner.watched.push(Watched::new(gap, self.clock.now()));
            inner.watched.len() - 1
        };
        let watched = &mut inner.watched[at];
        if watched.gap.state != GapState::Filled {
            watched.gap.asks = 0;
            watched.gap.asked_at = None;
            watched.change(true);
            self.send_asks(watched, self.clock.now());
        }
        drop(inner);
        Ok(())
    }

    /// Holes that have grown old become gaps.
    fn find(&self, inner: &mut Inner, now: Time) -> records::Result<()> {
        let mut known: HashMap<LaneKey, Runs> = HashMap::new();
        let mut standing: HashMap<GatewayId, usize> = HashMap::new();
        for watched in &inner.watched {
            known.entry(watched.lane()).or_default().insert(watched.gap.first, watched.gap.last);
            *standing.entry(watched.gap.gateway).or_default() += usize::from(watched.stands());
        }
        let nothing = Runs::new();
        let mut seen = HashMap::new();
        for hole in self.ledger.holes() {
            let unknown = known.get(&hole.lane).unwrap_or(&nothing).missing(hole.first, hole.last);
            for (first, last) in unknown.iter() {
                let key = (hole.lane, first);
                let mut young = *inner.young.get(&key).unwrap_or(&Young { since: now, accounted: None });
                let wait = if hole.lane.lane == Lane::Hist { REORDER_HIST_US } else { REORDER_LIVE_US };
                let room = standing.entry(hole.lane.gateway).or_default();
                if now.since_us(young.since) >= wait && young.accounted != Some(last) && *room < GAPS_PER_GATEWAY_MAX {
                    let open = self.undeclared(hole.lane, first, last)?;
                    for (first, last) in open.iter().take(GAPS_PER_GATEWAY_MAX - *room) {
                        let mut watched = Watched::new(
                            Gap::found(hole.lane.gateway, (hole.lane.epoch, hole.lane.lane), (first, last), now),
                            now,
                        );
                        watched.change(true);
                        inner.watched.push(watched);
                        *room += 1;
                        add(&self.counters.gaps_opened, 1);
                    }
                    young.accounted = Some(last);
                }
                seen.insert(key, young);
            }
        }
        inner.young = seen;
        Ok(())
    }

    fn undeclared(&self, lane: LaneKey, first: u64, last: u64) -> records::Result<Runs> {
        let mut open: Runs = std::iter::once((first, last)).collect();
        for loss in self.records.losses_over(lane.gateway, lane.epoch, lane.lane, first, last)? {
            open.remove(loss.first, loss.last);
        }
        Ok(open)
    }

    /// What came, and what was declared, is taken off the gaps.
    fn follow(&self, inner: &mut Inner, now: Time) -> records::Result<()> {
        for watched in &mut inner.watched {
            let (lane, gap) = (watched.lane(), &watched.gap);
            let unstored = self.unstored(lane, gap);
            let count = unstored.count();
            if watched.seen == Some(count) {
                continue;
            }
            if watched.seen.is_none() {
                let losses = self.records.losses_over(lane.gateway, lane.epoch, lane.lane, gap.first, gap.last)?;
                watched.gap.cause = losses.last().map(|loss| loss.cause).or(watched.gap.cause);
                watched.declared = losses.iter().map(|loss| (loss.first, loss.last)).collect();
            }
            watched.seen = Some(count);
            self.weigh(watched, &unstored, now);
        }
        let old = now.plus_us(-WATCH_US);
        inner.watched.retain(|watched| watched.dirty || watched.gap.closed_at.is_none_or(|at| at > old));
        inner.watched.retain(|watched| watched.dirty || watched.gap.state != GapState::Filled);
        Ok(())
    }

    /// What of a gap has not come. An epoch that the ledger has forgotten says nothing more: it stays as it was.
    fn unstored(&self, lane: LaneKey, gap: &Gap) -> Runs {
        let (first, last) = (gap.missing_first, gap.missing_last);
        self.ledger.missing(lane, first, last).unwrap_or_else(|| std::iter::once((first, last)).collect())
    }

    fn weigh(&self, watched: &mut Watched, unstored: &Runs, now: Time) {
        let left: u64 = unstored.iter().map(|(first, last)| watched.declared.missing(first, last).count()).sum();
        let lost = unstored.count() - left;
        let gap = &mut watched.gap;
        let before = (gap.state, gap.missing, gap.lost);
        if let (Some((first, _)), Some((_, last))) = (unstored.iter().next(), unstored.iter().next_back()) {
            (gap.missing_first, gap.missing_last) = (first, last);
        }
        (gap.missing, gap.lost) = (left, lost);
        gap.state = match (left, lost) {
            (0, 0) => GapState::Filled,
            (0, _) => GapState::Lost,
            _ if gap.asks > 0 => GapState::Asked,
            _ => GapState::Open,
        };
        gap.closed_at = if left > 0 { None } else { gap.closed_at.or(Some(now)) };
        if gap.state == before.0 {
            if (gap.missing, gap.lost) != (before.1, before.2) {
                watched.change(false);
            }
            return;
        }
        match gap.state {
            GapState::Filled => add(&self.counters.gaps_filled, 1),
            GapState::Lost => add(&self.counters.gaps_lost, 1),
            GapState::Open | GapState::Asked => {}
        }
        watched.change(true);
    }

    /// Requests that are due, and the end of those that no gateway can answer any more.
    fn ask(&self, inner: &mut Inner, now: Time) -> records::Result<()> {
        for watched in inner.watched.iter_mut().filter(|watched| watched.stands()) {
            let closed = watched.gap.epoch < self.ledger.newest_epoch(watched.gap.gateway);
            let waited = watched.gap.asked_at.map(|at| now.since_us(at));
            if closed && watched.gap.asks > 0 && waited.is_some_and(|waited| waited >= CLOSE_US) {
                self.give_up(watched, now)?;
            } else if waited.is_none_or(|waited| waited >= patience(watched.gap.asks)) {
                self.send_asks(watched, now);
            }
        }
        Ok(())
    }

    fn send_asks(&self, watched: &mut Watched, now: Time) {
        let Some(door) = self.door.load_full() else { return };
        let (lane, gap) = (watched.lane(), &watched.gap);
        let unstored = self.unstored(lane, gap);
        let mut sent = false;
        for (from, to) in unstored.iter().take(ASK_RANGES_MAX) {
            let ask = serde_json::json!({ "e": lane.epoch, "lane": lane.lane.as_str(), "from": from, "to": to });
            sent |= door.down(lane.gateway, "resend", ask.to_string().into(), 1);
        }
        if sent {
            add(&self.counters.resends_asked, 1);
            watched.gap.asks = watched.gap.asks.saturating_add(1);
            watched.gap.asked_at = Some(now);
            if watched.gap.state == GapState::Open {
                watched.gap.state = GapState::Asked;
            }
            watched.change(true);
        }
    }

    /// The gateway has begun a new outbox and did not give these when asked: they are gone.
    fn give_up(&self, watched: &mut Watched, now: Time) -> records::Result<()> {
        let LaneKey { gateway, lane, epoch } = watched.lane();
        let (first, last) = (watched.gap.missing_first, watched.gap.missing_last);
        let unstored = self.unstored(watched.lane(), &watched.gap);
        let undeclared = unstored.iter().flat_map(|(first, last)| {
            let open = watched.declared.missing(first, last);
            open.iter().collect::<Vec<_>>()
        });
        let losses: Vec<Loss> = undeclared
            .map(|(first, last)| Loss {
                gateway,
                epoch,
                lane,
                first,
                last,
                cause: LossCause::OutboxLost,
                by_server: true,
                thinned: false,
                readings: 0,
                kept: 0,
                declared_at: now,
            })
            .collect();
        self.records.losses_put(&losses)?;
        tracing::warn!(gateway.id = gateway.0, epoch, first, last, "frames of a closed epoch are declared lost");
        watched.seen = None;
        Ok(())
    }

    /// Writes what has changed.
    fn keep(&self, inner: &mut Inner, now: Time) -> records::Result<()> {
        let due =
            |watched: &&mut Watched| watched.dirty && (watched.urgent || now.since_us(watched.saved_at) >= PROGRESS_US);
        let mut changed: Vec<&mut Watched> = inner.watched.iter_mut().filter(due).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut gaps: Vec<Gap> = changed.iter().map(|watched| watched.gap.clone()).collect();
        self.records.gaps_save(&mut gaps)?;
        for (watched, gap) in changed.iter_mut().zip(gaps) {
            watched.gap.id = gap.id;
            (watched.dirty, watched.urgent, watched.saved_at) = (false, false, now);
        }
        Ok(())
    }
}

fn patience(asks: u32) -> i64 {
    ASK_MIN_US.saturating_mul(1 << asks.saturating_sub(1).min(16)).min(ASK_MAX_US)
}
