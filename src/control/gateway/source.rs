//! Asks PID 1 for its status, one question at a time, each answer good for a tenth of a second.
//!
//! However many clients ask, PID 1 answers at most ten times a second. A failure is remembered as long as an
//! answer is, so that a silent PID 1 does not pile up questions.

use crate::control::protocol::{MAX_RESPONSE, Request, Response, Status};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_millis(100);
/// PID 1 must have answered by then: Kubernetes gives a probe one second.
const DEADLINE: Duration = Duration::from_millis(600);

type Answer = Result<Arc<Status>, String>;

/// Where the status comes from.
#[derive(Debug)]
pub(super) struct Source {
    sockets: Vec<PathBuf>,
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Source {
    pub(super) fn new(sockets: Vec<PathBuf>) -> Self {
        Self { sockets, last: Mutex::new(None) }
    }

    /// The status, at most `FRESH` old; or why there is none, one line.
    pub(super) async fn status(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return answer.clone();
        }
        let answer = timeout(DEADLINE, self.ask())
            .await
            .unwrap_or_else(|_| Err(format!("skill-init did not answer within {} ms", DEADLINE.as_millis())));
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn ask(&self) -> Answer {
        let mut reason = "no control socket".to_owned();
        for path in &self.sockets {
            match UnixStream::connect(path).await {
                Ok(stream) => return question(stream, path).await,
                Err(error) => reason = format!("skill-init does not answer at {}: {error}", path.display()),
            }
        }
        Err(reason)
    }
}

async fn question(mut stream: UnixStream, path: &Path) -> Answer {
    let broken = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut line = serde_json::to_vec(&Request::Status).map_err(|error| error.to_string())?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream.take(MAX_RESPONSE as u64).read_to_end(&mut answer).await.map_err(broken)?;
    match serde_json::from_slice(&answer) {
        Ok(Response::Status(status)) => Ok(Arc::from(status)),
        Ok(Response::Error { message, .. }) => Err(message),
        Ok(_) => Err("skill-init gave another answer than asked for".to_owned()),
        Err(error) => Err(format!("unintelligible answer of skill-init: {error}")),
    }
}
