//! Starting the command, and saying in the command's user's words why it could not be started.
//!
//! Exit codes as a shell gives them: 127 where there is no such program, 126 where it is there but cannot be
//! executed. A text file without `#!` runs under /bin/sh, as execvp(3) has it; a binary of another
//! machine does not, although the kernel answers ENOEXEC to both.

use crate::{
    exit::Exit,
    sys::{
        signals::Mask,
        spawn::{FileAction, Group, spawn_command},
        start::{self, Argv},
    },
};
use std::{
    ffi::{CStr, CString, OsStr},
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// Why a command did not start.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to exit with.
    pub(super) exit: Exit,
    /// What to say: a line without the init's name and without a line break.
    pub(super) text: String,
}

/// What the child gets besides its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) group: Group,
    pub(super) mask: &'a Mask,
    pub(super) files: &'a [FileAction],
}

/// Spawns the command; its pid.
pub(super) fn start(command: Argv, around: Surroundings<'_>) -> Result<i32, Failure> {
    let program = command.get(0).unwrap_or_default();
    let spawn = |program: &CStr, argv| spawn_command(program, argv, around.group, around.mask, around.files);
    let error = match spawn(program, command) {
        Ok(pid) => return Ok(pid),
        Err(error) => error,
    };
    if error.raw_os_error() == Some(libc::ENOEXEC)
        && let Some(path) = find(program).filter(|path| is_text(path))
        && let Ok(path) = CString::new(path.into_os_string().as_bytes())
    {
        let script: &'static CStr = Box::leak(path.into_boxed_c_str());
        let mut words = vec![c"/bin/sh", script];
        words.extend(command.iter().skip(1));
        return spawn(c"/bin/sh", Argv::leak(&words)).map_err(|error| explain(c"/bin/sh", &error));
    }
    Err(explain(program, &error))
}

fn explain(program: &CStr, error: &io::Error) -> Failure {
    let name = program.to_string_lossy();
    let path = find(program);
    let (exit, why) = match (error.raw_os_error(), &path) {
        (Some(libc::ENOENT | libc::ENOTDIR), Some(path)) => (
            Exit::NOT_FOUND,
            format!(
                "{} is there, but its interpreter or loader is not: look at its first line, or at ldd",
                path.display()
            ),
        ),
        (Some(libc::ENOENT | libc::ENOTDIR), None) if program.to_bytes().contains(&b'/') => {
            (Exit::NOT_FOUND, "no such file: check the path".to_owned())
        }
        (Some(libc::ENOENT | libc::ENOTDIR), None) => {
            let path = start::env(c"PATH").map_or("unset".into(), CStr::to_string_lossy);
            (Exit::NOT_FOUND, format!("not found in PATH ({path}): check the name"))
        }
        (Some(libc::EACCES), Some(path)) if path.is_dir() => {
            (Exit::NOT_EXECUTABLE, "it is a folder: name the program in it".to_owned())
        }
        (Some(libc::EACCES), _) => (
            Exit::NOT_EXECUTABLE,
            "permission denied: chmod +x the file, and check its folders and a noexec mount".to_owned(),
        ),
        (Some(libc::ENOEXEC), _) => (
            Exit::NOT_EXECUTABLE,
            "exec format error: a program of another machine (architecture), damaged, or an empty image layer"
                .to_owned(),
        ),
        (Some(libc::E2BIG), _) => {
            (Exit::NOT_EXECUTABLE, "arguments and environment are too big for execve(2): shorten them".to_owned())
        }
        (Some(libc::EAGAIN), _) => {
            (Exit::OS, "no process can be made: look at the pids limit and at ulimit -u".to_owned())
        }
        (Some(libc::ENOMEM), _) => (Exit::OS, "no memory for a process: look at the memory limit".to_owned()),
        _ => (Exit::NOT_EXECUTABLE, error.to_string()),
    };
    Failure { exit, text: format!("failed to start {name:?}: {why}") }
}

/// The file that execvp(3) would have tried: a path as it stands, a bare name in PATH.
fn find(program: &CStr) -> Option<PathBuf> {
    let name = OsStr::from_bytes(program.to_bytes());
    if name.is_empty() {
        return None;
    }
    if program.to_bytes().contains(&b'/') {
        let path = Path::new(name);
        return path.exists().then(|| path.to_path_buf());
    }
    let path = start::env(c"PATH").map_or(&b"/bin:/usr/bin"[..], CStr::to_bytes);
    path.split(|&byte| byte == b':').map(|folder| Path::new(OsStr::from_bytes(folder)).join(name)).find(|path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

/// A text to the eye of a shell: its first line (of at most 128 bytes) holds no NUL.
fn is_text(path: &Path) -> bool {
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(128).read_to_end(&mut head)).is_ok()
        && !head.split(|&byte| byte == b'\n').next().unwrap_or_default().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interpreter_is_told_from_a_missing_program() {
        let here = explain(c"/bin/sh", &io::Error::from_raw_os_error(libc::ENOENT));
        let gone = explain(c"/no/such", &io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!((here.exit, gone.exit), (Exit::NOT_FOUND, Exit::NOT_FOUND));
        assert!(here.text.contains("interpreter") && gone.text.contains("no such file"));
        let folder = explain(c"/tmp", &io::Error::from_raw_os_error(libc::EACCES));
        assert!(folder.exit == Exit::NOT_EXECUTABLE && folder.text.contains("it is a folder"), "{}", folder.text);
    }

    #[test]
    fn a_binary_is_no_text_and_an_empty_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let (elf, empty) = (folder.path().join("elf"), folder.path().join("empty"));
        fs::write(&elf, b"\x7fELF\x02\x01\x01\0\0\0").unwrap();
        fs::write(&empty, b"").unwrap();
        assert!(!is_text(&elf) && is_text(&empty));
    }
}
