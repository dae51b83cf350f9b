//! What wakes the loop between two slow ticks: the kernel says that memory runs short, or that it has killed.
//!
//! Two sources, both optional: a pressure trigger on `memory.pressure` (the kernel's accounting/psi.rst) and inotify(7) on
//! the cgroup's `memory.events`. Where neither can be had (cgroup v1, a read-only file system, an old kernel) the slow tick
//! and the count at each death by SIGKILL remain. At rest nothing here runs.

use crate::sys;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Some task waited for memory for a tenth of two seconds. Without CAP_SYS_RESOURCE the window has to be a multiple of 2 s.
const TRIGGER: &[u8] = b"some 200000 2000000\0";
/// At most one look this often, however often the kernel speaks up.
const CALM: Duration = Duration::from_secs(1);

/// The sources that could be had.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    pressure: Option<(AsyncFd<OwnedFd>, PathBuf)>,
    kills: Option<(AsyncFd<OwnedFd>, PathBuf)>,
}

impl Alarms {
    /// Sets the alarms: on the first pressure file that takes a trigger, and on the file with the counter of kills.
    /// Inside a tokio runtime.
    pub(super) fn set(pressure: &[PathBuf], kills: Option<&Path>) -> Self {
        let pressure = pressure.iter().find_map(|path| match trigger(path) {
            Ok(file) => Some((file, path.clone())),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no pressure trigger");
                None
            }
        });
        let kills = kills.and_then(|path| match watch(path) {
            Ok(events) => Some((events, path.to_path_buf())),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no notification of OOM kills");
                None
            }
        });
        Self { pressure, kills }
    }

    /// Waits for the next one; a source that fails is left out from then on.
    async fn next(&mut self) {
        tokio::select! {
            rung = pressed(self.pressure.as_ref()) => if rung.is_err() { self.pressure = None },
            rung = killed(self.kills.as_ref()) => if rung.is_err() { self.kills = None },
        }
    }
}

/// Calls `ring` for each alarm, with a calm between two.
pub(super) async fn run(mut alarms: Alarms, ring: impl Fn() -> bool) {
    tracing::debug!(
        pressure = ?alarms.pressure.as_ref().map(|(_, path)| path),
        kills = ?alarms.kills.as_ref().map(|(_, path)| path),
        "alarms"
    );
    while alarms.pressure.is_some() || alarms.kills.is_some() {
        alarms.next().await;
        if !ring() {
            return;
        }
        tokio::time::sleep(CALM).await;
    }
}

fn trigger(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let mut file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.write_all(TRIGGER)?;
    sys::readiness::watched(file.into(), Interest::PRIORITY)
}

fn watch(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
    sys::readiness::watched(inotify.into(), Interest::READABLE)
}

/// POLLPRI: the trigger fired; POLLERR: the cgroup has gone.
async fn pressed(source: Option<&(AsyncFd<OwnedFd>, PathBuf)>) -> io::Result<()> {
    let Some((file, _)) = source else { return std::future::pending().await };
    let mut guard = file.ready(Interest::PRIORITY).await?;
    if guard.ready().is_error() {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    guard.clear_ready();
    Ok(())
}

async fn killed(source: Option<&(AsyncFd<OwnedFd>, PathBuf)>) -> io::Result<()> {
    let Some((events, _)) = source else { return std::future::pending().await };
    loop {
        let mut guard = events.readable().await?;
        // Which event it is does not matter: the counter is read.
        let mut buffer = [0_u8; 4096];
        if let Ok(read) = guard.try_io(|fd| nix::unistd::read(fd.get_ref(), &mut buffer).map_err(io::Error::from)) {
            return read.map(drop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_changed_counter_of_kills_wakes_the_loop() {
        let dir = tempfile::tempdir().unwrap();
        let events = dir.path().join("memory.events");
        std::fs::write(&events, "oom_kill 0\n").unwrap();
        wait(async {
            let mut alarms = Alarms::set(&[dir.path().join("missing")], Some(&events));
            assert!(alarms.pressure.is_none());
            std::fs::write(&events, "oom_kill 1\n").unwrap();
            alarms.next().await;
            std::fs::write(&events, "oom_kill 2\n").unwrap();
            alarms.next().await;
        });
    }

    #[test]
    fn without_a_source_the_task_ends_and_nobody_is_woken() {
        let rung = AtomicUsize::new(0);
        let nothing = Path::new("/no/such/file");
        wait(run_with(&rung, Alarms::default()));
        wait(async { run_with(&rung, Alarms::set(&[nothing.into()], Some(nothing))).await });
        assert_eq!(rung.load(Ordering::Relaxed), 0);
    }

    async fn run_with(rung: &AtomicUsize, alarms: Alarms) {
        run(alarms, || {
            rung.fetch_add(1, Ordering::Relaxed);
            true
        })
        .await;
    }

    #[test]
    fn the_kernel_takes_the_trigger_where_it_has_writable_pressure_files() {
        let path = Path::new("/proc/pressure/memory");
        if File::options().write(true).open(path).is_err() {
            return crate::skips::skip(format_args!(
                "{} cannot be written here (no PSI, or an old kernel)",
                path.display()
            ));
        }
        wait(async {
            assert!(Alarms::set(&[path.into()], None).pressure.is_some());
        });
    }
}
