//! One connection of rumqttc: its options, and the task that turns its event loop and does nothing else.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, LastWillProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, MqttOptions};
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Config, Error, Hello};

/// Slots beside the window in rumqttc: subscription, birth, disconnect.
const BESIDE: u16 = 4;
/// Largest packet we accept from the server, bytes.
const INCOMING_MAX: u32 = 256 * 1024;

/// What is read from files once, at the start.
pub(super) struct Prepared {
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Prepared {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        config.check()?;
        let Some(path) = &config.tls_ca_file else { return Ok(Self { tls: None }) };
        let fault = |cause: String| Error::Authority { path: path.clone(), cause };
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| fault(error.to_string()))?;
            roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(fault("there is no certificate in it".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some(Arc::new(tls)) })
    }

    pub(super) fn options(&self, config: &Config, hello: &Hello) -> MqttOptions {
        let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
        options
            .set_clean_start(true)
            .set_keep_alive(Duration::from_secs(config.keep_alive_s.into()))
            .set_connection_timeout(config.connect_timeout_s.into())
            .set_max_packet_size(Some(INCOMING_MAX))
            .set_outgoing_inflight_upper_limit(config.window + BESIDE)
            .set_credentials(&config.username, &config.password);
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(config.connect_timeout_s.into());
        options.set_network_options(network);
        if !hello.state_topic.is_empty() {
            let delay = LastWillProperties {
                delay_interval: Some(config.will_delay_s),
                payload_format_indicator: None,
                message_expiry_interval: None,
                content_type: None,
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            };
            let will = LastWill::new(&hello.state_topic, hello.will.clone(), QoS::AtLeastOnce, true, Some(delay));
            options.set_last_will(will);
        }
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        options
    }
}

/// Events of one connection. Dropping it ends the connection.
pub(super) struct Events {
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    _task: JoinSet<()>,
}

impl Events {
    /// The next event; `None` after the error that ended the connection.
    pub(super) async fn next(&mut self) -> Option<Result<Event, ConnectionError>> {
        self.events.recv().await
    }
}

/// Builds a fresh client and a task that polls its event loop until the first error.
pub(super) fn start(options: &MqttOptions, window: u16) -> (AsyncClient, Events) {
    let (client, mut event_loop) = AsyncClient::new(options.clone(), usize::from(window + BESIDE));
    let (forward, events) = mpsc::channel(usize::from(window) * 4);
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let event = event_loop.poll().await;
            let failed = event.is_err();
            if forward.send(event).await.is_err() || failed {
                return;
            }
        }
    });
    (client, Events { events, _task: task })
}
