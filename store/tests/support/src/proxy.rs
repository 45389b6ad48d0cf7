//! A TCP proxy on loopback that fails in the ways of a network: for a client that must survive them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// What the proxy does with connections, the open ones and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens, and open connections are reset.
    Refuse,
    /// Takes connections and passes nothing: as when packets are lost. The server's side stays open.
    Stall,
    /// The server's side of every connection is closed, and the client is not told.
    HalfOpen,
    /// Passes this many bytes a second in each direction of each connection.
    Slow(u32),
    /// Once: resets the connection after this many more bytes of a client, in the middle of a message. Then passes.
    ResetAfter(u64),
    /// Once: resets a connection in place of passing the client's message with this word. Then passes.
    ResetAtWord(&'static str),
    /// Once: resets a connection in place of passing the server's answer with this word, which so has had its effect. Then passes.
    ResetAtAnswer(&'static str),
    /// Once: keeps the server's answer with this word, and all behind it, back for so long. Then passes.
    HoldAnswer(&'static str, Duration),
}

/// A proxy with a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    orders: mpsc::Sender<Order>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    resets: AtomicU64,
}

/// A mode, and whom to tell that it holds.
type Order = (Mode, std::sync::mpsc::Sender<()>);

impl Proxy {
    /// Passes everything to a loopback port, until it is told otherwise.
    pub fn to(server: u16) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (orders, taken) = mpsc::channel(16);
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                serve(listener, server, taken, shared).await;
            });
        });
        Self { port, orders, counts }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on. When it returns, [`Mode::Refuse`] has closed every connection.
    pub fn set(&self, mode: Mode) {
        let (done, wait) = std::sync::mpsc::channel();
        self.orders.try_send((mode, done)).unwrap();
        wait.recv_timeout(crate::STUCK).expect("stuck: the proxy does not take orders");
    }

    /// Resets every open connection, once; the next ones pass.
    pub fn cut(&self) {
        self.set(Mode::Refuse);
        self.set(Mode::Pass);
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Acquire)
    }

    /// Connections reset so far.
    pub fn resets(&self) -> u64 {
        self.counts.resets.load(Ordering::Acquire)
    }
}

async fn serve(listener: TcpListener, server: u16, mut orders: mpsc::Receiver<Order>, counts: Arc<Counts>) {
    let port = listener.local_addr().unwrap().port();
    let mut listener = Some(listener);
    let mode = watch::Sender::new(Mode::Pass);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((next, done)) = order else { return };
                if next == Mode::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(listen_again(port));
                }
                mode.send_replace(next);
                while next == Mode::Refuse && open.join_next().await.is_some() {}
                let _gone = done.send(());
            }
            taken = accept(listener.as_ref()) => {
                counts.accepted.fetch_add(1, Ordering::AcqRel);
                open.spawn(connection(taken, server, mode.clone(), Arc::clone(&counts)));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

fn listen_again(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    socket.listen(128).unwrap()
}

async fn connection(mut client: TcpStream, server: u16, mode: watch::Sender<Mode>, counts: Arc<Counts>) {
    let mut refused = mode.subscribe();
    let reset = tokio::select! {
        biased;
        _ = refused.wait_for(|mode| *mode == Mode::Refuse) => true,
        reset = relay(&mut client, server, &mode) => reset,
    };
    if reset {
        counts.resets.fetch_add(1, Ordering::AcqRel);
        let _gone = client.set_zero_linger();
    }
}

/// Runs until one side ends; true when the client's side is to be reset.
async fn relay(client: &mut TcpStream, server: u16, mode: &watch::Sender<Mode>) -> bool {
    let mut seen = mode.subscribe();
    if seen.wait_for(|mode| !matches!(mode, Mode::Stall | Mode::HalfOpen)).await.is_err() {
        return false;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return true };
    let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return true };
    let reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = seen.wait_for(|mode| *mode == Mode::HalfOpen) => None,
            reset = pass(from_client, to_server, mode, true) => Some(reset),
            reset = pass(from_server, to_client, mode, false) => Some(reset),
        }
    };
    let Some(reset) = reset else {
        drop(server);
        return std::future::pending().await;
    };
    if reset {
        let _gone = server.set_zero_linger();
    }
    reset
}

/// One direction, until its end (false) or until the connection is to be reset (true).
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mode: &watch::Sender<Mode>, up: bool) -> bool {
    let mut seen = mode.subscribe();
    let mut buffer = vec![0_u8; 16_384];
    // The end of what went before, for a word that two pieces share.
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let now = *seen.borrow_and_update();
        let most = if let Mode::Slow(rate) = now { (rate as usize / 10).clamp(1, buffer.len()) } else { buffer.len() };
        let n = tokio::select! {
            biased;
            _ = seen.changed() => continue,
            read = from.read(&mut buffer[..most]), if now != Mode::Stall => match read {
                Ok(0) => {
                    let _gone = to.shutdown().await;
                    return false;
                }
                Ok(n) => n,
                Err(_) => return true,
            },
        };
        let piece = &buffer[..n];
        match now {
            Mode::ResetAfter(left) if up => {
                if n as u64 >= left {
                    let _gone = to.write_all(&piece[..left as usize]).await;
                    mode.send_replace(Mode::Pass);
                    return true;
                }
                mode.send_replace(Mode::ResetAfter(left - n as u64));
            }
            Mode::ResetAtWord(word) if up && told(&mut tail, piece, word) => {
                mode.send_replace(Mode::Pass);
                return true;
            }
            Mode::ResetAtAnswer(word) if !up && told(&mut tail, piece, word) => {
                mode.send_replace(Mode::Pass);
                return true;
            }
            Mode::HoldAnswer(word, time) if !up && told(&mut tail, piece, word) => {
                mode.send_replace(Mode::Pass);
                tokio::time::sleep(time).await;
            }
            Mode::Slow(rate) => tokio::time::sleep(Duration::from_secs_f64(n as f64 / f64::from(rate.max(1)))).await,
            _ => {}
        }
        if to.write_all(piece).await.is_err() {
            return true;
        }
    }
}

/// Whether the word ends in this piece.
fn told(tail: &mut Vec<u8>, piece: &[u8], word: &str) -> bool {
    tail.extend_from_slice(piece);
    let told = tail.windows(word.len()).any(|part| part == word.as_bytes());
    tail.drain(..tail.len().saturating_sub(word.len() - 1));
    told
}
