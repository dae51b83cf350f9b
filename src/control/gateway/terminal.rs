//! The terminal's door: ttyd's page and websocket, from its unix socket to the published address.
//!
//! Order of the checks: method and form of the request, `Host`, credentials, path, `Origin` (websocket), one client
//! at a time. Nothing of the request but what ttyd needs is passed on: no credentials, no cookies, no query (ttyd
//! could take arguments from it), and the path is one of three.

use super::{
    auth::{Brake, CHALLENGE, Credentials, Verdict},
    listen::{Body, say},
    origin::{Origins, bare_host},
};
use crate::control::metrics::Counts;
use http_body_util::{Either, Empty};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{copy as copy_bytes, split},
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

/// ttyd must have accepted and answered by then.
const TTYD_DEADLINE: Duration = Duration::from_secs(5);
/// How long a new client waits for the one before it to be gone: a reloaded page closes its old websocket and
/// opens the new one at nearly the same time.
const TURNOVER: Duration = Duration::from_secs(2);

/// Headers of the request that a websocket needs (RFC 6455 section 4.1).
const WEBSOCKET_REQUEST: [HeaderName; 4] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];
/// Headers of ttyd's answer that are passed on.
const WEBSOCKET_ANSWER: [HeaderName; 3] =
    [header::SEC_WEBSOCKET_ACCEPT, header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_EXTENSIONS];
const PAGE_ANSWER: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH];

/// Who may open the terminal, and where ttyd is.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
    credentials: Option<Credentials>,
    origins: Origins,
    api_port: u16,
    brake: Mutex<Brake>,
    seat: Arc<Semaphore>,
    sessions: AtomicU64,
    refused: AtomicU64,
}

impl Terminal {
    /// `socket`: ttyd's. `credentials`: `None` asks for none. `api_port`: the port of the UI whose pages may frame
    /// the terminal.
    pub fn new(socket: PathBuf, credentials: Option<Credentials>, origins: Origins, api_port: u16) -> Self {
        Self {
            socket,
            credentials,
            origins,
            api_port,
            brake: Mutex::default(),
            seat: Arc::new(Semaphore::new(1)),
            sessions: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            terminal_clients: 1_u64.saturating_sub(self.seat.available_permits() as u64),
            terminal_sessions: self.sessions.load(Ordering::Relaxed),
            terminal_refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// One request.
    pub(super) async fn answer(
        &self,
        peer: IpAddr,
        request: Request<Incoming>,
        stopping: watch::Receiver<bool>,
    ) -> Response<Body> {
        let (host, mut response) = match self.admit(peer, &request) {
            Err(refusal) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                (None, *refusal)
            }
            Ok(host) => {
                let response = match request.uri().path() {
                    "/ws" => self.websocket(peer, &host, request, stopping).await,
                    path @ ("/" | "/token") => self.page(path.to_owned(), &request).await,
                    _ => say(404, "not found"),
                };
                (Some(host), response)
            }
        };
        self.harden(&mut response, host.as_deref());
        response
    }

    /// The checks that every request must pass; its `Host`.
    fn admit(&self, peer: IpAddr, request: &Request<Incoming>) -> Result<String, Box<Response<Body>>> {
        let headers = request.headers();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = say(405, "only GET and HEAD");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(response.into());
        }
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        if has_body || request.uri().authority().is_some() {
            return Err(say(400, "no request bodies and no absolute addresses here").into());
        }
        let host = match single(headers, &header::HOST) {
            Some(host) if self.origins.answers_to(host, self.credentials.is_some()) => host.to_owned(),
            Some(_) => {
                return Err(say(
                    421,
                    "this name is not known here: ask by address, or name it in SKILL_INIT_TERMINAL_ORIGINS",
                )
                .into());
            }
            None => return Err(say(400, "exactly one Host header is needed").into()),
        };
        self.check_credentials(peer, headers)?;
        Ok(host)
    }

    fn check_credentials(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        let mut brake = self.brake.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Err(wait) = brake.allows(peer, now) {
            let mut response = say(429, "too many wrong credentials from this address; wait");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            return Err(response.into());
        }
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let verdict = match (given.next(), given.next()) {
            (given, None) => credentials.check(given.map(HeaderValue::as_bytes)),
            (_, Some(_)) => Verdict::Wrong,
        };
        let words = match verdict {
            Verdict::Right => return Ok(()),
            Verdict::Missing => "credentials are needed",
            Verdict::Wrong => {
                brake.wrong(peer, now);
                tracing::warn!(%peer, "terminal: wrong credentials");
                "wrong credentials"
            }
        };
        let mut response = say(401, words);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        Err(response.into())
    }

