//! Files that are old or new, never torn, and paths that stay where they belong.

pub use crate::tree::remove as remove_tree;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

/// Writes a file whole: temporary name in the same folder, final mode, fsync, rename, fsync of the folder.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic_mode(path, bytes, 0o644)
}

/// The name under which a file or a folder is being made: `.NAME.UUID.tmp`, in the same folder.
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", uuid::Uuid::new_v4().simple()))
}

/// Removes what a killed worker was writing in this folder, and with `below` in every folder below it that this says
/// yes to. Nobody may be writing there.
pub fn remove_temporary(folder: &Path, below: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let unfinished = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.'));
        let unfinished = unfinished.is_some_and(|(_, id)| id.len() == 32 && uuid::Uuid::try_parse(id).is_ok());
        let Ok(kind) = entry.file_type() else { continue };
        let removed = match (kind.is_dir(), unfinished) {
            (true, true) => remove_tree(&path),
            (false, true) => fs::remove_file(&path),
            (true, false) if below(&path) => {
                remove_temporary(&path, below);
                Ok(())
            }
            (_, false) => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(file = %path.display(), %error, "a half-written file stays");
        }
    }
}

/// As `write_atomic`, with a mode (0o600 for what holds a secret).
pub fn write_atomic_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let temporary = temporary(path);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// JSON with a newline, whole; indented unless it is large.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let mut bytes = crate::values::pretty(value)?;
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

/// A relative path made of plain names only; `None` for `..`, absolute paths, NUL and the empty path.
pub fn plain_relative(text: &str) -> Option<PathBuf> {
    if text.contains('\0') || text.contains('\\') {
        return None;
    }
    let mut out = PathBuf::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!out.as_os_str().is_empty()).then_some(out)
}

/// A regular file below `root` reached without leaving it, symbolic links followed and checked.
///
/// `None` where there is no such file, or where it lies outside.
pub fn inside(root: &Path, relative: &str) -> Option<PathBuf> {
    let relative = plain_relative(relative)?;
    let root = root.canonicalize().ok()?;
    let path = root.join(relative).canonicalize().ok()?;
    (path.starts_with(&root) && path.is_file()).then_some(path)
}

/// Opens a regular file below `root`; "not found" where there is none, or where it lies outside.
///
/// What was opened is asked where it lies, so that a link that is put in its place meanwhile gains nothing. Never blocks
/// on a FIFO.
pub fn open_inside(root: &Path, relative: &str) -> io::Result<File> {
    let outside = || io::Error::new(io::ErrorKind::NotFound, "there is no such file in its folder");
    let path = inside(root, relative).ok_or_else(outside)?;
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let lies = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let good = file.metadata()?.is_file() && lies.starts_with(root.canonicalize()?);
    if good { Ok(file) } else { Err(outside()) }
}

/// MiB of a file that is small.
pub const SMALL: u64 = 8;

/// The bytes of a small regular file, at most 8 MiB. A FIFO that an agent put in its place is an error, not a wait.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(path, SMALL)
}

/// The same with another limit, in MiB.
pub fn read_bounded(path: &Path, mebibytes: u64) -> io::Result<Vec<u8>> {
    bounded(regular(OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?)?, mebibytes)
}

/// The bytes of a small file below `root`, as [`open_inside`] opens it: `None` where nothing of that name is there.
pub fn read_small_inside(root: &Path, relative: &str) -> io::Result<Option<Vec<u8>>> {
    match open_inside(root, relative) {
        Ok(file) => bounded(file, SMALL).map(Some),
        // A link that leads out, a FIFO: there, and not to be read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match root.join(relative).symlink_metadata() {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file of its folder")),
        },
        Err(error) => Err(error),
    }
}

/// Opens or makes a file of lines, to read and to append to. A link or a FIFO that an agent put in its place is an error:
/// what is written there must not land elsewhere, nor wait for a reader.
pub fn append(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    regular(OpenOptions::new().create(true).read(true).append(true).custom_flags(flags).open(path)?)
}

fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

fn bounded(file: File, mebibytes: u64) -> io::Result<Vec<u8>> {
    let (most, mut bytes) = (mebibytes << 20, Vec::new());
    if io::Read::read_to_end(&mut io::Read::take(file, most + 1), &mut bytes)? as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {mebibytes} MiB")));
    }
    Ok(bytes)
}

/// The same as text.
pub fn read_small_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_small(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Every regular file below `root`, as sorted `/`-separated relative paths; symbolic links are not followed.
pub fn list_files(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(at) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                walk(root, &path, out);
            } else if kind.is_file()
                && let Ok(relative) = path.strip_prefix(root)
            {
                out.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

/// Copies a tree of folders and regular files; symbolic links and special files are left out.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            if entry.file_name() != ".git" {
                copy_tree(&entry.path(), &target)?;
            }
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_escapes_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("artifacts")).unwrap();
        fs::write(root.join("artifacts/a.txt"), "a").unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("artifacts/link")).unwrap();
        assert!(inside(&root, "artifacts/a.txt").is_some());
        for bad in ["../secret", "/etc/passwd", "artifacts/../../secret", "artifacts/link", "", "a\0b", "artifacts"] {
            assert_eq!(inside(&root, bad), None, "{bad}");
            assert_eq!(open_inside(&root, bad).unwrap_err().kind(), io::ErrorKind::NotFound, "{bad}");
        }
        let mut text = String::new();
        io::Read::read_to_string(&mut open_inside(&root, "artifacts/a.txt").unwrap(), &mut text).unwrap();
        assert_eq!(text, "a");
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_inside(&root, "fifo").is_err());
    }

    #[test]
    fn what_is_appended_to_is_a_file_of_its_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("elsewhere"), "mine").unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(append(&at("link")).is_err() && append(&at("fifo")).is_err() && append(dir.path()).is_err());
        append(&at("new")).unwrap().write_all(b"a").unwrap();
        append(&at("new")).unwrap().write_all(b"b").unwrap();
        assert_eq!(fs::read_to_string(at("new")).unwrap(), "ab");
        assert_eq!(fs::read_to_string(at("elsewhere")).unwrap(), "mine");
    }

    #[test]
    fn half_written_files_are_known_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["mine", "theirs"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            for name in ["a.json", ".a.tmp", ".a.json.0123.tmp"] {
                fs::write(dir.path().join(folder).join(name), "").unwrap();
            }
            fs::write(temporary(&dir.path().join(folder).join("a.json")), "{").unwrap();
        }
        remove_temporary(dir.path(), &|folder| folder.ends_with("mine"));
        let count = |folder: &str| fs::read_dir(dir.path().join(folder)).unwrap().count();
        assert_eq!((count("mine"), count("theirs")), (3, 4));
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write_atomic(&dir.path().join("taken"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
