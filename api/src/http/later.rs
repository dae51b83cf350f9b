//! The places of what a later release serves: the engines' login flows. 501, so that a client can tell it from a typo.

use crate::{
    error::ApiError,
    openapi::{Doc, Table},
};

pub(super) fn routes() -> Table<()> {
    let later = || async { ApiError::not_implemented("engine login") };
    let doc = |summary| Doc::new("engine login", summary).never();
    let mut table = Table::new();
    for transport in ["oauth-proxy/sessions", "cli-delegate/sessions", "sessions"] {
        let sessions = format!("/v1/engines/auth/{transport}");
        table = table
            .post(&sessions, later, doc("Begins a login").json("NewAuthSession"))
            .get(&format!("{sessions}/{{id}}"), later, doc("How a login stands"))
            .post(&format!("{sessions}/{{id}}/input"), later, doc("Sends a code or an address").json("AuthInput"))
            .post(&format!("{sessions}/{{id}}/cancel"), later, doc("Ends a login"));
    }
    for callback in
        ["/v1/engines/auth/oauth-proxy/callback/openai", "/v1/engines/auth/callback/openai", "/auth/callback"]
    {
        table = table.get(callback, later, doc("Where the provider sends the browser back to"));
    }
    table
}
