//! The run folder's entry in the engine's trust store: there before the launch, gone after it whatever happened.
//!
//! The database remembers it before it exists, so that a crash leaves nothing that nobody would remove.

use super::RunFolder;
use crate::{engines::trust, state::App, store::Run, time::now_ms};
use std::path::Path;

impl App {
    /// Registers the run's folder; the warning where that failed.
    pub(super) async fn trust(&self, run: &Run, folder: &RunFolder) -> Option<String> {
        let path = folder.path().display().to_string();
        // Remembered before it exists: a crash in between costs a removal of nothing.
        if let Err(error) = self.store.trust_there(&run.engine, &path, now_ms()).await {
            return Some(error.to_string());
        }
        let engine = self.engines.get(&run.engine)?.clone();
        let (layout, folder) = (self.engines.layout().clone(), folder.path().to_owned());
        match tokio::task::spawn_blocking(move || trust::register(&layout, &engine, &folder)).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => {
                // No trust store: nothing to remember.
                let _ = self.store.trust_gone(&run.engine, &path).await;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Removes the entry of a folder; what cannot be removed now is tried again by the upkeep.
    pub(super) async fn untrust(&self, engine: &str, folder: &Path) {
        let (layout, path) = (self.engines.layout().clone(), folder.to_owned());
        let known = self.engines.get(engine).cloned();
        let removal = move || known.map_or(Ok(()), |known| trust::remove(&layout, &known, &path));
        match tokio::task::spawn_blocking(removal).await {
            Ok(Ok(())) => {
                if let Err(error) = self.store.trust_gone(engine, &folder.display().to_string()).await {
                    tracing::warn!(%engine, %error, "a removed trust entry is still remembered");
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%engine, folder = %folder.display(), %error, "a trust entry stays; it is tried again later");
            }
            Err(error) => tracing::error!(%engine, %error, "trust removal broke"),
        }
    }
}
