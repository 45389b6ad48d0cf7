//! The front door without sockets: decoding a publish, checking rights, and writing its PUBACK. One element is one
//! QoS 1 publish of one reading (about 200 bytes), 50 in one read.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{GatewayId, Name, Time};
use vigil_mqtt::door::protocol::{Host, Limits, Machine, Output, Will};
use vigil_mqtt::door::{CloseReason, Config, Dialect, Identity, Login, LoginError, Retained, Verdict};

/// Publishes of one read.
const BATCH: u16 = 50;

struct BenchHost;

impl Host for BenchHost {
    fn identify(&mut self, _: &Login<'_>) -> Result<Identity, LoginError> {
        let name = |text| Name::new(text).map_err(|_| LoginError::Unavailable);
        let (site, name) = (name("s1")?, name("gw1")?);
        Ok(Identity { gateway: GatewayId(1), site, name, dialect: Dialect::Vigil, open_acl: false })
    }
    fn admit(&mut self, _: &Arc<Identity>, _: Option<Will>, _: bool) -> Result<Vec<u16>, CloseReason> {
        Ok(Vec::new())
    }
    fn retained(&mut self, _: &str) -> Vec<Retained> {
        Vec::new()
    }
    fn now(&self) -> Time {
        Time::default()
    }
}

/// A PUBLISH of QoS 1; lengths below 16,384.
fn publish(v5: bool, id: u16) -> Vec<u8> {
    let (topic, payload) = ("vigil/1/s1/gw1/u/vit/band-0001", [b'x'; 160]);
    let mut body = vec![0, topic.len() as u8];
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&id.to_be_bytes());
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(&payload);
    let mut packet = vec![0x32, (body.len() & 0x7F) as u8 | 0x80, (body.len() >> 7) as u8];
    packet.append(&mut body);
    packet
}

fn door(c: &mut Criterion) {
    let mut group = c.benchmark_group("door");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for v5 in [false, true] {
        let connect: &[u8] = if v5 {
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x03gw1"
        } else {
            b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03gw1"
        };
        let packets: Vec<u8> = (1..=BATCH).flat_map(|id| publish(v5, id)).collect();
        let verdicts = [Verdict::Stored; BATCH as usize];
        let limits = Arc::new(Limits::new(&Config::default()));
        let mut machine = Machine::new(limits, ([127, 0, 0, 1], 1).into(), false);
        let mut out = Output::default();
        machine.feed(connect, &mut BenchHost, &mut out);
        group.bench_function(if v5 { "publish_puback_v5" } else { "publish_puback_3_1_1" }, |b| {
            b.iter(|| {
                out.write.clear();
                machine.feed(black_box(&packets), &mut BenchHost, &mut out);
                assert_eq!(out.publishes.len(), usize::from(BATCH));
                out.publishes.clear();
                let batch = machine.batch();
                machine.verdicts(batch, &verdicts, &mut out);
                assert_eq!(out.write.len(), 4 * usize::from(BATCH));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, door);
criterion_main!(benches);
