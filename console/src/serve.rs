//! The HTTP listener: accepts up to a limit, gives every connection a header deadline and a drain deadline, and on stop
//! lets running answers finish.
//!
//! What is deliberately absent: TLS (a proxy in front does it) and HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use runtime::Stop;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::task::TaskTracker;

/// A request's head must have arrived, and an idle connection must have asked again, within this time.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// Answer bytes hyper gathers for one connection before it waits for the client.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Pause after an accept error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A peer that acknowledges nothing for this long is gone.
#[cfg(target_os = "linux")]
const GONE_WAIT: Duration = Duration::from_mins(1);
/// Running answers get this long after stop; streams end at once.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Serves until stopped.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections_max: usize, drain: Duration, stop: Stop) {
    let places = Arc::new(Semaphore::new(connections_max.max(1)));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = router.clone().layer(axum::Extension(ConnectInfo(peer)));
        let stop = stop.clone();
        connections.spawn(async move {
            let io = TokioIo::new(Drained::new(stream, drain));
            let mut connection = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WAIT)
                    .max_buf_size(WRITE_BUFFER_BYTES)
                    .serve_connection(io, TowerToHyperService::new(service))
            );
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.requested() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "console connection ended early");
            }
            drop(place);
        });
    }
    connections.close();
    if tokio::time::timeout(STOP_WAIT, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "console connections were still open at the end");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small frames must leave at once; without it the kernel may hold an alarm for 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY refused");
            }
            // A peer that vanished without a word answers no packet: found after this time, not after 15 minutes.
            #[cfg(target_os = "linux")]
            if let Err(error) = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(GONE_WAIT)) {
                tracing::debug!(%error, "TCP_USER_TIMEOUT refused");
            }
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "console cannot accept a connection; trying again");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A stream whose peer must take bytes: a write that makes no progress for `limit` ends the connection.
struct Drained {
    stream: TcpStream,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Drained {
    fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, stalled: None }
    }

    /// Progress clears the deadline; waiting starts it and, once passed, fails.
    fn watch<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let limit = self.limit;
        let deadline = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }
}

impl AsyncRead for Drained {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Drained {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    /// Says that it was dropped.
    struct Tell(Arc<Notify>);

    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    /// A client that asks for an endless answer and never reads is put out; its place is free again.
    #[tokio::test]
    async fn a_client_that_takes_nothing_is_put_out() {
        let ended = Arc::new(Notify::new());
        let tell = Arc::clone(&ended);
        let endless = move || async move {
            let chunk = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
            let state = (Tell(tell), chunk);
            Body::from_stream(futures_util::stream::unfold(state, |state| async move {
                Some((Ok::<_, io::Error>(state.1.clone()), state))
            }))
        };
        let router = Router::new().route("/endless", get(endless)).route("/", get(|| async { "here" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Stop::new();
        let server = tokio::spawn(serve(listener, router, 1, Duration::from_millis(200), stop.clone()));
        let mut slow = TcpStream::connect(addr).await.unwrap();
        slow.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        ended.notified().await;
        // The one place is free: the next client is served although the slow one still holds its end open.
        let mut next = TcpStream::connect(addr).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        next.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        drop(slow);
        stop.request();
        server.await.unwrap();
    }
}