    /// ttyd's page or token.
    async fn page(&self, path: String, request: &Request<Incoming>) -> Response<Body> {
        let mut passed = HeaderMap::new();
        copy(request.headers(), &mut passed, &[header::ACCEPT_ENCODING]);
        let answer = timeout(TTYD_DEADLINE, async {
            let mut ttyd = self.connect().await?;
            ttyd.send_request(ask(request.method().clone(), &path, passed)?).await.map_err(|error| error.to_string())
        });
        let (head, body) = match answer.await.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(answer) => answer.into_parts(),
            Err(reason) => return self.not_there(&reason),
        };
        let mut response = Response::new(Either::Right(body));
        *response.status_mut() = head.status;
        copy(&head.headers, response.headers_mut(), &PAGE_ANSWER);
        response
    }

    /// The websocket: ttyd's handshake is passed on, then bytes in both directions.
    async fn websocket(
        &self,
        peer: IpAddr,
        host: &str,
        mut request: Request<Incoming>,
        stopping: watch::Receiver<bool>,
    ) -> Response<Body> {
        let headers = request.headers();
        let asks = single(headers, &header::UPGRADE).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
            && headers
                .get_all(header::CONNECTION)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")));
        if !asks || request.method() != Method::GET {
            let mut response = say(426, "only websockets here");
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            return response;
        }
        if !self.origins.may_open(single(headers, &header::ORIGIN), host) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%peer, origin = ?headers.get(header::ORIGIN), "terminal: refused a page of another origin");
            return say(403, "this page may not open the terminal; name its origin in SKILL_INIT_TERMINAL_ORIGINS");
        }
        let Ok(Ok(seat)) = timeout(TURNOVER, Arc::clone(&self.seat).acquire_owned()).await else {
            return say(409, "another client is connected; there is one terminal at a time");
        };
        let mut passed = HeaderMap::new();
        copy(headers, &mut passed, &WEBSOCKET_REQUEST);
        passed.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        passed.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let answer = timeout(TTYD_DEADLINE, async {
            let mut ttyd = self.connect().await?;
            ttyd.send_request(ask(Method::GET, "/ws", passed)?).await.map_err(|error| error.to_string())
        });
        let mut answer = match answer.await.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => answer,
            Ok(answer) => return self.not_there(&format!("status {}", answer.status())),
            Err(reason) => return self.not_there(&reason),
        };
        self.sessions.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%peer, "terminal: client connected");
        let (client, ttyd) = (hyper::upgrade::on(&mut request), hyper::upgrade::on(&mut answer));
        tokio::spawn(session(peer, client, ttyd, seat, stopping));
        let mut response = say(101, "");
        *response.body_mut() = Either::Left(http_body_util::Full::default());
        response.headers_mut().clear();
        copy(answer.headers(), response.headers_mut(), &WEBSOCKET_ANSWER);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, String> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn not_there(&self, reason: &str) -> Response<Body> {
        tracing::warn!(reason, socket = %self.socket.display(), "terminal: ttyd does not answer");
        let mut response = say(503, "the terminal is not running now; skill-init status says why");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        response
    }

    /// Headers for the browser: no framing by strangers, no sniffing, no storing, no connection but to here.
    fn harden(&self, response: &mut Response<Body>, host: Option<&str>) {
        let own = host.and_then(bare_host).unwrap_or_default();
        let authority = host.unwrap_or_default();
        let mut frames = format!("'self'{}", self.origins.csp_sources());
        let mut connects = "'self'".to_owned();
        if !own.is_empty() {
            let port = self.api_port;
            frames.push_str(&format!(" http://{own}:{port} https://{own}:{port} https://{own}"));
            connects.push_str(&format!(" ws://{authority} wss://{authority}"));
        }
        let policy = format!(
            "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; \
             img-src 'self' data:; font-src data:; connect-src {connects}; frame-ancestors {frames}; \
             base-uri 'none'; form-action 'none'"
        );
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
}

/// The value of a header that must be there exactly once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn ask(method: Method, path: &str, headers: HeaderMap) -> Result<Request<Empty<Bytes>>, String> {
    let mut request =
        Request::builder().method(method).uri(path).body(Empty::new()).map_err(|error| error.to_string())?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    Ok(request)
}

/// One client's session, from the upgrade to the last byte; the seat is free again when it ends.
async fn session(
    peer: IpAddr,
    client: hyper::upgrade::OnUpgrade,
    ttyd: hyper::upgrade::OnUpgrade,
    seat: OwnedSemaphorePermit,
    mut stopping: watch::Receiver<bool>,
) {
    let upgraded = timeout(TTYD_DEADLINE, async { tokio::try_join!(client, ttyd) }).await;
    if let Ok(Ok((client, ttyd))) = upgraded {
        let (mut from_client, mut to_client) = split(TokioIo::new(client));
        let (mut from_ttyd, mut to_ttyd) = split(TokioIo::new(ttyd));
        // The end of either direction ends both: neither a dead ttyd nor a client that only half closes keeps the seat.
        tokio::select! {
            _ = copy_bytes(&mut from_client, &mut to_ttyd) => {}
            _ = copy_bytes(&mut from_ttyd, &mut to_client) => {}
            _ = stopping.changed() => {}
        }
    }
    tracing::info!(%peer, "terminal: client left");
    drop(seat);
}
