//! Readings judged a second: 50,000 elders, five readings a frame, with the default rules and with five rules of every kind.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vigil_engine::{
    Engine,
    bench::{Load, five_rules},
    default_rules,
};

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for elders in [1_000_u32, 50_000] {
        let mut load = Load::new(elders);
        let mut engine = Engine::new(default_rules());
        group.throughput(Throughput::Elements(load.readings()));
        group.sample_size(20);
        group.bench_function(format!("step/{elders}_elders"), |bench| bench.iter(|| load.round(&mut engine)));
    }
    if let Some(five) = five_rules() {
        let mut load = Load::new(50_000);
        let mut engine = Engine::new(five);
        group.throughput(Throughput::Elements(load.readings()));
        group.bench_function("step/50000_elders_5_rules", |bench| bench.iter(|| load.round(&mut engine)));
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
