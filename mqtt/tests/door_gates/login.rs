//! Gates G1 to G3: who gets in, who is refused with which code, and that nobody else notices.

use tokio::io::AsyncWriteExt;
use vigil_mqtt::door::{CloseReason, Config, LinkChange};

use crate::support::*;

/// The CONNACK to a CONNECT, `None` when the link was just closed; then the end of the link.
async fn refusal(house: &House, bytes: &[u8]) -> Option<u8> {
    let mut client = house.socket().await;
    client.send(bytes).await;
    let answer = client.next().await;
    if answer.is_some() {
        client.closed().await;
    }
    answer.map(|packet| {
        assert_eq!(packet.first, 0x20);
        packet.body[1]
    })
}

#[tokio::test]
async fn g1_bad_client_ids_are_refused_twice_and_nobody_notices() {
    let house = House::open().await;
    let long = "x".repeat(60_000);
    let ids: [&[u8]; 8] = [b"dev#1", b"a/b", b"a+b", b"$sys", b"", long.as_bytes(), &[0xFF, 0xFE, 0x41], b"with\0nul"];
    for id in ids {
        for (v5, code) in [(false, 2), (true, 0x85)] {
            // Too long to be read: v5 can say so; 3.1.1 names the id.
            let code = if id.len() > 60_000 - 1 && v5 { 0x95 } else { code };
            let connect = Connect { id, ..Connect::of(v5, "") };
            let connect = if id.is_empty() { Connect { clean: false, ..connect } } else { connect };
            for _ in 0..2 {
                assert_eq!(refusal(&house, &connect.bytes()).await, Some(code), "{:?} v5={v5}", &id[..id.len().min(9)]);
            }
        }
    }
    house.probe().await;
    let stats = house.stats("all gone", |stats| stats.tasks == 0).await;
    assert_eq!((stats.links, stats.logins), (0, 1));
    assert_eq!(stats.closed(CloseReason::BadClientId), 8 * 4 - 2);
}

#[tokio::test]
async fn g1_an_empty_id_is_nobodys_name() {
    let house = House::open().await;
    // Allowed by the standard with a clean session; but it is not this gateway's name.
    for (v5, code) in [(false, 2), (true, 0x85)] {
        let connect = Connect { user: "gw1", ..Connect::of(v5, "") };
        assert_eq!(refusal(&house, &connect.bytes()).await, Some(code));
    }
    // A ThingsBoard device may call itself what it likes: its token says who it is.
    house.client(&Connect { user: "tb1", ..Connect::v3("") }).await.ping().await;
}

