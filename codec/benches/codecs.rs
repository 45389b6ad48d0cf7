//! What decoding one frame costs, for every codec: `cargo bench -p vigil-codec`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[path = "../tests/it/samples/mod.rs"]
mod samples;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (number, sample) in samples::all().enumerate() {
        let codec = vigil_codec::find(sample.codec).expect("a sample of a codec that exists");
        let settings = sample.settings();
        group.throughput(Throughput::Bytes(sample.frame.len() as u64));
        group.bench_function(format!("{}/{number}", codec.name), |bench| {
            bench.iter(|| (codec.decode)(black_box(sample.frame), &settings));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
