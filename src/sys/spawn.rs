//! posix_spawn(3): the only way a child is made.
//!
//! vfork-like, so it costs the same however large the parent is, and a failed exec comes back as errno.
//! Whatever posix_spawn cannot set (uid, capabilities, rlimits, pdeathsig) the hidden `exec-stage`
//! subcommand sets in the fresh child.

use super::{
    signals::{self, Mask},
    start::Argv,
};
use std::{
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    os::fd::RawFd,
    ptr,
};

unsafe extern "C" {
    // glibc 2.35; posix_spawn_file_actions_addtcsetpgrp_np. The `libc` crate does not declare it.
    fn posix_spawn_file_actions_addtcsetpgrp_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: libc::c_int,
    ) -> libc::c_int;
    // glibc 2.34.
    fn posix_spawn_file_actions_addclosefrom_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        from: libc::c_int,
    ) -> libc::c_int;
}

/// A change to the child's descriptors, in order, after the process group and the signal mask are set.
#[derive(Debug, Clone)]
pub enum FileAction {
    /// dup2(2); equal numbers clear close-on-exec.
    Dup2(RawFd, RawFd),
    /// open(2) this path as this descriptor.
    Open {
        /// Descriptor number in the child.
        fd: RawFd,
        /// Path.
        path: CString,
        /// open(2) flags.
        flags: i32,
        /// Mode of a created file.
        mode: u32,
    },
    /// close(2).
    Close(RawFd),
    /// Close this descriptor and every higher one (closefrom(3)).
    CloseFrom(RawFd),
    /// chdir(2).
    Chdir(CString),
    /// Make the child's process group the foreground group of the terminal behind this descriptor.
    Foreground(RawFd),
}

/// Process group or session of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The parent's.
    Inherit,
    /// A new group of its own; pgid = pid.
    Own,
    /// A new session (and group) of its own.
    Session,
}

/// Everything that a child is made from.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// Absolute path (or relative to the cwd); never searched in PATH.
    pub program: CString,
    /// argv, argv[0] included.
    pub argv: Vec<CString>,
    /// `NAME=value` strings; `None`: this process's environment as it is.
    pub envp: Option<Vec<CString>>,
    /// Process group.
    pub group: Group,
    /// The child's signal mask; `None`: the parent's.
    pub mask: Option<libc::sigset_t>,
    /// Signals set back to their default disposition; handled ones are anyway.
    pub default_signals: Option<libc::sigset_t>,
    /// Descriptor changes.
    pub files: Vec<FileAction>,
}

impl Spawn {
    /// A child with its own group, an empty mask, every disposition at its default, and no other change.
    pub fn new(program: CString, argv: Vec<CString>) -> Self {
        Self {
            program,
            argv,
            envp: None,
            group: Group::Own,
            mask: Some(empty_set()),
            default_signals: Some(full_set()),
            files: Vec::new(),
        }
    }

    /// Makes the child; its pid, or errno of the step that failed (ENOENT, EACCES, ENOEXEC, EAGAIN, ...).
    pub fn spawn(&self) -> io::Result<i32> {
        let argv = pointers(&self.argv);
        let envp = self.envp.as_ref().map(|envp| pointers(envp));
        launch(&Launch {
            lookup: Lookup::Exact,
            program: &self.program,
            argv: argv.as_ptr(),
            envp: envp.as_ref().map(|envp| envp.as_ptr()),
            group: self.group,
            mask: self.mask.as_ref(),
            default_signals: self.default_signals.as_ref(),
            files: &self.files,
        })
    }
}

/// Makes a child from this process's own arguments and environment, without a copy: the bare mode's spawn.
///
/// A name without a slash is looked for in PATH by execvp(3)'s rules, inside the one vfork. Dispositions that
/// were ignored stay ignored. A file without `#!` is ENOEXEC, not handed to a shell.
pub fn spawn_command(program: &CStr, argv: Argv, group: Group, mask: &Mask, files: &[FileAction]) -> io::Result<i32> {
    // posix_spawn(3) would leave glibc's own two signals ignored, which nobody asked for.
    let internal = Mask::of(GLIBC_SIGNALS.into_iter().filter(|signal| !signals::is_ignored(*signal)));
    launch(&Launch {
        lookup: Lookup::Path,
        program,
        argv: argv.as_ptr(),
        envp: None,
        group,
        mask: Some(mask.as_set()),
        default_signals: Some(internal.as_set()),
        files,
    })
}

/// SIGCANCEL and SIGSETXID of nptl(7), which sigfillset(3) leaves out.
const GLIBC_SIGNALS: [i32; 2] = [32, 33];

/// How the program is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookup {
    /// As it stands.
    Exact,
    /// posix_spawnp(3).
    Path,
}

/// The arguments of one posix_spawn(3), all borrowed.
struct Launch<'a> {
    lookup: Lookup,
    program: &'a CStr,
    argv: *const *mut libc::c_char,
    envp: Option<*const *mut libc::c_char>,
    group: Group,
    mask: Option<&'a libc::sigset_t>,
    default_signals: Option<&'a libc::sigset_t>,
    files: &'a [FileAction],
}

