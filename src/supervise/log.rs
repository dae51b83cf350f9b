//! The init's own log: JSON off a terminal, text on one, the journal instead where stderr is one.
//!
//! Writing to stderr must not block PID 1 when its reader is slow: lines that do not fit wait here, in their order,
//! up to a bound; beyond it they are dropped and counted, and the count stands where they would have stood.

use super::journal::Route;
use crate::{
    settings::{Settings, keys},
    sys,
};
use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

static UNREAD: Mutex<Backlog> = Mutex::new(Backlog::new());
static TEXT: AtomicBool = AtomicBool::new(false);

/// A line of at most PIPE_BUF bytes goes out in one piece (pipe(7)), so it never mixes with the services' output.
const MAX_LINE: usize = 4096;
/// Bytes of lines that wait for a slow reader: the start of a thousand services fits.
const MAX_UNREAD: usize = 512 * 1024;
/// How often a reader that does not read is looked at again, where nothing is logged meanwhile.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// How long the last lines may wait for their reader once the process is about to end.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Sets the log up; a second call changes nothing.
pub fn init(settings: &Settings) {
    let level = match settings.get(&keys::LOG).as_str() {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    };
    let text = match settings.get(&keys::LOG_FORMAT).as_str() {
        "text" => true,
        "json" => false,
        _ => io::stderr().is_terminal(),
    };
    TEXT.store(text, Ordering::Relaxed);
    let own = fmt::layer().with_writer(|| Stderr);
    let own: Box<dyn Layer<Registry> + Send + Sync> = if text {
        // Colours would need the subscriber's `ansi` feature; asked for without it they are a panic.
        own.with_target(false).with_ansi(false).boxed()
    } else {
        own.json().flatten_event(true).with_current_span(false).with_target(false).boxed()
    };
    // In a container there is no journal; on a laptop under systemd there is. Never fatal.
    let _ = tracing_subscriber::registry().with(Route::new(own).with_filter(level)).try_init();
}

/// Lines that nobody has read yet, oldest first.
struct Backlog {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Lines dropped since the last one that was taken in, not told of yet.
    dropped: u64,
}

impl Backlog {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, dropped: 0 }
    }

    /// Takes the line in, or counts it as dropped where there is no room.
    fn push(&mut self, line: &[u8]) {
        if self.bytes + line.len() > MAX_UNREAD {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let told = lost(std::mem::take(&mut self.dropped));
            self.keep(told.as_bytes());
        }
        self.keep(line);
    }

    fn keep(&mut self, line: &[u8]) {
        let line = line.get(..MAX_LINE.min(line.len())).unwrap_or(line);
        self.bytes += line.len();
        self.lines.push_back(line.into());
    }

    /// Hands lines to `write` for as long as it takes them; true if some are left.
    fn drain(&mut self, mut write: impl FnMut(&[u8]) -> bool) -> bool {
        loop {
            while let Some(line) = self.lines.front() {
                if !write(line) {
                    return true;
                }
                self.bytes -= line.len();
                self.lines.pop_front();
            }
            if self.dropped == 0 {
                // Gives the memory back too.
                self.lines = VecDeque::new();
                return false;
            }
            let told = lost(std::mem::take(&mut self.dropped));
            self.keep(told.as_bytes());
        }
    }
}

/// False: somebody may read it later.
fn to_stderr(line: &[u8]) -> bool {
    let writable = sys::process::writable(2);
    if writable {
        // A reader that went away must not stop the init: then this fails at once and the line is gone.
        let _ = sys::process::write(2, line);
    }
    writable
}

/// Writes what waits, as far as it is read; true if lines are still waiting.
pub(super) fn flush() -> bool {
    UNREAD.lock().unwrap_or_else(PoisonError::into_inner).drain(to_stderr)
}

/// Before the process ends: waits a moment for the reader of the last lines.
pub fn last_words() {
    let end = Instant::now() + LAST_WORDS;
    while flush() && Instant::now() < end {
        std::thread::sleep(LAST_WORDS / 40);
    }
}

struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut unread = UNREAD.lock().unwrap_or_else(PoisonError::into_inner);
        unread.push(line);
        unread.drain(to_stderr);
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lost(count: u64) -> String {
    let message = "lines of this log were dropped: nobody read them";
    if TEXT.load(Ordering::Relaxed) {
        format!("WARN {message} count={count}\n")
    } else {
        format!("{}\n", serde_json::json!({ "level": "WARN", "message": message, "count": count }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_keeps_the_order_and_says_at_its_place_what_did_not_fit() {
        let mut backlog = Backlog::new();
        let mut number = 0_u32;
        while backlog.dropped < 3 {
            backlog.push(format!("line {number:0100}\n").as_bytes());
            number += 1;
        }
        let mut read = Vec::new();
        // The reader takes one line and stops: there is room for the next one again.
        assert!(backlog.drain(|line| {
            let room = read.is_empty();
            if room {
                read.push(String::from_utf8(line.to_vec()).unwrap());
            }
            room
        }));
        backlog.push(b"after the gap\n");
        assert!(!backlog.drain(|line| {
            read.push(String::from_utf8(line.to_vec()).unwrap());
            true
        }));
        let kept = number - 3;
        for (n, line) in (0..kept).zip(&read) {
            assert_eq!(*line, format!("line {n:0100}\n"));
        }
        let rest = &read[kept as usize..];
        assert_eq!(rest, [lost(3), "after the gap\n".to_owned()]);
        assert_eq!((backlog.bytes, backlog.dropped), (0, 0));
    }

    #[test]
    fn what_was_dropped_is_told_even_if_nothing_comes_after_it() {
        let mut backlog = Backlog::new();
        while backlog.dropped == 0 {
            backlog.push(&[b'x'; 1000]);
        }
        let mut last = Vec::new();
        assert!(!backlog.drain(|line| {
            last = line.to_vec();
            true
        }));
        assert_eq!(last, lost(1).into_bytes());
    }
}
