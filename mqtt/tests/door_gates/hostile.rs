//! A hostile device: slow, fast, half closed, reset, lying about lengths and names, fighting for its id. Whatever it does,
//! it is counted, nothing of it stays behind, and the house stands.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vigil_mqtt::door::{CloseReason, Config, LinkChange};

use crate::support::*;

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test]
async fn everything_in_one_packet_is_answered_in_order() {
    for v5 in [false, true] {
        let house = House::open().await;
        let mut client = house.socket().await;
        let mut all = Connect::of(v5, "gw1").bytes();
        all.extend(subscribe(v5, 1, &[("vigil/1/s1/gw1/d/#", 1)]));
        all.extend(publish(v5, 1, 2, &up("gw1"), b"a"));
        all.extend([0xC0, 0]);
        all.extend(publish(v5, 0, 0, &up("gw1"), b"b"));
        all.extend([0xE0, 0]);
        client.send(&all).await;
        assert_eq!(client.packet().await.first, 0x20);
        assert_eq!(client.packet().await, suback(0x90, v5, 1, &[1]));
        let mut kinds = Vec::new();
        while let Some(packet) = client.next().await {
            kinds.push(packet.first);
        }
        // The PUBACK may come too late for a client that has left; never before the store.
        assert!(kinds == [0xD0] || kinds == [0xD0, 0x40] || kinds == [0x40, 0xD0], "{kinds:x?}");
        house.intake.until_count(2).await;
        assert_eq!(house.intake.payloads(), ["a", "b"]);
        let stats = house.stats("over", |stats| stats.tasks == 0).await;
        assert_eq!(stats.closed(CloseReason::Disconnected), 1);
    }
}

