//! Who asks, and what they may.
//!
//! The kernel vouches for uid and pid of a unix peer (SO_PEERCRED, unix(7)). Reading is for root, the init's
//! own uid and the services' uid. Changing is for root and the init's own uid, and not for what the init itself
//! supervises: an agent is the init's descendant (or was re-parented to it), while `docker exec`, `kubectl exec`
//! and a neighbouring terminal are not; their chain of parents ends elsewhere. This keeps an agent from stopping
//! its container by accident or on a whim. It is no wall against a hostile process of the same uid, which can
//! send signals to the same processes anyway: for that, start as root and set SKILL_INIT_USER.

use super::protocol::Request;
use std::path::Path;

/// Longest chain of parents that is followed.
const MAX_DEPTH: usize = 256;

/// The peer of a connection, as the kernel saw it when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective uid.
    pub uid: u32,
    /// Effective gid.
    pub gid: u32,
    /// Pid; `None` or 0: from another PID namespace.
    pub pid: Option<i32>,
}

/// Where a process stands in the tree, seen from the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    /// The init itself, its descendant, or adopted by it.
    Inside,
    /// Came into the container from outside, or runs beside the init.
    Outside,
    /// It has gone, or `/proc` does not show it.
    Unknown,
}

/// Who may read and who may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The init's own uid.
    pub own_uid: u32,
    /// The init's own pid.
    pub own_pid: i32,
    /// Further uids that may read: the services' user.
    pub readers: Vec<u32>,
    /// May supervised processes start, stop, restart and reload? (`SKILL_INIT_CONTROL_FROM_INSIDE`)
    pub from_inside: bool,
}

impl Policy {
    /// May this peer ask this? The error says why not and what to do. `ancestry` is asked only where it counts.
    pub fn check(&self, peer: Peer, request: &Request, ancestry: impl FnOnce(i32) -> Ancestry) -> Result<(), String> {
        let owner = peer.uid == 0 || peer.uid == self.own_uid;
        if !request.changes() {
            return if owner || self.readers.contains(&peer.uid) {
                Ok(())
            } else {
                Err(format!("uid {} may not read the status; ask as root or as uid {}", peer.uid, self.own_uid))
            };
        }
        if !owner {
            return Err(format!("uid {} may not change anything; ask as root or as uid {}", peer.uid, self.own_uid));
        }
        if self.from_inside {
            return Ok(());
        }
        match peer.pid.filter(|pid| *pid != 0).map(ancestry) {
            None | Some(Ancestry::Outside) => Ok(()),
            Some(Ancestry::Inside) => {
                Err("a supervised process may not change anything; use docker exec or kubectl exec, \
                 or set SKILL_INIT_CONTROL_FROM_INSIDE=1"
                    .to_owned())
            }
            Some(Ancestry::Unknown) => {
                Err("the asking process has gone or is hidden; stay until the answer".to_owned())
            }
        }
    }
}

/// Follows the parents of `pid` up to the init (`own_pid`) or to the top, in `/proc` under `proc`.
///
/// Reads at most `MAX_DEPTH` files of procfs, which never block.
pub fn ancestry(proc: &Path, pid: i32, own_pid: i32) -> Ancestry {
    let mut at = pid;
    for _ in 0..MAX_DEPTH {
        if at == own_pid {
            return Ancestry::Inside;
        }
        if at <= 0 {
            return Ancestry::Outside;
        }
        match parent_of(proc, at) {
            Some(parent) => at = parent,
            // It has gone; or a parent ended while we looked, and its child has been adopted, perhaps by the init.
            None => return Ancestry::Unknown,
        }
    }
    Ancestry::Unknown
}

/// The parent of a process; `None`: it has gone or is hidden.
pub fn parent_of(proc: &Path, pid: i32) -> Option<i32> {
    std::fs::read(proc.join(pid.to_string()).join("stat")).ok().and_then(|stat| parent(&stat))
}

/// The parent's pid out of `/proc/PID/stat` (proc_pid_stat(5)): the second field after the last `)`, because the
/// name may hold spaces and brackets itself.
fn parent(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy { own_uid: 10001, own_pid: 1, readers: vec![20000], from_inside: false }
    }
    fn peer(uid: u32) -> Peer {
        Peer { uid, gid: uid, pid: Some(50) }
    }

    #[test]
    fn reading_is_for_root_the_own_uid_and_the_services_uid() {
        for (uid, allowed) in [(0, true), (10001, true), (20000, true), (10002, false)] {
            assert_eq!(policy().check(peer(uid), &Request::Status, |_| panic!("not needed")).is_ok(), allowed, "{uid}");
        }
    }

    #[test]
    fn changing_is_not_for_the_services_uid_nor_for_supervised_processes() {
        let stop = Request::Stop { service: "api".into() };
        assert!(policy().check(peer(20000), &stop, |_| Ancestry::Outside).is_err());
        assert!(policy().check(peer(10001), &stop, |_| Ancestry::Inside).is_err());
        assert!(policy().check(peer(10001), &stop, |_| Ancestry::Unknown).is_err());
        assert!(policy().check(peer(10001), &stop, |_| Ancestry::Outside).is_ok());
        assert!(policy().check(peer(0), &stop, |_| Ancestry::Inside).is_err());
        let open = Policy { from_inside: true, ..policy() };
        assert!(open.check(peer(10001), &stop, |_| Ancestry::Inside).is_ok());
        assert!(open.check(peer(20000), &stop, |_| Ancestry::Outside).is_err());
    }

    #[test]
    fn a_peer_of_another_pid_namespace_is_outside() {
        let stop = Request::Stop { service: "api".into() };
        let peer = Peer { pid: Some(0), ..peer(10001) };
        assert!(policy().check(peer, &stop, |_| panic!("not needed")).is_ok());
    }

    #[test]
    fn ancestry_follows_names_that_try_to_look_like_fields() {
        let proc = tempfile::tempdir().unwrap();
        let stat = |pid: i32, name: &str, parent: i32| {
            let dir = proc.path().join(pid.to_string());
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("stat"), format!("{pid} ({name}) S {parent} {pid} {pid} 0 -1\n")).unwrap();
        };
        stat(1, "skill-init", 0);
        stat(10, "worker", 1);
        stat(11, "x) S 0 (y", 10);
        stat(20, "sh", 0);
        stat(21, "skill-init", 20);
        assert_eq!(ancestry(proc.path(), 11, 1), Ancestry::Inside);
        assert_eq!(ancestry(proc.path(), 21, 1), Ancestry::Outside);
        assert_eq!(ancestry(proc.path(), 1, 1), Ancestry::Inside);
        assert_eq!(ancestry(proc.path(), 99, 1), Ancestry::Unknown);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir(proc.path().join("5")).unwrap();
        std::fs::write(proc.path().join("5/stat"), "5 (x) S 5 5").unwrap();
        assert_eq!(ancestry(proc.path(), 5, 1), Ancestry::Unknown);
    }
}
