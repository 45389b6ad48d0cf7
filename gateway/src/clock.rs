//! The step that gives times: from the device's clock and the gateway's to the instant a value was taken.

use codec::{Decoded, Measured};
use model::{Event, Lane, Sample, Time};

use crate::devices::Device;
use crate::report::Report;

/// What is known of the devices' clocks.
#[derive(Debug, Default)]
pub(crate) struct Clocks {}

impl Clocks {
    /// The report of a decoded frame: each value at its instant, in the order of the frame.
    #[expect(clippy::unused_self, reason = "what is known of the clock of each device is kept here")]
    pub(crate) fn report(&self, device: &Device, at: Time, decoded: &Decoded) -> Report {
        let instant = |said: Option<codec::DeviceTime>| {
            said.filter(|said| !said.suspect).and_then(codec::DeviceTime::instant).unwrap_or(at)
        };
        let mut samples: Vec<Sample> = Vec::with_capacity(decoded.readings.len());
        for measured in &decoded.readings {
            let taken = instant(measured.at);
            // The n-th value of one metric at one device time is n microseconds later.
            let twins =
                samples.iter().filter(|s| s.metric == measured.metric && s.taken_at.since_us(taken) / 1_000 == 0);
            let taken = taken.plus_us(twins.count() as i64);
            samples.push(sample(measured, taken));
        }
        let events = decoded.events.iter().map(|happened| Event { kind: happened.kind, at: instant(happened.at) });
        let lane = if decoded.stored { Lane::Hist } else { Lane::Vit };
        Report {
            device: device.name.clone(),
            lane,
            samples,
            events: events.collect(),
            shared: device.shared,
            ..Report::default()
        }
    }
}

fn sample(measured: &Measured, taken: Time) -> Sample {
    match measured.value {
        Some(value) => Sample::new(measured.metric, taken, value, measured.quality),
        None => Sample::absent(measured.metric, taken, measured.quality),
    }
}