#[tokio::test]
async fn a_client_that_reads_late_is_read_again_afterwards() {
    const PINGS: usize = 10_000_000;
    // No timer of any kind: one would wake a sleeping link by accident.
    let house = House::with(Config { login_timeout_ms: 600_000, write_timeout_ms: 600_000, ..test_config() }).await;
    let client = house.client(&Connect { keep_alive: 0, ..Connect::v3("gw1") }).await;
    let (mut read, mut write) = tokio::io::split(client.io);
    // It sends without reading until we stop taking: our answers fill every buffer on the way.
    let flood = tokio::spawn(async move {
        let some = [0xC0, 0].repeat(50_000);
        for _ in 0..PINGS / 50_000 {
            write.write_all(&some).await.unwrap();
        }
        write
    });
    // Nothing moves any more: we wait for it to read, and it waits for us.
    let mut before = 0;
    while before == 0 || house.handle.stats().bytes_in > before {
        before = house.handle.stats().bytes_in;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(before < PINGS as u64, "the buffers on the way took all of it: {before} bytes");
    let mut got = 0;
    let mut buffer = vec![0; 256 << 10];
    // Now it reads, in its own time; every one of its pings is answered.
    while got < 2 * PINGS {
        let read =
            tokio::time::timeout(PATIENCE, read.read(&mut buffer)).await.expect("we were never read again").unwrap();
        assert_ne!(read, 0, "closed after {got} bytes");
        got += read;
    }
    let write = flood.await.unwrap();
    let mut client = Client::new(read.unsplit(write));
    client.ping().await;
    assert_eq!(house.handle.stats().links, 1);
}

#[tokio::test]
async fn a_state_said_with_the_last_breath_is_kept() {
    for v5 in [false, true] {
        let house = House::open().await;
        house.intake.set(Mode::Hold);
        let mut client = house.client(&Connect::of(v5, "gw1")).await;
        let mut last_words = publish_flags(v5, 3, 1, &state("gw1"), b"sleeping");
        last_words.extend([0xE0, 0]);
        client.send(&last_words).await;
        drop(client);
        house.intake.until("stored", |intake| intake.held() == 1).await;
        house.stats("gone", |stats| stats.tasks == 0).await;
        assert!(house.retained.0.lock().unwrap().is_empty(), "not before it is stored");
        house.intake.release(false);
        assert_eq!(
            house.retained.0.lock().unwrap().get(&state("gw1")).map(|payload| &**payload),
            Some(&b"sleeping"[..])
        );
    }
}

/// How far a client gets before it misbehaves: what it sends, and whether it is logged in by then.
fn stages(v5: bool) -> Vec<(&'static str, Vec<u8>, bool)> {
    let connect = Connect::of(v5, "gw1").bytes();
    let publish = publish(v5, 1, 1, &up("gw1"), &[b'x'; 300]);
    let after = |more: &[u8]| [&connect, more].concat();
    vec![
        ("nothing", vec![], false),
        ("one byte", connect[..1].to_vec(), false),
        ("half a CONNECT", connect[..9].to_vec(), false),
        ("CONNECT", connect.clone(), true),
        ("half a header", after(&publish[..2]), true),
        ("half a payload", after(&publish[..100]), true),
        ("a publish", after(&publish), true),
        ("subscribe", after(&subscribe(v5, 2, &[("vigil/1/s1/gw1/d/#", 1)])), true),
    ]
}

#[tokio::test]
async fn reset_or_half_closed_at_any_moment_leaves_nothing_behind() {
    let house = House::open().await;
    house.probe().await;
    house.stats("settled", |stats| stats.tasks == 0).await;
    let before = files();
    for v5 in [false, true] {
        for (stage, bytes, logged_in) in stages(v5) {
            for reset in [true, false] {
                // Half of the time the store answers only after the client is gone.
                house.intake.set(if reset { Mode::Hold } else { Mode::Answer(stored) });
                let mut client = house.socket().await;
                client.send(&bytes).await;
                if logged_in {
                    client.packet().await;
                }
                if reset {
                    socket2::SockRef::from(&client.io).set_linger(Some(Duration::ZERO)).unwrap();
                } else {
                    client.io.shutdown().await.unwrap();
                    while client.next().await.is_some() {}
                }
                drop(client);
                let stats = house.stats(stage, |stats| stats.tasks == 0).await;
                assert_eq!(stats.links, 0, "{stage}");
                while house.intake.release(false) {}
            }
        }
    }
    house.intake.set(Mode::Answer(stored));
    house.probe().await;
    let stats = house.stats("settled", |stats| stats.tasks == 0).await;
    // Every socket was counted under one reason, and every `Up` has its `Lost`.
    assert_eq!(stats.accepted, 2 + 2 * 2 * 8);
    assert_eq!(stats.closed.values().sum::<u64>(), stats.accepted);
    let (ups, losses): (Vec<_>, Vec<_>) =
        house.intake.links().into_iter().partition(|change| *change == LinkChange::Up);
    assert_eq!((ups.len(), losses.len()), (2 + 2 * 2 * 5, 2 + 2 * 2 * 5));
    assert!(files() <= before + 2, "descriptors {before} -> {}", files());
}

#[tokio::test]
async fn a_trickle_does_not_hold_the_entrance() {
    let house = House::with(Config { login_timeout_ms: 300, ..test_config() }).await;
    // One byte now and then, for ever: the login has one deadline, not one for each byte.
    let mut slow = Vec::new();
    for v5 in [false, true] {
        for stop_at in [1, 2, 8, 12] {
            let mut client = house.socket().await;
            let bytes = Connect::of(v5, "gw1").bytes();
            slow.push(tokio::spawn(async move {
                for byte in bytes.iter().take(stop_at).chain(std::iter::repeat_n(&0, 10_000)) {
                    if client.io.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
            }));
        }
    }
    house.probe().await;
    for task in slow {
        tokio::time::timeout(PATIENCE, task).await.expect("put out").unwrap();
    }
    let stats = house.stats("all gone", |stats| stats.tasks == 0).await;
    assert_eq!((stats.links, stats.logins), (0, 1));
}

#[tokio::test]
async fn two_clients_with_one_id_fight_and_nothing_leaks() {
    const ROUNDS: u64 = 200;
    let house = House::open().await;
    house.probe().await;
    house.stats("settled", |stats| stats.tasks == 0).await;
    let before = files();
    let topic = state("gw1");
    let connect = Connect { will: Some((&topic, "lost", 1, true, 0)), ..Connect::v5("gw1") };
    let mut holder = house.client(&connect).await;
    for _ in 1..ROUNDS {
        let newcomer = house.client(&connect).await;
        holder.disconnected(0x8E).await;
        holder = newcomer;
    }
    // And all at once, each as soon as it can.
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (addr, bytes) = (house.addr, connect.bytes());
        storm.spawn(async move {
            let mut client = Client::new(tokio::net::TcpStream::connect(addr).await.unwrap());
            client.send(&bytes).await;
            assert_eq!(client.packet().await.first, 0x20);
            while client.next().await.is_some() {}
        });
    }
    let stats = house.stats("one is left", |stats| stats.logins == ROUNDS + 51 && stats.tasks == 1).await;
    assert_eq!((stats.links, stats.taken_over), (1, ROUNDS + 49));
    assert_eq!(house.intake.wills().len() as u64, ROUNDS + 49, "each loser's will, once");
    storm.abort_all();
    while storm.join_next().await.is_some() {}
    drop(holder);
    house.stats("all gone", |stats| stats.tasks == 0).await;
    assert_eq!(house.intake.wills().len() as u64, ROUNDS + 50);
    assert!(files() <= before + 2, "descriptors {before} -> {}", files());
}

#[tokio::test]
async fn names_that_are_no_text_are_refused_everywhere() {
    let house = House::open().await;
    // A lone byte, an overlong NUL, a surrogate, beyond Unicode, cut short.
    let traps: [&[u8]; 5] = [&[0xFF], &[0xC0, 0x80], &[0xED, 0xA0, 0x80], &[0xF4, 0x90, 0x80, 0x80], &[0xE4, 0xBD]];
    for trap in traps {
        for v5 in [false, true] {
            let connack = async |connect: Connect<'_>| {
                let mut client = house.socket().await;
                client.send(&connect.bytes()).await;
                client.next().await.map(|packet| packet.body[1])
            };
            assert_ne!(connack(Connect { id: trap, ..Connect::of(v5, "") }).await, Some(0), "client id {trap:x?}");
            let mut topic = b"vigil/1/s1/gw1/u/vit/".to_vec();
            topic.extend_from_slice(trap);
            let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
            body.extend_from_slice(&topic);
            let filter = [&[0, 1][..], if v5 { &[0] } else { &[] }, &body, &[1]].concat();
            body.extend([0, 1]);
            if v5 {
                body.push(0);
            }
            for (what, bytes) in [("topic", packet(0x32, &body)), ("filter", packet(0x82, &filter))] {
                let mut client = house.client(&Connect::of(v5, "gw1")).await;
                client.send(&bytes).await;
                match client.next().await {
                    Some(answer) => assert!(v5 && answer.first == 0xE0, "{what} {trap:x?}: {answer:x?}"),
                    None => assert!(!v5, "{what} {trap:x?}: a v5 client is told"),
                }
            }
        }
    }
    house.stats("all gone", |stats| stats.tasks == 0).await;
    assert!(house.intake.payloads().is_empty());
    house.probe().await;
}

