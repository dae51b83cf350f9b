//! The router, the listener and the graceful stop.
//!
//! Stop: admission ends, event streams say good-bye and end, running engines are ended inside the grace, queued runs
//! stay queued for the next worker, then the listener closes. What is still open at the deadline is cut.
//!
//! A client gets a place, a minute for its request's head and a minute between two pieces of its body: who sends slowly
//! on purpose holds one place, for a while, and nothing else.

use crate::{
    auth,
    error::ApiError,
    http::{self, bodies},
    management,
    notify::Notify,
    openapi, packages,
    state::Shared,
    ui,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use nix::sys::resource::{Resource, getrlimit};
use skill_init::control::linger::{Linger, Owed};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tower_http::{catch_panic::CatchPanicLayer, timeout::RequestBodyTimeoutLayer};

/// Most bytes of a head.
const HEAD_MAX: usize = 64 * 1024;
/// Most bytes that a connection reads ahead or holds back.
const BUFFER: usize = 128 * 1024;

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
        .layer(axum::middleware::from_fn_with_state(app.room.clone(), bodies::counted))
        .layer(axum::middleware::from_fn(to_the_end))
        .layer(DefaultBodyLimit::max(bodies::BODY_MAX))
        .layer(RequestBodyTimeoutLayer::new(app.config.patience))
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
    let router = router(&app);
    let places = Arc::new(Semaphore::new(connections()));
    notify.ready(listener.local_addr()?);
    tokio::select! {
        () = accept(&app, &listener, &router, &places) => {}
        () = app.stop.wait() => {}
    }
    drop(listener);
    notify.stopping();
    app.drain().await;
    // Every place is back once the last connection has ended; what does not end is cut.
    let all = u32::try_from(connections()).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(Duration::from_millis(500), places.acquire_many(all)).await;
    Ok(())
}

/// Connections at a time: what the process may open, less what its runs and files need. Who comes beyond that waits in
/// the listener's queue, so that no number of clients keeps an engine from being started, or takes the memory by heads.
fn connections() -> usize {
    const OTHERS: u64 = 192;
    const MOST: u64 = 4096;
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft.saturating_sub(OTHERS).clamp(64, MOST)).unwrap_or(64)
}

async fn accept(app: &Shared, listener: &TcpListener, router: &Router, places: &Arc<Semaphore>) {
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A client that has gone is nothing; a lack of descriptors or memory passes.
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Without it small answers wait for the peer's acknowledgement; a refusal changes nothing else.
        let _ = stream.set_nodelay(true);
        let (app, router, owed) = (Arc::clone(app), TowerToHyperService::new(router.clone()), Owed::default());
        let stream = Linger::new(stream, owed.clone()).patient(app.config.patience);
        let service = service_fn(move |request| router.call(owed.watch(request)));
        tokio::spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                // Also the longest that an idle connection stays.
                .header_read_timeout(app.config.patience)
                .max_header_size(HEAD_MAX)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = app.stop.wait() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection broke");
            }
        });
    }
}
