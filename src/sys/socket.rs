//! Unix datagram sockets (unix(7)): the credentials of a sender, and whether a receiver has room.

use std::{io, os::unix::net::UnixDatagram};

/// Asks the kernel to attach the sender's credentials to every message: SO_PASSCRED.
pub fn pass_credentials(fd: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` outlives the call and its size is given; setsockopt(2).
    let rc = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_PASSCRED,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives one datagram and the pid of its sender (as this pid namespace sees it; `None` if unknown).
pub fn receive_with_pid(fd: i32, buffer: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    // Room for one SCM_CREDENTIALS message, aligned as cmsghdr wants it.
    #[repr(align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: every pointer in `message` outlives the call; recvmsg(2).
    let n = unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC) };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut pid = None;
    // SAFETY: recvmsg filled `message`; the CMSG macros walk inside msg_controllen; cmsg(3).
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_CREDENTIALS {
                let credentials: libc::ucred = std::ptr::read_unaligned(libc::CMSG_DATA(header).cast());
                pid = Some(credentials.pid).filter(|pid| *pid > 0);
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok((n.unsigned_abs(), pid))
}

/// Does whoever listens at this path take a datagram now? Sends an empty one, without waiting.
pub fn takes_a_datagram(path: &str) -> bool {
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(&[], path)
    });
    sent.is_ok()
}

/// Runs `open`, which opens one datagram socket and keeps it, and gives that socket's descriptor too: the lowest free one
/// (open(2)), so call it while no other thread runs. `None`: what stands there is not such a socket.
pub fn descriptor_of<T>(open: impl FnOnce() -> T) -> Option<(T, i32)> {
    // SAFETY: no memory is passed; fcntl(2). 0 is open: the program fills its standard streams first.
    let lowest = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 0) };
    if lowest < 0 {
        return None;
    }
    // SAFETY: just opened, and nobody else's; close(2).
    unsafe { libc::close(lowest) };
    let made = open();
    let mut kind: libc::c_int = 0;
    let mut size = size_of_val(&kind) as libc::socklen_t;
    // SAFETY: both outlive the call and the size is that of `kind`; getsockopt(2).
    let rc =
        unsafe { libc::getsockopt(lowest, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut size) };
    (rc == 0 && kind == libc::SOCK_DGRAM).then_some((made, lowest))
}

/// Makes a datagram socket non-blocking and connects it: poll(2) then tells whether its peer has room.
pub fn connect_without_waiting(fd: i32, path: &str) -> io::Result<()> {
    let address = nix::sys::socket::UnixAddr::new(path)?;
    nix::sys::socket::connect(fd, &address)?;
    // SAFETY: no memory is passed; fcntl(2).
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: no memory is passed; fcntl(2).
    if flags < 0 || unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
