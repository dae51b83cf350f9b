//! Where the sockets live: found writable, never assumed; owned by us, never through a link.
//!
//! Order: `SKILL_INIT_SOCKET`; in local mode `DIR/run`; `/run/skill-init`; `$XDG_RUNTIME_DIR/skill-init`;
//! `/tmp/skill-init-UID`; `/dev/shm/skill-init-UID` (writable also under `--read-only` without any tmpfs).
//! A client looks in the same order, for its own uid and for that of PID 1.

use crate::layout::Mode;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The socket's file name.
const NAME: &str = "control.sock";
/// Mode of a folder that we make: others may pass through to a socket that admits them, and see nothing.
const DIR_MODE: u32 = 0o711;

/// Why a folder cannot hold a socket.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// It cannot be made or looked at.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is a link or not a folder.
    #[error("{path} is not a folder (links are not followed)", path = .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else could replace what is in it.
    #[error("{path} belongs to uid {owner} (mode {mode:o}), not to uid {wanted}: anything in it could be replaced", path = .path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// Who should own it.
        wanted: u32,
    },
}

/// The socket paths to try, in order. `explicit` (`SKILL_INIT_SOCKET`) stands alone.
pub fn candidates(explicit: Option<&Path>, mode: &Mode, xdg_runtime_dir: Option<&str>, uid: u32) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![path.to_path_buf()];
    }
    let mut dirs = Vec::new();
    if let Mode::Local(dir) = mode {
        dirs.push(dir.join("run"));
    }
    dirs.push(PathBuf::from("/run/skill-init"));
    if let Some(dir) = xdg_runtime_dir.filter(|dir| dir.starts_with('/')) {
        dirs.push(Path::new(dir).join("skill-init"));
    }
    dirs.push(PathBuf::from(format!("/tmp/skill-init-{uid}")));
    dirs.push(PathBuf::from(format!("/dev/shm/skill-init-{uid}")));
    dirs.into_iter().map(|dir| dir.join(NAME)).collect()
}

/// The folder of the terminal's socket, beside the control socket. It belongs to the services' user.
pub fn terminal_dir(control_socket: &Path) -> PathBuf {
    let stem = control_socket.file_stem().unwrap_or_default().to_string_lossy();
    control_socket.with_file_name(format!("{stem}-terminal"))
}

/// ttyd's socket.
pub fn terminal_socket(control_socket: &Path) -> PathBuf {
    terminal_dir(control_socket).join("ttyd.sock")
}

/// Makes `dir` if it is missing, and makes sure that only `owner` (or root) can change what is in it.
///
/// A folder of another uid is taken over where we may (root with CAP_CHOWN: the folder of an image that is
/// started as root for once), else refused. Links are refused: in `/tmp` anybody could have put them there.
pub fn secure_dir(dir: &Path, owner: u32, mode: u32) -> Result<(), RunDirError> {
    let io = |source| RunDirError::Io { path: dir.to_path_buf(), source };
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let look = || fs::symlink_metadata(dir).map_err(io);
    let mut meta = look()?;
    if !meta.is_dir() {
        return Err(RunDirError::NotADirectory { path: dir.to_path_buf() });
    }
    if meta.uid() != owner {
        // lchown(2): should a link have taken its place since, the link itself is changed, not its target.
        let _ = std::os::unix::fs::lchown(dir, Some(owner), None);
        meta = look()?;
    }
    if meta.is_dir() && meta.uid() == owner && meta.permissions().mode() & 0o022 != 0 {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(mode));
        meta = look()?;
    }
    let bits = meta.permissions().mode() & 0o7777;
    if !meta.is_dir() || !(meta.uid() == owner || meta.uid() == 0) || bits & 0o022 != 0 {
        return Err(RunDirError::Foreign { path: dir.to_path_buf(), owner: meta.uid(), mode: bits, wanted: owner });
    }
    Ok(())
}

/// Makes the folder of a control socket.
///
/// With `SKILL_INIT_SOCKET` the folder is the operator's choice: it is made where missing (parents too), and
/// taken as it is where it exists.
pub fn prepare(socket: &Path, explicit: bool, uid: u32) -> Result<(), RunDirError> {
    let dir = socket.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if explicit {
        return DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(dir)
            .map_err(|source| RunDirError::Io { path: dir.to_path_buf(), source });
    }
    if let Some(parent) = dir.parent().filter(|parent| parent.starts_with("/") && !parent.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(|source| RunDirError::Io { path: parent.to_path_buf(), source })?;
    }
    secure_dir(dir, uid, DIR_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn an_explicit_socket_stands_alone() {
        let got = candidates(Some(Path::new("/x/y.sock")), &Mode::Container, Some("/run/user/1"), 1);
        assert_eq!(got, [PathBuf::from("/x/y.sock")]);
        assert_eq!(terminal_socket(Path::new("/x/y.sock")), Path::new("/x/y-terminal/ttyd.sock"));
    }

    #[test]
    fn the_order_is_local_run_xdg_tmp_shm() {
        let got = candidates(None, &Mode::Local("/l".into()), Some("/run/user/7"), 7);
        let want = [
            "/l/run/control.sock",
            "/run/skill-init/control.sock",
            "/run/user/7/skill-init/control.sock",
            "/tmp/skill-init-7/control.sock",
            "/dev/shm/skill-init-7/control.sock",
        ];
        assert_eq!(got, want.map(PathBuf::from));
    }

    #[test]
    fn a_new_folder_is_ours_and_closed_to_writers() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("run");
        secure_dir(&dir, uid(), 0o711).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o022, 0);
        secure_dir(&dir, uid(), 0o711).unwrap();
    }

    #[test]
    fn a_folder_open_to_writers_is_closed() {
        let tmp = tempfile::tempdir().unwrap();
        fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o777)).unwrap();
        secure_dir(tmp.path(), uid(), 0o711).unwrap();
        assert_eq!(fs::metadata(tmp.path()).unwrap().permissions().mode() & 0o777, 0o711);
    }

    #[test]
    fn a_link_and_a_file_are_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let link = tmp.path().join("link");
        std::os::unix::fs::symlink(tmp.path(), &link).unwrap();
        assert!(matches!(secure_dir(&link, uid(), 0o711), Err(RunDirError::NotADirectory { .. })));
        let file = tmp.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(secure_dir(&file, uid(), 0o711), Err(RunDirError::NotADirectory { .. })));
    }

    #[test]
    fn a_foreign_folder_is_refused() {
        if uid() == 0 {
            // Root takes it over instead.
            let tmp = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(tmp.path(), Some(12345), None).unwrap();
            secure_dir(tmp.path(), 0, 0o711).unwrap();
            assert_eq!(fs::metadata(tmp.path()).unwrap().uid(), 0);
        } else {
            assert!(matches!(secure_dir(Path::new("/tmp"), uid(), 0o711), Err(RunDirError::Foreign { .. })));
        }
    }
}
