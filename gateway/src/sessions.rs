//! Who stood at the shared devices of a cabin, and when: sessions in the gateway's time, and the one question asked of them.
//!
//! A measurement belongs to a person only when that person's session covers the whole of it and nobody else's touches it. In
//! every other case it belongs to nobody, with a reason; people at the server decide later. No clock and no I/O here.

use std::collections::{BTreeSet, VecDeque};

use model::Time;
use model::identity::{Nobody, PersonKey};
use serde::{Deserialize, Serialize};

/// Sessions remembered: more than a day of a busy cabin. Measurements older than the oldest belong to nobody.
pub(crate) const SESSIONS_MAX: usize = 512;

/// When sessions end, and how exactly times are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A session ends so long after its opening or its last measurement, microseconds.
    pub(crate) timeout_us: i64,
    /// Times closer than this are not told apart, microseconds. A reading that is less exact widens it.
    pub(crate) tolerance_us: i64,
}

/// One person at the devices: `[from, until]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    person: PersonKey,
    from: Time,
    /// Opening, the person's card again, or their last measurement.
    seen: Time,
    /// `None`: open.
    until: Option<Time>,
}

/// The stretch of time a measurement took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// How far both may be off, microseconds.
    pub(crate) slack_us: i64,
}

/// What presenting a card did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    New,
    /// The same person again: the session goes on.
    Again,
    /// Somebody else's session ended.
    Instead,
}

/// The session that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) person: PersonKey,
    pub(crate) since: Time,
    /// Ends then unless something is measured.
    pub(crate) until: Time,
}

/// One session as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    p: String,
    from: i64,
    seen: i64,
    until: Option<i64>,
}

/// All sessions that still matter, oldest first; at most the last one is open.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    limits: Limits,
    sessions: VecDeque<Session>,
}

impl Book {
    /// The sessions of an earlier run. One that was open ended at its last sign on disk: who stood there since, nobody knows.
    pub(crate) fn restored(limits: Limits, saved: &[Saved]) -> Self {
        let one = |saved: &Saved| {
            let person = PersonKey::parse(&saved.p)?;
            let (from, seen) = (Time(saved.from), Time(saved.seen));
            Some(Session { person, from, seen, until: Some(saved.until.map_or(seen, Time)) })
        };
        let mut book = Self { limits, sessions: saved.iter().filter_map(one).collect() };
        book.forget();
        book
    }

    pub(crate) fn saved(&self) -> Vec<Saved> {
        let one = |session: &Session| Saved {
            p: session.person.as_str().to_owned(),
            from: session.from.0,
            seen: session.seen.0,
            until: session.until.map(|until| until.0),
        };
        self.sessions.iter().map(one).collect()
    }

    /// A person presents themselves.
    pub(crate) fn open(&mut self, person: PersonKey, now: Time) -> Opened {
        self.expire(now);
        let done = match self.last_open() {
            Some(session) if session.person == person => {
                session.seen = session.seen.max(now);
                return Opened::Again;
            }
            Some(session) => {
                session.until = Some(now);
                Opened::Instead
            }
            None => Opened::New,
        };
        self.sessions.push_back(Session { person, from: now, seen: now, until: None });
        self.forget();
        done
    }

    /// Ends the open session. False when there is none.
    pub(crate) fn close(&mut self, now: Time) -> bool {
        self.expire(now);
        self.last_open().map(|session| session.until = Some(now)).is_some()
    }

    pub(crate) fn current(&mut self, now: Time) -> Option<Current> {
        self.expire(now);
        let timeout = self.limits.timeout_us;
        self.last_open().map(|session| Current {
            person: session.person.clone(),
            since: session.from,
            until: session.seen.plus_us(timeout),
        })
    }

    /// Whose a measurement is that has arrived at `now`.
    pub(crate) fn who(&mut self, span: Span, now: Time) -> Result<PersonKey, Nobody> {
        self.expire(now);
        let slack = span.slack_us.max(self.limits.tolerance_us);
        let (from, to) = (span.from.min(span.to), span.to);
        let end = |session: &Session| session.until.unwrap_or(now);
        let touches = |session: &&Session| session.from <= to.plus_us(slack) && end(session) >= from.plus_us(-slack);
        let near: Vec<&Session> = self.sessions.iter().filter(touches).collect();
        let persons: BTreeSet<&PersonKey> = near.iter().map(|session| &session.person).collect();
        let person = match persons.len() {
            0 => return Err(Nobody::NoSession),
            1 => near[0].person.clone(),
            _ => return Err(Nobody::SessionChanged),
        };
        let covers = |session: &&&Session| session.from <= from.plus_us(slack) && end(session).plus_us(slack) >= to;
        if near.iter().any(|session| covers(&session)) { Ok(person) } else { Err(Nobody::NotCovered) }
    }

