//! TLS to a real PostgreSQL: who is spoken to, and what happens when it is somebody else, or nobody who can prove it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use pgtest::{Options, Postgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use vigil_store::readings::{Config, Dsn, Error, Extension, Readings, Store, TimescaleConfig, Tls};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that shows a certificate for `localhost`, made by an authority.
struct World {
    server: Postgres,
    authority: Authority,
    dir: TempDir,
}

impl World {
    fn start() -> Option<Self> {
        let authority = authority("ours");
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let on = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = Options {
            settings: vec![on("ssl", "on"), on("ssl_min_protocol_version", "TLSv1.2")],
            files: vec![on("server.crt", &certificate.pem()), on("server.key", &key.serialize_pem())],
            ..Options::default()
        };
        Some(Self { server: Postgres::with(&options)?, authority, dir: tempfile::tempdir().unwrap() })
    }

    /// The file of who may vouch for the server.
    fn trusting(&self, authority: &Authority) -> PathBuf {
        let file = tempfile::Builder::new().suffix(".pem").tempfile_in(self.dir.path()).unwrap();
        std::fs::write(file.path(), authority.pem()).unwrap();
        file.keep().unwrap().1
    }

    fn store(&self, host: &str, tls: Tls, ca_file: Option<PathBuf>) -> Readings {
        open(&self.server.dsn().replace("127.0.0.1", host), tls, ca_file)
    }

    /// Sessions of ours on the server: (how many, how many of them encrypted).
    fn sessions(&self) -> (String, String) {
        let of = "FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'vigil'";
        (self.server.one(&format!("SELECT count(*) {of}")), self.server.one(&format!("SELECT count(*) {of} AND s.ssl")))
    }

    fn refuses(&self, store: &Readings, says: &str) {
        let error = store.progress().unwrap_err();
        assert!(matches!(&error, Error::Unreachable { what } if what.contains(says)), "{error:?}");
        let zero = "0".to_owned();
        assert_eq!(self.sessions(), (zero.clone(), zero), "nobody logged in");
        assert_eq!(self.server.one("SELECT count(*) FROM pg_namespace WHERE nspname = 'vigil'"), "0");
    }
}

fn open(dsn: &str, tls: Tls, ca_file: Option<PathBuf>) -> Readings {
    let timescale = TimescaleConfig {
        dsn: Some(Dsn::new(dsn)),
        tls: Some(tls),
        ca_file,
        extension: Extension::Off,
        ..TimescaleConfig::default()
    };
    Readings::open(Path::new("."), &Config { store: Store::Timescale, timescale, ..Config::default() }).unwrap()
}

fn works_encrypted(world: &World, store: &Readings) {
    let sample = Sample::new(Metric::HeartRate, Time::from_secs(1_795_305_600), 70.0, Quality::Ok);
    let row = Reading { subject: Subject::Elder(ElderId(1)), device: DeviceId(1), sample };
    assert_eq!(store.write(&[row], Seq(1)).unwrap().stored, 1);
    assert_eq!(store.raw(row.subject, Metric::HeartRate, Time(i64::MIN), Time(i64::MAX), 9).unwrap(), [row]);
    let (all, encrypted) = world.sessions();
    assert_eq!(all, encrypted);
    assert_ne!(all, "0");
}

#[test]
fn a_server_that_proves_who_it_is() {
    let Some(world) = World::start() else { return };
    works_encrypted(&world, &world.store("localhost", Tls::Verify, Some(world.trusting(&world.authority))));
}

#[test]
fn a_server_by_another_name() {
    let Some(world) = World::start() else { return };
    let store = world.store("127.0.0.1", Tls::Verify, Some(world.trusting(&world.authority)));
    world.refuses(&store, "not valid for name");
}

#[test]
fn a_server_that_nobody_known_vouches_for() {
    let Some(world) = World::start() else { return };
    let store = world.store("localhost", Tls::Verify, Some(world.trusting(&authority("theirs"))));
    world.refuses(&store, "UnknownIssuer");
    // The certificates that this machine trusts do not know it either.
    world.refuses(&world.store("localhost", Tls::Verify, None), "UnknownIssuer");
}

/// What only listens on the way learns nothing; who it is was not asked.
#[test]
fn encrypted_without_proof_when_that_is_preferred() {
    let Some(world) = World::start() else { return };
    works_encrypted(&world, &world.store("localhost", Tls::Prefer, None));
}

#[test]
fn a_server_without_tls() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let world = World { server, authority: authority("ours"), dir };
    let store = world.store("localhost", Tls::Verify, Some(world.trusting(&world.authority)));
    world.refuses(&store, "TLS");
    // Preferred is not demanded.
    let store = world.store("localhost", Tls::Prefer, None);
    assert!(store.progress().is_ok());
    assert_eq!(world.sessions().1, "0");
}
