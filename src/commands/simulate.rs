//! `vigil simulate`: a fleet of direct devices over MQTT, to fill screens and to try a machine.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gateway::fleet::{self, Counters, Device, Fleet};
use model::Name;
use runtime::Clock;
use store::records::{Dialect, Records};

use crate::server::{say, stop_at_signal};
use crate::{cli, data_dir, seed};

/// How often progress is said.
const PROGRESS: Duration = Duration::from_secs(5);
/// Metrics in one report of a band.
const BAND_METRICS: f64 = 3.0;

/// Registers the fleet if need be and lets it run.
pub async fn simulate(args: &cli::Simulate) -> anyhow::Result<()> {
    let config = config::server(&args.config)?;
    data_dir::must_be_used(&config.data_dir)?;
    let records = Records::open(&config.data_dir, Clock::system())?;
    let site = Name::new("sim")?;
    let devices = register(&records, &site, args.elders)?;
    say(&format!("{} devices are registered; connecting to {}", devices.len(), config.mqtt.listen));
    // A running server takes new tokens from the registry within `registry_refresh_s`.
    tokio::time::sleep(Duration::from_secs(config.ingest.registry_refresh_s + 1)).await;
    let fleet = Fleet {
        server: args.server.unwrap_or(config.mqtt.listen),
        site,
        devices,
        seed: args.seed,
        rate: BAND_METRICS / args.every_s.max(0.1),
        frame_samples: BAND_METRICS as usize,
        duration: (args.for_s > 0).then(|| Duration::from_secs(args.for_s)),
    };
    let counters = Arc::new(Counters::default());
    let stop = stop_at_signal();
    let (seen, ended) = (Arc::clone(&counters), stop.clone());
    let progress = tokio::spawn(async move {
        while !ended.is_requested() {
            tokio::time::sleep(PROGRESS).await;
            say(&line(&seen));
        }
    });
    fleet::run(fleet, Arc::clone(&counters), Clock::system(), stop).await;
    progress.abort();
    say(&line(&counters));
    Ok(())
}

fn line(counters: &Counters) -> String {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    format!(
        "connected {}, frames {}, readings {}, acknowledged {}, skipped {}, lost {}",
        get(&counters.connected),
        get(&counters.frames),
        get(&counters.readings),
        get(&counters.acked),
        get(&counters.skipped),
        get(&counters.lost)
    )
}

/// `sim-00001`.. with an elder each; those there already get a new token.
fn register(records: &Records, site: &Name, count: u32) -> anyhow::Result<Vec<Device>> {
    let site_id = records.create_site(site)?;
    let mut devices = Vec::with_capacity(count as usize);
    for i in 1..=count {
        let name = Name::new(&format!("sim-{i:05}"))?;
        let token = if let Some(known) = records.gateway_by_name(&name)? {
            records.rotate_token(known.id)?
        } else {
            let (gateway, token) = records.create_gateway(site_id, &name, Dialect::Vigil)?;
            let device = records.ensure_device(gateway, &Name::new(mqtt::topic::SELF)?)?;
            let elder = seed::elder(records, u64::from(i), None)?;
            records.bind(device, elder, seed::BOUND_SINCE, None)?;
            token
        };
        devices.push(Device { name, token });
        if i.is_multiple_of(1_000) {
            say(&format!("registered {i} of {count}"));
        }
    }
    Ok(devices)
}
