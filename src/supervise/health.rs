//! Asks probes: http and tcp inside the loop, without a thread or a fork, so that they go on when pids run out.
//!
//! Of an HTTP answer exactly twelve bytes are read and compared (`HTTP/1.x NNN`); nothing else of what comes
//! from the network is looked at (docs/decisions.md). Names are not resolved: addresses only.

use super::machine::Answer;
use crate::settings::service::{Probe, ProbeKind};
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Asks an http or tcp probe. Exec probes are children and belong to the driver; the other kinds are never asked.
pub async fn ask(probe: Probe) -> Answer {
    tokio::select! {
        biased;
        answer = question(&probe.kind) => answer,
        () = deadline(probe.timeout) => Err(Some(format!("no answer within {}", human(probe.timeout)))),
    }
}

/// A timer that is this late was frozen (SIGSTOP, cgroup freezer, suspend), not busy.
pub(super) const FROZEN: Duration = Duration::from_secs(1);

/// Waits for so long. Time spent frozen does not count: whoever was to answer was frozen, too, and gets it again.
pub(super) async fn deadline(after: Duration) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(after).await;
        if begun.elapsed() < after + FROZEN {
            return;
        }
    }
}

async fn question(kind: &ProbeKind) -> Answer {
    match kind {
        ProbeKind::Http { host, port, path } => http(host, *port, path).await,
        ProbeKind::Tcp { host, port } => connect(host, *port).await.map(drop),
        ProbeKind::Exec { .. } | ProbeKind::NotifyFd { .. } | ProbeKind::SdNotify => Err(None),
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Option<String>> {
    let address: SocketAddr = match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => return Err(Some(format!("{host} is not an IP address"))),
    };
    TcpStream::connect(address).await.map_err(|error| reason(&error))
}

async fn http(host: &str, port: u16, path: &str) -> Answer {
    let mut stream = connect(host, port).await?;
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: skill-init\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| reason(&error))?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).await.map_err(|error| reason(&error))?;
    match &head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2' | b'3', _, _] => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', status @ ..] => Err(Some(format!(
            "http {}",
            status.iter().map(|b| char::from(*b)).filter(char::is_ascii_digit).collect::<String>()
        ))),
        _ => Err(Some("not an HTTP answer".to_owned())),
    }
}

/// `None` where the failure is ours (no descriptors, no memory), not the service's.
fn reason(error: &io::Error) -> Option<String> {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN) => None,
        Some(libc::ECONNREFUSED) => Some("connection refused".to_owned()),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => Some("connection closed without an answer".to_owned()),
        _ => Some(error.to_string()),
    }
}

/// `1.5s`, `200ms`.
pub fn human(duration: Duration) -> String {
    if duration.as_millis() < 1000 {
        format!("{}ms", duration.as_millis())
    } else {
        format!("{}s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn probe(kind: ProbeKind) -> Probe {
        Probe {
            kind,
            start_period: Duration::ZERO,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(20),
            success_threshold: 1,
            failure_threshold: 1,
        }
    }

    fn run(probe: Probe) -> Answer {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ask(probe))
    }

    /// A server that answers one connection with these bytes and closes.
    fn server(answer: &'static [u8]) -> u16 {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        port
    }

    fn http_probe(port: u16) -> Probe {
        probe(ProbeKind::Http { host: "127.0.0.1".into(), port, path: "/".into() })
    }

    #[test]
    fn two_and_three_hundreds_are_success() {
        assert_eq!(run(http_probe(server(b"HTTP/1.1 204 No Content\r\n\r\n"))), Ok(()));
        assert_eq!(run(http_probe(server(b"HTTP/1.0 302 Found\r\n\r\n"))), Ok(()));
    }

    #[test]
    fn other_statuses_and_garbage_are_failures_with_a_reason() {
        assert_eq!(run(http_probe(server(b"HTTP/1.1 503 Busy\r\n\r\n"))), Err(Some("http 503".into())));
        assert_eq!(run(http_probe(server(b"SSH-2.0-OpenSSH_9.2"))), Err(Some("not an HTTP answer".into())));
        assert_eq!(run(http_probe(server(b"HTTP"))), Err(Some("connection closed without an answer".into())));
    }

    #[test]
    fn a_closed_port_is_connection_refused() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tcp = probe(ProbeKind::Tcp { host: "127.0.0.1".into(), port });
        assert_eq!(run(tcp), Err(Some("connection refused".into())));
    }

    #[test]
    fn a_failure_of_our_own_is_not_the_services() {
        let said = |errno: i32| reason(&io::Error::from_raw_os_error(errno));
        for ours in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EAGAIN] {
            assert_eq!(said(ours), None);
        }
        assert_eq!(said(libc::ECONNREFUSED).as_deref(), Some("connection refused"));
        assert!(said(libc::ECONNRESET).unwrap().starts_with("Connection reset"));
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(reason(&cut).as_deref(), Some("connection closed without an answer"));
    }

    #[test]
    fn short_times_are_in_milliseconds() {
        let shown = [999, 1000, 1500].map(|ms| human(Duration::from_millis(ms)));
        assert_eq!(shown, ["999ms", "1s", "1.5s"]);
    }
}
