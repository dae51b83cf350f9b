//! The control socket inside PID 1: accepts, bounds, checks, forwards.
//!
//! One request per connection. Invariants: at most `MAX_CONNECTIONS` at once (further ones wait in the kernel's
//! backlog), of which at most `MAX_WAITERS` are long-lived; a request is at most `protocol::MAX_REQUEST` bytes and
//! arrives within `READ_DEADLINE`; an answer is taken within `WRITE_DEADLINE` or dropped. At rest there is no
//! timer. What a peer sends can end its own connection and nothing else.

use super::{
    peer::{Peer, Policy, ancestry},
    protocol::{ErrorCode, MAX_REQUEST, MAX_WAIT_MS, Request, Response, parse_request},
    rundir::{self, RunDirError},
};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::{
    fs, io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

/// Connections at once.
pub const MAX_CONNECTIONS: usize = 64;
/// Of these, connections that wait for readiness.
pub const MAX_WAITERS: usize = 32;
/// A request must have arrived by then.
const READ_DEADLINE: Duration = Duration::from_secs(1);
/// The answer must have been taken by then.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
/// The driver must have answered by then; a stop may take the service's whole grace.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// A request on its way to the driver. Dropping `reply` answers with an error.
#[derive(Debug)]
pub struct Call {
    /// What is asked; already parsed and permitted.
    pub request: Request,
    /// Who asks.
    pub peer: Peer,
    /// Where the answer goes. `reply.is_closed()`: nobody waits any more.
    pub reply: oneshot::Sender<Response>,
}

/// Why there is no control socket at one path.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Its folder will not do.
    #[error(transparent)]
    Dir(#[from] RunDirError),
    /// Another init answers there.
    #[error("{path}: another skill-init answers there", path = .path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{path} exists and is not a socket; remove it or set SKILL_INIT_SOCKET", path = .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused (`ENAMETOOLONG`: a socket's path has at most 107 bytes, unix(7)).
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The connections that were promised an answer: each holds a permit from its question until its answer is written.
#[derive(Debug, Clone)]
pub struct Answering(Arc<Semaphore>);

impl Answering {
    fn nobody() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONNECTIONS)))
    }

    /// Until every answer is written, for `at_most`. Only once the driver has replied to, or dropped, all calls.
    pub async fn done(&self, at_most: Duration) {
        let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        let _ = timeout(at_most, self.0.acquire_many(all)).await;
    }
}

/// A bound control socket. Dropping it removes the socket file, if it is still ours.
#[derive(Debug)]
pub struct Server {
    answering: Answering,
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
    policy: Arc<Policy>,
}

impl Server {
    /// Binds the first path that will do; the errors of those before it are worth a warning, unless they are
    /// about rights or missing folders (`/run` of a container that is not root).
    pub fn open(
        paths: &[PathBuf],
        group: Option<u32>,
        policy: Policy,
    ) -> Result<(Self, Vec<BindError>), Vec<BindError>> {
        let mut errors = Vec::new();
        for path in paths {
            let explicit = paths.len() == 1;
            match rundir::prepare(path, explicit, policy.own_uid)
                .map_err(BindError::from)
                .and_then(|()| Self::bind(path, group, policy.clone()))
            {
                Ok(server) => return Ok((server, errors)),
                Err(error) => errors.push(error),
            }
        }
        Err(errors)
    }

