//! How fast this machine decodes: the bare limit that `vigil bench` prints beside the end-to-end figure.

use std::time::{Duration, Instant};

use model::{Metric, Quality, Sample, Time};

use super::{WireFrame, decode_into, encode_cbor};

/// Samples in the measured frame, as in the profile `frames30`.
const SAMPLES: usize = 30;
/// Frames between two looks at the clock.
const TURN: u32 = 64;

/// Readings decoded per second by this thread, CBOR frames of 30 with checksum, measured for about `during`.
pub fn bench_decode_rate(during: Duration) -> f64 {
    let payload = encode_cbor(&typical_frame(SAMPLES));
    let mut frame = WireFrame::default();
    let mut frames = 0_u64;
    let start = Instant::now();
    while start.elapsed() < during {
        for _ in 0..TURN {
            let decoded = decode_into(std::hint::black_box(&payload), &mut frame);
            std::hint::black_box(decoded.is_ok());
        }
        frames += u64::from(TURN);
    }
    (frames * SAMPLES as u64) as f64 / start.elapsed().as_secs_f64().max(1e-9)
}

/// A frame as a wearable sends it: heart rate, SpO2, breathing and temperature, one a second.
pub fn typical_frame(samples: usize) -> WireFrame {
    let gateway_time = Time::from_secs(1_795_000_000);
    let kinds = [
        (Metric::HeartRate, 72.0),
        (Metric::Spo2, 95.0),
        (Metric::RespiratoryRate, 15.0),
        (Metric::BodyTemperature, 36.6),
    ];
    let samples = (0..samples).map(|i| {
        let (metric, base) = kinds[i % kinds.len()];
        let taken_at = gateway_time.plus_us(-(i as i64) * 1_000_000);
        Sample::new(metric, taken_at, base + (i % 5) as f64, Quality::Ok)
    });
    WireFrame { epoch: 3, seq: 123_456, gateway_time, samples: samples.collect(), ..WireFrame::default() }
}
