//! Probe tables: exactly one way to ask, times and thresholds.
//!
//! Addresses are numbers: a probe must not wait for DNS, and `localhost` is written 127.0.0.1 for the reader.

use super::{fields::PROBE_FIELDS, file::Data, overrides::ProbeOverride, reader::Reader, service::ProbeKind};
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// Which of the two probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Readiness,
    Liveness,
}

/// Reads a probe table. `None` where it was unusable; the mistakes are in the ledger.
pub(super) fn probe(reader: &mut Reader<'_>, role: Role) -> Option<ProbeOverride> {
    let mut kinds: Vec<(&str, Option<ProbeKind>)> = Vec::new();
    if let Some(text) = reader.text("http") {
        let parsed = http(&text);
        kinds.push(("http", reader.good("http", parsed)));
    }
    if let Some(text) = reader.text("tcp") {
        let parsed = tcp(&text);
        kinds.push(("tcp", reader.good("tcp", parsed)));
    }
    if let Some(command) = reader.command("exec") {
        kinds.push(("exec", Some(ProbeKind::Exec { command })));
    }
    if let Some(fd) = reader.int("fd", 3, 1023) {
        kinds.push(("fd", i32::try_from(fd).ok().map(|fd| ProbeKind::NotifyFd { fd })));
    }
    if let Some(yes) = reader.boolean("notify") {
        if yes {
            kinds.push(("notify", Some(ProbeKind::SdNotify)));
        } else {
            reader.mistake("notify", "takes true; leave it out for another kind of probe");
        }
    }
    if let [_, (second, _), ..] = kinds.as_slice() {
        let all: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let second = *second;
        reader.mistake(second, &format!("is one of several ways to ask ({}); use one", all.join(", ")));
    }
    if role == Role::Liveness
        && let Some((name, _)) = kinds.iter().find(|(name, _)| matches!(*name, "fd" | "notify"))
    {
        let name = *name;
        reader.mistake(name, "can only say that a service is ready; for liveness use http, tcp or exec");
    }
    let probe = ProbeOverride {
        kind: kinds.into_iter().next().and_then(|(_, kind)| kind),
        start_period: reader.duration("start_period", Duration::ZERO),
        interval: reader.duration("interval", Duration::from_millis(10)),
        timeout: reader.duration("timeout", Duration::from_millis(1)),
        success_threshold: reader.int("success_threshold", 1, 1000).and_then(|n| u32::try_from(n).ok()),
        failure_threshold: reader.int("failure_threshold", 1, 1000).and_then(|n| u32::try_from(n).ok()),
    };
    reader.finish(PROBE_FIELDS);
    Some(probe)
}

/// Does the table say how to ask (rightly or not)?
pub(super) fn says_how(data: &Data) -> bool {
    let Data::Table(entries) = data else { return true };
    entries.iter().any(|(name, _)| matches!(name.as_str(), "http" | "tcp" | "exec" | "fd" | "notify"))
}

/// `http://IP[:PORT][/PATH][?QUERY]`.
pub(super) fn http(url: &str) -> Result<ProbeKind, String> {
    let shape = "write http://IP:PORT/PATH, such as http://127.0.0.1:8000/healthz";
    if url.starts_with("https://") {
        return Err(format!(
            "{} is https; a probe asks inside the container, in plain http",
            super::mistake::shown(url)
        ));
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("{} is no http address; {shape}", super::mistake::shown(url)));
    };
    if let Some(bad) = url.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("has the character {bad:?}, which an address cannot have; write it %-encoded"));
    }
    let split = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(split);
    let authority =
        authority.strip_prefix("localhost").map_or_else(|| authority.to_owned(), |p| format!("127.0.0.1{p}"));
    let (host, port) = match SocketAddr::from_str(&authority) {
        Ok(address) => (address.ip(), address.port()),
        Err(_) => match IpAddr::from_str(authority.trim_start_matches('[').trim_end_matches(']')) {
            Ok(ip) => (ip, 80),
            Err(_) => {
                return Err(format!(
                    "{} has no IP address (names are not looked up); {shape}",
                    super::mistake::shown(url)
                ));
            }
        },
    };
    if port == 0 {
        return Err(format!("{} has port 0; {shape}", super::mistake::shown(url)));
    }
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(ProbeKind::Http { host: host.to_string(), port, path })
}

/// `IP:PORT`.
fn tcp(text: &str) -> Result<ProbeKind, String> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    match SocketAddr::from_str(&text) {
        Ok(address) if address.port() != 0 => {
            Ok(ProbeKind::Tcp { host: address.ip().to_string(), port: address.port() })
        }
        _ => Err(format!(
            "{} is not IP:PORT (names are not looked up), such as 127.0.0.1:5432",
            super::mistake::shown(&text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, port: u16, path: &str) -> Result<ProbeKind, String> {
        Ok(ProbeKind::Http { host: host.to_owned(), port, path: path.to_owned() })
    }

    #[test]
    fn http_addresses_are_taken_apart() {
        assert_eq!(http("http://127.0.0.1:8000/a?b=c#d"), of("127.0.0.1", 8000, "/a?b=c"));
        assert_eq!(http("http://[::1]:8000"), of("::1", 8000, "/"));
        assert_eq!(http("http://localhost:8000?x"), of("127.0.0.1", 8000, "/?x"));
        assert_eq!(http("http://127.0.0.1/"), of("127.0.0.1", 80, "/"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for url in [
            "https://127.0.0.1/",
            "127.0.0.1:80",
            "http://db:80/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:80/a b",
            "http://127.0.0.1:80/\r\nX: y",
            "http://",
            "http://:80",
        ] {
            assert!(http(url).is_err(), "{url}");
        }
        assert!(tcp("db:5432").is_err() && tcp("127.0.0.1").is_err() && tcp("localhost:5432").is_ok());
    }
}
