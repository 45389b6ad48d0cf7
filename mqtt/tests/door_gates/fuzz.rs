//! Gate G12: mutated packets on both versions, before and after login, on the protocol state itself: no panic, and
//! every reaction keeps the promises. `VIGIL_FUZZ_PACKETS` sets the count; the seed is printed.

use std::sync::Arc;

use bytes::Bytes;
use model::{GatewayId, Name, Time};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use vigil_mqtt::door::protocol::{Host, Limits, Machine, Output, Will};
use vigil_mqtt::door::{CloseReason, Config, Dialect, Identity, Login, LoginError, Retained, Verdict};

use crate::support::*;

struct FuzzHost;

impl Host for FuzzHost {
    fn identify(&mut self, login: &Login<'_>) -> Result<Identity, LoginError> {
        let name = Name::new(login.client_id).map_err(|_| LoginError::BadClientId)?;
        Ok(Identity {
            gateway: GatewayId(1),
            site: Name::new("s1").map_err(|_| LoginError::Unavailable)?,
            open_acl: name.as_str().starts_with("open"),
            dialect: if name.as_str().starts_with("tb") { Dialect::ThingsBoard } else { Dialect::Vigil },
            name,
        })
    }
    fn admit(&mut self, _: &Arc<Identity>, _: Option<Will>, _: bool) -> Result<Vec<u16>, CloseReason> {
        Ok(vec![9])
    }
    fn retained(&mut self, filter: &str) -> Vec<Retained> {
        vec![Retained { topic: filter.to_owned(), payload: Bytes::from_static(b"up") }]
    }
    fn now(&self) -> Time {
        Time::default()
    }
}

/// One well-formed packet of every kind a client sends, and some only a server does.
fn seeds(v5: bool) -> Vec<Vec<u8>> {
    let topic = up("gw1");
    let mut seeds = vec![
        Connect { will: Some(("vigil/1/s1/gw1/st", "lost", 1, true, 30)), ..Connect::of(v5, "gw1") }.bytes(),
        Connect::of(v5, "open1").bytes(),
        publish(v5, 0, 0, &topic, b"{}"),
        publish(v5, 1, 1, &topic, b"{\"v\":1}"),
        publish(v5, 2, 2, &topic, b"x"),
        publish_flags(v5, 8 | 4, 2, &topic, b"x"),
        publish_flags(v5, 3, 3, &state("gw1"), b"up"),
        packet(0x62, &[0, 2]),
        packet(0x40, &[0, 1]),
        packet(0x50, &[0, 1]),
        packet(0x70, &[0, 1]),
        subscribe(v5, 4, &[("vigil/1/s1/gw1/d/#", 1), ("+/x/#", 0)]),
        unsubscribe(v5, 5, &["vigil/1/s1/gw1/d/#"]),
        vec![0xC0, 0],
        vec![0xE0, 0],
        vec![0xB5, 1, 0],
        vec![0x20, 2, 0, 0],
    ];
    if v5 {
        seeds.push(publish_properties(Some(&[0x23, 0, 1]), 2, 6, &topic, b"x"));
        seeds.push(publish_properties(Some(&[0x23, 0, 1]), 2, 7, "", b"x"));
        seeds.push(publish_properties(Some(&[0x26, 0, 1, b'a', 0, 1, b'b', 0x02, 0, 0, 0, 9]), 2, 8, &topic, b"x"));
        seeds.push(vec![0xE0, 2, 4, 0]);
        seeds.push(packet(0xF0, &[0x18, 0]));
    }
    seeds
}

fn mutate(packet: &mut Vec<u8>, random: &mut SmallRng) {
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..packet.len().max(1));
        match random.random_range(0..6) {
            0 if !packet.is_empty() => packet[at] ^= 1 << random.random_range(0..8),
            1 if !packet.is_empty() => packet[at] = random.random(),
            2 => packet.insert(at.min(packet.len()), random.random()),
            3 if !packet.is_empty() => drop(packet.remove(at)),
            4 => packet.truncate(at),
            _ if packet.len() > 1 => packet[1] = packet[1].wrapping_add(random.random_range(0..5)).wrapping_sub(2),
            _ => {}
        }
    }
}

/// Feeds packets to fresh machines, some logged in, and answers what they submit in random ways.
fn run(v5: bool, count: usize, seed: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let limits = Arc::new(Limits::new(&Config::default()));
    let (seeds, login) = (seeds(v5), Connect::of(v5, "gw1").bytes());
    let (mut sent, mut deep) = (0, 0);
    while sent < count {
        let mut machine = Machine::new(Arc::clone(&limits), ([127, 0, 0, 1], 1).into(), false);
        let (mut out, mut submitted, mut answered) = (Output::default(), Vec::new(), 0_usize);
        if random.random_bool(0.8) {
            machine.feed(&login, &mut FuzzHost, &mut out);
            assert!(machine.identity().is_some());
        }
        while machine.closed().is_none() && sent < count {
            let mut packet = seeds.choose(&mut random).unwrap().clone();
            mutate(&mut packet, &mut random);
            let mut rest = packet.as_slice();
            sent += 1;
            while !rest.is_empty() && machine.closed().is_none() && !machine.is_paused() {
                let some = random.random_range(1..=rest.len());
                let used = machine.feed(&rest[..some], &mut FuzzHost, &mut out);
                assert!(used <= some && (used > 0 || machine.is_paused() || machine.closed().is_some()));
                rest = &rest[used..];
            }
            if !out.publishes.is_empty() {
                for publish in out.publishes.drain(..) {
                    assert!(publish.topic.starts_with("vigil/1/s1/gw1/") || machine.identity().unwrap().open_acl);
                    assert!(!publish.topic.contains(['+', '#', '\0']) && publish.qos <= if v5 { 1 } else { 2 });
                    answered += 1;
                }
                submitted.push((machine.batch(), answered));
                answered = 0;
            }
            if random.random_bool(0.3) && !submitted.is_empty() {
                let (batch, count) = submitted.swap_remove(random.random_range(0..submitted.len()));
                let verdicts = [Verdict::Stored, Verdict::Stored, Verdict::Malformed("x"), Verdict::Duplicate];
                let verdicts: Vec<_> = (0..count).map(|_| *verdicts.choose(&mut random).unwrap()).collect();
                machine.verdicts(batch, &verdicts, &mut out);
            }
            if random.random_bool(0.05) {
                machine.send("vigil/1/s1/gw1/d/cmd".to_owned(), Bytes::from_static(b"x"), 1, &mut out);
            }
            if machine.is_paused() && submitted.is_empty() {
                break;
            }
            if machine.is_paused() {
                for (batch, count) in std::mem::take(&mut submitted) {
                    machine.verdicts(batch, &vec![Verdict::Stored; count], &mut out);
                }
            }
            assert!(machine.pending() <= 300);
            out.write.clear();
        }
        deep += usize::from(machine.identity().is_some());
    }
    deep
}

fn count() -> usize {
    std::env::var("VIGIL_FUZZ_PACKETS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000) / 2
}

fn seed() -> u64 {
    let seed = std::env::var("VIGIL_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    eprintln!("VIGIL_FUZZ_SEED={seed}, {} packets", count());
    seed
}

#[test]
fn g12_mutated_packets_of_3_1_1_never_panic() {
    assert!(run(false, count(), seed()) > 100);
}

#[test]
fn g12_mutated_packets_of_v5_never_panic() {
    assert!(run(true, count(), seed()) > 100);
}
