//! `events` (server-sent events) and `events/history`.
//!
//! A stream reads the log from its cursor on and then waits for the bell; between two events it costs one timer. Lines
//! go from disk to the socket as they are: they are JSON without newlines.

use super::{
    extract::{Params, Path},
    reads::At,
};
use crate::{
    error::{ApiError, ApiResult},
    events::{self, Mark, Page},
    runs::RunFolder,
    state::Shared,
    store::RunStatus,
    time::{self, now_ms, rfc3339},
};
use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;
use std::collections::VecDeque;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Events per read of the log.
const BATCH: u64 = 500;
/// Events of one history answer, unless fewer are asked for.
const HISTORY: u64 = 1000;
const HISTORY_MAX: u64 = 10_000;

/// Where a stream begins.
#[derive(Debug, Default, Deserialize)]
pub struct EventsQuery {
    /// The last sequence number that the client has.
    #[serde(default)]
    pub cursor: u64,
}

impl EventsQuery {
    /// Goes on where a browser's EventSource was, which comes back by itself with `Last-Event-ID`.
    pub fn resumed(mut self, headers: &HeaderMap) -> Self {
        let last =
            headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        self.cursor = self.cursor.max(last.unwrap_or(0));
        self
    }
}

/// Which events of the past.
#[derive(Debug, Default, Deserialize)]
pub struct HistoryQuery {
    /// First sequence number.
    pub from_seq: Option<u64>,
    /// Last sequence number.
    pub to_seq: Option<u64>,
    /// RFC 3339, at or after.
    pub from_ts: Option<String>,
    /// RFC 3339, at or before.
    pub to_ts: Option<String>,
    /// At most this many.
    pub limit: Option<u64>,
}

pub(super) async fn stream(
    State(at): State<At>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Params(query): Params<EventsQuery>,
) -> ApiResult<Response> {
    at.both(&id).await?;
    Ok(events(at.app, id, query.resumed(&headers)))
}

pub(super) async fn list(
    State(at): State<At>,
    Path(id): Path<String>,
    Params(query): Params<HistoryQuery>,
) -> ApiResult<Response> {
    let (_, run) = at.both(&id).await?;
    if let Some(run) = &run {
        at.app.whole_log(run).await;
    }
    history(id, run.map(|run| at.folder(&run)), query).await
}

/// The event stream of a request that exists.
pub fn events(app: Shared, request_id: String, query: EventsQuery) -> Response {
    let beat = app.config.heartbeat;
    let client = Client {
        app,
        request_id,
        cursor: query.cursor,
        run: None,
        ready: VecDeque::new(),
        greeted: false,
        done: false,
        beat: Instant::now() + beat,
    };
    let stream = futures_util::stream::unfold(client, |mut client| async move {
        client.next().await.map(|frame| (Ok::<_, std::convert::Infallible>(frame), client))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache, no-transform")];
    let mut response = (headers, Body::from_stream(stream)).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}

struct Client {
    app: Shared,
    request_id: String,
    cursor: u64,
    run: Option<(RunFolder, Option<watch::Receiver<Mark>>)>,
    ready: VecDeque<Bytes>,
    greeted: bool,
    done: bool,
    beat: Instant,
}

impl Client {
    /// The next bytes to send; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.done {
                return None;
            }
            if !self.greeted {
                self.greeted = true;
                if !self.greet().await {
                    return None;
                }
                continue;
            }
            if self.app.stop.is_set() {
                self.done = true;
                return Some(frame(
                    "shutdown",
                    None,
                    &json!({"ts": rfc3339(now_ms()), "cursor": self.cursor}).to_string(),
                ));
            }
            self.step().await;
        }
    }

    /// Looks up the run and says where it stands.
    async fn greet(&mut self) -> bool {
        let Ok((_, run)) = self.app.request_and_run(None, &self.request_id).await else { return false };
        let status = run.as_ref().map_or(RunStatus::Queued, |run| run.status);
        if let Some(run) = run {
            let bell = self.app.events.listen(&run.run_id);
            self.run = Some((RunFolder::new(&self.app.config.runs_dir(), &run.run_id), bell));
        }
        let snapshot = json!({"status": status, "cursor": self.cursor, "pending_interaction_id": null});
        self.ready.push_back(frame("snapshot", None, &snapshot.to_string()));
        true
    }

    async fn step(&mut self) {
        let Some((folder, bell)) = &mut self.run else {
            // The upload has not come: looked up at each heartbeat.
            self.wait_beat().await;
            match self.app.request_and_run(None, &self.request_id).await {
                Ok((_, Some(run))) => {
                    let bell = self.app.events.listen(&run.run_id);
                    self.run = Some((RunFolder::new(&self.app.config.runs_dir(), &run.run_id), bell));
                }
                // Removed: nothing will ever happen.
                Err(error) if error.status == StatusCode::NOT_FOUND => self.done = true,
                Ok((_, None)) | Err(_) => {}
            }
            return;
        };
        let mark = match bell {
            Some(bell) => *bell.borrow_and_update(),
            None => Mark { last_seq: u64::MAX, ended: true },
        };
        if mark.last_seq > self.cursor {
            let (audit, from) = (folder.audit(), self.cursor + 1);
            let page = tokio::task::spawn_blocking(move || events::page(&audit, from, u64::MAX, BATCH)).await;
            match page {
                Ok(Ok(page)) if page.count > 0 => {
                    self.push(&page);
                    return;
                }
                Ok(Ok(_)) if !mark.ended => {}
                Ok(Ok(_)) => {
                    self.done = true;
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(request = %self.request_id, %error, "an event log cannot be read");
                    self.done = true;
                    return;
                }
                Err(_) => {
                    self.done = true;
                    return;
                }
            }
        } else if mark.ended {
            self.done = true;
            return;
        }
        let Some(bell) = bell else { return };
        tokio::select! {
            _ = bell.changed() => {}
            () = self.app.stop.wait() => {}
            () = sleep_until(self.beat) => self.heartbeat(),
        }
    }

    async fn wait_beat(&mut self) {
        tokio::select! {
            () = self.app.stop.wait() => {}
            () = sleep_until(self.beat) => self.heartbeat(),
        }
    }

    fn heartbeat(&mut self) {
        self.beat = Instant::now() + self.app.config.heartbeat;
        self.ready.push_back(frame("heartbeat", None, &json!({"ts": rfc3339(now_ms())}).to_string()));
    }

    fn push(&mut self, page: &Page) {
        let mut out = BytesMut::with_capacity(page.lines.len() + page.count as usize * 48);
        let mut seq = page.first;
        for line in page.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            out.extend_from_slice(format!("id: {seq}\nevent: chat_event\ndata: ").as_bytes());
            out.extend_from_slice(line);
            out.extend_from_slice(b"\n\n");
            seq += 1;
        }
        self.cursor = seq - 1;
        self.ready.push_back(out.freeze());
    }
}

