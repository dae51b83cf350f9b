//! `/livez`, `/readyz`, `/startupz`, `/metrics`.
//!
//! 200 or 503 with one line of reason; `?verbose` adds a line per service, in the form that Kubernetes' own
//! components use. When PID 1 does not answer, every one of the three says 503 and why.

use super::{
    listen::{Body, reply, say},
    source::Source,
    terminal::Terminal,
};
use crate::control::{
    metrics::{self, Counts},
    protocol::{HealthKind, Status},
    render::clean,
};
use hyper::{
    Method, Request, Response,
    header::{ALLOW, HeaderValue},
};
use std::{fmt::Write, sync::Arc};

/// Answers questions about health.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) source: Source,
    pub(super) terminal: Option<Arc<Terminal>>,
}

impl Health {
    /// One request, whatever its body, which is never read.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = say(405, "only GET and HEAD");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let kind = match request.uri().path() {
            "/livez" => HealthKind::Live,
            "/readyz" => HealthKind::Ready,
            "/startupz" => HealthKind::Startup,
            "/metrics" => {
                let status = self.source.status().await.ok();
                let counts = self.terminal.as_ref().map_or_else(Counts::default, |terminal| terminal.counts());
                return reply(200, metrics::CONTENT_TYPE, metrics::text(status.as_deref(), counts));
            }
            "/" => return say(200, "/livez /readyz /startupz (?verbose) /metrics"),
            _ => return say(404, "not found; try /livez /readyz /startupz /metrics"),
        };
        match self.source.status().await {
            Ok(status) => {
                let health = status.health(kind);
                let mut text = String::new();
                if verbose(request.uri().query()) {
                    text = services(&status);
                }
                if health.ok {
                    text.push_str("ok");
                } else {
                    let reasons: Vec<String> = health.reasons.iter().map(|reason| clean(reason)).collect();
                    let _ = write!(text, "not {}: {}", word(kind), reasons.join("; "));
                }
                say(if health.ok { 200 } else { 503 }, &text)
            }
            Err(reason) => say(503, &format!("not {}: {}", word(kind), clean(&reason))),
        }
    }
}

const fn word(kind: HealthKind) -> &'static str {
    match kind {
        HealthKind::Live => "live",
        HealthKind::Ready => "ready",
        HealthKind::Startup => "started",
    }
}

fn verbose(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').any(|pair| pair.split('=').next() == Some("verbose") && !pair.ends_with("=0"))
    })
}

fn services(status: &Status) -> String {
    let mut text = String::new();
    for service in &status.services {
        let sign = if service.ready { '+' } else { '-' };
        let _ = write!(text, "[{sign}]{} {}", clean(&service.name), service.state.name());
        if !service.last_reason.is_empty() {
            let _ = write!(text, ": {}", clean(&service.last_reason));
        }
        text.push('\n');
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "[!]{}", clean(warning));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_is_a_word_of_the_query() {
        assert!(verbose(Some("verbose")));
        assert!(verbose(Some("x=1&verbose=1")));
        assert!(!verbose(Some("verbose=0")));
        assert!(!verbose(Some("x=verbose")));
        assert!(!verbose(None));
    }
}
