//! Readiness that the service itself announces: sd_notify(3) and a newline on a descriptor.
//!
//! One datagram socket for all services. The kernel says who sent (SCM_CREDENTIALS); a message counts for the
//! service whose process group the sender is in, so one service cannot speak for another.

use crate::sys;
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};
use tokio::{io::Interest, net::unix::pipe};

/// One message: who sent it and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The sender's process group.
    pub group: i32,
    /// It says `READY=1`.
    pub ready: bool,
    /// Its `STATUS=` line, shortened.
    pub status: Option<String>,
}

/// The socket that `NOTIFY_SOCKET` names.
#[derive(Debug)]
pub struct NotifySocket {
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
}

/// Greatest message; longer ones are cut.
const MAX_MESSAGE: usize = 4096;
/// Longest STATUS that is kept, in characters.
const MAX_STATUS: usize = 200;

impl NotifySocket {
    /// Binds the socket; a stale one of an earlier life is replaced. Inside a tokio runtime.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        sys::socket::pass_credentials(socket.as_raw_fd())?;
        // Services may run as another user than the init.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, path: path.to_path_buf() })
    }

    /// Its path, for `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message.
    pub async fn next(&self) -> io::Result<Notification> {
        let mut buffer = [0_u8; MAX_MESSAGE];
        loop {
            let (length, pid) = self
                .socket
                .async_io(Interest::READABLE, || sys::socket::receive_with_pid(self.socket.as_raw_fd(), &mut buffer))
                .await?;
            if let Some(group) = pid.and_then(sys::process::group_of) {
                return Ok(parse(group, buffer.get(..length).unwrap_or_default()));
            }
        }
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // A leftover is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a datagram says. Pure; any bytes.
pub fn parse(group: i32, message: &[u8]) -> Notification {
    let text = String::from_utf8_lossy(message);
    let mut notification = Notification { group, ready: false, status: None };
    for line in text.lines() {
        match line.split_once('=') {
            Some(("READY", "1")) => notification.ready = true,
            Some(("STATUS", status)) => {
                notification.status = Some(status.chars().filter(|c| !c.is_control()).take(MAX_STATUS).collect());
            }
            _ => {}
        }
    }
    notification
}

/// Waits for a newline on the read end of a notification pipe (s6's protocol); false if it closed without one.
pub async fn newline(read: OwnedFd) -> bool {
    let Ok(receiver) = pipe::Receiver::from_owned_fd(read) else { return false };
    let mut buffer = [0_u8; 256];
    loop {
        if receiver.readable().await.is_err() {
            return false;
        }
        match receiver.try_read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) if buffer.get(..n).unwrap_or_default().contains(&b'\n') => return true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_lines_are_ignored_and_control_characters_removed() {
        let seen = parse(7, b"MAINPID=4\nREADY=1\nSTATUS=all \x1b[31mwell\nX\n");
        assert_eq!(seen, Notification { group: 7, ready: true, status: Some("all [31mwell".into()) });
        assert!(!parse(7, b"READY=0").ready);
        assert!(!parse(7, &[0xff, 0xfe, b'=']).ready);
    }

    #[test]
    fn a_message_is_attributed_to_the_senders_process_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(async {
            let socket = NotifySocket::bind(&path).unwrap();
            UnixDatagram::unbound().unwrap().send_to(b"READY=1", &path).unwrap();
            socket.next().await.unwrap()
        });
        assert_eq!(Some(seen.group), sys::process::group_of(0).or(sys::process::group_of(std::process::id() as i32)));
        assert!(seen.ready);
    }
}
