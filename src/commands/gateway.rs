//! `vigil gateway`: runs the edge until a signal, or says how a running one does.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use gateway::status::{self, Found};
use runtime::Clock;
use serde_json::Value;

use crate::cli::{Gateway, GatewayCommand, GatewayStatus};
use crate::server::{say, stop_at_signal};

/// The gateway itself.
pub async fn gateway(config: gateway::Config) -> anyhow::Result<()> {
    say(&format!("{config:?}"));
    Ok(gateway::run(config, Clock::system(), stop_at_signal()).await?)
}

/// The configuration to run with, or `None` when the command was answered.
pub fn gateway_command(args: Gateway) -> anyhow::Result<Option<gateway::Config>> {
    match (args.what, args.config) {
        (Some(GatewayCommand::Status(args)), _) => status(&args).map(|()| None),
        (None, Some(file)) => Ok(Some(config::gateway(&file)?)),
        (None, None) => bail!("say which gateway: vigil gateway --config FILE"),
    }
}

fn status(args: &GatewayStatus) -> anyhow::Result<()> {
    let dir: PathBuf = match (&args.data_dir, &args.config) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) => config::gateway(file)?.data_dir,
        (None, None) => bail!("say which gateway: --config FILE or --data-dir DIR"),
    };
    let found = status::ask(&dir).with_context(|| format!("cannot ask the gateway of {}", dir.display()))?;
    let text = match (found, args.json) {
        (Found::Running(told), true) => told.to_string(),
        (Found::Files(outbox), true) => serde_json::json!({ "running": false, "outbox": outbox }).to_string(),
        (Found::Nothing, true) => serde_json::json!({ "running": false, "outbox": null }).to_string(),
        (Found::Running(told), false) => running(&told)?,
        (Found::Files(outbox), false) => {
            format!("no gateway runs in {}; its files hold:\n{}", dir.display(), lanes(&serde_json::to_value(&outbox)?))
        }
        (Found::Nothing, false) => format!("no gateway runs in {}, and there is no outbox", dir.display()),
    };
    say(text.trim_end());
    Ok(())
}

/// The answer of a gateway for people.
fn running(told: &Value) -> anyhow::Result<String> {
    let mut out = String::new();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let up = if told["uplink"]["connected"] == true { "connected" } else { "NOT connected" };
    writeln!(
        out,
        "gateway {} of {}, version {}, epoch {}",
        word(&told["gateway"]),
        word(&told["site"]),
        word(&told["version"]),
        told["epoch"]
    )?;
    writeln!(out, "running since {}", word(&told["since"]))?;
    writeln!(out, "uplink: {up} since {}", word(&told["uplink"]["since"]))?;
    let uplink = &told["uplink"];
    writeln!(
        out,
        "  sent {}, acknowledged {}, refused {}, tried again {}, connections lost {}, clock offset {} ms",
        uplink["sent"],
        uplink["acked"],
        uplink["refused"],
        uplink["retried"],
        uplink["reconnects"],
        uplink["clock_offset_ms"]
    )?;
    writeln!(out, "pushed by the server: {}", told["versions"])?;
    writeln!(out, "links:")?;
    for (name, link) in told["links"]["links"].as_object().into_iter().flatten() {
        let state = match (&link["up"], &link["problem"]) {
            (Value::Bool(true), _) => "up".to_owned(),
            (_, Value::String(problem)) => format!("DOWN: {problem}"),
            _ => "-".to_owned(),
        };
        writeln!(
            out,
            "  {name}: {state}, frames {}, malformed {}, lost {} times",
            link["frames"], link["malformed"], link["lost"]
        )?;
    }
    writeln!(out, "devices:")?;
    for (name, device) in told["links"]["devices"].as_object().into_iter().flatten() {
        writeln!(
            out,
            "  {name}: last {}, reports {}, slowed {}",
            word(&device["last_at"]),
            device["reports"],
            device["slowed"]
        )?;
        if device["strips"].as_u64().is_some_and(|strips| strips > 0) {
            writeln!(
                out,
                "    ECG or PPG: strips {}, of these unreadable {}; heart rates derived {}, marked noisy {}",
                device["strips"], device["unreadable_strips"], device["derived_rates"], device["noisy_rates"]
            )?;
        }
        if let Some(unheard) = device["unheard_ecg"].as_u64().filter(|unheard| *unheard > 0) {
            writeln!(out, "    ECG or PPG not read in {unheard} reports: more devices have one than are followed")?;
        }
        if let Some(unkept) = device["unkept_blocks"].as_u64().filter(|unkept| *unkept > 0) {
            writeln!(out, "    blocks of waveforms that no alarm could take along, for want of memory: {unkept}")?;
        }
    }
    writeln!(out, "outbox: {} of {} bytes", told["outbox"]["bytes"], told["bytes_max"])?;
    out.push_str(&lanes(&told["outbox"]));
    writeln!(
        out,
        "given up for the budget since the start: {} frames of waveforms, {} readings",
        told["waveform_frames_dropped"], told["readings_thinned"]
    )?;
    Ok(out)
}

/// Depth and age by lane, in the order in which they are sent.
fn lanes(outbox: &Value) -> String {
    let mut out = String::new();
    for lane in model::Lane::ALL.map(model::Lane::as_str) {
        let told = &outbox["lanes"][lane];
        let oldest = told["oldest"].as_str().map_or(String::new(), |at| format!(", oldest {at}"));
        // Writing to a text cannot fail.
        let _ = writeln!(out, "  {lane}: {} waiting{oldest}, {} bytes", told["waiting"], told["bytes"]);
    }
    let _ = writeln!(out, "  refused by the server and kept: {}", outbox["refused"]);
    out
}
