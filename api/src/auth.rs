//! Basic Auth, refusal of cross-site writes, security headers.
//!
//! What is protected is decided by the path alone, before any handler: `documented` protects what always was, `all`
//! everything that can run, read or delete work. Names and passwords are any UTF-8, compared as digests in constant
//! time. Enabled without both is no state that a worker can be in: it does not start.

use crate::{config::Config, error::ApiError, state::Shared};
use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use skill_init::settings::{Secret, keys};

/// What Basic Auth protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The documented routes.
    Documented,
    /// Everything under `/v1` and `/ui`.
    All,
}

/// Basic Auth as configured.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Digest of `user:password`; `None`: nothing is asked.
    expected: Option<Secret<[u8; 32]>>,
    scope: Scope,
}

impl Auth {
    /// From the settings; the error is the operator's mistake.
    pub fn new(config: &Config) -> Result<Self, &'static str> {
        let scope = if config.settings.get(&keys::AUTH_SCOPE) == "all" { Scope::All } else { Scope::Documented };
        if !config.settings.get(&keys::AUTH_ENABLED) {
            return Ok(Self { expected: None, scope });
        }
        let user = config.settings.get(&keys::AUTH_USERNAME);
        let password = config.settings.get_opt(&keys::AUTH_PASSWORD).unwrap_or_default();
        if user.is_empty() || password.expose().is_empty() {
            return Err("UI_BASIC_AUTH_ENABLED is on, but UI_BASIC_AUTH_USERNAME/UI_BASIC_AUTH_PASSWORD are missing");
        }
        if user.contains(':') {
            return Err("UI_BASIC_AUTH_USERNAME holds a colon, which no client can send (RFC 7617)");
        }
        Ok(Self { expected: Some(Secret::new(digest(format!("{user}:{}", password.expose()).as_bytes()))), scope })
    }

    /// Is a password asked for at all?
    pub const fn is_on(&self) -> bool {
        self.expected.is_some()
    }

    /// Is this path behind Basic Auth?
    pub fn protects(&self, path: &str) -> bool {
        let below =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below("/ui") || below("/v1/skill-packages") {
            return true;
        }
        if let Some(rest) = path.strip_prefix("/v1/engines/") {
            // The provider's redirect cannot carry a password; the state parameter protects it.
            let callback = matches!(rest, "auth/callback/openai" | "auth/oauth-proxy/callback/openai");
            let documented = rest == "auth-status"
                || rest == "upgrades"
                || rest.starts_with("upgrades/")
                || (rest.starts_with("auth/") && !callback)
                || rest.ends_with("/models/manifest")
                || rest.ends_with("/models/snapshots");
            if documented || callback {
                return documented;
            }
        }
        self.scope == Scope::All && below("/v1") && path != "/v1/system/ping"
    }

    /// Does this request know the password? The error is the documented detail.
    fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let header = headers.get(AUTHORIZATION).ok_or("Authentication required")?;
        let wrong = "Invalid authentication credentials";
        let (scheme, encoded) = header.to_str().map_err(|_| wrong)?.split_once(' ').ok_or(wrong)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err("Authentication required");
        }
        let given = digest(&STANDARD.decode(encoded.trim()).map_err(|_| wrong)?);
        let difference = given.iter().zip(expected.expose()).fold(0, |all, (a, b)| all | (a ^ b));
        if std::hint::black_box(difference) == 0 { Ok(()) } else { Err(wrong) }
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A write that another site's page makes a browser send: Basic Auth goes with it by itself, so it is refused.
fn cross_site(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers of the last years say it themselves; a page cannot forge either header.
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    match text(&ORIGIN) {
        None => false,
        Some(origin) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_none() || host != text(&HOST)
        }
    }
}

/// Wraps every route.
pub fn protect(routes: Router, app: &Shared) -> Router {
    routes.layer(middleware::from_fn_with_state(app.clone(), guard))
}

