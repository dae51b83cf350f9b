//! One stream of a program: its first and its last bytes, within a limit.

use nix::fcntl::OFlag;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
};

/// One stream: the first and the last bytes of what came.
pub(super) struct Stream {
    pub(super) file: Option<File>,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    dropped: usize,
}

impl Stream {
    pub(super) fn new(file: File, keep: usize) -> Self {
        let _ = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        Self { file: Some(file), head: Vec::new(), tail: VecDeque::new(), half: keep / 2, dropped: 0 }
    }
    /// Reads what is there, within a megabyte: a writer that never rests must not keep anybody from its deadline.
    pub(super) fn read_available(&mut self) {
        let mut buffer = [0; 8192];
        for _ in 0..128 {
            let Some(file) = &mut self.file else { return };
            match file.read(&mut buffer) {
                Ok(0) => self.file = None,
                Ok(n) => self.keep(buffer.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.file = None,
            }
        }
    }
    fn keep(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
        self.dropped += over;
    }
    pub(super) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.dropped > 0 {
            text.push_str(&format!("\n[... {} bytes left out ...]\n", self.dropped));
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        text.push_str(&String::from_utf8_lossy(&tail));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_never_rests_does_not_hold_the_reader() {
        let mut stream = Stream::new(File::open("/dev/zero").unwrap(), 100);
        stream.read_available();
        assert!(stream.text().contains("bytes left out"));
    }
}
