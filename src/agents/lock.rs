//! One lock per prefix, which npm inherits.
//!
//! flock(2) belongs to the open file, so it holds as long as this process *or the npm that it started* lives:
//! when init is killed in the middle of an install, nobody touches the prefix under the hands of the
//! orphaned npm. Whoever comes next finds the lock taken by a dead owner, ends that npm (TERM, then KILL),
//! and goes on. The file holds four numbers: owner and npm, each with its start time from proc(5), so that a
//! reused pid or another container's pid is never taken for them.

use super::run::Interrupt;
use crate::sys::flock::Locked;
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, killpg},
        uio::{pread, pwrite},
    },
    unistd::{Pid, ftruncate},
};
use std::{
    fs::{self, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file cannot be made, opened or locked.
    #[error("the lock {path} cannot be had: {source}; {}", mend(.source, .path))]
    Open {
        /// The file.
        path: PathBuf,
        /// errno.
        source: io::Error,
    },
    /// Somebody else works on the prefix, longer than we wait.
    #[error("another agents command works on this prefix since more than {waited:.0?} (lock {path}); try again later")]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// This process was told to stop.
    #[error("stopped while waiting for the lock {path}")]
    Interrupted {
        /// The file.
        path: PathBuf,
    },
}

/// The command that mends a refusal.
fn mend(source: &io::Error, path: &Path) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("as root: chown -R {}:{} {folder}", nix::unistd::geteuid(), nix::unistd::getegid())
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount a writable volume there".to_owned(),
        _ => "is the volume there and writable?".to_owned(),
    }
}

/// The held lock. Dropped, its descriptor is closed and nothing else: an npm that still lives keeps the lock.
#[derive(Debug)]
pub struct PrefixLock(Locked);

impl PrefixLock {
    /// Takes the lock file, waiting up to `wait`; `tell` hears once whom we wait for.
    pub fn take(
        path: &Path,
        wait: Duration,
        interrupt: Option<&Interrupt>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Self, LockError> {
        let open = || -> io::Result<OwnedFd> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
            options.open(path).map(OwnedFd::from)
        };
        let refused = |source| LockError::Open { path: path.to_owned(), source };
        let mut file = open().map_err(refused)?;
        let start = Instant::now();
        let mut told = false;
        let mut ended = None;
        loop {
            file = match Locked::take(file) {
                Ok(held) => {
                    let mut lock = Self(held);
                    lock.record(0);
                    return Ok(lock);
                }
                Err((file, Errno::EWOULDBLOCK)) => file,
                // ENOLCK, or a file system without locks: waiting would not mend it.
                Err((_, errno)) => return Err(refused(errno.into())),
            };
            let holder = Holder::read(&file);
            if !holder.owner_lives() && holder.npm_lives() {
                // An npm that outlived its init. TERM lets it roll back; it works in a staging folder anyway.
                let since = *ended.get_or_insert_with(|| {
                    tell(&format!("ending npm (process group {}) of an interrupted install", holder.npm.0));
                    Instant::now()
                });
                let signal = if since.elapsed() < Duration::from_secs(10) { Signal::SIGTERM } else { Signal::SIGKILL };
                let _ = killpg(Pid::from_raw(holder.npm.0), signal);
            } else if !told && start.elapsed() > Duration::from_millis(300) {
                told = true;
                tell(&format!("waiting for another agents command (process {})", holder.owner.0));
            }
            if interrupt.is_some_and(Interrupt::happened) {
                return Err(LockError::Interrupted { path: path.to_owned() });
            }
            if start.elapsed() >= wait {
                return Err(LockError::Busy { path: path.to_owned(), waited: wait });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Notes the process group of the npm that inherits the lock; 0: none.
    pub fn record(&mut self, npm: i32) {
        let own = std::process::id() as i32;
        let text = format!("{own} {} {npm} {}\n", start_time(own).unwrap_or(0), start_time(npm).unwrap_or(0));
        // Without the note an orphan is waited for instead of ended: slower, not wrong.
        let _ = ftruncate(&*self.0, 0).and_then(|()| pwrite(&*self.0, text.as_bytes(), 0));
    }

    /// The descriptor to inherit.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Who wrote the lock file: pid and start time each.
struct Holder {
    owner: (i32, u64),
    npm: (i32, u64),
}

impl Holder {
    fn read(file: impl AsFd) -> Self {
        let mut buffer = [0; 200];
        let read = pread(file, &mut buffer, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default());
        let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let mut pair = || (numbers.next().unwrap_or(0) as i32, numbers.next().unwrap_or(0));
        Self { owner: pair(), npm: pair() }
    }
    fn owner_lives(&self) -> bool {
        self.owner.0 > 0 && start_time(self.owner.0) == Some(self.owner.1)
    }
    fn npm_lives(&self) -> bool {
        self.npm.0 > 1 && start_time(self.npm.0) == Some(self.npm.1)
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)): start time in ticks since boot. `None`: no such process, or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold anything, parentheses too: fields are counted from the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::{FileAction, Spawn};

    fn take(path: &Path) -> Result<PrefixLock, LockError> {
        PrefixLock::take(path, Duration::from_secs(30), None, &mut |_| {})
    }

    #[test]
    fn the_second_one_waits_until_the_first_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store/lock");
        let held = take(&path).unwrap();
        let short = PrefixLock::take(&path, Duration::from_millis(150), None, &mut |_| {});
        assert!(matches!(short, Err(LockError::Busy { .. })));
        drop(held);
        take(&path).unwrap();
    }

    #[test]
    fn an_orphaned_npm_of_a_dead_owner_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut held = take(&path).unwrap();
        // A child that inherits the lock, as npm does.
        let c = |s: &str| std::ffi::CString::new(s).unwrap();
        let mut spawn = Spawn::new(c("/bin/sleep"), vec![c("sleep"), c("1000")]);
        spawn.files = vec![FileAction::Dup2(held.fd(), held.fd())];
        let pid = spawn.spawn().unwrap();
        held.record(pid);
        // The owner dies: its entry names a process that is not there.
        let note = fs::read_to_string(&path).unwrap();
        let rest = note.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        fs::write(&path, format!("2147483 1 {rest}\n")).unwrap();
        // As a kill leaves it: our descriptor is closed, the child's holds the lock.
        drop(held);
        let mut told = String::new();
        PrefixLock::take(&path, Duration::from_secs(30), None, &mut |words| told = words.to_owned()).unwrap();
        assert!(told.contains("interrupted install"), "{told}");
        assert_eq!(crate::sys::wait::wait(pid).unwrap().code(), 128 + 15);
    }
}
