//! sd_notify(3), the sending side: one datagram that says that a process is ready.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

/// Says `READY=1` to `$NOTIFY_SOCKET`: a path, or `@name` in the abstract namespace. Without one nobody is told.
///
/// Never blocks and never fails: who listens finds out by other means if the message is lost.
pub fn ready(socket: Option<&str>) {
    let Some(name) = socket.filter(|name| !name.is_empty()) else { return };
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let _ = UnixDatagram::unbound().and_then(|from| {
        from.set_nonblocking(true)?;
        from.send_to_addr(b"READY=1", &address?)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_hears_ready_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        ready(path.to_str());
        let mut heard = [0; 16];
        let got = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..got], b"READY=1");

        let name = format!("skill-init-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        ready(Some(&format!("@{name}")));
        let got = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..got], b"READY=1");
    }

    #[test]
    fn nobody_listening_is_no_error() {
        ready(None);
        ready(Some("/no/such/socket"));
    }
}
