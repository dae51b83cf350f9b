//! Removing a tree that an agent made, however deep: two descriptors and no recursion.

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::{Mode, fstat},
    unistd::{UnlinkatFlags, unlinkat},
};
use std::{
    ffi::CString,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// What names a folder as long as it exists: device and inode.
type Identity = (u64, u64);

/// Removes a tree; that it is not there counts as success. Links are removed, never followed.
pub fn remove(path: &Path) -> io::Result<()> {
    walk(path, |_| ())
}

/// `below` is told how deep the walk is whenever it has gone down.
fn walk(path: &Path, mut below: impl FnMut(usize)) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if found.is_symlink() => return fs::remove_file(path),
        Ok(_) => {}
    }
    let mut here = open(nix::fcntl::AT_FDCWD, path)?;
    // The way down: each folder's name, and which folder it is in.
    let mut way: Vec<(CString, Identity)> = Vec::new();
    loop {
        if let Some(name) = empty(&here)? {
            let inner = open(&here, name.as_c_str())?;
            way.push((name, identity(&here)?));
            here = inner;
            below(way.len());
            continue;
        }
        let Some((name, parent)) = way.pop() else { break };
        let up = open(&here, c"..")?;
        if identity(&up)? != parent {
            return Err(io::Error::other("a folder was moved while its tree was being removed"));
        }
        here = up;
        unlinkat(&here, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
    }
    fs::remove_dir(path)
}

fn open<P: nix::NixPath + ?Sized>(at: impl AsFd, path: &P) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

fn identity(folder: &OwnedFd) -> io::Result<Identity> {
    let stat = fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Removes a folder's files until there is a folder among its entries: its name, or `None` once nothing is left.
fn empty(folder: &OwnedFd) -> io::Result<Option<CString>> {
    loop {
        // A folder that changes while it is read may hide an entry: it is empty when a look from its start finds nothing.
        let mut removed = false;
        let mut entries =
            Dir::openat(folder, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        for entry in entries.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => removed = true,
                Err(Errno::EISDIR) => return Ok(Some(name.to_owned())),
                Err(error) => return Err(error.into()),
            }
        }
        if !removed {
            return Ok(None);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;
    use nix::sys::stat::mkdirat;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_is_gone_and_what_its_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "kept").unwrap();
        for folder in ["a/b/c", "a/d", "e"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
            for n in 0..300 {
                fs::write(tree.join(folder).join(format!("file-{n}")), "").unwrap();
            }
        }
        symlink(&outside, tree.join("a/link")).unwrap();
        symlink("nowhere", tree.join("a/b/broken")).unwrap();
        remove(&tree).unwrap();
        remove(&tree).unwrap();
        symlink(&outside, &tree).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists() && fs::symlink_metadata(&tree).is_err());
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert!(remove(&outside.join("file")).is_err(), "a file is no tree");
    }

    #[test]
    fn a_folder_that_is_moved_meanwhile_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(outside.join("kept")).unwrap();
        let moved = walk(&tree, |depth| {
            if depth == 3 {
                fs::rename(tree.join("a/b"), outside.join("b")).unwrap();
            }
        });
        assert!(moved.unwrap_err().to_string().contains("was moved"));
        assert!(outside.join("kept").is_dir() && outside.join("b").is_dir());
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut here = open(nix::fcntl::AT_FDCWD, &tree).unwrap();
        for _ in 0..30_000 {
            mkdirat(&here, c"d", Mode::S_IRWXU).unwrap();
            here = open(&here, c"d").unwrap();
        }
        drop(here);
        // A thread of a size that a recursion of that depth would leave.
        std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || remove(&tree).unwrap())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
