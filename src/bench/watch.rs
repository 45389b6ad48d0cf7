//! The benchmark's eyes: the server's counters, and the dispatcher's stream.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};

use super::plan::Plan;

/// Counters of the server at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) judged: u64,
    pub(super) bytes_per_reading: f64,
    pub(super) bytes_per_sealed_reading: f64,
}

impl Figures {
    /// What has been counted since `before`.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            stored: self.stored - before.stored,
            duplicates: self.duplicates - before.duplicates,
            judged: self.judged - before.judged,
            ..self
        }
    }
}

/// Reads `/metrics`.
pub(super) struct Watch {
    url: String,
    client: reqwest::Client,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> anyhow::Result<Self> {
        Ok(Self { url: format!("http://{}/metrics", plan.load.console), client: reqwest::Client::builder().build()? })
    }

    pub(super) async fn read(&self) -> anyhow::Result<Figures> {
        let text = self.client.get(&self.url).send().await?.error_for_status()?.text().await?;
        let value = |name: &str| -> anyhow::Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
            line.with_context(|| format!("/metrics has no {name}"))?.trim().parse().context("not a number in /metrics")
        };
        Ok(Figures {
            stored: value("vigil_ingest_stored_readings_total")? as u64,
            duplicates: (value("vigil_ingest_duplicate_readings_total")?
                + value("vigil_ingest_conflicting_readings_total")?) as u64,
            judged: value("vigil_alerting_readings_total")? as u64,
            bytes_per_reading: value("vigil_readings_bytes_per_reading")?,
            bytes_per_sealed_reading: value("vigil_readings_bytes_per_sealed_reading")?,
        })
    }
}

/// The dispatcher's live stream.
pub(super) struct Stream {
    response: reqwest::Response,
    pending: String,
}

impl Stream {
    /// Signs in and opens the stream at its end.
    pub(super) async fn open(console: SocketAddr, login: &str, password: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().build()?;
        let body = serde_json::json!({ "login": login, "password": password });
        let signed_in = client.post(format!("http://{console}/api/login")).json(&body).send().await?;
        if !signed_in.status().is_success() {
            bail!("cannot sign in: {}", signed_in.text().await?);
        }
        let cookie = signed_in.headers().get("set-cookie").context("no cookie after signing in")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let alarms =
            client.get(format!("http://{console}/api/alarms?limit=1")).header("cookie", &cookie).send().await?;
        let last = alarms.json::<serde_json::Value>().await?["last_event"].as_i64().unwrap_or(0);
        let url = format!("http://{console}/api/stream?after={last}");
        let response = client.get(url).header("cookie", cookie).send().await?.error_for_status()?;
        Ok(Self { response, pending: String::new() })
    }

    /// Elders of the `raised` lines that came within `wait`.
    pub(super) async fn seen(&mut self, wait: Duration) -> anyhow::Result<Vec<u32>> {
        let Ok(chunk) = tokio::time::timeout(wait, self.response.chunk()).await else { return Ok(Vec::new()) };
        let chunk = chunk?.context("the server closed the stream")?;
        self.pending.push_str(&String::from_utf8_lossy(&chunk));
        let mut elders = Vec::new();
        while let Some(end) = self.pending.find("\n\n") {
            let block: String = self.pending.drain(..end + 2).collect();
            let Some(data) = block.lines().find_map(|line| line.strip_prefix("data:")) else { continue };
            let data: serde_json::Value =
                serde_json::from_str(data.trim()).context("a line of the stream is not JSON")?;
            if data["kind"] == "raised" {
                elders.extend(data["alarm"]["elder"]["id"].as_u64().map(|id| id as u32));
            }
        }
        Ok(elders)
    }
}
