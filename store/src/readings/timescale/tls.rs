//! Encryption on the way to the database.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Error;
use super::config::{Timescale, Tls};

/// The connector for the settings; `tls` is what they come to for this DSN.
pub(super) fn connector(config: &Timescale, tls: Tls) -> Result<MakeRustlsConnect, Error> {
    let wrong = |text: &str| Error::Config(format!("timescale: {text}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error.to_string()))?;
    let client = match (tls, &config.ca_file) {
        (Tls::Verify, Some(file)) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
        (Tls::Verify, None) => builder
            .with_platform_verifier()
            .map_err(|_| wrong("the certificates this machine trusts cannot be read; set ca_file"))?
            .with_no_client_auth(),
        (Tls::Prefer | Tls::Disable, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(supported(&provider))))
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(client))
}

fn roots(file: &Path) -> Result<RootCertStore, Error> {
    let bad = || Error::Config(format!("timescale.ca_file: {} holds no certificate in PEM form", file.display()));
    let text = std::fs::read(file).map_err(|source| Error::io(file, source))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if roots.is_empty() { Err(bad()) } else { Ok(roots) }
}

fn supported(provider: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    provider.signature_verification_algorithms
}

/// Takes any certificate: `tls = "prefer"` promises encryption, not whom it is with.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
