//! The line to a database server, which can be cut.

use std::time::Duration;

use anyhow::Context;
use store::readings::{TimescaleConfig, bench_server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(10);

/// A port of this machine that leads to a server. Ends when it is dropped.
pub(super) struct Line {
    port: u16,
    cut: watch::Sender<bool>,
}

impl Line {
    /// Needs a runtime around it.
    pub(super) fn to(settings: &TimescaleConfig) -> anyhow::Result<Self> {
        let server = bench_server(settings)?.context("--dsn must name one host that is reached by TCP")?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (cut, state) = watch::channel(false);
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(serve(listener, server, state));
        Ok(Self { port, cut })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// While it is cut, connections end at once, those that are open too.
    pub(super) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn serve(listener: TcpListener, server: (String, u16), mut state: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = state.changed() => if changed.is_ok() { continue } else { return },
        };
        match accepted {
            Ok((client, _)) if !*state.borrow() => drop(tokio::spawn(relay(client, server.clone(), state.clone()))),
            Ok(_) => {}
            // No more files, as a rule: that does not end at once.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Until one side ends or the line is cut.
async fn relay(mut client: TcpStream, (host, port): (String, u16), mut state: watch::Receiver<bool>) {
    let through = async {
        let mut server = TcpStream::connect((host.as_str(), port)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, 1 << 16, 1 << 16).await
    };
    tokio::select! {
        ended = through => if let Err(error) = ended { tracing::debug!(%error, "a connection of the benchmark ended") },
        _ = state.wait_for(|cut| *cut) => {}
    }
}