#[tokio::test]
async fn refusals_say_why() {
    let house = House::open().await;
    let wrong = |v5| Connect { password: "wrong", ..Connect::of(v5, "gw1") }.bytes();
    let foreign = |v5| Connect { user: "gw2", ..Connect::of(v5, "gw1") }.bytes();
    let level = |level| {
        let mut bytes = Connect::v3("gw1").bytes();
        bytes[8] = level;
        bytes
    };
    let old = packet(0x10, b"\0\x06MQIsdp\x03\x02\0\x1e\0\x03gw1");
    let method = Connect { properties: vec![0x15, 0, 1, b'x'], ..Connect::v5("gw1") }.bytes();
    let will =
        |v5, topic, qos| Connect { will: Some((topic, "gone", qos, false, 0)), ..Connect::of(v5, "gw1") }.bytes();
    let will_flags = |flags: u8| {
        let mut bytes = Connect::v3("gw1").bytes();
        bytes[9] |= flags;
        bytes
    };
    for (what, bytes, answer, reason) in [
        ("password", wrong(false), Some(4), CloseReason::BadCredentials),
        ("password", wrong(true), Some(0x86), CloseReason::BadCredentials),
        ("id of another", foreign(false), Some(2), CloseReason::BadClientId),
        ("id of another", foreign(true), Some(0x85), CloseReason::BadClientId),
        ("registry down", Connect::v3("down").bytes(), Some(3), CloseReason::Unavailable),
        ("registry down", Connect::v5("down").bytes(), Some(0x88), CloseReason::Unavailable),
        ("retired", Connect::v3("retired").bytes(), Some(5), CloseReason::NotAuthorised),
        ("retired", Connect::v5("retired").bytes(), Some(0x87), CloseReason::NotAuthorised),
        ("MQTT 3.1", old, Some(1), CloseReason::BadVersion),
        ("level 3", level(3), Some(1), CloseReason::BadVersion),
        ("level 6", level(6), Some(0x84), CloseReason::BadVersion),
        ("auth method", method, Some(0x8C), CloseReason::BadAuthMethod),
        ("will elsewhere", will(false, "vigil/1/s1/gw2/st", 1), Some(5), CloseReason::NotAuthorised),
        ("will elsewhere", will(true, "vigil/1/s1/gw2/st", 1), Some(0x87), CloseReason::NotAuthorised),
        ("will wildcard", will(true, "vigil/1/s1/gw1/#", 1), Some(0x90), CloseReason::BadTopic),
        ("will QoS 2", will(true, "vigil/1/s1/gw1/st", 2), Some(0x9B), CloseReason::QosNotSupported),
        ("will QoS without will", will_flags(0x08), None, CloseReason::BadConnect),
        ("reserved flag", will_flags(0x01), None, CloseReason::BadConnect),
        ("no CONNECT", publish(false, 1, 1, &up("gw1"), b"x"), None, CloseReason::BadConnect),
        ("UNSUBACK before login", vec![0xB5, 1, 0], None, CloseReason::BadConnect),
        ("wrong protocol name", packet(0x10, b"\0\x04HTTP\x04\x02\0\x1e\0\0"), None, CloseReason::BadConnect),
        ("web browser", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), None, CloseReason::BadConnect),
    ] {
        let before = house.handle.stats().closed(reason);
        assert_eq!(refusal(&house, &bytes).await, answer, "{what}");
        house.stats(what, |stats| stats.closed(reason) == before + 1).await;
    }
    assert_eq!(house.intake.links(), [], "nobody was up");
    house.probe().await;
}

#[tokio::test]
async fn g2_a_thousand_resets_before_the_connack_leave_nothing_behind() {
    let house = House::open().await;
    let files = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    house.probe().await;
    house.stats("settled", |stats| stats.tasks == 0).await;
    let before = files();
    let connect = Connect::v3("gw1").bytes();
    for _ in 0..1_000 {
        let mut client = house.socket().await;
        client.io.write_all(&connect).await.unwrap();
        socket2::SockRef::from(&client.io).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
    house.probe().await;
    let stats = house.stats("all gone", |stats| stats.tasks == 0 && stats.accepted == 1_002).await;
    assert_eq!(stats.links, 0);
    assert!(files() <= before + 4, "descriptors {before} -> {}", files());
    let ups = house.intake.links().iter().filter(|change| **change == LinkChange::Up).count() as u64;
    assert_eq!(stats.logins, ups, "everyone who came in was announced");
}

#[tokio::test]
async fn g3_over_the_limit_is_told_so_and_works_later() {
    let house = House::with(Config { links_max: 20, ..test_config() }).await;
    let topics: Vec<_> = (0..20).map(|n| state(&format!("gw{n}"))).collect();
    let mut clients = Vec::new();
    for (n, topic) in topics.iter().enumerate() {
        let id = format!("gw{n}");
        clients.push(house.client(&Connect { will: Some((topic, "lost", 1, false, 0)), ..Connect::v3(&id) }).await);
    }
    for n in 20..30 {
        let id = format!("gw{n}");
        for _ in 0..2 {
            assert_eq!(refusal(&house, &Connect::v3(&id).bytes()).await, Some(3));
            assert_eq!(refusal(&house, &Connect::v5(&id).bytes()).await, Some(0x89));
        }
    }
    assert_eq!(house.handle.stats().closed(CloseReason::TooManyLinks), 40);
    // A gateway that is in may come again: its own seat is its own.
    let again = house.client(&Connect::v3("gw0")).await;
    house.intake.until("take-over fired the will", |intake| intake.wills().len() == 1).await;
    drop(again);
    house.stats("one left", |stats| stats.links == 19).await;
    house.probe().await;
    drop(clients);
    house.intake.until("the others' wills", |intake| intake.wills().len() == 20).await;
}

#[tokio::test]
async fn idle_strangers_give_way_to_newcomers() {
    let house = House::with(Config { strangers_max: 8, ..test_config() }).await;
    let mut inside = house.client(&Connect::v3("gw1")).await;
    let mut idle = futures_join((0..8).map(|_| house.socket())).await;
    house.stats("eight strangers", |stats| stats.tasks == 9).await;
    // The entrance is full, and still everyone who says who they are gets in.
    for n in 2..6 {
        let id = format!("gw{n}");
        let mut client = house.client(&Connect::v3(&id)).await;
        client.send(&[0xE0, 0]).await;
        client.closed().await;
    }
    // Those who waited longest went, one for each newcomer while there were too many.
    idle[0].closed().await;
    house.stats("the oldest went", |stats| stats.closed(CloseReason::TooManyLinks) == 1).await;
    inside.ping().await;
    drop(idle);
    house.stats("strangers gone", |stats| stats.tasks == 1).await;
    house.probe().await;
}

async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all = Vec::new();
    for future in futures {
        all.push(future.await);
    }
    all
}

