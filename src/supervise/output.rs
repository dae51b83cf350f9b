//! Prefixed output of services (`SKILL_INIT_LOG_PREFIX`): off by default, then services write to our own
//! descriptors and nothing here runs.
//!
//! A slow reader of our stdout never stops the loop: while it does not read, we do not read from the service
//! either, so the service waits in its own write, as it would without us.

use crate::sys;
use std::{io, os::fd::OwnedFd, time::Duration};
use tokio::net::unix::pipe;

/// Longest line; a longer one is written in pieces. With the prefix it still fits into one atomic write (pipe(7)).
const MAX_LINE: usize = 3968;
/// How often a reader that does not read is looked at again.
const RETRY: Duration = Duration::from_millis(20);

/// Copies lines from the pipe to `to`, each with the prefix, until the last writer has closed it.
pub(super) async fn copy(prefix: String, from: OwnedFd, to: i32) {
    let Ok(receiver) = pipe::Receiver::from_owned_fd(from) else { return };
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        if receiver.readable().await.is_err() {
            break;
        }
        match receiver.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                pending.extend_from_slice(buffer.get(..n).unwrap_or_default());
                while let Some(line) = take_line(&mut pending) {
                    emit(&prefix, &line, to).await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    if !pending.is_empty() {
        emit(&prefix, &pending, to).await;
    }
}

/// The first line without its newline, or a piece of a line that got too long.
fn take_line(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = pending.iter().take(MAX_LINE).position(|b| *b == b'\n');
    let (take, skip) = match end {
        Some(at) => (at, 1),
        None if pending.len() >= MAX_LINE => (MAX_LINE, 0),
        None => return None,
    };
    let rest = pending.split_off(take + skip);
    let mut line = std::mem::replace(pending, rest);
    line.truncate(take);
    Some(line)
}

async fn emit(prefix: &str, line: &[u8], to: i32) {
    let mut out = Vec::with_capacity(prefix.len() + line.len() + 4);
    out.extend_from_slice(b"[");
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(b"] ");
    out.extend_from_slice(line);
    out.push(b'\n');
    while !sys::process::writable(to) {
        tokio::time::sleep(RETRY).await;
    }
    // A closed stdout loses the line, not the service.
    let _ = sys::process::write(to, &out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_one_by_one_and_long_ones_in_pieces() {
        let mut pending = b"one\ntwo\nthr".to_vec();
        assert_eq!(take_line(&mut pending).unwrap(), b"one");
        assert_eq!(take_line(&mut pending).unwrap(), b"two");
        assert_eq!(take_line(&mut pending), None);
        assert_eq!(pending, b"thr");
        let mut long = vec![b'x'; MAX_LINE + 5];
        assert_eq!(take_line(&mut long).unwrap().len(), MAX_LINE);
        assert_eq!(long.len(), 5);
    }
}
