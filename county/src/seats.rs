//! The seats: a queue with two priorities and so many people, as Erlang's, but with the arrivals as they come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use model::{Priority, Time};

use crate::dice::Dice;
use crate::figures as f;
use crate::watch::Watch;

/// How the seats did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    /// Seconds from the alarm to a person, of P1 and of P2, in order of service.
    pub(crate) waits_s: [Vec<f64>; 2],
    /// Handling time in all, seconds.
    pub(crate) busy_s: f64,
    /// Told again while it was waiting or in hand: no new work.
    pub(crate) merged: u64,
    /// Not served when the run ended.
    pub(crate) waiting: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Idle,
    Waiting,
    /// Until then.
    InHand(Time),
}

/// Plays the work of a run. A P1 goes before every P2; whoever is on the telephone finishes.
pub(crate) fn serve(watch: &Watch, seats: u32, seed: u64, end: Time) -> Served {
    let mut served = Served::default();
    let mut dice = Dice::new(seed, 0x5EA7);
    let mut state = vec![State::Idle; watch.alarms.len()];
    let mut free: BinaryHeap<Reverse<Time>> = (0..seats.max(1)).map(|_| Reverse(Time(i64::MIN))).collect();
    let mut queues: [VecDeque<(Time, u32)>; 2] = [VecDeque::new(), VecDeque::new()];
    let mut start = |queues: &mut [VecDeque<(Time, u32)>; 2], state: &mut [State], now: Time| loop {
        let Some(Reverse(at)) = free.peek().copied() else { return };
        let next = if queues[0].is_empty() { &mut queues[1] } else { &mut queues[0] };
        let Some((came, alarm)) = next.front().copied() else { return };
        let begins = at.max(came);
        if begins > now {
            return;
        }
        // A P1 that comes while a seat is still taken goes before it.
        next.pop_front();
        free.pop();
        let real = watch.alarms[alarm as usize].real == Some(true);
        let handling_s = dice.wait(if real { f::HANDLING_REAL_S } else { f::HANDLING_FALSE_S });
        let done = begins.plus_us((handling_s * 1e6) as i64);
        free.push(Reverse(done));
        state[alarm as usize] = State::InHand(done);
        served.busy_s += handling_s;
        let urgent = watch.alarms[alarm as usize].priority == Priority::P1;
        served.waits_s[usize::from(!urgent)].push(begins.since_us(came) as f64 / 1e6);
    };
    for work in &watch.work {
        start(&mut queues, &mut state, work.at);
        let index = work.alarm as usize;
        match state[index] {
            State::Waiting => {
                served.merged += 1;
                // Worse now: it moves to the front queue, with the time it came.
                if work.priority == Priority::P1
                    && let Some(place) = queues[1].iter().position(|(_, alarm)| *alarm == work.alarm)
                    && let Some(waiting) = queues[1].remove(place)
                {
                    queues[0].push_back(waiting);
                }
                continue;
            }
            State::InHand(until) if until > work.at => {
                served.merged += 1;
                continue;
            }
            State::Idle | State::InHand(_) => {}
        }
        state[index] = State::Waiting;
        queues[usize::from(work.priority != Priority::P1)].push_back((work.at, work.alarm));
    }
    start(&mut queues, &mut state, end);
    served.waiting = queues.iter().map(|queue| queue.len() as u64).sum();
    served
}
