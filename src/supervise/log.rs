//! The init's own log: JSON off a terminal, text on one, journald beside it where there is one.
//!
//! Writing to stderr must not block PID 1 when its reader is slow: a line that does not fit is dropped and
//! counted, and the count is the first line when there is room again.

use crate::{
    settings::{Settings, keys},
    sys,
};
use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Lines that were dropped because nobody read them, and that were not told of yet.
static DROPPED: AtomicU64 = AtomicU64::new(0);
static TEXT: AtomicBool = AtomicBool::new(false);

/// A line of at most PIPE_BUF bytes goes out in one piece (pipe(7)), so it never mixes with the services' output.
const MAX_LINE: usize = 4096;

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
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let _ = tracing_subscriber::registry().with(own.with_filter(level)).with(journal.with_filter(level)).try_init();
}

struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !sys::process::writable(2) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            // A reader that went away must not stop the init.
            let _ = sys::process::write(2, lost(dropped).as_bytes());
            if !sys::process::writable(2) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                return Ok(line.len());
            }
        }
        let _ = sys::process::write(2, line.get(..MAX_LINE.min(line.len())).unwrap_or(line));
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
