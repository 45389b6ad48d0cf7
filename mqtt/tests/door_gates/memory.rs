//! Gate G11: nothing remembered about topics, subscriptions or messages once they are gone; and little about idle links.

use bytes::Bytes;
use model::GatewayId;

use crate::support::*;

/// Memory of this process that no file stands behind, in bytes: what the program holds, without pages of mapped files.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}

/// Messages of the churn: what fits into ten seconds unoptimised; `VIGIL_CHURN_MESSAGES=1000000` runs the whole gate.
fn messages() -> usize {
    std::env::var("VIGIL_CHURN_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(400_000)
}

#[tokio::test]
async fn g11_topics_and_subscriptions_that_once_existed_cost_nothing() {
    let house = House::open().await;
    house.intake.set(Mode::Forget);
    let filters: Vec<_> = (0..10_000).map(|n| format!("vigil/1/s1/gw1/d/{n}")).collect();
    let churn = async |rounds: usize| {
        let mut client = house.client(&Connect::v5("gw1")).await;
        for round in 0..rounds {
            let at = (round * 50) % 10_000;
            let some: Vec<_> = filters[at..at + 50].iter().map(String::as_str).collect();
            let wanted: Vec<_> = some.iter().map(|filter| (*filter, 0)).collect();
            client.send(&subscribe(true, 1, &wanted)).await;
            assert_eq!(client.packet().await.body[3..], [0; 50]);
            assert!(house.handle.down(GatewayId(1), &at.to_string(), Bytes::from_static(&[b'x'; 200]), 0));
            client.packet().await;
            client.send(&unsubscribe(true, 2, &some)).await;
            assert_eq!(client.packet().await.body[3..], [0; 50]);
            let many: Vec<u8> = (1..=50)
                .flat_map(|id| {
                    publish(true, 1, id, &format!("vigil/1/s1/gw1/u/vit/{}", at + usize::from(id)), &[b'x'; 200])
                })
                .collect();
            client.send(&many).await;
            // All fifty at once: a read for each byte would measure this client.
            let mut acks = [0; 200];
            tokio::io::AsyncReadExt::read_exact(&mut client.io, &mut acks).await.unwrap();
            let expected = (1..=50_u16).flat_map(|id| packet(0x40, &id.to_be_bytes()));
            assert!(acks.iter().copied().eq(expected), "{acks:?}");
        }
    };
    churn(200).await;
    let start = resident();
    churn(messages() / 50).await;
    let end = resident();
    eprintln!("{} messages: {} -> {} kB", messages(), start / 1_024, end / 1_024);
    assert!(end <= start + start / 10, "resident memory grew from {start} to {end}");
}

#[tokio::test]
async fn an_idle_link_is_small() {
    const LINKS: usize = 400;
    let house = House::open().await;
    house.intake.set(Mode::Forget);
    house.probe().await;
    let connects: Vec<_> = (0..2 * LINKS).map(|n| format!("gw{n}")).collect();
    let mut clients = Vec::with_capacity(2 * LINKS);
    // The first half warms the allocator up.
    for id in &connects[..LINKS] {
        clients.push(house.client(&Connect { keep_alive: 600, ..Connect::v3(id) }).await);
    }
    let start = resident();
    for id in &connects[LINKS..] {
        clients.push(house.client(&Connect { keep_alive: 600, ..Connect::v3(id) }).await);
    }
    let each = resident().saturating_sub(start) / LINKS;
    // Both ends live in this process; the client's is one socket.
    eprintln!("{each} bytes a link, client included");
    assert!(each < 8 * 1_024, "{each} bytes a link");
}
