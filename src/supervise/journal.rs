//! The journal instead of stderr where stderr is the journal: `JOURNAL_STREAM` says so (systemd.exec(5)).
//!
//! Written natively a line keeps its fields and its priority; written to stderr as well it would stand there twice. The
//! init must never wait for the journal, so its socket does not block and is asked first: what it cannot take now goes to
//! stderr, whose backlog keeps it.

use crate::sys;
use std::os::unix::fs::MetadataExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Where a line goes: to the journal if it takes it at once, else to stderr.
pub(super) struct Route<L> {
    journal: Option<(tracing_journald::Layer, i32)>,
    stderr: L,
}

impl<L> Route<L> {
    pub(super) fn new(stderr: L) -> Self {
        Self { journal: is_stderr().then(open).flatten(), stderr }
    }
}

/// There are no spans here: a line is all that there is to route.
impl<S: Subscriber + for<'a> LookupSpan<'a>, L: Layer<S>> Layer<S> for Route<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        match &self.journal {
            Some((journal, socket)) if sys::process::writable(*socket) => journal.on_event(event, context),
            _ => self.stderr.on_event(event, context),
        }
    }
}

/// `JOURNAL_STREAM` is the device and inode of the stream; a process may have inherited it with another stderr.
fn is_stderr() -> bool {
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    std::env::var_os("JOURNAL_STREAM").is_some_and(|stream| stream == *format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The layer and its socket, which it keeps to itself: connected, so that poll(2) tells whether the journal has room, and
/// not blocking. `None`: no journal, or one that does not answer.
fn open() -> Option<(tracing_journald::Layer, i32)> {
    // It says a first word that would wait for a journal that is stopped.
    sys::socket::takes_a_datagram(JOURNAL).then_some(())?;
    let (layer, socket) = sys::socket::descriptor_of(tracing_journald::layer)?;
    sys::socket::connect_without_waiting(socket, JOURNAL).ok()?;
    Some((layer.ok()?, socket))
}

const JOURNAL: &str = "/run/systemd/journal/socket";
