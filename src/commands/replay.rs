//! `vigil replay`: a recording through a real outbox, uplink, front door, journal, store and engine.

use std::time::Duration;

use anyhow::{Context, bail};
use gateway::{Recorded, Replay};
use model::{ElderId, Lane, Name, Time};
use runtime::Clock;
use store::records::{Dialect, Records};

use crate::server::{say, stop_at_signal};
use crate::{cli, data_dir};

/// The gateway that replays come from, and its device.
const GATEWAY: &str = "replay";
/// A running server looks at the registry this often at the latest, by default.
const REGISTRY_SEEN: Duration = Duration::from_secs(15);

/// Plays a recording to the server of a configuration.
pub async fn replay(args: &cli::Replay) -> anyhow::Result<()> {
    let recording = Played::open(args)?;
    let config = config::server(&args.config)?;
    data_dir::must_be_used(&config.data_dir)?;
    let clock = Clock::system();
    let records = Records::open(&config.data_dir, clock.clone())?;
    let elder = ElderId(args.elder);
    if records.elder(elder)?.is_none() {
        bail!("there is no elder {elder}: add one with `vigil add elder`");
    }
    let base = base(args, recording.span_us(), clock.now())?;
    let (site, name) = (Name::new("replay")?, Name::new(GATEWAY)?);
    let device = Name::new(&format!("elder-{elder}"))?;
    let token = register(&records, elder, &site, &name, &device, base)?;
    let server = args.server.unwrap_or(config.mqtt.listen);
    let scratch = tempfile::tempdir()?;
    let gateway = gateway::Config {
        host: server.ip().to_string(),
        port: server.port(),
        site,
        name,
        token,
        data_dir: scratch.path().to_owned(),
        ..gateway::Config::default()
    };
    say(&format!("{}, {:.1} h, from {base}", recording.size(), recording.span_us() as f64 / 3.6e9));
    if args.wait_registry {
        tokio::time::sleep(REGISTRY_SEEN).await;
    }
    // What lies in the past is backfill; a recording that begins now is live.
    let lane = if clock.now().since_us(base) > engine::LATE_US { Lane::Hist } else { Lane::Vit };
    let play = Replay { device, base, speed: args.speed, lane };
    let played = gateway::replay(&gateway, &play, recording.as_recorded(), clock, stop_at_signal()).await?;
    say(&serde_json::json!({
        "rows": played.rows, "samples": played.samples, "acked": played.acked, "refused": played.refused,
        "complete": played.complete,
    })
    .to_string());
    if played.complete { Ok(()) } else { bail!("stopped before the end") }
}

/// What is replayed.
enum Played {
    Rows(gateway::recording::Recording),
    Waves(gateway::waves::Record),
}

impl Played {
    fn open(args: &cli::Replay) -> anyhow::Result<Self> {
        match (&args.csv, &args.ecg) {
            (Some(csv), _) => Ok(Self::Rows(super::judge::read(csv, &args.map)?)),
            (None, Some(ecg)) => {
                let record = gateway::waves::open(ecg)?;
                if !record.skipped.is_empty() {
                    say(&format!("left out, neither ECG nor PPG: {}", record.skipped.join(", ")));
                }
                Ok(Self::Waves(record))
            }
            (None, None) => bail!("give --csv or --ecg"),
        }
    }

    fn span_us(&self) -> i64 {
        match self {
            Self::Rows(recording) => recording.span_us(),
            Self::Waves(record) => gateway::waves::span_us(record),
        }
    }

    fn size(&self) -> String {
        match self {
            Self::Rows(recording) => format!("{} rows", recording.rows.len()),
            Self::Waves(record) => {
                let of = |one: &gateway::waves::Signal| format!("{} {} samples", one.label, one.counts.len());
                record.signals.iter().map(of).collect::<Vec<_>>().join(", ")
            }
        }
    }

    const fn as_recorded(&self) -> Recorded<'_> {
        match self {
            Self::Rows(recording) => Recorded::Rows(recording),
            Self::Waves(record) => Recorded::Waves(record),
        }
    }
}

/// When the recording's first second happened: as asked, as it says itself, or so that it ends now.
fn base(args: &cli::Replay, span_us: i64, now: Time) -> anyhow::Result<Time> {
    match &args.start {
        Some(text) => Time::parse(text).with_context(|| format!("--start {text:?} is not an RFC 3339 time")),
        None => Ok(Time::from_secs(now.plus_us(-span_us).secs())),
    }
}

/// The replay's gateway with a new token, and the elder's own device on it.
fn register(
    records: &Records,
    elder: ElderId,
    site: &Name,
    name: &Name,
    device: &Name,
    base: Time,
) -> anyhow::Result<String> {
    let (id, token) = if let Some(known) = records.gateway_by_name(name)? {
        (known.id, records.rotate_token(known.id)?)
    } else {
        records.create_gateway(records.create_site(site)?, name, Dialect::Vigil)?
    };
    let device = records.ensure_device(id, device)?;
    let bound = records.bindings()?.into_iter().any(|binding| binding == (device, elder));
    if !bound {
        records.bind(device, elder, base.min(crate::seed::BOUND_SINCE), None)?;
    }
    Ok(token)
}