fn frame(event: &str, id: Option<u64>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {event}\ndata: {data}\n\n"))
}

/// The answer of `events/history`; `None`: no run yet.
pub async fn history(id: String, folder: Option<RunFolder>, query: HistoryQuery) -> ApiResult<Response> {
    let at = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => {
            time::parse(text).map(Some).ok_or_else(|| ApiError::bad_request(format!("\"{text}\" is not RFC 3339")))
        }
    };
    let (from_ts, to_ts) = (at(&query.from_ts)?, at(&query.to_ts)?);
    let limit = query.limit.unwrap_or(HISTORY).clamp(1, HISTORY_MAX);
    let page = match folder {
        None => Page::default(),
        Some(folder) => {
            tokio::task::spawn_blocking(move || {
                let audit = folder.audit();
                let mut from = query.from_seq.unwrap_or(1);
                let mut to = query.to_seq.unwrap_or(u64::MAX);
                if let Some(ts) = from_ts {
                    from = from.max(events::seq_at(&audit, ts)?);
                }
                if let Some(ts) = to_ts {
                    to = to.min(events::seq_at(&audit, ts + 1)?.saturating_sub(1));
                }
                if from > to {
                    let last_in_log = events::page(&audit, u64::MAX - 1, u64::MAX, 1)?.last_in_log;
                    return Ok(Page { last_in_log, ..Page::default() });
                }
                events::page(&audit, from, to, limit)
            })
            .await??
        }
    };
    let last = page.first + page.count.saturating_sub(1);
    let next =
        (page.count > 0 && last < page.last_in_log && query.to_seq.is_none_or(|to| last < to)).then_some(last + 1);
    let mut body = BytesMut::with_capacity(page.lines.len() + 256);
    body.extend_from_slice(format!("{{\"request_id\":{},\"count\":{},\"events\":[", json!(id), page.count).as_bytes());
    for (n, line) in page.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        if n > 0 {
            body.extend_from_slice(b",");
        }
        body.extend_from_slice(line);
    }
    body.extend_from_slice(
        format!(
            "],\"next_from_seq\":{},\"cursor_floor\":{},\"cursor_ceiling\":{}}}",
            json!(next),
            u64::from(page.last_in_log > 0),
            page.last_in_log
        )
        .as_bytes(),
    );
    Ok(([(CONTENT_TYPE, "application/json")], body.freeze()).into_response())
}
