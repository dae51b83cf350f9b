//! The places of what a later release serves: the engines' login flows. 501, so that a client can tell it from a typo.

use crate::error::ApiError;
use axum::{Router, routing::any};

pub(super) fn router() -> Router {
    let mut router = Router::new();
    for path in [
        "/v1/engines/auth/oauth-proxy/sessions",
        "/v1/engines/auth/oauth-proxy/sessions/{*rest}",
        "/v1/engines/auth/cli-delegate/sessions",
        "/v1/engines/auth/cli-delegate/sessions/{*rest}",
        "/v1/engines/auth/sessions",
        "/v1/engines/auth/sessions/{*rest}",
        "/v1/engines/auth/oauth-proxy/callback/openai",
        "/v1/engines/auth/callback/openai",
        "/auth/callback",
    ] {
        router = router.route(path, any(|| async { ApiError::not_implemented("engine login") }));
    }
    router
}
