//! Giving up root: groups, gid, uid, capabilities, no_new_privs.

use std::io;

/// Becomes this user for good: no supplementary groups, no capabilities (bounding set included), no_new_privs.
///
/// As another uid than root only `uid` itself is accepted (nothing to change), everything else is EPERM.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    let root = nix::unistd::Uid::effective().is_root();
    if !root && nix::unistd::Uid::effective().as_raw() == uid {
        return no_new_privs();
    }
    if uid != 0 {
        // Before the uid changes: lowering the bounding set needs CAP_SETPCAP. What is not in it cannot be dropped.
        if let Ok(bounding) = caps::read(None, caps::CapSet::Bounding) {
            for capability in bounding {
                let _ = caps::drop(None, caps::CapSet::Bounding, capability);
            }
        }
        let _ = caps::clear(None, caps::CapSet::Ambient);
    }
    let gid = nix::unistd::Gid::from_raw(gid);
    let uid = nix::unistd::Uid::from_raw(uid);
    nix::unistd::setgroups(&[gid])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    // With a uid other than 0 the kernel empties the permitted and effective sets (capabilities(7)).
    nix::unistd::setresuid(uid, uid, uid)?;
    if !uid.is_root() {
        caps::clear(None, caps::CapSet::Inheritable).map_err(io::Error::other)?;
    }
    no_new_privs()
}

/// PR_SET_NO_NEW_PRIVS (prctl(2)).
pub fn no_new_privs() -> io::Result<()> {
    // SAFETY: no memory is involved; prctl(2).
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
