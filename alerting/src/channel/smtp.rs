//! E-mail by SMTP submission (RFC 6409): STARTTLS on 587, TLS from the start on 465; plain only to a relay on this machine.
//!
//! What an answer means depends on what was being asked: 4xx is tried again everywhere; 5xx at RCPT is this person's address,
//! anywhere else the configuration. When the text has gone out and no answer came, it may have arrived. A 2xx at the end means
//! that the relay has it, not that anybody read it: e-mail is never the only way of an urgent page.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use model::Time;
use serde::{Deserialize, Serialize};

use super::{Fate, Message, Recipient, Sent, words};
use crate::{Error, Secret};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The relay's name, as in its certificate.
    pub host: String,
    /// Usually 587 with `starttls`, 465 with `implicit`.
    #[serde(default = "port")]
    pub port: u16,
    #[serde(default)]
    pub tls: Tls,
    /// Sender: `Vigil <vigil@example.org>`, or the address alone.
    pub from: String,
    /// Login at the relay; both or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Certificate of an authority of the site's own (PEM), in addition to the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Begins plain and must change to TLS before anything is said.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None: only to a relay on this machine.
    None,
}

const fn port() -> u16 {
    587
}

const fn timeout_s() -> u64 {
    10
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        Smtp::new(self).map(drop)
    }

    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

pub(crate) struct Smtp(Arc<Relay>);

/// The relay as configured.
struct Relay {
    host: String,
    port: u16,
    tls: Tls,
    parameters: Option<TlsParameters>,
    from: Mailbox,
    login: Option<Credentials>,
    timeout: Duration,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.0.host).field("port", &self.0.port).finish_non_exhaustive()
    }
}

/// What was being asked when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connect,
    Tls,
    Login,
    Sender,
    Recipient,
    Data,
    /// The text is out.
    Text,
    /// Nobody waits any more.
    GivenUp,
}

impl Stage {
    const ALL: [Self; 8] =
        [Self::Connect, Self::Tls, Self::Login, Self::Sender, Self::Recipient, Self::Data, Self::Text, Self::GivenUp];

    const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Tls => "TLS",
            Self::Login => "AUTH",
            Self::Sender => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Text => "the text",
            Self::GivenUp => "given up",
        }
    }
}

impl Smtp {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let wrong = |key, reason: &str| Err(Error::Config { key, reason: reason.to_owned() });
        if config.host.is_empty() {
            return wrong("channels.smtp.host", "is empty");
        }
        if config.tls == Tls::None && !config.is_local() {
            return wrong("channels.smtp.tls", "none is only for a relay on this machine; use starttls or implicit");
        }
        if !(1..=30).contains(&config.timeout_s) {
            return wrong("channels.smtp.timeout_s", "is not within 1 to 30");
        }
        let Ok(from) = config.from.parse::<Mailbox>() else { return wrong("channels.smtp.from", "is no address") };
        let login = match (&config.user, &config.password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.expose().to_owned())),
            (None, None) => None,
            _ => return wrong("channels.smtp.user", "needs a password, and a password needs a user"),
        };
        let parameters = match config.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Implicit => Some(parameters(config)?),
        };
        let (host, port, tls) = (config.host.clone(), config.port, config.tls);
        let timeout = Duration::from_secs(config.timeout_s);
        Ok(Self(Arc::new(Relay { host, port, tls, parameters, from, login, timeout })))
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let address = to.address.as_deref().and_then(|address| address.parse::<Mailbox>().ok());
        let Some(address) = address else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no valid e-mail address");
        };
        let id = self.0.message_id(message, now);
        let mail = match self.0.mail(&address, to, message, &id, now) {
            Ok(mail) => mail,
            Err(error) => return Sent::new(Fate::Misconfigured, format!("the mail cannot be written: {error}")),
        };
        let at = At::default();
        let (relay, seen) = (Arc::clone(&self.0), at.clone());
        // The library's conversation blocks: it has a thread, and stops at its next step when nobody waits any more.
        let talk = tokio::task::spawn_blocking(move || relay.talk(mail.envelope(), &mail.formatted(), &seen));
        match tokio::time::timeout(self.0.timeout, talk).await {
            Ok(Ok(Ok(()))) => Sent { provider_ref: Some(id), ..Sent::new(Fate::Accepted, "250") },
            Ok(Ok(Err(error))) => judge(at.stage(), &error),
            Ok(Err(_)) => Sent::new(Fate::InDoubt, "the conversation ended badly"),
            Err(_) => {
                let stage = at.give_up();
                let fate = if stage == Stage::Text { Fate::InDoubt } else { Fate::Retry { after: None } };
                Sent::new(fate, format!("no answer in time: {}", stage.word()))
            }
        }
    }
}

/// Where the conversation is, seen from both sides.
#[derive(Clone, Debug, Default)]
struct At(Arc<AtomicU8>);