fn launch(child: &Launch<'_>) -> io::Result<i32> {
    let mut attr = Attributes::new()?;
    let mut flags = 0;
    match child.group {
        Group::Inherit => {}
        Group::Own => {
            flags |= libc::POSIX_SPAWN_SETPGROUP;
            // SAFETY: `attr` was initialised; posix_spawnattr_setpgroup(3).
            check(unsafe { libc::posix_spawnattr_setpgroup(attr.as_mut(), 0) })?;
        }
        Group::Session => flags |= libc::POSIX_SPAWN_SETSID as i32,
    }
    if let Some(mask) = child.mask {
        flags |= libc::POSIX_SPAWN_SETSIGMASK;
        // SAFETY: both are initialised; posix_spawnattr_setsigmask(3).
        check(unsafe { libc::posix_spawnattr_setsigmask(attr.as_mut(), mask) })?;
    }
    if let Some(set) = child.default_signals {
        flags |= libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: both are initialised; posix_spawnattr_setsigdefault(3).
        check(unsafe { libc::posix_spawnattr_setsigdefault(attr.as_mut(), set) })?;
    }
    // SAFETY: `attr` was initialised; posix_spawnattr_setflags(3).
    check(unsafe { libc::posix_spawnattr_setflags(attr.as_mut(), flags as libc::c_short) })?;

    let mut actions = Actions::new()?;
    for action in child.files {
        actions.add(action)?;
    }
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    // SAFETY: reading the pointer itself; nobody in this program changes the environment (clippy.toml bans set_var).
    let envp = child.envp.unwrap_or(unsafe { environ });
    let spawn = match child.lookup {
        Lookup::Exact => libc::posix_spawn,
        Lookup::Path => libc::posix_spawnp,
    };
    let mut pid = 0;
    // SAFETY: argv and envp are null-terminated arrays of strings that outlive the call; posix_spawn(3).
    check(unsafe { spawn(&raw mut pid, child.program.as_ptr(), actions.as_ptr(), attr.as_ptr(), child.argv, envp) })?;
    Ok(pid)
}

/// The set without any signal.
pub fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set; sigsetops(3).
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// The set of all signals, glibc's own two included.
pub fn full_set() -> libc::sigset_t {
    *Mask::all().as_set()
}

fn check(rc: libc::c_int) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(rc)) }
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings.iter().map(|s| CStr::as_ptr(s).cast_mut()).chain([ptr::null_mut()]).collect()
}

/// posix_spawnattr_t, destroyed on drop.
struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attr = MaybeUninit::uninit();
        // SAFETY: posix_spawnattr_init(3) initialises it.
        check(unsafe { libc::posix_spawnattr_init(attr.as_mut_ptr()) })?;
        Ok(Self(attr))
    }
    fn as_ptr(&self) -> *const libc::posix_spawnattr_t {
        self.0.as_ptr()
    }
    fn as_mut(&mut self) -> *mut libc::posix_spawnattr_t {
        self.0.as_mut_ptr()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once; posix_spawnattr_destroy(3).
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

/// posix_spawn_file_actions_t, destroyed on drop.
struct Actions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: posix_spawn_file_actions_init(3) initialises it.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }
    fn as_ptr(&self) -> *const libc::posix_spawn_file_actions_t {
        self.0.as_ptr()
    }
    fn add(&mut self, action: &FileAction) -> io::Result<()> {
        let actions = self.0.as_mut_ptr();
        // SAFETY: initialised in `new`; paths are copied by glibc; posix_spawn_file_actions_add*(3).
        check(unsafe {
            match action {
                FileAction::Dup2(from, to) => libc::posix_spawn_file_actions_adddup2(actions, *from, *to),
                FileAction::Open { fd, path, flags, mode } => {
                    libc::posix_spawn_file_actions_addopen(actions, *fd, path.as_ptr(), *flags, *mode)
                }
                FileAction::Close(fd) => libc::posix_spawn_file_actions_addclose(actions, *fd),
                FileAction::CloseFrom(fd) => posix_spawn_file_actions_addclosefrom_np(actions, *fd),
                FileAction::Chdir(path) => libc::posix_spawn_file_actions_addchdir_np(actions, path.as_ptr()),
                FileAction::Foreground(fd) => posix_spawn_file_actions_addtcsetpgrp_np(actions, *fd),
            }
        })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once; posix_spawn_file_actions_destroy(3).
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::wait::{ExitStatus, wait};

    fn c(s: &str) -> CString {
        CString::new(s).unwrap()
    }

    #[test]
    fn a_child_runs_in_its_own_group_and_its_status_comes_back() {
        let spawn = Spawn::new(c("/bin/sh"), vec![c("sh"), c("-c"), c("test $(ps -o pgid= -p $$) = $$ && exit 7")]);
        let pid = spawn.spawn().unwrap();
        assert_eq!(wait(pid).unwrap(), ExitStatus::Exited(7));
    }

    #[test]
    fn a_missing_program_is_enoent_and_a_plain_file_is_eacces() {
        let missing = Spawn::new(c("/no/such/program"), vec![c("x")]).spawn().unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        let file = tempfile::NamedTempFile::new().unwrap();
        let plain = Spawn::new(c(file.path().to_str().unwrap()), vec![c("x")]).spawn().unwrap_err();
        assert_eq!(plain.raw_os_error(), Some(libc::EACCES));
    }
}