    /// Binds exactly this path, whose folder must exist; a stale socket is replaced.
    ///
    /// `group` may connect too (the services' gid, so that the gateway can ask); else only the own uid may.
    pub fn bind(path: &Path, group: Option<u32>, policy: Policy) -> Result<Self, BindError> {
        let io = |source| BindError::Io { path: path.to_path_buf(), source };
        match fs::symlink_metadata(path) {
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(BindError::NotASocket { path: path.to_path_buf() });
            }
            Ok(_) if answers(path) => return Err(BindError::InUse { path: path.to_path_buf() }),
            _ => {}
        }
        // Bound under another name, given its final mode, then renamed over whatever stale socket was there: a
        // client sees the old socket or the finished new one.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", policy.own_pid));
        let fresh = PathBuf::from(fresh);
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(io)?;
        let finish = || {
            listener.set_nonblocking(true)?;
            let mode = if group.is_some() { 0o660 } else { 0o600 };
            if group.is_some() {
                std::os::unix::fs::lchown(&fresh, None, group)?;
            }
            fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
            let meta = fs::symlink_metadata(&fresh)?;
            fs::rename(&fresh, path)?;
            Ok((meta.dev(), meta.ino()))
        };
        let inode = finish().map_err(|source| {
            let _ = fs::remove_file(&fresh);
            io(source)
        })?;
        Ok(Self { answering: Answering::nobody(), listener, path: path.to_path_buf(), inode, policy: Arc::new(policy) })
    }

    /// Where it is bound: the children's `SKILL_INIT_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who is owed an answer: ask before the runtime ends.
    pub fn answering(&self) -> Answering {
        self.answering.clone()
    }

    /// Serves until the task is dropped. Call it inside the runtime.
    pub async fn run(self, calls: mpsc::Sender<Call>) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let waiters = Arc::new(Semaphore::new(MAX_WAITERS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (policy, calls, waiters) = (Arc::clone(&self.policy), calls.clone(), Arc::clone(&waiters));
                    let answering = self.answering();
                    tokio::spawn(async move {
                        serve(stream, &policy, &calls, &waiters, &answering).await;
                        drop(slot);
                    });
                }
                // Out of descriptors or memory: the pending connection stays pending, so do not spin on it.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Does somebody accept there? Never blocks: a full backlog (EAGAIN) counts as yes.
fn answers(path: &Path) -> bool {
    let Ok(address) = UnixAddr::new(path) else { return false };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(probe) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else { return false };
    !matches!(connect(probe.as_raw_fd(), &address), Err(nix::Error::ECONNREFUSED | nix::Error::ENOENT))
}

/// One connection, from its first byte to its last.
async fn serve(
    mut stream: UnixStream,
    policy: &Policy,
    calls: &mpsc::Sender<Call>,
    waiters: &Semaphore,
    answering: &Answering,
) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let peer = Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
    let line = timeout(READ_DEADLINE, read_line(&mut stream)).await;
    let _answering = answering.0.acquire().await;
    let response = match line {
        Ok(Ok(line)) if line.is_empty() => return,
        Ok(Ok(line)) if line.len() > MAX_REQUEST => {
            Response::error(ErrorCode::TooLarge, format!("request longer than {MAX_REQUEST} bytes"))
        }
        Ok(Ok(line)) => match parse_request(&line) {
            Ok(request) => match answer(&mut stream, request, peer, policy, calls, waiters).await {
                Some(response) => response,
                None => return,
            },
            Err(message) => Response::error(ErrorCode::BadRequest, message),
        },
        Ok(Err(_)) => return,
        Err(_) => Response::error(ErrorCode::Timeout, "the request did not arrive in time"),
    };
    let mut bytes = serde_json::to_vec(&response).unwrap_or_default();
    bytes.push(b'\n');
    let _ = timeout(WRITE_DEADLINE, async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    })
    .await;
}

/// Reads to the first newline, the end, or one byte more than allowed. The newline is not part of the line.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        let part = chunk.get(..read).unwrap_or_default();
        if let Some(end) = part.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(part.get(..end).unwrap_or_default());
            return Ok(line);
        }
        line.extend_from_slice(part);
        if read == 0 || line.len() > MAX_REQUEST {
            return Ok(line);
        }
    }
}

/// Permission, then the driver's answer. `None`: the peer has gone.
async fn answer(
    stream: &mut UnixStream,
    request: Request,
    peer: Peer,
    policy: &Policy,
    calls: &mpsc::Sender<Call>,
    waiters: &Semaphore,
) -> Option<Response> {
    if let Err(message) = policy.check(peer, &request, |pid| ancestry(Path::new("/proc"), pid, policy.own_pid)) {
        return Some(Response::error(ErrorCode::Forbidden, message));
    }
    let (deadline, _waiter) = match request {
        Request::WaitReady { timeout_ms } => match waiters.try_acquire() {
            Ok(waiter) => (Duration::from_millis(timeout_ms.min(MAX_WAIT_MS)), Some(waiter)),
            Err(_) => return Some(Response::error(ErrorCode::Busy, format!("{MAX_WAITERS} others wait already"))),
        },
        _ => (ANSWER_DEADLINE, None),
    };
    let waits = matches!(request, Request::WaitReady { .. });
    let (reply, answer) = oneshot::channel();
    let asked = async {
        if calls.send(Call { request, peer, reply }).await.is_err() {
            return Response::error(ErrorCode::Refused, "skill-init is leaving");
        }
        match answer.await {
            Ok(response) => response,
            Err(_) => Response::error(ErrorCode::Refused, "skill-init is leaving"),
        }
    };
    tokio::select! {
        response = timeout(deadline, asked) => Some(response.unwrap_or_else(|_| {
            let what = if waits { "not ready within" } else { "no answer within" };
            Response::error(ErrorCode::Timeout, format!("{what} {} ms", deadline.as_millis()))
        })),
        // Nothing more may come: the end of the stream (or another byte) ends the wait and frees the slot.
        _ = stream.readable(), if waits => None,
    }
}

#[cfg(test)]
mod tests;
