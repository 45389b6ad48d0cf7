//! `vigil push`: saves a configuration or a list of devices for one gateway. A running server sends it within seconds; what
//! became of it is on the administrator's page and in `vigil push status`.

use std::path::Path;

use anyhow::{Context, bail};
use model::Name;
use model::note::Push;
use serde_json::Value;

use crate::cli::PushWhat;
use crate::server::say;

/// Carries out one `vigil push ..`.
pub fn push(what: &PushWhat) -> anyhow::Result<()> {
    match what {
        PushWhat::Config(to) => save(to, Push::Config, &read(&to.file)?),
        PushWhat::Devices(to) => {
            let mut read = read(&to.file)?;
            // A piece of a gateway's file: [[devices]] ..
            let devices = read.get_mut("devices").map(Value::take).unwrap_or(read);
            save(to, Push::Devices, &devices)
        }
        PushWhat::Status(at) => {
            let records = super::add::open(&at.config)?;
            let gateways = records.gateways()?;
            for state in records.push_states()? {
                let name = gateways.iter().find(|gateway| gateway.id == state.gateway).map(|gateway| &gateway.name);
                let line = serde_json::json!({
                    "gateway": name, "what": state.what, "wanted": state.wanted, "applied": state.applied,
                    "sent_at": state.sent_at, "refused": state.refused,
                });
                say(&line.to_string());
            }
            Ok(())
        }
    }
}

fn save(to: &crate::cli::PushTo, what: Push, body: &Value) -> anyhow::Result<()> {
    let shaped = if what == Push::Config { body.is_object() } else { body.is_array() };
    if !shaped {
        bail!("{} holds no {}: a table of keys for config, [[devices]] for devices", to.file.display(), what.slug());
    }
    let records = super::add::open(&to.at.config)?;
    let name = Name::new(&to.gateway).context("--gateway")?;
    let Some(gateway) = records.gateway_by_name(&name)? else {
        bail!("there is no gateway {name}: add it with `vigil add gateway`");
    };
    let version = records.push_save(gateway.id, what, &body.to_string(), None)?;
    say(&format!("{} version {version} is wanted at {name}", what.slug()));
    Ok(())
}

/// JSON as it is, everything else as TOML.
fn read(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // What a parser says may quote the text, and that may be a key.
    let bad = || format!("{} is not well-formed", file.display());
    if file.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).ok().with_context(bad);
    }
    let table: toml::Table = toml::from_str(&text).ok().with_context(bad)?;
    serde_json::to_value(table).ok().with_context(bad)
}
