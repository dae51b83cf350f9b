//! The words of the control socket: one JSON request per connection, ended by a newline; one JSON answer.
//!
//! Unknown fields are ignored and missing ones take their defaults, so that a client and a PID 1 of
//! neighbouring versions understand each other (`docker exec` after an upgrade of the binary).

pub use super::status::*;
use serde::{Deserialize, Serialize};

/// Greatest request, newline included, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Greatest answer that a client reads, in bytes.
pub const MAX_RESPONSE: usize = 16 * 1024 * 1024;
/// Longest `wait-ready`, in milliseconds.
pub const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

/// What a health question is about; the three probes of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthKind {
    /// The loop turns and no essential service is out of budget; never tied to a dependency.
    Live,
    /// Every essential service is ready, no drain is on, no budget is exceeded.
    Ready,
    /// The preparation is done and the first start of every essential service is through.
    Startup,
}

impl HealthKind {
    /// `live`, `ready`, `startup`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Everything that PID 1 knows: answered with `Response::Status`.
    Status,
    /// One health question: answered with `Response::Health`.
    Health {
        /// Which one.
        kind: HealthKind,
    },
    /// Answered when ready, or with `ErrorCode::Timeout` at the deadline.
    WaitReady {
        /// How long to wait, in milliseconds, at most `MAX_WAIT_MS`.
        timeout_ms: u64,
    },
    /// Start a stopped or failed service; its restart budget is full again.
    Start {
        /// Its name.
        service: String,
    },
    /// Stop a service and leave it stopped; the container goes on, also where the service is essential.
    Stop {
        /// Its name.
        service: String,
    },
    /// Stop and start a service.
    Restart {
        /// Its name.
        service: String,
    },
    /// Read the configuration again, import credentials, plan again (what SIGHUP does).
    Reload,
}

impl Request {
    /// Does it change anything? Such requests need more rights than reading does.
    pub const fn changes(&self) -> bool {
        match self {
            Self::Status | Self::Health { .. } | Self::WaitReady { .. } => false,
            Self::Start { .. } | Self::Stop { .. } | Self::Restart { .. } | Self::Reload => true,
        }
    }
}

/// Why a request was not fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not a request.
    BadRequest,
    /// Longer than `MAX_REQUEST`.
    TooLarge,
    /// The peer may not ask this.
    Forbidden,
    /// No service of that name.
    NoSuchService,
    /// The state does not allow it (the container is stopping, the configuration is wrong).
    Refused,
    /// Too many connections or waiters.
    Busy,
    /// The deadline passed.
    Timeout,
    /// A fault of PID 1.
    Internal,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Health`.
    Health(Health),
    /// To everything else that went well.
    Done {
        /// What was done, one line.
        message: String,
    },
    /// What went wrong.
    Error {
        /// The kind.
        code: ErrorCode,
        /// What, why, what to do: one line.
        message: String,
    },
}

impl Response {
    /// An error answer.
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Error { code, message: message.into() }
    }
    /// A `Done` answer.
    pub fn done(message: impl Into<String>) -> Self {
        Self::Done { message: message.into() }
    }
}

/// The answer to a health question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Yes or no.
    pub ok: bool,
    /// Why not (or, where `ok`, what to look at).
    pub reasons: Vec<String>,
    /// To `HealthKind::Ready`: for how long it has been ready, in milliseconds; otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// Parses one request line, newline included or not. Pure; never panics, whatever the bytes.
pub fn parse_request(line: &[u8]) -> Result<Request, String> {
    if line.len() > MAX_REQUEST {
        return Err(format!("request longer than {MAX_REQUEST} bytes"));
    }
    serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_read_as_documented() {
        for (text, want) in [
            (r#"{"request":"status"}"#, Request::Status),
            (r#"{"request":"health","kind":"live"}"#, Request::Health { kind: HealthKind::Live }),
            (r#"{"request":"restart","service":"api"}"#, Request::Restart { service: "api".into() }),
            (r#"{"request":"wait-ready","timeout_ms":5000,"later":1}"#, Request::WaitReady { timeout_ms: 5000 }),
        ] {
            assert_eq!(parse_request(text.as_bytes()), Ok(want));
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for state in ServiceState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn a_status_without_fields_is_readable() {
        let response: Response = serde_json::from_str(r#"{"response":"status","new_field":[1]}"#).unwrap();
        assert_eq!(response, Response::Status(Box::default()));
    }

    #[test]
    fn percent_of_nothing_is_unknown_and_huge_values_do_not_overflow() {
        assert_eq!(Gauge { used: Some(1), limit: Some(0) }.percent(), None);
        assert_eq!(Gauge { used: Some(u64::MAX), limit: Some(u64::MAX) }.percent(), Some(100));
        assert_eq!(Gauge { used: Some(u64::MAX), limit: Some(1) }.percent(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse_request(&bytes);
        }

        #[test]
        fn json_like_text_is_a_request_or_an_error(text in r#"[\{\["]?("request"|"kind"|"service"|:|,|\{|\}|\[|\]|[0-9]|"(status|live|reload|\\u[0-9a-f]{4})")*"#) {
            let _ = parse_request(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read_back(service in "\\PC*", timeout_ms in any::<u64>()) {
            for request in [Request::Start { service: service.clone() }, Request::WaitReady { timeout_ms }] {
                let line = serde_json::to_vec(&request).unwrap();
                prop_assert!(!line.contains(&b'\n'));
                prop_assert_eq!(parse_request(&line), Ok(request));
            }
        }
    }
}
