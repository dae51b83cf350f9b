//! `skill-init gateway`: HTTP for PID 1, and the terminal's door.
//!
//! A supervised process of its own, so that PID 1 parses nothing from the network. Two listeners:
//!
//! * `SKILL_INIT_HTTP_ADDR`: `/livez`, `/readyz`, `/startupz` (each with `?verbose`) and `/metrics`, from the
//!   init's own answer over the control socket, asked per request under a short deadline.
//! * `UI_SHELL_TTYD_BIND_HOST:UI_SHELL_TTYD_PORT`: ttyd's page and websocket, behind checks of host, credentials
//!   and origin, for one client at a time.
//!
//! Both are bounded in connections (the oldest gives way to the newest), header size and count, header time and
//! life time of a connection. TERM ends it within a second.

mod auth;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod listen;
mod origin;
mod source;
mod terminal;

use super::notify;
use listen::Bounds;
use source::Source;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

pub use auth::Credentials;
pub use origin::Origins;
pub use terminal::Terminal;

/// What the gateway serves.
#[derive(Debug)]
pub struct Config {
    /// Where health and metrics are served; `None`: not at all.
    pub http: Option<SocketAddr>,
    /// The terminal; `None`: not served.
    pub terminal: Option<(SocketAddr, Terminal)>,
    /// Control sockets to ask, in order.
    pub control: Vec<PathBuf>,
    /// `$NOTIFY_SOCKET` (sd_notify(3)).
    pub notify: Option<String>,
}

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}: {source}; set {setting}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What for.
        what: &'static str,
        /// The setting that changes it.
        setting: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The runtime cannot be made.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

/// `host:port` as an address; `localhost` and an empty host (all addresses) are understood, names are not.
pub fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (name, port) = text.rsplit_once(':')?;
    host(name).zip(port.parse().ok()).map(|(ip, port)| SocketAddr::new(ip, port))
}

/// An IP address, `localhost`, or empty for all addresses.
pub fn host(name: &str) -> Option<IpAddr> {
    match name {
        "" | "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => name.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    }
}

/// Health and metrics: many short requests.
const HEALTH: Bounds = Bounds {
    connections: 256,
    header_time: Duration::from_secs(5),
    header_bytes: 8 * 1024,
    headers: 64,
    lifetime: Duration::from_secs(120),
};

/// The terminal's page: few requests; cookies of the same host may be long.
const TERMINAL: Bounds = Bounds {
    connections: 64,
    header_time: Duration::from_secs(5),
    header_bytes: 32 * 1024,
    headers: 100,
    lifetime: Duration::from_secs(60),
};

/// Serves until SIGTERM or SIGINT.
pub fn run(config: Config) -> Result<(), GatewayError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(serve(config));
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(config: Config) -> Result<(), GatewayError> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A terminal's HUP, or one sent to every process: nothing to do with us.
    let _hup = signal(SignalKind::hangup())?;
    let bind = |address, what, setting| {
        listen::bind(address).map_err(|source| GatewayError::Listen { address, what, setting, source })
    };
    let http = config.http.map(|at| bind(at, "health and metrics", "SKILL_INIT_HTTP_ADDR")).transpose()?;
    let terminal = match config.terminal {
        Some((at, terminal)) => {
            Some((bind(at, "the terminal", "UI_SHELL_TTYD_BIND_HOST and UI_SHELL_TTYD_PORT")?, Arc::new(terminal)))
        }
        None => None,
    };
    let (stop, stopping) = watch::channel(false);
    let mut servers = Vec::new();
    if let Some(listener) = http {
        let health = Arc::new(health::Health {
            source: Source::new(config.control),
            terminal: terminal.as_ref().map(|(_, terminal)| Arc::clone(terminal)),
        });
        let service = move |_, request| {
            let health = Arc::clone(&health);
            async move { health.answer(&request).await }
        };
        servers.push(tokio::spawn(listen::serve(listener, HEALTH, service, stopping.clone())));
    }
    if let Some((listener, terminal)) = terminal {
        let stopping_too = stopping.clone();
        let service = move |peer: SocketAddr, request| {
            let (terminal, stopping) = (Arc::clone(&terminal), stopping_too.clone());
            async move { terminal.answer(peer.ip(), request, stopping).await }
        };
        servers.push(tokio::spawn(listen::serve(listener, TERMINAL, service, stopping)));
    }
    notify::ready(config.notify.as_deref());
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    let _ = stop.send(true);
    for server in servers {
        let _ = server.await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_localhost() {
        assert_eq!(address("0.0.0.0:8079"), Some(([0, 0, 0, 0], 8079).into()));
        assert_eq!(address(":8079"), Some(([0, 0, 0, 0], 8079).into()));
        assert_eq!(address("localhost:1"), Some(([127, 0, 0, 1], 1).into()));
        assert_eq!(address("[::1]:7"), "[::1]:7".parse().ok());
        assert_eq!(address("example.org:80"), None);
        assert_eq!(address("127.0.0.1:70000"), None);
        assert_eq!(host("::"), "::".parse().ok());
    }
}
