//! ttyd's command line, and the folder of its socket. The gateway is the only way in.
//!
//! ```text
//! browser ── gateway (host, credentials, origin, one client) ── ttyd.sock ── ttyd ── pty ── skill-init tui
//! ```
//!
//! ttyd's own `--credential` would show the password in `ps`; its socket lies in a folder that only the services'
//! user can enter. ttyd must not get SIGHUP: it dies of it.

use super::rundir::{self, RunDirError};
use crate::{
    layout::Layout,
    settings::{Settings, keys, service::ServiceSpec},
};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The ttyd program: `SKILL_RUNNER_TTYD_PATH`, the managed npm prefix, then `path` (the services' PATH).
///
/// `Err`: the setting names something that cannot be executed; nothing else is tried then.
pub fn find_ttyd(settings: &Settings, layout: &Layout, path: &str) -> Result<Option<PathBuf>, String> {
    let runs = |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if let Some(named) = settings.get_opt(&keys::TTYD_PATH) {
        return if runs(&named) {
            Ok(Some(named))
        } else {
            Err(format!("SKILL_RUNNER_TTYD_PATH: {} is not an executable file", named.display()))
        };
    }
    let managed = layout.npm_prefix.join("bin");
    let dirs = [managed].into_iter().chain(path.split(':').filter(|dir| dir.starts_with('/')).map(PathBuf::from));
    Ok(dirs.map(|dir| dir.join("ttyd")).find(|ttyd| runs(ttyd)))
}

/// ttyd's whole command line. `own_program`: this program, by a path that children can execute.
pub fn ttyd_command(ttyd: &Path, own_program: &Path, control_socket: &Path) -> Vec<String> {
    let socket = rundir::terminal_socket(control_socket);
    let words = [
        // A path that ends in .sock makes ttyd listen on a unix socket.
        "--interface",
        &socket.to_string_lossy(),
        "--writable",
        "--max-clients",
        "1",
        // A client that vanished without a word is noticed by its missing answer.
        "--ping-interval",
        "5",
        "--client-option",
        "disableLeaveAlert=true",
        "--client-option",
        "titleFixed=agents",
        // ttyd ends without a farewell frame, which its page takes for a lost connection: it would begin the next session
        // at once, over the last words of the one that is over. So it asks for Enter.
        "--client-option",
        "disableReconnect=true",
        // Errors and warnings only: a line per request would be the gateway's to write.
        "--debug",
        "3",
        "--",
        &own_program.to_string_lossy(),
        "tui",
    ]
    .map(str::to_owned);
    std::iter::once(ttyd.to_string_lossy().into_owned()).chain(words).collect()
}

/// The control socket that a plan is made with; the real one is known only once it is bound.
pub const PLANNED: &str = "/run/skill-init/control.sock";

/// Puts the real terminal socket in the place of the planned one, and makes its folder for `owner` (uid and gid of
/// the services), where a service needs it.
pub fn place(services: &mut [ServiceSpec], control_socket: &Path, owner: (u32, u32)) -> Result<(), RunDirError> {
    let planned = rundir::terminal_socket(Path::new(PLANNED)).to_string_lossy().into_owned();
    let real = rundir::terminal_socket(control_socket).to_string_lossy().into_owned();
    let mut needed = false;
    for word in services.iter_mut().flat_map(|service| &mut service.command).filter(|word| **word == planned) {
        word.clone_from(&real);
        needed = true;
    }
    if needed { prepare(control_socket, owner.0, owner.1).map(|_| ()) } else { Ok(()) }
}

/// Makes the folder of ttyd's socket, for the user that ttyd runs as; nobody else may enter it.
///
/// A stale socket in it is ttyd's own business: it replaces it.
pub fn prepare(control_socket: &Path, uid: u32, gid: u32) -> Result<PathBuf, RunDirError> {
    let dir = rundir::terminal_dir(control_socket);
    rundir::secure_dir(&dir, uid, 0o700)?;
    if nix::unistd::geteuid().is_root() {
        // Best effort: the uid is what counts.
        let _ = std::os::unix::fs::lchown(&dir, None, Some(gid));
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::Mode, settings::Environment};

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(&Environment(pairs.collect())).unwrap()
    }

    #[test]
    fn the_command_line_holds_no_secret_and_ends_with_the_menu() {
        let command =
            ttyd_command(Path::new("/usr/bin/ttyd"), Path::new("/sbin/skill-init"), Path::new("/run/x/control.sock"));
        let line = command.join(" ");
        assert!(line.starts_with("/usr/bin/ttyd --interface /run/x/control-terminal/ttyd.sock --writable "), "{line}");
        assert!(line.ends_with(" -- /sbin/skill-init tui"), "{line}");
        assert!(!line.contains("credential"), "{line}");
    }

    #[test]
    fn a_named_ttyd_is_the_only_one_that_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let ttyd = dir.path().join("ttyd");
        std::fs::write(&ttyd, "").unwrap();
        let path = dir.path().to_str().unwrap();
        let find = |pairs: &[(&str, &str)]| {
            let settings = settings(pairs);
            find_ttyd(&settings, &Layout::new(&settings, Mode::Container), path)
        };
        assert_eq!(find(&[]), Ok(None));
        std::fs::set_permissions(&ttyd, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&[]), Ok(Some(ttyd.clone())));
        assert!(find(&[("SKILL_RUNNER_TTYD_PATH", "/no/ttyd")]).is_err());
        assert_eq!(find(&[("SKILL_RUNNER_TTYD_PATH", ttyd.to_str().unwrap())]), Ok(Some(ttyd)));
    }
}
