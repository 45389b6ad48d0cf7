//! A small MQTT 3.1.1 client for load and fault tests: publishes QoS 1 inside a window and notes when each was acknowledged.
//!
//! Not the gateway's uplink (`uplink/`): it has no memory and no retry. What it counts as acknowledged, the server promised.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::connection::role;
use mqtt_protocol_core::mqtt::packet::v3_1_1::{Connect, Publish};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet, Qos};
use mqtt_protocol_core::mqtt::{Connection, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes read from the socket at once.
const READ_BYTES: usize = 16 * 1024;
/// Time a server has for its CONNACK.
const CONNACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A logged-in client.
pub struct LoadClient {
    stream: TcpStream,
    connection: Connection<role::Client>,
    /// Packet id -> (caller's tag, when it was handed to the socket).
    waiting: HashMap<u16, (u64, Instant)>,
    out: Vec<u8>,
    input: Vec<u8>,
}

/// One acknowledged publish.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The tag given to [`LoadClient::queue`].
    pub tag: u64,
    pub after: Duration,
}

impl std::fmt::Debug for LoadClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadClient").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl LoadClient {
    /// Connects and logs in; an error when the server refuses.
    pub async fn connect(addr: SocketAddr, client_id: &str, user: &str, password: &[u8]) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            connection: Connection::new(Version::V3_1_1),
            waiting: HashMap::new(),
            out: Vec::new(),
            input: vec![0; READ_BYTES],
        };
        let connect = Connect::builder()
            .client_id(client_id)
            .and_then(|b| b.clean_session(true).keep_alive(0).user_name(user))
            .and_then(|b| b.password(password.to_vec())?.build())
            .map_err(|error| io::Error::other(format!("CONNECT: {error:?}")))?;
        let events = client.connection.checked_send(connect);
        client.collect(events);
        client.flush().await?;
        tokio::time::timeout(CONNACK_TIMEOUT, client.connack())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no CONNACK"))??;
        Ok(client)
    }

    async fn connack(&mut self) -> io::Result<()> {
        let n = self.stream.read(&mut self.input).await?;
        let mut cursor = Cursor::new(&self.input[..n]);
        while (cursor.position() as usize) < n {
            for event in self.connection.recv(&mut cursor) {
                if let Event::NotifyPacketReceived(Packet::V3_1_1Connack(connack)) = event {
                    let code = connack.return_code();
                    return if code.is_success() {
                        Ok(())
                    } else {
                        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("CONNACK {code:?}")))
                    };
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the server did not answer with a CONNACK"))
    }

    /// Publishes not acknowledged yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Tags of the publishes not acknowledged yet, after a lost connection.
    pub fn unacked(&self) -> Vec<u64> {
        self.waiting.values().map(|(tag, _)| *tag).collect()
    }

    /// Puts a QoS 1 publish into the output buffer; [`LoadClient::turn`] sends it.
    pub fn queue(&mut self, topic: &str, payload: &[u8], tag: u64) -> io::Result<()> {
        let bad = |error| io::Error::other(format!("PUBLISH: {error:?}"));
        let id = self.connection.acquire_packet_id().map_err(bad)?;
        let publish = Publish::builder()
            .topic_name(topic)
            .and_then(|b| b.qos(Qos::AtLeastOnce).packet_id(id).payload(payload.to_vec()).build())
            .map_err(bad)?;
        self.waiting.insert(id, (tag, Instant::now()));
        let events = self.connection.checked_send(publish);
        self.collect(events);
        Ok(())
    }

    /// Sends what is queued and, when something is waiting, reads once. Acknowledged publishes are appended to `acked`.
    /// Returns after `idle` at the latest.
    pub async fn turn(&mut self, idle: Duration, acked: &mut Vec<Acked>) -> io::Result<()> {
        self.flush().await?;
        let n = match tokio::time::timeout(idle, self.stream.read(&mut self.input)).await {
            Err(_) => return Ok(()),
            Ok(read) => read?,
        };
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        let mut cursor = Cursor::new(&self.input[..n]);
        let mut sent = Vec::new();
        while (cursor.position() as usize) < n {
            for event in self.connection.recv(&mut cursor) {
                match event {
                    Event::NotifyPacketReceived(Packet::V3_1_1Puback(puback)) => {
                        if let Some((tag, at)) = self.waiting.remove(&puback.packet_id()) {
                            acked.push(Acked { tag, after: at.elapsed() });
                        }
                    }
                    Event::NotifyError(error) => return Err(io::Error::other(format!("protocol: {error:?}"))),
                    other => sent.push(other),
                }
            }
        }
        self.collect(sent);
        Ok(())
    }

    fn collect(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::RequestSendPacket { packet, .. } = event {
                self.out.extend_from_slice(&packet.to_continuous_buffer());
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }
}
