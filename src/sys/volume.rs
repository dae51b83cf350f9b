//! access(2), statfs(2) and stat(2) of one path: may it be written, on what, with how much room.

use nix::{
    fcntl::AT_FDCWD,
    sys::{
        stat::stat,
        statfs::statfs,
        statvfs::{FsFlags, statvfs},
    },
    unistd::{AccessFlags, faccessat},
};
use std::{io, path::Path};

/// The volume that a path lies on, and who owns the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Magic number of the file system (statfs(2)).
    pub magic: i64,
    /// Mounted read-only.
    pub read_only: bool,
    /// Bytes free for unprivileged users.
    pub free_bytes: u64,
    /// Size in bytes.
    pub total_bytes: u64,
    /// Inodes free for unprivileged users.
    pub free_inodes: u64,
    /// Inodes in all; 0 where the file system has no fixed number (btrfs, overlay on it).
    pub total_inodes: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Is it a directory?
    pub is_dir: bool,
}

/// Reads all of it; follows links.
pub fn volume(path: &Path) -> io::Result<Volume> {
    let owner = stat(path)?;
    let vfs = statvfs(path)?;
    Ok(Volume {
        magic: statfs(path)?.filesystem_type().0,
        read_only: vfs.flags().contains(FsFlags::ST_RDONLY),
        free_bytes: vfs.blocks_available().saturating_mul(vfs.fragment_size()),
        total_bytes: vfs.blocks().saturating_mul(vfs.fragment_size()),
        free_inodes: vfs.files_available(),
        total_inodes: vfs.files(),
        uid: owner.st_uid,
        gid: owner.st_gid,
        mode: owner.st_mode & 0o7777,
        is_dir: owner.st_mode & libc::S_IFMT == libc::S_IFDIR,
    })
}

/// May this process write here (and, for a directory, enter it)? The errno if not.
///
/// Plain faccessat(2) with the real ids, which are the effective ones here: with AT_EACCESS glibc calls faccessat2,
/// which older seccomp profiles answer with EPERM for every path.
pub fn writable(path: &Path, is_dir: bool) -> Result<(), i32> {
    let want = if is_dir { AccessFlags::W_OK | AccessFlags::X_OK } else { AccessFlags::W_OK };
    faccessat(AT_FDCWD, path, want, nix::fcntl::AtFlags::empty()).map_err(|errno| errno as i32)
}

/// Real user and group id.
pub fn ids() -> (u32, u32) {
    (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_writable_and_has_an_owner() {
        let dir = tempfile::tempdir().unwrap();
        let found = volume(dir.path()).unwrap();
        assert!(found.is_dir && found.uid == ids().0 && found.total_bytes > 0);
        assert_eq!(writable(dir.path(), true), Ok(()));
        assert_eq!(writable(&dir.path().join("none"), false), Err(libc::ENOENT));
    }
}
