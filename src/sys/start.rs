//! What happens between the kernel's exec and our first decision.
//!
//! The program exports C's `main` itself, so that nothing of std's start-up (SIGPIPE ignored, alternate
//! stack, descriptors 0-2 reopened) has touched what the child of the bare mode must inherit unchanged.
//! The other path does here what std would have done, and remembers what it found.

use std::{
    ffi::{CStr, OsString, c_char, c_int},
    marker::PhantomData,
    os::unix::ffi::OsStringExt,
    ptr,
};

/// The argument vector of the process as the kernel laid it out: read-only, null-terminated, valid until exit.
#[derive(Clone, Copy)]
pub struct Argv {
    base: *const *const c_char,
    len: usize,
    shared: PhantomData<&'static CStr>,
}

impl Argv {
    /// Wraps what C's `main` was given.
    ///
    /// # Safety
    ///
    /// `argc` and `argv` must be the arguments of `main`, or another vector of `argc` strings with a null
    /// pointer after the last one, that lives until the process ends and is never written to.
    pub const unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        Self { base: argv, len: if argc < 0 { 0 } else { argc as usize }, shared: PhantomData }
    }

    /// Number of arguments, argv\[0\] included.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True where not even argv\[0\] is there (execve(2) allowed that until Linux 5.18).
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One argument.
    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.len {
            return None;
        }
        // SAFETY: `index` is below the length that `new` was promised; the string lives until exit.
        Some(unsafe { CStr::from_ptr(*self.base.add(index)) })
    }

    /// Everything from this argument on, without a copy; empty where there are fewer.
    pub fn tail(&self, from: usize) -> Self {
        let from = from.min(self.len);
        // SAFETY: `from` is at most the length, and the terminating null pointer lies there.
        Self { base: unsafe { self.base.add(from) }, len: self.len - from, shared: PhantomData }
    }

    /// The arguments in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        let all = *self;
        (0..self.len).filter_map(move |index| all.get(index))
    }

    /// A vector made of these arguments; it is never freed, so use it once per process.
    pub fn leak(arguments: &[&'static CStr]) -> Self {
        let pointers: Vec<*const c_char> =
            arguments.iter().map(|argument| argument.as_ptr()).chain([ptr::null()]).collect();
        Self { base: pointers.leak().as_ptr(), len: arguments.len(), shared: PhantomData }
    }

    /// Owned copies, for the argument parser.
    pub fn to_vec(&self) -> Vec<OsString> {
        self.iter().map(|arg| OsString::from_vec(arg.to_bytes().to_vec())).collect()
    }

    /// The null-terminated array, as posix_spawn(3) wants it.
    pub(super) fn as_ptr(&self) -> *const *mut c_char {
        self.base.cast()
    }
}

/// A variable of the environment as it was at exec; getenv(3).
pub fn env(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: nobody in this program changes the environment (clippy.toml bans set_var), so the string lives until exit.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        if value.is_null() { None } else { Some(CStr::from_ptr(value)) }
    }
}

/// Opens /dev/null on each of descriptors 0-2 that is closed, so that no later file becomes one of them.
pub fn fill_standard_streams() {
    for fd in 0..3 {
        // SAFETY: fcntl(2) F_GETFD takes no pointer; open(2) gets a literal. The lowest free number is `fd`.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// Ignores SIGPIPE, so that a closed pipe is an error value; says whether it was ignored before.
pub fn ignore_sigpipe() -> bool {
    // SAFETY: SIG_IGN is a valid disposition; signal(2).
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) == libc::SIG_IGN }
}

/// Orphaned descendants are re-parented to this process: prctl(2), PR_SET_CHILD_SUBREAPER (Linux 3.4).
pub fn become_subreaper() -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 }
}

/// The signal that this process gets when its parent dies: prctl(2), PR_SET_PDEATHSIG.
pub fn set_parent_death_signal(signal: i32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) == 0 }
}

/// This process's id.
pub fn pid() -> i32 {
    // SAFETY: cannot fail; getpid(2).
    unsafe { libc::getpid() }
}

/// Moves to `/`, so that no file system is kept busy; chdir(2).
pub fn chdir_root() {
    // SAFETY: a literal path. Failure would only keep a mount busy.
    unsafe { libc::chdir(c"/".as_ptr()) };
}

/// Unmaps the pages of the program file that start-up touched; those that are needed again come back from the page cache.
/// madvise(2), MADV_DONTNEED.
///
/// The kernel maps sixteen pages around each one touched, so a start through a large file leaves a megabyte resident
/// of which a waiting loop needs a few pages.
pub fn forget_startup_pages() {
    const PAGE: usize = 4096;
    unsafe extern "C" {
        // Both by the linker (ld(1), lld): the first byte of the file's read-only image and the end of its code.
        static __executable_start: u8;
        static etext: u8;
    }
    let (from, to) = ((&raw const __executable_start).addr(), (&raw const etext).addr());
    let (from, to) = (from.next_multiple_of(PAGE), to & !(PAGE - 1));
    if from < to {
        // SAFETY: whole pages of read-only, private, file-backed memory that nobody has written to: the kernel reads them
        // again at the next touch, this function's own included. Failure changes nothing.
        unsafe { libc::madvise(ptr::with_exposed_provenance_mut(from), to - from, libc::MADV_DONTNEED) };
    }
}

/// Milliseconds of CLOCK_MONOTONIC.
pub fn monotonic_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call; clock_gettime(2) cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, ptr::from_mut(&mut now)) };
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