impl At {
    fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.0.load(Ordering::Relaxed)) % Stage::ALL.len()]
    }

    /// `false`: nobody waits any more.
    fn begin(&self, stage: Stage) -> bool {
        let next = |now| (now != Stage::GivenUp as u8).then_some(stage as u8);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Where it was.
    fn give_up(&self) -> Stage {
        Stage::ALL[usize::from(self.0.swap(Stage::GivenUp as u8, Ordering::Relaxed)) % Stage::ALL.len()]
    }
}

impl Relay {
    /// The same at every attempt to send one page, so that a double can be told.
    fn message_id(&self, message: &Message, now: Time) -> String {
        let domain = self.from.email.domain();
        if message.test {
            format!("<test-{}@{domain}>", now.micros())
        } else {
            format!("<page-{}@{domain}>", message.page)
        }
    }

    fn mail(
        &self,
        address: &Mailbox,
        to: &Recipient,
        message: &Message,
        id: &str,
        now: Time,
    ) -> Result<lettre::Message, lettre::error::Error> {
        let date = UNIX_EPOCH + Duration::from_micros(u64::try_from(now.micros()).unwrap_or_default());
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        MessageBuilder::new()
            .from(self.from.clone())
            .to(address.clone())
            .subject(words::title(message, to))
            .date(date)
            .message_id(Some(id.to_owned()))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(text(message, to))
    }

    fn talk(&self, envelope: &Envelope, mail: &[u8], at: &At) -> Result<(), lettre::transport::smtp::Error> {
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let at_once = self.parameters.as_ref().filter(|_| self.tls == Tls::Implicit);
        let server = (self.host.as_str(), self.port);
        let mut relay = SmtpConnection::connect(server, Some(self.timeout), &hello, at_once, None)?;
        if let (Tls::Starttls, Some(parameters)) = (self.tls, &self.parameters) {
            if !at.begin(Stage::Tls) {
                return Ok(());
            }
            relay.starttls(parameters, &hello)?;
        }
        if let Some(login) = &self.login {
            if !at.begin(Stage::Login) {
                return Ok(());
            }
            relay.auth(DEFAULT_MECHANISMS, login)?;
        }
        if !at.begin(Stage::Sender) {
            return Ok(());
        }
        relay.command(Mail::new(envelope.from().cloned(), Vec::new()))?;
        for to in envelope.to() {
            if !at.begin(Stage::Recipient) {
                return Ok(());
            }
            relay.command(Rcpt::new(to.clone(), Vec::new()))?;
        }
        if !at.begin(Stage::Data) {
            return Ok(());
        }
        relay.command(Data)?;
        if !at.begin(Stage::Text) {
            return Ok(());
        }
        relay.message(mail)?;
        // It has the mail; whether it also says good-bye matters to nobody.
        drop(relay.quit());
        Ok(())
    }
}

/// What, who (masked), when, and how to answer.
fn text(message: &Message, to: &Recipient) -> String {
    let mut lines = vec![words::title(message, to), words::body(message, to)];
    if !message.test {
        lines.push(message.ack_url.clone());
        lines.extend(message.tap_url.clone());
        let code =
            if to.language == "en" { "Code to tell the dispatcher: " } else { "电话告知座席的应答码:" };
        lines.extend(message.code.as_ref().map(|digits| format!("{code}{digits}")));
    }
    lines.join("\r\n") + "\r\n"
}

/// Texts of relays are not passed on: they may hold the address.
fn judge(stage: Stage, error: &lettre::transport::smtp::Error) -> Sent {
    let code = error.status().map(|code| code.to_string());
    let detail = format!("{}: {}", stage.word(), code.as_deref().unwrap_or("no answer"));
    let fate = match stage {
        _ if error.is_permanent() && stage == Stage::Recipient => Fate::RefusedPerson { until: None },
        _ if error.is_permanent() => Fate::Misconfigured,
        _ if error.is_transient() => Fate::Retry { after: None },
        // A certificate that is not trusted, STARTTLS or a login that the relay does not offer.
        _ if error.is_tls() || error.is_client() => Fate::Misconfigured,
        Stage::Tls | Stage::Connect if certificate(error) => Fate::Misconfigured,
        Stage::Text | Stage::GivenUp => Fate::InDoubt,
        _ => Fate::Retry { after: None },
    };
    Sent::new(fate, detail)
}

/// The relay's certificate is the cause.
fn certificate(error: &lettre::transport::smtp::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.get_ref().is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some())
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn parameters(config: &Config) -> Result<TlsParameters, Error> {
    let wrong = |reason: String| Error::Config { key: "channels.smtp.ca_file", reason };
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(file) = &config.ca_file {
        let pem = std::fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let authority = Certificate::from_pem(&pem).map_err(|_| wrong("holds no certificate (PEM)".into()))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build().map_err(|_| Error::Config {
        key: "channels.smtp.tls",
        reason: "TLS cannot be set up; install the package ca-certificates".into(),
    })
}
