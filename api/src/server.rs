//! The router, the listener and the graceful stop.
//!
//! Stop: admission ends, event streams say good-bye and end, running engines are ended inside the grace, queued runs
//! stay queued for the next worker, then the listener closes. What is still open at the deadline is cut.

use crate::{auth, error::ApiError, http, management, notify::Notify, openapi, packages, state::Shared, ui};
use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use std::{io, time::Duration};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

/// Every route of the worker.
pub fn router(app: &Shared) -> Router {
    let operations = openapi::Operations::default();
    let (routes, known) = openapi::Table::new()
        .merge(http::routes(app))
        .merge(management::routes(app))
        .merge(packages::routes(app))
        .merge(openapi::routes(app, &operations))
        .split();
    // Its only writer.
    let _ = operations.set(known);
    let routes = routes
        .merge(ui::router(app))
        .layer(axum::middleware::from_fn(to_the_end))
        .fallback(|| async { ApiError::not_found("Not Found") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        });
    let guarded = auth::protect(routes, app).layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
        let cause = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("panic");
        ApiError::internal(cause).into_response()
    }));
    guarded.layer(axum::middleware::from_fn_with_state(app.clone(), ui::as_page))
}

/// A write is done whole although its client has gone meanwhile: dropped half-way, it would leave a run that nobody
/// starts, or a row without its folder.
async fn to_the_end(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => ApiError::stopping().into_response(),
        },
    }
}

/// Serves until the stop is asked for and done.
pub async fn run(app: Shared, listener: TcpListener, notify: Notify) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Without it small answers wait for the peer's acknowledgement; a refusal changes nothing else.
        let _ = stream.set_nodelay(true);
    });
    let router = router(&app);
    notify.ready();
    let stopping = std::sync::Arc::clone(&app);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { stopping.stop.wait().await }).into_future();
    let deadline = async {
        app.stop.wait().await;
        notify.stopping();
        app.drain().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::select! {
        served = serving => {
            // The listener is closed; what runs is ended all the same.
            app.drain().await;
            served
        }
        () = deadline => Ok(()),
    }
}
