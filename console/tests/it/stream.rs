//! The live stream: nothing missed, nothing twice, in order; each role sees its own; endings.

use std::time::Duration;

use serde_json::{Value, json};
use store::records::Records;

use crate::house::{Client, House};

/// Long enough for a loaded machine; only a broken stream waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// One message of the stream.
#[derive(Debug, Default)]
struct Message {
    event: String,
    id: Option<i64>,
    data: Value,
}

/// An `EventSource` without a browser.
struct Source {
    response: reqwest::Response,
    buffer: String,
}

impl Source {
    async fn open(client: &Client, path: &str, last: Option<i64>) -> Self {
        let mut request = client.request("GET", path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, buffer: String::new() }
    }

    /// The next whole message; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((head, rest)) = self.buffer.split_once("\n\n") {
                let message = parse(head);
                self.buffer = rest.to_string();
                return Some(message);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream is silent");
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap_or_default()?).unwrap());
        }
    }

    async fn expect(&mut self, event: &str) -> Message {
        let message = self.next().await.expect("the stream has ended");
        assert_eq!(message.event, event, "{message:?}");
        message
    }
}

fn parse(text: &str) -> Message {
    let mut message = Message::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", event)) => message.event = event.to_string(),
            Some(("id", id)) => message.id = Some(id.parse().unwrap()),
            Some(("data", data)) => message.data = serde_json::from_str(data).unwrap(),
            _ => {}
        }
    }
    message
}

fn seqs(records: &Records, after: i64) -> Vec<i64> {
    records.alarm_events_after(after, 10_000).unwrap().iter().map(|event| event.seq).collect()
}

#[tokio::test]
async fn an_alarm_and_its_acceptance_arrive_by_themselves() {
    let house = House::open().await;
    let zhang = house.signed_in("zhang");
    let mut source = Source::open(&zhang, "/api/stream?after=0", None).await;
    let hello = source.expect("hello").await;
    assert_eq!(hello.data, json!({ "server_time": "2026-11-22T04:00:00Z", "last_event": 0, "storm": null }));

    let fall = house.fall(house.wang);
    let raised = source.expect("alarm").await;
    assert_eq!((&raised.data["kind"], &raised.data["alarm"]["id"]), (&json!("raised"), &json!(fall.to_string())));
    assert_eq!(raised.data["alarm"]["elder"]["name_masked"], "王*英");
    assert_eq!((raised.id, raised.data["by"].clone()), (raised.data["seq"].as_i64(), Value::Null));

    let page = house.page_of(fall);
    house.signed_in("chen").post(&format!("/api/pages/{page}/accept"), &json!({})).await;
    let accepted = loop {
        let message = source.expect("alarm").await;
        if message.data["kind"] == "accepted" {
            break message;
        }
    };
    assert_eq!((&accepted.data["by"], &accepted.data["alarm"]["handling"]), (&json!("陈医生"), &json!("engaged")));
}

/// 500 events while the client reconnects again and again, with a ring so small that it also reads from the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_or_doubled_over_reconnections() {
    const EVENTS: usize = 500;
    const CONNECTIONS: usize = 20;
    let house = House::open_with(console::Config { sse_ring_events: 8, ..console::Config::default() }).await;
    let zhang = house.signed_in("zhang");
    let raised = [house.wang; 5];
    let mut last = None;
    let mut seen = Vec::new();
    let house = &house;
    // Scoped to the test: the writer is a blocking loop of commits beside the reader.
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..EVENTS / raised.len() {
                house.raise(&raised);
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for connection in 0..CONNECTIONS {
                    // The first address is repeated by a browser; the header is what counts.
                    let mut source = Source::open(&zhang, "/api/stream?after=0", last).await;
                    source.expect("hello").await;
                    for _ in 0..=(connection * 7) % 31 {
                        let message = source.expect("alarm").await;
                        last = message.id;
                        seen.push(message.id.unwrap());
                    }
                }
                let mut source = Source::open(&zhang, "/api/stream?after=0", last).await;
                source.expect("hello").await;
                while seen.len() < EVENTS {
                    seen.push(source.expect("alarm").await.id.unwrap());
                }
            });
        });
        writer.join().unwrap();
    });
    assert_eq!(seen, seqs(&house.records, 0));
}