#[tokio::test]
async fn lengths_that_lie_end_only_their_link() {
    let house = House::open().await;
    for v5 in [false, true] {
        // Each packet type with nothing in it.
        for kind in 0..16_u8 {
            let mut client = house.client(&Connect::of(v5, "gw1")).await;
            client.send(&[kind << 4, 0]).await;
            if kind == 12 {
                assert_eq!(client.packet().await, Packet { first: 0xD0, body: vec![] });
                continue;
            }
            match client.next().await {
                Some(answer) => assert_eq!((v5, answer.first), (true, 0xE0), "type {kind}: {answer:x?}"),
                None => assert!(!v5 || kind == 14, "type {kind}: a v5 client is told"),
            }
        }
        // An inner length beyond the packet's end.
        for bytes in [
            vec![0x32, 4, 0xFF, 0xFF, 0, 1],
            vec![0x82, 5, 0, 1, 0xFF, 0xFF, 1],
            vec![0xA2, 4, 0, 1, 0xFF, 0xFF],
            vec![0x32, 2, 0, 5],
        ] {
            let mut client = house.client(&Connect::of(v5, "gw1")).await;
            client.send(&bytes).await;
            match client.next().await {
                Some(answer) => assert_eq!((v5, answer.first), (true, 0xE0), "{bytes:x?}"),
                None => assert!(!v5, "{bytes:x?}"),
            }
        }
    }
    let stats = house.stats("all gone", |stats| stats.tasks == 0).await;
    assert_eq!(stats.closed.values().sum::<u64>(), stats.accepted, "each under one reason");
    house.probe().await;
}

