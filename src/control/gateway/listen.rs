//! A bounded HTTP/1 listener: connections, header size, count and time, life time.
//!
//! When all connections are taken, the oldest is ended in favour of the newest: a client that holds connections
//! open (slowloris) cannot keep a probe out.

use crate::control::linger::{Linger, Owed};
use http_body_util::{Either, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use std::{collections::VecDeque, convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

/// A body: our own bytes, or ttyd's passed through.
pub(super) type Body = Either<Full<Bytes>, Incoming>;

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at once.
    pub(super) connections: usize,
    /// A request's head must have arrived by then; also how long an idle connection stays open.
    pub(super) header_time: Duration,
    /// Greatest request head, in bytes; at least 8192 (hyper's own minimum).
    pub(super) header_bytes: usize,
    /// Greatest number of headers.
    pub(super) headers: usize,
    /// A connection ends after this, whatever it does.
    pub(super) lifetime: Duration,
}

/// A response of our own.
pub(super) fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A response of plain text, one line.
pub(super) fn say(status: u16, line: &str) -> Response<Body> {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// Binds with SO_REUSEADDR (a restart must not wait for old connections) and keep-alive probes that notice a
/// vanished peer within a minute; accepted connections inherit them (tcp(7)).
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_keepalive(true)?;
    setsockopt(&socket, sockopt::TcpKeepIdle, &30)?;
    setsockopt(&socket, sockopt::TcpKeepInterval, &10)?;
    setsockopt(&socket, sockopt::TcpKeepCount, &3)?;
    socket.bind(address)?;
    socket.listen(256)
}

/// Accepts until `stopping` turns true, then lets what is answered be answered, for a second at most.
pub(super) async fn serve<S, F>(listener: TcpListener, bounds: Bounds, service: S, mut stopping: watch::Receiver<bool>)
where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
            _ = stopping.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                open.retain(|task| !task.is_finished());
                if open.len() >= bounds.connections
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tasks.spawn(connection(stream, peer, bounds, service.clone(), stopping.clone())));
            }
            // Out of descriptors: the connection stays pending, so do not spin on it.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    drop(listener);
    let _ = timeout(Duration::from_secs(1), async { while tasks.join_next().await.is_some() {} }).await;
}

/// Serves one connection until it ends, is stopped, or has lived long enough.
pub(super) async fn connection<T, S, F>(
    stream: T,
    peer: SocketAddr,
    bounds: Bounds,
    service: S,
    mut stopping: watch::Receiver<bool>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(SocketAddr, Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let owed = Owed::default();
    let stream = Linger::new(stream, owed.clone());
    let service = service_fn(move |request| {
        owed.note(&request);
        let answer = service(peer, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time)
        .max_headers(bounds.headers)
        .max_buf_size(bounds.header_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.changed() => {}
        () = sleep(bounds.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(Duration::from_millis(800), connection).await;
}
