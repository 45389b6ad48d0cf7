//! The TLS listener's certificate: loaded from PEM, reloaded without a restart. Crypto is ring, passed explicitly.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::config::TlsConfig;

/// The current certificate and where it came from.
pub(super) struct Tls {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    pub(super) fn load(config: &TlsConfig) -> io::Result<Self> {
        Ok(Self { current: ArcSwap::new(load(config)?), config: config.clone() })
    }

    /// Reads the files again. New links use the new certificate; on an error the old one stays.
    pub(super) fn reload(&self) -> io::Result<()> {
        self.current.store(load(&self.config)?);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        self.current.load_full().into()
    }
}

fn load(config: &TlsConfig) -> io::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&config.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| unusable(&config.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&config.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&config.certificate, &error))?;
    Ok(Arc::new(server))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("cannot use the TLS file {}: {error}", path.display()))
}