#[tokio::test]
async fn a_packet_id_used_twice_is_answered_twice() {
    let house = House::open().await;
    house.intake.set(Mode::Hold);
    let mut client = house.client(&Connect::v3("gw1")).await;
    for payload in [b"a", b"b"] {
        client.send(&publish(false, 1, 9, &up("gw1"), payload)).await;
    }
    // A SUBSCRIBE with the id of a publish under way is a matter of its own.
    client.send(&subscribe(false, 9, &[("vigil/1/s1/gw1/d/#", 0)])).await;
    assert_eq!(client.packet().await, suback(0x90, false, 9, &[0]));
    house.intake.until_count(2).await;
    while house.intake.release(false) {}
    assert_eq!((client.packet().await, client.packet().await), (puback(9), puback(9)));
    assert_eq!(house.intake.payloads(), ["a", "b"]);
}

#[tokio::test]
async fn thousands_of_filters_are_answered_and_few_are_kept() {
    let house = House::open().await;
    let names: Vec<_> = (0..2_500).map(|n| format!("vigil/1/s1/gw1/d/{n}")).collect();
    let filters: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut client = house.client(&Connect::v5("gw1")).await;
    // 27 packets of 2,500: more than 65,535 filters.
    for id in 1..=27 {
        client.send(&subscribe(true, id, &filters)).await;
        let answer = client.packet().await;
        assert_eq!(answer.body.len(), 3 + 2_500);
        let (granted, refused) = answer.body[3..].split_at(64);
        assert!(granted.iter().all(|code| *code == 1) && refused.iter().all(|code| *code == 0x97));
    }
    client.send(&unsubscribe(true, 28, &names.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let answer = client.packet().await;
    let (granted, unknown) = answer.body[3..].split_at(64);
    assert!(granted.iter().all(|code| *code == 0) && unknown.iter().all(|code| *code == 0x11));
    client.ping().await;
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let house = House::open().await;
    let other = state("gw2");
    for v5 in [false, true] {
        // Retained to another's state, or where nothing is retained.
        for topic in [other.as_str(), "vigil/1/s1/gw1/d/cmd", "vigil/1/s1/gw1/st/x"] {
            let mut client = house.client(&Connect::of(v5, "gw1")).await;
            client.send(&publish_flags(v5, 3, 1, topic, b"up")).await;
            match client.next().await {
                Some(answer) => assert_eq!((v5, answer), (true, puback_code(1, 0x87))),
                None => assert!(!v5),
            }
        }
        // A will for another is refused at the door, with the login itself.
        let mut client = house.socket().await;
        client.send(&Connect { will: Some((&other, "lost", 1, true, 0)), ..Connect::of(v5, "gw1") }.bytes()).await;
        assert_eq!(client.packet().await.body[1], if v5 { 0x87 } else { 5 });
    }
    assert!(house.retained.0.lock().unwrap().is_empty());
    assert!(house.intake.payloads().is_empty());
}
