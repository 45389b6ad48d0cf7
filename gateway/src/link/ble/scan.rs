//! One adapter: looking for devices, and a task for each device of the list. Starts again when BlueZ or the adapter goes away.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bluer::agent::Agent;
use bluer::{Adapter, AdapterEvent, Address, DiscoveryFilter, DiscoveryTransport, Session};
use futures_util::StreamExt;
use runtime::Stop;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use super::progress::Progress;
use super::{Config, Context, advert, visit};
use crate::Error;
use crate::devices::Device;
use crate::link::Backoff;

/// A life of at least so long was not a failure to begin.
const LIFE_LONG: Duration = Duration::from_mins(1);
/// BlueZ says nothing when it dies: it is asked for a sign of life this often.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Longest time BlueZ may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Pause when the search ended by itself.
const SEARCH_PAUSE: Duration = Duration::from_secs(1);

/// What the tasks of one adapter share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) progress: Arc<Progress>,
    /// Ends with the adapter, and with the gateway.
    pub(super) stop: Stop,
}

/// Runs until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let progress = Arc::new(Progress::open(&context.dir)?);
    let mut backoff = Backoff::default();
    while !context.stop.is_requested() {
        let began = Instant::now();
        let shared = Shared { context: context.clone(), progress: Arc::clone(&progress), stop: context.stop.child() };
        let Err(error) = serve(&config, &shared).await else { break };
        if began.elapsed() > LIFE_LONG {
            backoff.worked();
        }
        if !context.lost(&error.to_string(), &mut backoff).await {
            break;
        }
    }
    Ok(())
}

/// One life of the connection to BlueZ. `Ok` only when the gateway stops.
async fn serve(config: &Config, shared: &Shared) -> bluer::Result<()> {
    let session = Session::new().await?;
    let adapter = match &config.adapter {
        Some(name) => session.adapter(name)?,
        None => session.default_adapter().await?,
    };
    // Answers for a gateway without screen and keys: "just works" pairing, with devices of the list alone.
    let _agent = session.register_agent(Agent::default()).await?;
    adapter.set_powered(true).await?;
    // Repeats of an advertisement are wanted: a scale shows a stable value only in a later one.
    let filter =
        DiscoveryFilter { transport: DiscoveryTransport::Le, duplicate_data: true, ..DiscoveryFilter::default() };
    adapter.set_discovery_filter(filter).await?;

    let mut tasks = JoinSet::new();
    let mut bells = BTreeMap::new();
    for device in shared.context.outlet.devices() {
        let Some(address) = device.address.map(Address::new) else { continue };
        let (bell, rung) = watch::channel(());
        bells.insert(address, bell);
        spawn(&mut tasks, shared, device, adapter.device(address)?, rung);
    }
    shared.context.up(None);
    let ended = search(&adapter, &bells, &shared.stop).await;
    // What the devices have said already is still handed over.
    shared.stop.request();
    while tasks.join_next().await.is_some() {}
    ended
}

fn spawn(
    tasks: &mut JoinSet<()>,
    shared: &Shared,
    device: Arc<Device>,
    remote: bluer::Device,
    bell: watch::Receiver<()>,
) {
    let span = tracing::info_span!("ble", device = %device.name);
    let shared = shared.clone();
    match device.codec {
        Some(codec) if !codec.starts_with("ble:") => {
            tasks.spawn(advert::listen(shared, device, codec, remote, bell).instrument(span));
        }
        _ => {
            tasks.spawn(visit::visits(shared, device, remote, bell).instrument(span));
        }
    }
}

/// Searches without end and rings the bell of each device that turns up.
async fn search(adapter: &Adapter, bells: &BTreeMap<Address, watch::Sender<()>>, stop: &Stop) -> bluer::Result<()> {
    let mut probe = tokio::time::interval(PROBE_EVERY);
    loop {
        let mut found = pin!(adapter.discover_devices().await?);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                event = found.next() => match event {
                    Some(AdapterEvent::DeviceAdded(address)) => {
                        if let Some(bell) = bells.get(&address) {
                            bell.send_replace(());
                        }
                    }
                    Some(_) => {}
                    None => break,
                },
                _ = probe.tick() => alive(adapter).await?,
            }
        }
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = sleep(SEARCH_PAUSE) => alive(adapter).await?,
        }
    }
}

/// An adapter that somebody switched off is switched on again.
async fn alive(adapter: &Adapter) -> bluer::Result<()> {
    let no_answer = |_| bluer::Error { kind: bluer::ErrorKind::NotReady, message: "no answer".to_owned() };
    if timeout(ANSWER_WITHIN, adapter.is_powered()).await.map_err(no_answer)?? {
        return Ok(());
    }
    adapter.set_powered(true).await
}
