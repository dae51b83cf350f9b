//! Which hosts the terminal answers to, and which pages may open it. Pure.
//!
//! A browser sends its user's credentials and reaches its user's network on behalf of any page: so a websocket
//! must come from the terminal's own page (same host and port) or from a page that the operator named. A page of
//! a domain that was pointed at this address (DNS rebinding) looks like the own page, therefore names that anybody
//! could own are refused as `Host` unless named, or unless credentials are asked for anyway: those a
//! rebound page does not have.

use std::net::IpAddr;

/// An origin or the host part of one, in comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => None,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
        };
        let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && !host.is_empty();
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
        (plain || bracketed).then(|| Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// Could a stranger own this name? Not an address, not a name without a dot, not `localhost`.
    fn foreign_name(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        !(bare.parse::<IpAddr>().is_ok() || !bare.contains('.') || bare.ends_with(".localhost"))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// `scheme://host[:port]` with a scheme that a page can have; `None` for everything else, `null` included.
fn parse_origin(text: &str) -> Option<(u16, Authority)> {
    let (scheme, rest) = text.split_once("://")?;
    let default = default_port(&scheme.to_ascii_lowercase())?;
    Some((default, Authority::parse(rest)?))
}

/// The operator's list of further origins.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<(u16, Authority)>);

impl Origins {
    /// From `scheme://host[:port]` words; `Err`: the first that is none.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, String> {
        words
            .iter()
            .map(|word| {
                let word = word.as_ref();
                parse_origin(word.trim_end_matches('/'))
                    .ok_or_else(|| format!("\"{word}\" is not an origin such as https://example.org:8443"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// May the terminal answer a request with this `Host`?
    pub(super) fn answers_to(&self, host: &str, credentials_asked: bool) -> bool {
        Authority::parse(host).is_some_and(|host| {
            credentials_asked || !host.foreign_name() || self.0.iter().any(|(_, named)| named.host == host.host)
        })
    }

    /// May a page of this `Origin` open the websocket of this `Host`?
    pub(super) fn may_open(&self, origin: Option<&str>, host: &str) -> bool {
        let Some((default, origin)) = origin.and_then(parse_origin) else { return false };
        let Some(host) = Authority::parse(host) else { return false };
        let own = origin.host == host.host && origin.port.unwrap_or(default) == host.port.unwrap_or(default);
        let port = origin.port.unwrap_or(default);
        own || self.0.iter().any(|(scheme, named)| {
            *scheme == default && named.host == origin.host && named.port.unwrap_or(*scheme) == port
        })
    }

    /// The listed origins as sources of a Content-Security-Policy.
    pub(super) fn csp_sources(&self) -> String {
        let mut sources = String::new();
        for (default, named) in &self.0 {
            let scheme = if *default == 443 { "https" } else { "http" };
            sources.push_str(&format!(" {scheme}://{}", named.host));
            if let Some(port) = named.port {
                sources.push_str(&format!(":{port}"));
            }
        }
        sources
    }
}

/// The host part of a `Host` header without its port, fit for a Content-Security-Policy.
pub(super) fn bare_host(host: &str) -> Option<String> {
    Authority::parse(host).map(|authority| authority.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_page_may_open_the_terminal_and_others_may_not() {
        let none = Origins::default();
        for (origin, host, may) in [
            (Some("http://127.0.0.1:7681"), "127.0.0.1:7681", true),
            (Some("http://LocalHost:7681"), "localhost:7681", true),
            (Some("https://term.example.org"), "term.example.org", true),
            (Some("https://term.example.org"), "term.example.org:443", true),
            (Some("http://[::1]:7681"), "[::1]:7681", true),
            (Some("http://127.0.0.1:8000"), "127.0.0.1:7681", false),
            (Some("http://127.0.0.1"), "127.0.0.1:7681", false),
            (Some("http://evil.example"), "127.0.0.1:7681", false),
            (Some("http://127.0.0.1:7681.evil.example"), "127.0.0.1:7681", false),
            (Some("http://evil.example@127.0.0.1:7681"), "127.0.0.1:7681", false),
            (Some("http://127.0.0.1:7681/"), "127.0.0.1:7681", false),
            (Some("null"), "127.0.0.1:7681", false),
            (Some("file://"), "127.0.0.1:7681", false),
            (Some("ws://127.0.0.1:7681"), "127.0.0.1:7681", false),
            (Some(""), "127.0.0.1:7681", false),
            (None, "127.0.0.1:7681", false),
        ] {
            assert_eq!(none.may_open(origin, host), may, "{origin:?} {host}");
        }
    }

    #[test]
    fn a_named_page_may_open_it_too() {
        let named = Origins::parse(&["https://ui.example.org", "http://ui.example.org:8000/"]).unwrap();
        assert!(named.may_open(Some("https://ui.example.org:443"), "10.0.0.1:7681"));
        assert!(named.may_open(Some("http://ui.example.org:8000"), "10.0.0.1:7681"));
        assert!(!named.may_open(Some("http://ui.example.org"), "10.0.0.1:7681"));
        assert!(!named.may_open(Some("https://ui.example.org:8000"), "10.0.0.1:7681"));
        assert_eq!(named.csp_sources(), " https://ui.example.org http://ui.example.org:8000");
        assert!(Origins::parse(&["ui.example.org"]).is_err());
        assert!(Origins::parse(&["https://*.example.org"]).is_err());
    }

    #[test]
    fn a_rebound_name_is_refused_unless_credentials_are_asked_for() {
        let none = Origins::default();
        for own in ["127.0.0.1:7681", "localhost:7681", "[::1]:7681", "skill-runner:7681", "a.localhost", "192.0.2.7"] {
            assert!(none.answers_to(own, false), "{own}");
        }
        for strange in ["evil.example:7681", "evil.example.", "127.0.0.1.evil.example", "1.2.3.4.5"] {
            assert!(!none.answers_to(strange, false), "{strange}");
            assert!(none.answers_to(strange, true), "{strange}");
        }
        for garbage in ["", ":7681", "a b", "x:y", "x:99999", "[::1", "a/b", "a@b", "a\"b", "ä"] {
            assert!(!none.answers_to(garbage, true), "{garbage}");
        }
        assert!(Origins::parse(&["https://term.example.org"]).unwrap().answers_to("term.example.org:7681", false));
    }
}