#[tokio::test]
async fn a_connect_that_never_comes_is_closed() {
    let house = House::with(Config { login_timeout_ms: 100, ..test_config() }).await;
    let mut silent = house.socket().await;
    let mut slow = house.socket().await;
    slow.send(&Connect::v3("gw1").bytes()[..10]).await;
    silent.closed().await;
    slow.closed().await;
    let stats = house.stats("counted", |stats| stats.closed(CloseReason::ConnectTimeout) == 2).await;
    assert_eq!(stats.logins, 0);
    // Once logged in, the login's clock is off.
    let mut client = house.client(&Connect::v3("gw1")).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    client.ping().await;
}

#[tokio::test]
async fn too_many_from_one_address_are_turned_away() {
    let house = House::with(Config { links_per_address_per_s: 1, ..test_config() }).await;
    for _ in 0..12 {
        let mut client = house.socket().await;
        let _closed_or_not = client.io.write_all(&Connect::v3("gw1").bytes()).await;
    }
    let stats = house.stats("all seen", |stats| stats.accepted == 12).await;
    assert!(stats.closed(CloseReason::TooFast) >= 7, "{stats:?}");
}

#[tokio::test]
async fn the_newer_link_takes_over() {
    let house = House::open().await;
    for (v5, round) in [(false, 0), (true, 1)] {
        let topic = state("gw1");
        let connect = Connect { will: Some((&topic, "lost", 1, true, 0)), ..Connect::of(v5, "gw1") };
        let mut old = house.client(&connect).await;
        let mut new = house.client(&Connect::of(v5, "gw1")).await;
        if v5 {
            old.disconnected(0x8E).await;
        } else {
            old.closed().await;
        }
        // The will stands before anything the newcomer says.
        new.send(&publish(v5, 1, 1, &topic, b"up")).await;
        new.packet().await;
        assert_eq!(house.intake.payloads()[round * 2..], ["lost", "up"]);
        assert_eq!(house.intake.wills()[round].will, Some(CloseReason::TakenOver));
        new.send(&[0xE0, 0]).await;
        new.closed().await;
        house.stats("gone", |stats| stats.tasks == 0).await;
    }
    let stats = house.handle.stats();
    assert_eq!((stats.taken_over, stats.closed(CloseReason::TakenOver)), (2, 2));
    // A take-over is no loss.
    let lost: Vec<_> = house.intake.links().into_iter().filter(|change| *change != LinkChange::Up).collect();
    assert_eq!(lost, [LinkChange::Lost { cause: CloseReason::Disconnected }; 2]);
}

#[tokio::test]
async fn a_v5_client_learns_our_limits() {
    let house = House::open().await;
    for (keep_alive, announced) in [(0_u16, true), (30, false), (120, true)] {
        let mut client = house.socket().await;
        client.send(&Connect { keep_alive, ..Connect::v5("gw1") }.bytes()).await;
        let connack = client.packet().await;
        let (packet, _) = mqtt_protocol_core::mqtt::packet::v5_0::Connack::parse(&connack.body).unwrap();
        assert!(!packet.session_present());
        let json = packet.to_string();
        for property in ["ReceiveMaximum", "MaximumQos", "TopicAliasMaximum", "MaximumPacketSize", "vigil-custody"] {
            assert!(json.contains(property), "{property} in {json}");
        }
        assert_eq!(json.contains("ServerKeepAlive"), announced, "{json}");
    }
}
