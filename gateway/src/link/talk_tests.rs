//! Conversations over a pipe with a whole reception behind them: what is answered when, and what waits for what.

use std::time::Duration;

use model::{Lane, Name};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::link::house::{FLUSH_MS, House, STUCK};

const LIMITS: Limits =
    Limits { idle: Some(Duration::from_mins(20)), half_frame: Duration::from_secs(10), bytes_per_s: 65_536 };

fn talk(house: &House, codec: &str, device: Option<&str>, limits: Limits) -> (DuplexStream, JoinHandle<Ended>) {
    let fixed = device.map(|name| DeviceKey::Named(Name::new(name).unwrap()));
    let talk = Talk::new(&house.context("tcp-1"), codec::find(codec).unwrap(), fixed, limits).unwrap();
    let (ours, mut theirs) = duplex(64 * 1024);
    (ours, tokio::spawn(async move { talk.run(&mut theirs).await }))
}

async fn says(stream: &mut DuplexStream, bytes: &[u8], answer: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut got = vec![0; answer.len()];
    timeout(STUCK, stream.read_exact(&mut got)).await.expect("no answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(answer));
}

fn watch(content: &str) -> Vec<u8> {
    format!("[3G*8800000015*{:04X}*{content}]", content.len()).into_bytes()
}

fn astm(number: usize, record: &str) -> Vec<u8> {
    let body = format!("{number}{record}\r\x03");
    let sum = body.bytes().fold(0_u8, u8::wrapping_add);
    format!("\x02{body}{sum:02X}\r\n").into_bytes()
}

const WATCH: &str = "name = \"watch-1\"\ncodec = \"watch3g\"\nid = \"8800000015\"";

#[tokio::test]
async fn an_analyser_hears_ack_for_its_last_frame_when_the_message_is_on_disk() {
    let house = House::new("name = \"a\"\ncodec = \"astm\"", 1_000).await;
    let (mut line, _talk) = talk(&house, "astm", Some("a"), LIMITS);
    for message in 1..=2 {
        let result = format!("R|1|^^^GLU^Glucose|5.{message}|mmol/L|3.9^6.1||N||F");
        let records = ["H|\\^&|||POC-7|||||||P|LIS2-A2", "P|1|1001", "O|1|S-9||^^^GLU|R", &result, "L|1|N"];
        says(&mut line, b"\x05", b"\x06").await;
        for (number, record) in (1..).zip(records) {
            says(&mut line, &astm(number, record), b"\x06").await;
        }
        // The second message waits a second for company: its answer must have waited too.
        assert_eq!(house.head(Lane::Vit) + house.head(Lane::Hist), message);
        line.write_all(b"\x04").await.unwrap();
    }
}

#[tokio::test]
async fn an_sos_does_not_stand_behind_readings_that_wait_for_the_disk() {
    let house = House::new(WATCH, FLUSH_MS).await;
    let (mut device, _talk) = talk(&house, "watch3g", None, LIMITS);
    says(&mut device, &watch("LK,50,100,88"), b"[3G*8800000015*0002*LK]").await;
    // The lane was quiet before the first; this one waits.
    device.write_all(&watch("heart,72")).await.unwrap();
    let taken = async {
        while house.stats.links().links["tcp-1"].frames < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(STUCK, taken).await.unwrap();
    device.write_all(&watch("AL,010326,081530,V,0,N,0,E,0,0,0,0,0,22,0,0,00010000,0")).await.unwrap();
    house.reaches(Lane::Sos, 1).await;
}

#[tokio::test]
async fn a_watch_that_sets_its_clock_by_the_answer_gets_one() {
    let house = House::new("name = \"w\"\ncodec = \"iw\"\nid = \"353456789012345\"", 0).await;
    let (mut device, _talk) = talk(&house, "iw", None, LIMITS);
    says(&mut device, b"IWAP00353456789012345#", b"IWBP00,20").await;
}

#[tokio::test]
async fn what_was_said_before_hanging_up_is_kept() {
    let house = House::new(WATCH, 1_000).await;
    let (mut device, talk) = talk(&house, "watch3g", None, LIMITS);
    for pulse in 70..90 {
        device.write_all(&watch(&format!("heart,{pulse}"))).await.unwrap();
    }
    drop(device);
    assert!(matches!(timeout(STUCK, talk).await.unwrap().unwrap(), Ended::Closed));
    assert_eq!(house.head(Lane::Vit), 20);
}

#[tokio::test]
async fn bytes_that_never_become_a_frame_do_not_keep_a_place() {
    let house = House::new(WATCH, 0).await;
    let limits = Limits { idle: Some(Duration::from_millis(300)), ..LIMITS };
    let (mut device, talk) = talk(&house, "watch3g", None, limits);
    let dripping = tokio::spawn(async move {
        while device.write_all(b"[").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(matches!(timeout(STUCK, talk).await.expect("it holds its place").unwrap(), Ended::Idle));
    dripping.await.unwrap();
}
