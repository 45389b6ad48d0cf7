//! Bluetooth devices through BlueZ's interface and the gateway to the server's store: found, connected, lost, found again,
//! the gateway killed in between; no reading lost, none twice.

use std::process::{Child, Stdio};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use model::{ElderId, Metric, Subject, Time};
use vigil::server::Server;

use crate::bluez::{Bluez, Val, path, uuid};
use crate::world::{World, vigil};

const CUFF: &str = "A4:C1:38:00:00:01";
const METER: &str = "A4:C1:38:00:00:02";
const ROOM: &str = "A4:C1:38:00:00:03";

/// The gateway as a process of its own, killed when dropped.
struct Gateway(Child);

impl Gateway {
    fn start(world: &World, server: &Server, bluez: &Bluez) -> Self {
        let file = world.dir.path().join("gateway.toml");
        let gateway = &world.gateways[0];
        let device = |index: usize, codec: &str, address: &str| {
            let name = &gateway.devices[index];
            format!("[[devices]]\nname = \"{name}\"\ncodec = \"{codec}\"\naddress = \"{address}\"\n")
        };
        let text = format!(
            "port = {}\nsite = \"{}\"\nname = \"{}\"\ntoken = \"{}\"\ndata_dir = \"{}\"\nflush_ms = 50\n[[links]]\nkind = \"ble\"\n{}{}{}",
            server.mqtt_addr.port(),
            gateway.site,
            gateway.name,
            gateway.token,
            world.dir.path().join("gateway").display(),
            device(0, "ble:2a35", CUFF),
            device(1, "ble:2a18", METER),
            device(2, "bthome", ROOM),
        );
        std::fs::write(&file, text).unwrap();
        let mut command = vigil(&["gateway", "--config", file.to_str().unwrap()]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &bluez.address).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The wall clock of a device in China, some minutes ago.
fn wall(minutes_ago: i64) -> DateTime {
    let now = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
    now.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).datetime()
}

fn octets(at: DateTime) -> Vec<u8> {
    let mut out = at.year().to_le_bytes().to_vec();
    out.extend([at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i8::cast_unsigned));
    out
}

/// A blood pressure with its time: systolic, diastolic 80, mean 95, pulse 70.
fn pressure(systolic: u8, at: DateTime) -> Vec<u8> {
    [&[0x06, systolic, 0, 80, 0, 95, 0][..], &octets(at), &[70, 0]].concat()
}

/// A glucose record of 5 mmol/L and a tenth for each number.
fn glucose(sequence: u16, at: DateTime) -> Vec<u8> {
    let concentration = 0xC000 | (50 + sequence);
    [&[0x06][..], &sequence.to_le_bytes(), &octets(at), &concentration.to_le_bytes(), &[0x11]].concat()
}

/// Values of a metric of one of the elders, in time order.
fn values(server: &Server, elder: u32, metric: Metric) -> Vec<f64> {
    let raw = server.parts.readings.raw(Subject::Elder(ElderId(elder)), metric, Time::MIN, Time::MAX, 1_000).unwrap();
    raw.into_iter().filter_map(|reading| reading.sample.value()).collect()
}

async fn stored(server: &Server, elder: u32, metric: Metric, expected: &[f64]) {
    let there = async {
        loop {
            let found = values(server, elder, metric);
            if found.len() >= expected.len() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_mins(1), there).await;
    let found = found.unwrap_or_else(|_| panic!("only {:?} of {expected:?}", values(server, elder, metric)));
    let rounded: Vec<f64> = found.iter().map(|value| (value * 10.0).round() / 10.0).collect();
    assert_eq!(rounded, expected);
}

/// A sensor that says the same ten times, and then something else.
async fn room_sensor(bluez: &Bluez, server: &Server, elder: u32) {
    let room = path(ROOM);
    bluez.device(&room, ROOM);
    let (first, second) = ([0x40, 0, 1, 0x02, 0xCA, 0x09], [0x40, 0, 2, 0x02, 0x2E, 0x09]);
    let say = |packet: [u8; 6]| {
        let data = Val::Data(uuid(0xFCD2), packet.to_vec());
        bluez.change(&room, "org.bluez.Device1", vec![("ServiceData", data)]);
    };
    for packet in [first; 10] {
        say(packet);
    }
    stored(server, elder, Metric::RoomTemperature, &[25.1]).await;
    say(second);
    stored(server, elder, Metric::RoomTemperature, &[25.1, 23.5]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cuff_a_meter_and_a_room_sensor_arrive_once_over_lost_links_and_a_kill() {
    let Some(mut bluez) = Bluez::start() else { return };
    let world = World::new(1, 3);
    let elders = &world.gateways[0].elders;
    let server = world.serve().await;
    let gateway = Gateway::start(&world, &server, &bluez);
    bluez.called("/org/bluez/hci0", "StartDiscovery").await;

    // The cuff: one indication, the link lost before BlueZ could confirm it, the same again with a new one.
    let cuff = path(CUFF);
    let measured = bluez.service(&cuff, 0x1810, &[(0x2A35, "indicate")]).remove(0);
    bluez.device(&cuff, CUFF);
    bluez.called(&measured, "StartNotify").await;
    let first = pressure(121, wall(2));
    bluez.tell(&measured, &first);
    stored(&server, elders[0], Metric::Systolic, &[121.0]).await;
    bluez.lose(&cuff);
    bluez.advertise(&cuff, -61);
    bluez.called(&measured, "StartNotify").await;
    bluez.tell(&measured, &first);
    bluez.tell(&measured, &pressure(133, wall(1)));
    stored(&server, elders[0], Metric::Systolic, &[121.0, 133.0]).await;

    // The meter: the link is lost in the middle of six records, and the rest is asked for.
    let meter = path(METER);
    let service = bluez.service(&meter, 0x1808, &[(0x2A18, "notify"), (0x2A34, "notify"), (0x2A52, "indicate")]);
    let (record, control) = (&service[0], &service[2]);
    let taken: Vec<DateTime> = (1..=7).map(|sequence| wall(100 - 10 * sequence)).collect();
    let send = |bluez: &Bluez, sequences: std::ops::RangeInclusive<u16>| {
        for sequence in sequences {
            bluez.tell(record, &glucose(sequence, taken[usize::from(sequence) - 1]));
        }
    };
    bluez.device(&meter, METER);
    assert_eq!(bluez.called(control, "WriteValue").await.bytes, [1, 1], "all records");
    send(&bluez, 1..=3);
    stored(&server, elders[1], Metric::Glucose, &[5.1, 5.2, 5.3]).await;
    bluez.lose(&meter);
    bluez.advertise(&meter, -71);
    assert_eq!(bluez.called(control, "WriteValue").await.bytes, [1, 3, 1, 4, 0], "from the first that is missing");
    send(&bluez, 4..=6);
    bluez.tell(control, &[6, 0, 1, 1]);
    stored(&server, elders[1], Metric::Glucose, &[5.1, 5.2, 5.3, 5.4, 5.5, 5.6]).await;

    room_sensor(&bluez, &server, elders[2]).await;

    // The gateway is killed; the next one goes on where it stopped, and brings nothing a second time.
    drop(gateway);
    bluez.lose(&meter);
    bluez.lose(&cuff);
    bluez.asked();
    let gateway = Gateway::start(&world, &server, &bluez);
    assert_eq!(bluez.called(control, "WriteValue").await.bytes, [1, 3, 1, 7, 0]);
    bluez.tell(control, &[6, 0, 1, 6]);
    assert_eq!(bluez.called(control, "WriteValue").await.bytes, [1, 6], "none: was the meter emptied?");
    send(&bluez, 6..=6);
    bluez.tell(control, &[6, 0, 1, 1]);
    bluez.lose(&meter);
    bluez.advertise(&meter, -72);
    assert_eq!(bluez.called(control, "WriteValue").await.bytes, [1, 3, 1, 7, 0]);
    send(&bluez, 7..=7);
    bluez.tell(control, &[6, 0, 1, 1]);
    stored(&server, elders[1], Metric::Glucose, &[5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7]).await;
    assert_eq!(values(&server, elders[0], Metric::Systolic), [121.0, 133.0]);
    assert_eq!(values(&server, elders[0], Metric::PulseRate).len(), 2);
    drop(gateway);
    server.stop().await;
}
