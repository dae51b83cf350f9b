//! Asking PID 1: synchronous, one connection per question, every step under one deadline.
//!
//! No runtime and no allocation beyond the answer: `skill-init health` runs every few seconds for the life of a
//! container and must cost next to nothing.

use super::protocol::{ErrorCode, MAX_RESPONSE, Request, Response, Status};
use nix::{
    sys::{
        socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt},
        time::TimeVal,
    },
    unistd::geteuid,
};
use std::{
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at any of the paths.
    #[error("no skill-init answers at {}: is it running here, and is SKILL_INIT_SOCKET the same?", list(.paths))]
    NobodyThere {
        /// Where we looked.
        paths: Vec<PathBuf>,
    },
    /// The socket is there, we may not connect.
    #[error("{path}: {source}; ask as root or as the uid that skill-init runs as", path = .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The deadline passed.
    #[error("{path}: no answer within {} ms", .after.as_millis(), path = .path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The answer makes no sense.
    #[error("{path}: unintelligible answer ({reason}); are both of the same version?", path = .path.display())]
    Garbage {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An error answer.
    #[error("{message}")]
    Answer {
        /// The kind.
        code: ErrorCode,
        /// PID 1's words.
        message: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Client {
    paths: Vec<PathBuf>,
}

/// The uid of PID 1. Its `/proc` folder belongs to root, whatever its uid is, because it is not dumpable.
fn uid_of_init() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/1/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.parse().ok()
}

impl Client {
    /// Asks at the first of these sockets that somebody listens on.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// The paths that an init of our own uid uses, then those of PID 1's uid (`docker exec -u 0` into a container
    /// that runs as 10001). `candidates` is `rundir::candidates` for one uid.
    pub fn find(candidates: impl Fn(u32) -> Vec<PathBuf>) -> Self {
        let own = geteuid().as_raw();
        let mut paths = candidates(own);
        if let Some(init) = uid_of_init().filter(|uid| *uid != own) {
            for path in candidates(init) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        Self { paths }
    }

    /// Asks and waits for the answer, at most `deadline` in all. An error answer is an `Err`.
    pub fn ask(&self, request: &Request, deadline: Duration) -> Result<Response, ClientError> {
        let end = Instant::now() + deadline;
        let (mut stream, path) = self.connect(deadline)?;
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Timeout { path: path.clone(), after: deadline }
            }
            _ => ClientError::Io { path: path.clone(), source },
        };
        let garbage = |reason: String| ClientError::Garbage { path: path.clone(), reason };
        let mut line = serde_json::to_vec(request).map_err(|error| garbage(error.to_string()))?;
        line.push(b'\n');
        // An early refusal (busy, too large) closes the reading side: its reason is still there to be read.
        match stream.write_all(&line) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(io)?,
        }
        let mut answer = Vec::new();
        let mut chunk = [0; 8192];
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(left)).map_err(io)?;
            let read = match stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(io)?,
            };
            if read == 0 {
                break;
            }
            answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if answer.last() == Some(&b'\n') {
                break;
            }
            if answer.len() > MAX_RESPONSE {
                return Err(garbage(format!("longer than {MAX_RESPONSE} bytes")));
            }
            if Instant::now() >= end {
                return Err(ClientError::Timeout { path: path.clone(), after: deadline });
            }
        }
        if answer.is_empty() {
            return Err(garbage("it hung up".to_owned()));
        }
        match serde_json::from_slice(&answer).map_err(|error| garbage(error.to_string()))? {
            Response::Error { code, message } => Err(ClientError::Answer { code, message }),
            response => Ok(response),
        }
    }

    /// The status.
    pub fn status(&self, deadline: Duration) -> Result<Status, ClientError> {
        match self.ask(&Request::Status, deadline)? {
            Response::Status(status) => Ok(*status),
            other => Err(ClientError::Garbage {
                path: self.paths.first().cloned().unwrap_or_default(),
                reason: format!("not a status: {other:?}"),
            }),
        }
    }

    fn connect(&self, deadline: Duration) -> Result<(UnixStream, PathBuf), ClientError> {
        let mut refused = None;
        for path in &self.paths {
            match connect_within(path, deadline) {
                Ok(stream) => return Ok((stream, path.clone())),
                Err(nix::Error::ENOENT | nix::Error::ECONNREFUSED | nix::Error::ENOTDIR | nix::Error::ENAMETOOLONG) => {
                }
                Err(nix::Error::EAGAIN) => return Err(ClientError::Timeout { path: path.clone(), after: deadline }),
                Err(error) => {
                    refused.get_or_insert(ClientError::Refused { path: path.clone(), source: error.into() });
                }
            }
        }
        Err(refused.unwrap_or_else(|| ClientError::NobodyThere { paths: self.paths.clone() }))
    }
}

/// connect(2) under a deadline: a full backlog blocks a unix connect for as long as SO_SNDTIMEO allows (socket(7)).
fn connect_within(path: &Path, deadline: Duration) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let micros = i64::try_from(deadline.max(Duration::from_millis(1)).as_micros()).unwrap_or(i64::MAX);
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(micros / 1_000_000, micros % 1_000_000))?;
    loop {
        match connect(fd.as_raw_fd(), &address) {
            Err(nix::Error::EINTR) => {}
            done => return done.map(|()| UnixStream::from(fd)),
        }
    }
}