    /// Something of this person was measured: their session, if it is open, lasts longer.
    pub(crate) fn measured(&mut self, person: &PersonKey, at: Time) {
        if let Some(session) = self.last_open().filter(|session| session.person == *person) {
            session.seen = session.seen.max(at);
        }
    }

    /// Ends the open session when its time is over, or when the clock went back to before its last sign.
    fn expire(&mut self, now: Time) {
        let Limits { timeout_us, tolerance_us } = self.limits;
        if let Some(session) = self.last_open() {
            let deadline = session.seen.plus_us(timeout_us);
            if now >= deadline {
                session.until = Some(deadline);
            } else if now.plus_us(tolerance_us) < session.seen {
                session.until = Some(session.seen);
            }
        }
    }

    fn last_open(&mut self) -> Option<&mut Session> {
        self.sessions.back_mut().filter(|session| session.until.is_none())
    }

    fn forget(&mut self) {
        while self.sessions.len() > SESSIONS_MAX {
            self.sessions.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ElderId;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { timeout_us: 180_000_000, tolerance_us: 2_000_000 };

    fn at(secs: i64) -> Time {
        Time::from_secs(1_800_000_000 + secs)
    }

    fn elder(id: u32) -> PersonKey {
        PersonKey::elder(ElderId(id))
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: at(from), to: at(to), slack_us: 0 }
    }

    #[test]
    fn a_measurement_is_of_who_stood_there_for_all_of_it() {
        let mut book = Book::restored(LIMITS, &[]);
        assert_eq!(book.who(span(0, 0), at(1)), Err(Nobody::NoSession));
        assert_eq!(book.open(elder(1), at(10)), Opened::New);
        assert_eq!(book.who(span(20, 50), at(51)), Ok(elder(1)));
        // The cuff was begun before the card.
        assert_eq!(book.who(span(0, 40), at(52)), Err(Nobody::NotCovered));
        assert_eq!(book.open(elder(2), at(60)), Opened::Instead);
        assert_eq!(book.who(span(40, 70), at(71)), Err(Nobody::SessionChanged), "begun by one, ended by the other");
        assert_eq!(book.who(span(75, 75), at(76)), Ok(elder(2)));
        assert_eq!(book.who(span(20, 50), at(77)), Ok(elder(1)), "told late, taken then");
        assert_eq!(book.who(span(61, 61), at(78)), Err(Nobody::SessionChanged), "too close to the change to be sure");
    }

    #[test]
    fn an_inexact_time_widens_the_doubt() {
        let mut book = Book::restored(LIMITS, &[]);
        book.open(elder(1), at(0));
        book.open(elder(2), at(60));
        let exact = span(70, 70);
        assert_eq!(book.who(exact, at(80)), Ok(elder(2)));
        assert_eq!(book.who(Span { slack_us: 15_000_000, ..exact }, at(80)), Err(Nobody::SessionChanged));
    }

    #[test]
    fn a_session_ends_by_time_and_a_measurement_or_the_card_prolongs_it() {
        let mut book = Book::restored(LIMITS, &[]);
        book.open(elder(1), at(0));
        book.measured(&elder(1), at(100));
        assert_eq!(book.current(at(279)).map(|current| current.until), Some(at(280)));
        assert_eq!(book.open(elder(1), at(279)), Opened::Again);
        assert_eq!(book.who(span(400, 400), at(400)), Ok(elder(1)));
        assert_eq!(book.current(at(459)), None);
        assert_eq!(book.who(span(455, 470), at(470)), Err(Nobody::NotCovered));
        assert_eq!(book.who(span(465, 470), at(470)), Err(Nobody::NoSession));
        book.open(elder(1), at(500));
        assert!(book.close(at(510)));
        assert!(!book.close(at(511)));
        assert_eq!(book.who(span(520, 520), at(520)), Err(Nobody::NoSession));
        // The measurement of a person whose session is over prolongs nobody else's.
        book.open(elder(2), at(600));
        book.measured(&elder(1), at(700));
        assert_eq!(book.current(at(779)).map(|current| current.until), Some(at(780)));
    }

    #[test]
    fn a_restart_ends_the_session_at_its_last_sign() {
        let mut book = Book::restored(LIMITS, &[]);
        book.open(elder(1), at(0));
        book.open(elder(2), at(60));
        book.measured(&elder(2), at(90));
        let text = serde_json::to_string(&book.saved()).unwrap();
        let mut book = Book::restored(LIMITS, &serde_json::from_str::<Vec<Saved>>(&text).unwrap());
        assert_eq!(book.current(at(100)), None);
        assert_eq!(book.who(span(20, 40), at(100)), Ok(elder(1)), "what was taken before is still told apart");
        assert_eq!(book.who(span(80, 90), at(100)), Ok(elder(2)));
        assert_eq!(book.who(span(95, 99), at(100)), Err(Nobody::NoSession));
    }

    #[test]
    fn a_clock_that_goes_back_ends_the_session() {
        let mut book = Book::restored(LIMITS, &[]);
        book.open(elder(1), at(1_000));
        assert_eq!(book.current(at(100)), None);
        assert_eq!(book.who(span(90, 100), at(100)), Err(Nobody::NoSession));
    }

    #[test]
    fn the_book_stays_small() {
        let mut book = Book::restored(LIMITS, &[]);
        for i in 0..2_000 {
            book.open(elder(1 + i), at(i64::from(i)));
        }
        assert_eq!(book.saved().len(), SESSIONS_MAX);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Card(u32),
        Hand,
        Restart,
        /// So many seconds long, ended so many seconds ago, off by so much.
        Measure {
            long: i64,
            ago: i64,
            slack: i64,
        },
    }

    fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
        let step = prop_oneof![
            4 => (1..4_u32).prop_map(Step::Card),
            1 => Just(Step::Hand),
            1 => Just(Step::Restart),
            8 => (0..90_i64, 0..60_i64, 0..8_i64).prop_map(|(long, ago, slack)| Step::Measure { long, ago, slack }),
        ];
        proptest::collection::vec((0..120_i64, step), 1..60)
    }