#[tokio::test]
async fn a_client_that_comes_late_gets_the_past_first() {
    let house = House::open().await;
    house.raise(&[house.wang; 7]);
    let zhang = house.signed_in("zhang");
    let from = seqs(&house.records, 0)[2];
    let mut source = Source::open(&zhang, &format!("/api/stream?after={from}"), None).await;
    assert_eq!(source.expect("hello").await.data["last_event"], house.records.last_alarm_event().unwrap());
    for expected in seqs(&house.records, from) {
        assert_eq!(source.expect("alarm").await.id, Some(expected));
    }
    // Without a number it starts now.
    let mut source = Source::open(&zhang, "/api/stream", None).await;
    source.expect("hello").await;
    house.fall(house.wang);
    assert_eq!(source.expect("alarm").await.id, Some(house.records.last_alarm_event().unwrap()));
}

#[tokio::test]
async fn a_place_that_cannot_be_continued_is_told_so() {
    let house = House::open_with(console::Config { sse_behind_max: 50, ..console::Config::default() }).await;
    house.raise(&[house.wang; 60]);
    let newest = house.records.last_alarm_event().unwrap();
    let zhang = house.signed_in("zhang");
    // From another database, and too far behind.
    for after in [newest + 1, newest - 51] {
        let mut source = Source::open(&zhang, &format!("/api/stream?after={after}"), None).await;
        source.expect("hello").await;
        let reset = source.expect("reset").await;
        assert_eq!((reset.id, &reset.data["last_event"]), (Some(newest), &json!(newest)));
    }
    let mut source = Source::open(&zhang, &format!("/api/stream?after={}", newest - 50), None).await;
    source.expect("hello").await;
    assert_eq!(source.expect("alarm").await.id, Some(newest - 49));
}

#[tokio::test]
async fn a_doctor_sees_the_own_team_and_an_administrator_no_address() {
    let house = House::open().await;
    let (doctor, admin) = (house.signed_in("chen"), house.signed_in("admin"));
    let mut of_doctor = Source::open(&doctor, "/api/stream?after=0", None).await;
    of_doctor.expect("hello").await;
    let mut of_admin = Source::open(&admin, "/api/stream?after=0", None).await;
    of_admin.expect("hello").await;
    let (_other, own) = (house.fall(house.li), house.fall(house.wang));
    assert_eq!(of_doctor.expect("alarm").await.data["alarm"]["id"], own.to_string(), "the other team's is left out");
    let first = of_admin.expect("alarm").await;
    assert_eq!(first.data["alarm"]["elder"]["name_masked"], "李*国");
    assert!(!first.data.to_string().contains("幸福路"), "{}", first.data);
}

/// Events of other teams are not sent, but their numbers are: a reconnection does not walk through them again.
#[tokio::test]
async fn a_quiet_stream_shows_life_and_ends_with_the_session() {
    let house = House::open_with(console::Config { sse_heartbeat_s: 1, ..console::Config::default() }).await;
    let chen = house.signed_in("chen");
    let mut source = Source::open(&chen, "/api/stream?after=0", None).await;
    source.expect("hello").await;
    house.fall(house.li);
    let alive = source.expect("alive").await;
    assert_eq!(alive.id, Some(house.records.last_alarm_event().unwrap()));
    assert_eq!(chen.post("/api/logout", &json!({})).await.0, 204);
    house.fall(house.wang);
    while let Some(message) = source.next().await {
        assert!(matches!(message.event.as_str(), "alive" | "alarm"), "{message:?}");
    }
}

#[tokio::test]
async fn streams_are_counted_and_end_with_the_server() {
    let config = console::Config { sse_clients_max: 1, ..console::Config::default() };
    let house = House::open_with(config).await;
    let zhang = house.signed_in("zhang");
    let mut source = Source::open(&zhang, "/api/stream", None).await;
    source.expect("hello").await;
    assert_eq!(zhang.get("/api/stream").await.0, 503, "one too many");
    drop(house);
    assert!(source.next().await.is_none(), "the end, not a broken connection");
}
