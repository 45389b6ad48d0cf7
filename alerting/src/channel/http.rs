//! What every channel over HTTP needs: a client that follows no redirect and no proxy, a base address from the configuration,
//! an answer read up to a limit, and what a failed transport means for a page.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url};

use super::{Fate, Sent};
use crate::Error;

/// Of an answer no more is read.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A provider cannot put us off for longer than this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// One provider's API.
pub(crate) struct Http {
    client: Client,
    base: Url,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The base may hold a token.
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// At most [`ANSWER_BYTES_MAX`]; longer ones are cut.
    pub(crate) body: Bytes,
}

impl Http {
    /// `key` names the setting in errors (`channels.feishu.base_url`). The base is `https`, or `http` on this machine (tests).
    pub(crate) fn new(key: &'static str, base: &str, timeout: Duration) -> Result<Self, Error> {
        let base = base_url(key, base)?;
        let client = build(key, builder(timeout), base.scheme())?;
        Ok(Self { client, base })
    }

    /// The base with this path in place of its own.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// The answer, or what its absence means for the page.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<Answer, Sent> {
        let answer = request.send().await.map_err(|error| unanswered(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read(answer).await?;
        Ok(Answer { status, headers, body })
    }
}

/// A base address that may be used; see [`Http::new`].
pub(crate) fn base_url(key: &'static str, text: &str) -> Result<Url, Error> {
    let wrong = |reason: &str| Err(Error::Config { key, reason: reason.to_owned() });
    let Ok(url) = Url::parse(text) else { return wrong("is not a URL") };
    let local = is_local(&url);
    match url.scheme() {
        "https" | "http" if local => Ok(url),
        // No test may ever reach a provider.
        "https" if cfg!(test) => wrong("a test must use an address of this machine"),
        "https" => Ok(url),
        _ => wrong("must be https"),
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || literal.is_some_and(|address| address.is_loopback())
}

pub(crate) fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .connect_timeout(CONNECT_WITHIN)
        .no_proxy()
}

pub(crate) fn build(key: &'static str, builder: ClientBuilder, scheme: &str) -> Result<Client, Error> {
    let builder = if scheme == "http" {
        // No certificates are needed, and a machine may have none.
        builder.tls_backend_preconfigured(no_trust(key)?)
    } else {
        // An error means that the process has installed a provider already.
        drop(rustls::crypto::ring::default_provider().install_default());
        builder
    };
    builder.build().map_err(|error| Error::Config {
        key,
        reason: format!("the HTTPS client cannot be set up ({error}); install the package ca-certificates"),
    })
}

/// A TLS set-up that trusts nobody, for addresses that do not use it.
fn no_trust(key: &'static str) -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config { key, reason: format!("TLS cannot be set up: {error}") })?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// What it means that no answer came. The texts name no address: it may hold a token.
pub(crate) fn unanswered(error: &reqwest::Error) -> Sent {
    if error.is_connect() {
        // Nothing was sent: the connection never stood.
        Sent::new(Fate::Retry { after: None }, "no connection")
    } else if error.is_builder() {
        Sent::new(Fate::Misconfigured, "the request cannot be made")
    } else if error.is_timeout() {
        Sent::new(Fate::InDoubt, "no answer in time")
    } else {
        Sent::new(Fate::InDoubt, "the connection broke before the answer")
    }
}

/// The body up to the limit. One that breaks off or takes too long is in doubt: its words would have decided.
async fn read(mut answer: reqwest::Response) -> Result<Bytes, Sent> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                body.extend_from_slice(&chunk[..ANSWER_BYTES_MAX - body.len()]);
                return Ok(body.into());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.into()),
            Err(error) => return Err(unanswered(&error)),
        }
    }
}

/// Seconds only; the date form is rare, and without it our own pause is used.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_reaches_no_provider_and_plain_http_only_this_machine() {
        for (url, fits) in [
            ("http://127.0.0.1:9/", true),
            ("http://[::1]:9/", true),
            ("https://localhost:9/", true),
            ("https://qyapi.weixin.qq.com/", false),
            ("http://qyapi.weixin.qq.com/", false),
            ("http://10.0.0.8/", false),
            ("ftp://127.0.0.1/", false),
            ("pigeon", false),
        ] {
            assert_eq!(base_url("channels.x.base_url", url).is_ok(), fits, "{url}");
        }
    }
}