    proptest! {
        /// Against a plain list of what happened, second by second: a reading is given to a person only if that person was the
        /// one at the devices in every second of it (but for the tolerance at its ends), and nobody else in any.
        #[test]
        fn no_reading_is_given_to_somebody_whose_session_did_not_cover_it(steps in steps()) {
            let mut book = Book::restored(LIMITS, &[]);
            // Who stood there in each second, written down independently of the book.
            let mut there: Vec<Option<u32>> = Vec::new();
            let (mut now, mut person, mut seen) = (0_i64, None::<u32>, 0_i64);
            for (wait, step) in steps {
                for second in now..now + wait {
                    if second >= seen + 180 {
                        person = None;
                    }
                    there.push(person);
                }
                now += wait;
                if now >= seen + 180 {
                    person = None;
                }
                match step {
                    Step::Card(id) => {
                        book.open(elder(id), at(now));
                        (person, seen) = (Some(id), now);
                    }
                    Step::Hand => {
                        book.close(at(now));
                        person = None;
                    }
                    Step::Restart => {
                        book = Book::restored(LIMITS, &book.saved());
                        if person.is_some() {
                            for second in seen..now {
                                there[second as usize] = None;
                            }
                        }
                        person = None;
                    }
                    Step::Measure { long, ago, slack } => {
                        let to = now - ago;
                        let told = Span { from: at(to - long), to: at(to), slack_us: slack * 1_000_000 };
                        let slack = slack.max(2);
                        if let Ok(key) = book.who(told, at(now)) {
                            let id = key.elder_id().unwrap().0;
                            for second in to - long + slack..to - slack {
                                let who = usize::try_from(second).ok().and_then(|second| there.get(second).copied()).flatten();
                                prop_assert_eq!(who, Some(id), "second {} of {}..{} at {}", second, to - long, to, now);
                            }
                            for second in (to - long - slack).max(0)..(to + slack).min(now) {
                                let other = there[second as usize].is_some_and(|who| who != id);
                                prop_assert!(!other, "somebody else at {} of {}..{}", second, to - long, to);
                            }
                            if person == Some(id) {
                                seen = seen.max(to);
                            }
                            book.measured(&key, at(to));
                        }
                    }
                }
            }
        }
    }
}
