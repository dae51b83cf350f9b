//! One request for a page: its language and host, and how a template becomes an answer.

use super::{assets, messages, messages::LANGUAGES, templates};
use crate::{
    error::{ApiError, ApiResult},
    state::Shared,
};
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, VARY},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use minijinja::{Value, context, value::Serde};
use skill_init::settings::keys;
use std::convert::Infallible;

/// Who asks, and in which language.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) app: Shared,
    language: usize,
    host: Option<String>,
}

impl FromRequestParts<Shared> for Visit {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        Ok(Self::new(app, &parts.headers))
    }
}

impl Visit {
    pub(super) fn new(app: &Shared, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self { app: app.clone(), language: messages::choose(text(ACCEPT_LANGUAGE)), host: text(HOST).and_then(host) }
    }

    /// A word of the catalogue.
    pub(super) fn text<'k>(&self, key: &'k str) -> &'k str {
        let [first, ..] = &LANGUAGES;
        LANGUAGES.get(self.language).unwrap_or(first).text(key)
    }

    /// A whole page; `section` is the entry of the navigation that it belongs to.
    pub(super) fn page(&self, template: &str, section: &str, values: Value) -> ApiResult<Response> {
        self.page_with(StatusCode::OK, template, section, values)
    }

    /// A whole page with a status.
    pub(super) fn page_with(
        &self,
        status: StatusCode,
        name: &str,
        section: &str,
        values: Value,
    ) -> ApiResult<Response> {
        let [first, ..] = &LANGUAGES;
        let language = LANGUAGES.get(self.language).unwrap_or(first);
        let shared = context! {
            section, lang => language.tag, stamp => assets::stamp(), words => language.for_script().to_string(),
            load => Serde(self.app.concurrency()), version => env!("CARGO_PKG_VERSION"),
        };
        self.answer(status, name, context! { ..values, ..shared })
    }

    /// A part of a page, which the page's script puts in place of an older one.
    pub(super) fn part(&self, template: &str, values: Value) -> ApiResult<Response> {
        self.answer(StatusCode::OK, template, values)
    }

    fn answer(&self, status: StatusCode, template: &str, values: Value) -> ApiResult<Response> {
        let html = templates::of(self.language)
            .get_template(template)
            .and_then(|template| template.render(values))
            .map_err(|error| ApiError::internal(format!("{template}: {error:#}")))?;
        let mut response = (status, html).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept-language"));
        if let Ok(policy) = HeaderValue::from_str(&self.policy()) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        Ok(response)
    }

    /// Nothing but our own files; the terminal's port of the same host may be framed.
    fn policy(&self) -> String {
        let port = self.app.config.settings.get(&keys::TTYD_PORT);
        let frame = match &self.host {
            Some(host) => format!("http://{host}:{port} https://{host}:{port}"),
            None => "'none'".to_owned(),
        };
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             frame-src {frame}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    }
}

/// The name in a `Host` header without its port, if it is one that may stand in a policy.
fn host(header: &str) -> Option<String> {
    let name = match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => header,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match inner {
        Some(inner) => inner.chars().all(|c| c.is_ascii_hexdigit() || c == ':'),
        None => !name.is_empty() && name.chars().all(plain),
    };
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn only_a_name_or_an_address_gets_into_the_policy() {
        assert_eq!(host("example.org:8000").as_deref(), Some("example.org"));
        assert_eq!(host("[::1]:8000").as_deref(), Some("[::1]"));
        assert_eq!(host("10.0.0.1").as_deref(), Some("10.0.0.1"));
        for bad in ["", ":80", "a b", "a; script-src *", "[::1;]", "a,b:80"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
