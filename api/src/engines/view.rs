//! An engine as front ends see it: version, login, confinement and models on one line. No CLI is asked.

use crate::{error::ApiResult, state::App};
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl App {
    /// Which engines are logged in, and why not: the structure of `auth-status`.
    pub(crate) async fn auth_status(self: &Arc<Self>) -> ApiResult<Map<String, Value>> {
        let (app, seen) = (Arc::clone(self), self.engines.status().await);
        Ok(tokio::task::spawn_blocking(move || app.engines.auth_status(&seen)).await?)
    }

    /// `{engine: true | false}`.
    pub(crate) async fn auth_ready(self: &Arc<Self>) -> ApiResult<Map<String, Value>> {
        let ready = |entry: &Value| entry.get("auth_ready").cloned().unwrap_or_default();
        Ok(self.auth_status().await?.iter().map(|(name, entry)| (name.clone(), ready(entry))).collect())
    }

    /// Every engine.
    pub(crate) async fn engine_views(self: &Arc<Self>) -> ApiResult<Vec<Value>> {
        let auth = self.auth_status().await?;
        let mut out = Vec::new();
        for name in self.engines.names() {
            out.push(self.view_with(name, &auth).await?);
        }
        Ok(out)
    }

    /// One engine; 404 where it is unknown.
    pub(crate) async fn engine_view(self: &Arc<Self>, name: &str) -> ApiResult<Value> {
        let auth = self.auth_status().await?;
        self.view_with(name, &auth).await
    }

    async fn view_with(&self, name: &str, auth: &Map<String, Value>) -> ApiResult<Value> {
        let models = self.model_view(name).await?;
        let verdict = self.engines.verdict(name).await;
        let entry = auth.get(name);
        Ok(json!({
            "engine": name, "cli_version": self.engines.status().await.version(name),
            "auth_ready": entry.and_then(|entry| entry.get("auth_ready")).cloned().unwrap_or_default(),
            "auth": entry, "sandbox_status": verdict.word(),
            "sandbox": verdict, "models_count": models.get("models").and_then(Value::as_array).map_or(0, Vec::len),
        }))
    }
}
