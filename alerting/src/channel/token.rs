//! An access token that is fetched once for all who need it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Time;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{Fate, Sent};
use crate::Secret;

/// When the provider does not say how long it lives.
const LIFE_S: u64 = 7_200;
/// It is not used in the last part of its life, so that none ends on its way.
const MARGIN_S: u64 = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: Secret,
    until: Time,
}

impl Token {
    pub(crate) fn new(text: String, now: Time, life_s: Option<u64>) -> Self {
        let life = life_s.unwrap_or(LIFE_S).min(LIFE_S).saturating_sub(MARGIN_S).max(1);
        Self { text: Secret::new(text), until: now + Duration::from_secs(life) }
    }
}

/// At most one fetch at a time. Those who waited for a fetch that failed share its failure: a provider that hangs costs every
/// page one time-out, not one after the other.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    held: Mutex<Held>,
    /// Counts fetches that have ended.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    failed: Option<Sent>,
}

impl Tokens {
    pub(crate) async fn get<F>(&self, now: Time, deadline: Instant, fetch: impl FnOnce() -> F) -> Result<Token, Sent>
    where
        F: Future<Output = Result<Token, Sent>>,
    {
        let seen = self.ended.load(Ordering::Acquire);
        let Ok(mut held) = timeout_at(deadline, self.held.lock()).await else {
            return Err(Sent::new(Fate::Retry { after: None }, "no token in time"));
        };
        if let Some(token) = held.token.as_ref().filter(|token| now < token.until) {
            return Ok(token.clone());
        }
        if let Some(failed) = held.failed.as_ref().filter(|_| self.ended.load(Ordering::Acquire) != seen) {
            return Err(failed.clone());
        }
        let fetched = fetch().await;
        self.ended.fetch_add(1, Ordering::AcqRel);
        held.failed = fetched.as_ref().err().cloned();
        held.token = fetched.as_ref().ok().cloned();
        fetched
    }

    /// The provider does not take it any more. Another one, fetched in the meantime, stays.
    pub(crate) async fn forget(&self, token: &Token) {
        let mut held = self.held.lock().await;
        if held.token.as_ref() == Some(token) {
            held.token = None;
        }
    }
}
