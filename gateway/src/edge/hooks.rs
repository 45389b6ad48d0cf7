//! One hook sounding one alarm: a program, an output pin, or a post in the same network. Bounded in time, and tried again a
//! bounded number of times.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Time;
use runtime::Clock;
use tokio::time::Instant;

use super::config::{Command, Gpio, Hook, Http};
use super::owed::Owed;
use crate::Error;

/// Pause before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of one hook for one alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sounded {
    /// Start of the try that worked, else of the last.
    pub(crate) at: Time,
    pub(crate) ok: bool,
}

/// All hooks of the gateway.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) all: Vec<Hook>,
    client: reqwest::Client,
    clock: Clock,
    /// Until when each output is on.
    pins: Arc<Mutex<HashMap<PathBuf, Instant>>>,
}

impl Hooks {
    pub(crate) fn new(hooks: Vec<Hook>, clock: Clock) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Plain addresses only: no certificates are needed, and a gateway may have none.
            .tls_backend_preconfigured(no_trust()?)
            .build()
            .map_err(|error| Error::Key(format!("edge hook http: {error}")))?;
        Ok(Self { all: hooks, client, clock, pins: Arc::default() })
    }

    /// Outputs are off at the start and at the end: a siren whose gateway was cut off in mid-signal does not go on for ever.
    pub(crate) fn silence(&self) {
        for hook in &self.all {
            if let Hook::Gpio(gpio) = hook
                && let Err(error) = put(&gpio.file, "0")
            {
                tracing::warn!(file = %gpio.file.display(), %error, "an output cannot be switched off");
            }
        }
    }

    /// Sounds until it worked or the tries are used up.
    pub(crate) async fn sound(&self, hook: &Hook, alarm: &Owed) -> Sounded {
        let mut pause = PAUSE;
        let mut at = self.clock.now();
        for attempt in 1..=hook.tries() {
            at = self.clock.now();
            let tried = match hook {
                Hook::Command(command) => run(command, alarm).await,
                Hook::Gpio(gpio) => self.switch(gpio).await,
                Hook::Http(http) => self.post(http, alarm).await,
            };
            match tried {
                Ok(()) => {
                    tracing::warn!(
                        hook = hook.slug(),
                        rule = alarm.rule,
                        "sounded an alarm here: the server has not taken it"
                    );
                    return Sounded { at, ok: true };
                }
                Err(error) => tracing::error!(hook = hook.slug(), attempt, error, "an alarm hook failed"),
            }
            if attempt < hook.tries() {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Sounded { at, ok: false }
    }

    async fn switch(&self, gpio: &Gpio) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(gpio.seconds);
        let file = gpio.file.clone();
        // Before it is on: the end of an earlier signal must not switch this one off.
        let longest = |known: Instant| known.max(until);
        self.pins().entry(file.clone()).and_modify(|known| *known = longest(*known)).or_insert(until);
        write(&file, "1").await?;
        let pins = Arc::clone(&self.pins);
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            // A later alarm keeps it on; its own task switches off.
            let over = pins.lock().unwrap_or_else(PoisonError::into_inner).get(&file).is_none_or(|last| *last <= until);
            if over && let Err(error) = write(&file, "0").await {
                tracing::warn!(file = %file.display(), error, "an output cannot be switched off");
            }
        });
        Ok(())
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Instant>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, http: &Http, alarm: &Owed) -> Result<(), String> {
        let body = serde_json::json!({
            "rule": alarm.rule, "zh": alarm.zh, "en": alarm.en, "priority": alarm.priority, "device": alarm.device,
            "started_at": alarm.started_at,
        });
        let sent = self.client.post(&http.url).timeout(Duration::from_secs(http.timeout_s)).json(&body).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
            // Without the address: it may hold a password.
            Err(error) => Err(error.without_url().to_string()),
        }
    }
}

async fn run(command: &Command, alarm: &Owed) -> Result<(), String> {
    let Some((program, words)) = command.argv.split_first() else { return Err("no program".to_owned()) };
    let mut child = tokio::process::Command::new(program)
        .args(words)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
        .env("VIGIL_RULE", &alarm.rule)
        .env("VIGIL_ZH", &alarm.zh)
        .env("VIGIL_EN", &alarm.en)
        .env("VIGIL_PRIORITY", alarm.priority.slug())
        .env("VIGIL_DEVICE", alarm.device.as_str())
        .env("VIGIL_STARTED_AT", alarm.started_at.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    match tokio::time::timeout(Duration::from_secs(command.timeout_s), child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            let _gone = child.kill().await;
            Err(format!("it ran longer than {} s and was killed", command.timeout_s))
        }
    }
}

async fn write(file: &Path, text: &'static str) -> Result<(), String> {
    let file = file.to_owned();
    let written = tokio::task::spawn_blocking(move || put(&file, text)).await;
    written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Never makes the file: a path that is no output would be a siren that nobody hears, and "it sounded" a lie.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    let mut output = std::fs::OpenOptions::new().write(true).truncate(true).open(file)?;
    output.write_all(text.as_bytes())
}

/// A client without certificates.
fn no_trust() -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Key(format!("edge hook http: {error}")))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