async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = if cross_site(request.method(), request.headers()) {
        ApiError::new(StatusCode::FORBIDDEN, "a page of another site sent this request").into_response()
    } else if app.auth.protects(request.uri().path()) {
        match app.auth.check(request.headers()) {
            Ok(()) => next.run(request).await,
            Err(detail) => {
                let mut refused = ApiError::new(StatusCode::UNAUTHORIZED, detail).into_response();
                let realm = HeaderValue::from_static("Basic realm=\"Skill Runner\", charset=\"UTF-8\"");
                refused.headers_mut().insert(WWW_AUTHENTICATE, realm);
                refused
            }
        }
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "no-referrer"),
        // Pages say their own; everything else is data, and is nothing that a browser should run.
        ("content-security-policy", "default-src 'none'; frame-ancestors 'self'"),
    ] {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(scope: Scope) -> Auth {
        Auth { expected: Some(Secret::new(digest("käthe:pa:ß wort".as_bytes()))), scope }
    }

    #[test]
    fn the_documented_routes_are_protected_and_no_look_alike_is() {
        let documented = auth(Scope::Documented);
        for path in [
            "/ui",
            "/ui/",
            "/ui/skills/x",
            "/v1/skill-packages/install",
            "/v1/engines/auth-status",
            "/v1/engines/upgrades",
            "/v1/engines/upgrades/x",
            "/v1/engines/codex/models/manifest",
            "/v1/engines/codex/models/snapshots",
            "/v1/engines/auth/sessions/x/input",
        ] {
            assert!(documented.protects(path), "{path}");
        }
        for path in [
            "/",
            "/uix",
            "/v1/jobs",
            "/v1/jobs/cleanup",
            "/v1/skills",
            "/v1/engines",
            "/v1/engines/codex/models",
            "/v1/engines/auth/callback/openai",
            "/ui-static/x.css",
        ] {
            assert!(!documented.protects(path), "{path}");
        }
        let all = auth(Scope::All);
        for path in ["/v1/jobs", "/v1/jobs/x/cancel", "/v1/temp-skill-runs", "/v1/management/runs", "/v1/skills", "/ui"]
        {
            assert!(all.protects(path), "{path}");
        }
        for path in ["/", "/v1/system/ping", "/v1/engines/auth/callback/openai"] {
            assert!(!all.protects(path), "{path}");
        }
    }

    #[test]
    fn any_utf8_password_is_compared_and_what_is_malformed_is_refused() {
        let auth = auth(Scope::All);
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            auth.check(&headers)
        };
        let encoded = STANDARD.encode("käthe:pa:ß wort");
        assert_eq!(check(&format!("Basic {encoded}")), Ok(()));
        assert_eq!(check(&format!("bAsIc {encoded}")), Ok(()));
        for wrong in
            ["Basic ", "Basic !!!", "Basic", &format!("Basic {}", STANDARD.encode("käthe:pa:ß wort ")), "Bearer x"]
        {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert_eq!(auth.check(&HeaderMap::new()), Err("Authentication required"));
    }

    #[test]
    fn a_write_from_another_site_is_refused_and_a_tool_is_not() {
        let crossing = |method: Method, pairs: &[(&'static str, &'static str)]| {
            let headers =
                pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect();
            cross_site(&method, &headers)
        };
        assert!(!crossing(Method::POST, &[]));
        assert!(crossing(Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(crossing(Method::POST, &[("sec-fetch-site", "same-site")]));
        assert!(!crossing(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "http://x")]));
        assert!(crossing(Method::DELETE, &[("origin", "http://evil"), ("host", "x:8000")]));
        assert!(crossing(Method::POST, &[("origin", "null"), ("host", "x:8000")]));
        assert!(!crossing(Method::POST, &[("origin", "http://x:8000"), ("host", "x:8000")]));
        assert!(!crossing(Method::GET, &[("sec-fetch-site", "cross-site")]));
    }
}
