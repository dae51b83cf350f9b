//! Doors for the fuzzer: the same code behind bytes in memory instead of a socket.

use super::{
    HEALTH, TERMINAL,
    auth::{Credentials, Verdict},
    health::Health,
    listen,
    origin::Origins,
    source::Source,
    terminal::Terminal,
};
use hyper::{Request, Response, body::Incoming};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::watch,
};

/// Most bytes that one connection takes and gives.
const PIPE: usize = 1 << 20;

/// A connection to the health port whose init does not answer; what comes back.
pub fn health(bytes: &[u8]) -> Vec<u8> {
    let health = Arc::new(Health { source: Source::new(Vec::new()), terminal: None });
    exchange(bytes, HEALTH, move |_, request| {
        let health = Arc::clone(&health);
        async move { health.answer(&request).await }
    })
}

/// A connection to the terminal's port, password `user:password`, without a ttyd; what comes back.
pub fn terminal(bytes: &[u8]) -> Vec<u8> {
    let credentials = Credentials::new("user", "password");
    let socket = PathBuf::from("/nonexistent/ttyd.sock");
    let terminal = Arc::new(Terminal::new(socket, Some(credentials), Origins::default(), 8000));
    let (_open, stopping) = watch::channel(false);
    exchange(bytes, TERMINAL, move |peer, request| {
        let (terminal, stopping) = (Arc::clone(&terminal), stopping.clone());
        async move { terminal.answer(peer.ip(), request, stopping).await }
    })
}

/// Is this `Authorization` that of `user` with `password`?
pub fn login(header: &[u8]) -> bool {
    Credentials::new("user", "password").check(Some(header)) == Verdict::Right
}

/// May a page of this origin open the websocket of this host, where none is listed?
pub fn may_open(origin: &str, host: &str) -> bool {
    let origins = Origins::default();
    let _ = (origins.answers_to(host, false), super::origin::bare_host(host));
    origins.may_open(Some(origin), host)
}

fn exchange<S, F>(bytes: &[u8], bounds: listen::Bounds, service: S) -> Vec<u8>
where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<listen::Body>> + Send + 'static,
{
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(async {
        let (mut client, server) = duplex(PIPE);
        let (_open, stopping) = watch::channel(false);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = listen::connection(server, peer, bounds, service, stopping);
        let mut answer = Vec::new();
        let talk = async {
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            let _ = (&mut client).take(PIPE as u64).read_to_end(&mut answer).await;
        };
        tokio::join!(connection, talk);
        answer
    })
}
