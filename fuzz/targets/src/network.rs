//! Bytes that come through a socket: the control socket both ways, the gateway, its password and origin checks, sd_notify.

use crate::text;
use skill_init::{
    control::{gateway::fuzzing as gateway_door, metrics, protocol, render},
    supervise,
};

/// A question to PID 1.
pub(crate) fn control_request(bytes: &[u8]) {
    if let Ok(request) = protocol::parse_request(bytes) {
        let line = serde_json::to_vec(&request).unwrap();
        assert_eq!(protocol::parse_request(&line), Ok(request));
    }
}

/// An answer, shown to a terminal and to a scraper: names and reasons in it come from hostile processes.
pub(crate) fn control_response(bytes: &[u8]) {
    let Ok(response) = serde_json::from_slice::<protocol::Response>(bytes) else { return };
    if let protocol::Response::Status(status) = response {
        let shown = render::status(&status, render::Style::Plain);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        let metrics = metrics::text(Some(&status), metrics::Counts::default());
        assert!(metrics.ends_with("# EOF\n"));
        for kind in [protocol::HealthKind::Live, protocol::HealthKind::Ready, protocol::HealthKind::Startup] {
            let line = render::health(kind.name(), &status.health(kind));
            assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        }
    }
}

/// A whole connection to the health port.
pub(crate) fn gateway(bytes: &[u8]) {
    answered(&gateway_door::health(bytes));
}

/// A whole connection to the terminal's port; behind it is nobody.
pub(crate) fn terminal(bytes: &[u8]) {
    let answer = gateway_door::terminal(bytes);
    answered(&answer);
    assert!(!answer.starts_with(b"HTTP/1.1 101"), "a websocket without a ttyd");
}

/// hyper answers with HTTP/1 or not at all.
fn answered(answer: &[u8]) {
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", text(answer));
}

/// An `Authorization` header.
pub(crate) fn login(bytes: &[u8]) {
    // "user:password" in Base64: nothing else may be right.
    let right = gateway_door::login(bytes);
    let holds = bytes.windows(20).any(|part| part == b"dXNlcjpwYXNzd29yZA==");
    assert!(!right || holds, "{:?} was let in", text(bytes));
}

/// `Host`, newline, `Origin`.
pub(crate) fn origin(bytes: &[u8]) {
    let text = text(bytes);
    let (host, origin) = text.split_once('\n').unwrap_or((&text, ""));
    if gateway_door::may_open(origin, host) {
        assert!(origin.to_ascii_lowercase().starts_with("http"), "{origin:?} may open {host:?}");
    }
}

/// A datagram on `NOTIFY_SOCKET`.
pub(crate) fn notify(bytes: &[u8]) {
    let seen = supervise::notify::parse(1, bytes);
    assert!(!seen.ready || bytes.windows(7).any(|part| part == b"READY=1"));
    if let Some(status) = seen.status {
        assert!(status.chars().count() <= 200 && !status.contains(char::is_control));
    }
}
