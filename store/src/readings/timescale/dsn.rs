//! The DSN as the driver takes it, and what follows from its hosts. No error quotes it: it holds a password.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::Error;
use super::config::{Dsn, Timescale, Tls};

/// The server's usual port.
const PORT: u16 = 5432;

/// A parsed DSN.
#[derive(Clone)]
pub(super) struct Target(tokio_postgres::Config);

impl Target {
    /// What is wrong with it, as a sentence.
    pub(super) fn parse(dsn: &Dsn) -> Result<Self, String> {
        let text = dsn.expose().trim();
        if text.contains("sslmode") || text.contains("sslrootcert") {
            return Err("leave sslmode and sslrootcert out; set tls and ca_file instead".to_owned());
        }
        // The driver's own words may quote a piece of it.
        let config: tokio_postgres::Config = text.parse().map_err(|_| {
            "is not understood; write host=.. port=.. user=.. password=.. dbname=.., or postgresql://..".to_owned()
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("names no host".to_owned());
        }
        Ok(Self(config))
    }

    /// From the settings: the DSN itself, or its file.
    pub(super) fn of(config: &Timescale) -> Result<Self, Error> {
        let wrong = |name: &str, text: &str| Error::Config(format!("timescale.{name}: {text}"));
        match (&config.dsn, &config.dsn_file) {
            (Some(dsn), _) => Self::parse(dsn).map_err(|text| wrong("dsn", &text)),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map_err(|source| Error::io(file, source))?;
                Self::parse(&Dsn::new(text)).map_err(|text| wrong("dsn_file", &text))
            }
            (None, None) => Err(wrong("dsn", "is missing")),
        }
    }

    /// All hosts are this machine: a socket or the loopback interface.
    fn is_local(&self) -> bool {
        let addrs = self.0.get_hostaddrs();
        if !addrs.is_empty() {
            return addrs.iter().all(IpAddr::is_loopback);
        }
        self.0.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        })
    }

    pub(super) fn tls(&self, config: &Timescale) -> Tls {
        config.tls.unwrap_or(if self.is_local() { Tls::Disable } else { Tls::Verify })
    }

    /// What the driver connects with. `name` tells this process from others on the server.
    pub(super) fn driver(&self, config: &Timescale, name: &str) -> tokio_postgres::Config {
        let mut driver = self.0.clone();
        driver
            .application_name(name)
            .ssl_mode(match self.tls(config) {
                Tls::Disable => SslMode::Disable,
                Tls::Prefer => SslMode::Prefer,
                Tls::Verify => SslMode::Require,
            })
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            // A server whose machine is gone is noticed though nothing is being sent.
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_millis(config.statement_timeout_ms));
        if driver.get_hosts().len().max(driver.get_hostaddrs().len()) > 1 {
            driver.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        driver
    }

    /// Host and port, when it is a single one and reached by TCP.
    pub(super) fn server(&self) -> Option<(String, u16)> {
        let port = self.0.get_ports().first().copied().unwrap_or(PORT);
        match (self.0.get_hosts(), self.0.get_hostaddrs()) {
            ([], [address]) => Some((address.to_string(), port)),
            ([Host::Tcp(name)], []) => Some((name.clone(), port)),
            _ => None,
        }
    }

    /// The same user and database by way of a port of this machine. `None` for a server elsewhere: it is spoken to by TLS, under its name.
    pub(super) fn through(&self, port: u16) -> Option<Dsn> {
        if !self.is_local() {
            return None;
        }
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let password = self.0.get_password().map(String::from_utf8_lossy);
        let words = [("user", self.0.get_user()), ("dbname", self.0.get_dbname()), ("password", password.as_deref())];
        let words = words.iter().filter_map(|(name, value)| Some(format!(" {name}={}", quoted((*value)?))));
        Some(Dsn::new(format!("host=127.0.0.1 port={port}{}", words.collect::<String>())))
    }

    /// Hosts and ports, for a sentence to the operator.
    pub(super) fn shown(&self) -> String {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let mut hosts: Vec<String> = self.0.get_hosts().iter().map(host).collect();
        if hosts.is_empty() {
            hosts = self.0.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports: Vec<String> = self.0.get_ports().iter().map(ToString::to_string).collect();
        let port = if ports.is_empty() { "5432".to_owned() } else { ports.join(",") };
        format!("{} port {port}", hosts.join(","))
    }

    /// The database's name, where it is written down; otherwise the server takes the user's.
    pub(super) fn database(&self) -> &str {
        self.0.get_dbname().unwrap_or("(named as the user)")
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls_of(dsn: &str) -> Tls {
        Target::parse(&Dsn::new(dsn)).unwrap().tls(&Timescale::default())
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for local in ["host=/run/postgresql", "host=localhost", "host=127.0.0.1", "postgresql://v:p@[::1]/v"] {
            assert_eq!(tls_of(local), Tls::Disable, "{local}");
        }
        for far in ["host=db.example", "host=localhost,db.example", "host=10.0.0.2", "host=localhost hostaddr=10.0.0.2"]
        {
            assert_eq!(tls_of(far), Tls::Verify, "{far}");
        }
    }

    #[test]
    fn another_way_leads_to_the_same_database() {
        let target = Target::parse(&Dsn::new("host=localhost user=v dbname=x password='it\\'s \\\\ s3cret'")).unwrap();
        assert_eq!(target.server(), Some(("localhost".to_owned(), 5432)));
        let other = Target::parse(&target.through(7_000).unwrap()).unwrap();
        assert_eq!(other.server(), Some(("127.0.0.1".to_owned(), 7_000)));
        assert_eq!((other.0.get_user(), other.0.get_dbname()), (target.0.get_user(), target.0.get_dbname()));
        assert_eq!(other.0.get_password(), target.0.get_password());
        assert_eq!(Target::parse(&Dsn::new("host=a,b")).unwrap().server(), None);
        let far = Target::parse(&Dsn::new("host=db.example user=v")).unwrap();
        assert!(far.through(7_000).is_none(), "its TLS would be lost");
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let target = Target::parse(&Dsn::new("postgresql://v:s3cret@db.example:5433/x")).unwrap();
        assert_eq!((format!("{target:?}").as_str(), target.database()), ("db.example port 5433", "x"));
    }
}
