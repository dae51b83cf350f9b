//! Readiness: sd_notify(3) datagrams to `$NOTIFY_SOCKET`, and s6's newline on a descriptor.
//!
//! Both are told once the listener accepts, so "ready" means that a connection made now is answered.

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};
use skill_init::settings::Environment;
use std::{io::Write, net::SocketAddr, os::fd::AsRawFd};

/// Whom to tell.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<String>,
    fd: Option<i32>,
}

impl Notify {
    /// From `NOTIFY_SOCKET` and `SKILL_INIT_NOTIFY_FD`.
    pub fn from_env(env: &Environment) -> Self {
        Self {
            socket: env.get("NOTIFY_SOCKET").map(str::to_owned),
            fd: env.get("SKILL_INIT_NOTIFY_FD").and_then(|text| text.parse().ok()).filter(|fd| *fd > 2),
        }
    }

    /// `READY=1` with the address that answers, and the newline on the descriptor.
    pub fn ready(&self, address: SocketAddr) {
        self.send(&format!("READY=1\nSTATUS=listening on {address}\n"));
        if let Some(fd) = self.fd {
            let told = std::fs::OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}"));
            if let Err(error) = told.and_then(|mut file| file.write_all(b"\n")) {
                tracing::warn!(fd, %error, "readiness descriptor cannot be written");
            }
        }
    }

    /// `STOPPING=1`.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    fn send(&self, message: &str) {
        let Some(path) = &self.socket else { return };
        let sent = (|| {
            let address = match path.strip_prefix('@') {
                Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
                None => UnixAddr::new(path.as_str())?,
            };
            let fd = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
            sendto(fd.as_raw_fd(), message.as_bytes(), &address, MsgFlags::MSG_NOSIGNAL)
        })();
        if let Err(error) = sent {
            tracing::warn!(socket = %path, %error, "the supervisor cannot be told");
        }
    }
}
