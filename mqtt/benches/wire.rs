//! Decode rates of the wire forms, in readings: `cargo bench -p vigil-mqtt --bench wire`.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vigil_mqtt::wire::{WireFrame, decode_into, encode_cbor, encode_json, typical_frame};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire_decode");
    for samples in [1, 30] {
        let frame = typical_frame(samples);
        group.throughput(Throughput::Elements(samples as u64));
        for (form, payload) in [("cbor", encode_cbor(&frame)), ("json", encode_json(&frame))] {
            let mut reused = WireFrame::default();
            group.bench_function(format!("{form}_{samples}"), |bencher| {
                bencher.iter(|| decode_into(std::hint::black_box(&payload), &mut reused).is_ok());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
