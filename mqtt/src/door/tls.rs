//! The TLS listener's certificate: loaded from PEM, reloaded without a restart. Crypto is ring, passed explicitly.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use runtime::Stop;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::config::TlsConfig;

/// Pause between two looks at the files: a renewed certificate is in use this much later at most.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The current certificate and where it came from.
pub(super) struct Tls {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
    /// When the files were last changed, as far as they were read.
    read: Mutex<Stamp>,
}

/// When certificate and key were changed.
type Stamp = [Option<SystemTime>; 2];

impl Tls {
    pub(super) fn load(config: &TlsConfig) -> io::Result<Self> {
        // The stamp first: a change while reading is seen at the next look.
        let read = Mutex::new(stamp(config));
        Ok(Self { current: ArcSwap::new(load(config)?), config: config.clone(), read })
    }

    /// Looks at the files now and then and reloads what has changed, until `stop`. A pair that does not fit (the key is
    /// written, the certificate not yet) is said once for each change; the last good pair stays in use.
    pub(super) async fn watch(&self, stop: &Stop) {
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.look(),
            }
        }
    }

    fn look(&self) {
        let now = stamp(&self.config);
        let known = std::mem::replace(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner), now);
        if now == known {
            return;
        }
        match self.reload() {
            Ok(()) => tracing::info!("the changed TLS certificate is in use"),
            Err(error) => tracing::error!(%error, "the changed TLS certificate is not used; the old one stays"),
        }
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

fn stamp(config: &TlsConfig) -> Stamp {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    [changed(&config.certificate), changed(&config.key)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, minutes_ago: u64) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.join("cert.pem"), certified.cert.pem()).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * (1_000_000 - minutes_ago));
        for name in ["cert.pem", "key.pem"] {
            std::fs::File::options().write(true).open(dir.join(name)).unwrap().set_modified(at).unwrap();
        }
    }

    #[test]
    fn a_changed_pair_is_taken_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 3);
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let tls = Tls::load(&TlsConfig { listen: ([127, 0, 0, 1], 0).into(), certificate, key }).unwrap();
        let first = tls.current.load_full();
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.current.load_full()), "nothing has changed");
        write(dir.path(), 2);
        tls.look();
        let second = tls.current.load_full();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(dir.path().join("key.pem"), "half a key").unwrap();
        tls.look();
        assert!(Arc::ptr_eq(&second, &tls.current.load_full()), "the last good one stays");
        write(dir.path(), 1);
        tls.look();
        assert!(!Arc::ptr_eq(&second, &tls.current.load_full()));
    }
}
