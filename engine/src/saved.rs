//! The engine as bytes: magic, format version, body (postcard), checksum. A file that is damaged or of another version is
//! refused whole; the caller then replays the log from its oldest entry.

use std::collections::HashMap;
use std::sync::Arc;

use model::rule::RuleSet;
use model::{Seq, Time};
use serde::{Deserialize, Serialize};

use crate::calm::Span;
use crate::clock::Stop;
use crate::plan::Plan;
use crate::state::{Person, State};
use crate::{Counters, Engine};

const MAGIC: [u8; 4] = *b"VGEN";
/// Raise when the meaning of any saved byte changes.
const VERSION: u16 = 8;
/// Magic and version before the body.
const HEAD_LEN: usize = 6;
/// CRC-32C of everything before it.
const SUM_LEN: usize = 4;

/// Why saved bytes are not an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadState {
    #[error("this is not a saved engine")]
    NotAnEngine,
    #[error("the saved engine has format {found}, this program reads {VERSION}")]
    Version { found: u16 },
    #[error("the saved engine is damaged")]
    Damaged,
}

/// `P` is borrowed when saving and owned when loading.
#[derive(Serialize, Deserialize)]
struct Body<P> {
    seq: Seq,
    now: Time,
    counters: Counters,
    /// Each set once, as JSON (postcard knows no absent fields); the first is the default.
    sets: Vec<String>,
    /// Elder and place in `sets`, by elder.
    own: Vec<(u32, u32)>,
    /// Judged by the default of the aged.
    aged: Vec<u32>,
    /// Quiet periods, by elder or device.
    calm: Vec<(u32, Vec<Span>)>,
    /// Holes in log time.
    stops: Vec<Stop>,
    /// In order of first appearance.
    people: Vec<(u32, P)>,
}

impl Engine {
    /// The whole state. Loading it and going on equals never having stopped.
    pub fn save(&self) -> Vec<u8> {
        let mut elders: Vec<u32> = self.own.keys().copied().collect();
        elders.sort_unstable();
        // Plain data with text keys: writing it to memory cannot fail.
        let text = |set: &RuleSet| serde_json::to_string(set).unwrap_or_default();
        let mut sets = vec![text(&self.default.set)];
        // Each set once: most of the same plan, some equal without knowing of each other.
        let mut of_plan = HashMap::from([(Arc::as_ptr(&self.default), 0_u32)]);
        let mut of_text = HashMap::from([(text(&self.default.set), 0_u32)]);
        let mut own = Vec::with_capacity(elders.len());
        for elder in elders {
            let plan = self.plan_of(elder);
            let place = *of_plan.entry(Arc::as_ptr(plan)).or_insert_with(|| {
                *of_text.entry(text(&plan.set)).or_insert_with_key(|text| {
                    sets.push(text.clone());
                    sets.len() as u32 - 1
                })
            });
            own.push((elder, place));
        }
        let people = self.people.iter().map(|person| (person.elder, &person.state)).collect();
        let aged = self.aged.iter().copied().collect();
        let mut calm: Vec<(u32, Vec<Span>)> = self.calm.iter().map(|(key, spans)| (*key, spans.clone())).collect();
        calm.sort_unstable_by_key(|(key, _)| *key);
        let stops = self.stops.clone();
        let body = Body { seq: self.seq, now: self.now, counters: self.counters, sets, own, aged, calm, stops, people };
        let mut bytes = Vec::with_capacity(HEAD_LEN + 64 * self.people.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        // Plain data into memory cannot fail; were it to, the checksum below would guard a body that does not load.
        bytes = postcard::to_extend(&body, bytes).unwrap_or_default();
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub fn load(bytes: &[u8]) -> Result<Self, BadState> {
        let (head, _) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(BadState::NotAnEngine)?;
        let [m0, m1, m2, m3, v0, v1] = *head;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(BadState::NotAnEngine);
        }
        let found = u16::from_le_bytes([v0, v1]);
        if found != VERSION {
            return Err(BadState::Version { found });
        }
        let (signed, sum) = bytes.split_last_chunk::<SUM_LEN>().ok_or(BadState::Damaged)?;
        if crc32c::crc32c(signed) != u32::from_le_bytes(*sum) {
            return Err(BadState::Damaged);
        }
        let body: Body<State> =
            postcard::from_bytes(signed.get(HEAD_LEN..).unwrap_or_default()).map_err(|_| BadState::Damaged)?;
        Self::from_body(body)
    }

    fn from_body(body: Body<State>) -> Result<Self, BadState> {
        let read = |text: String| serde_json::from_str::<RuleSet>(&text).map_err(|_| BadState::Damaged);
        let mut sets = body.sets.into_iter();
        let mut engine = Self::new(read(sets.next().ok_or(BadState::Damaged)?)?);
        let mut plans: Vec<Arc<Plan>> = vec![Arc::clone(&engine.default)];
        for set in sets {
            plans.push(engine.intern(read(set)?));
        }
        for (elder, place) in body.own {
            let plan = plans.get(place as usize).ok_or(BadState::Damaged)?;
            engine.own.insert(elder, Arc::clone(plan));
        }
        engine.aged.extend(body.aged);
        engine.calm.extend(body.calm);
        engine.stops = body.stops;
        for (elder, state) in body.people {
            let plan = Arc::clone(engine.plan_of(elder));
            engine.admit(Person { elder, plan, state });
        }
        engine.seq = body.seq;
        engine.now = body.now;
        engine.counters = body.counters;
        Ok(engine)
    }
}
