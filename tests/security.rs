//! What a hostile process of the same user can do to the init: SECURITY.md's table, line by line, on the real binary.
//!
//! The agent is a service: a shell script that tries everything and writes down what succeeded. As root the init runs as
//! another user in a PID namespace of its own (root could do anything and would prove nothing); without root it runs as
//! today's user, beside the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]

mod skips;
#[expect(dead_code, reason = "other suites use the rest of it")]
mod volume;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use volume::{Volume, is_root};

const PASSWORD: &str = "a password that no agent may see";
const NOBODY: &str = "65534";
const DEADLINE: Duration = Duration::from_secs(120);

/// Does the container have one?
#[derive(PartialEq)]
enum Terminal {
    Yes,
    No,
}

/// An init with one agent, and the folder that both write to.
struct Container {
    dir: tempfile::TempDir,
    child: Child,
}

impl Container {
    /// `script`: the agent, with `$INIT` (the init's pid as it sees it) and `$OUT` (where its findings go).
    fn start(script: &str, env: &[(&str, &str)], terminal: Terminal) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        // A binary that the other user can reach.
        fs::copy(env!("CARGO_BIN_EXE_skill-init"), at("skill-init")).unwrap();
        let out = at("out").display().to_string();
        let agent = format!("INIT=$PPID OUT={out}\n{script}\necho end >> \"$OUT\"\nexec sleep 1000\n");
        fs::write(at("agent"), agent).unwrap();
        let services =
            format!("[service.agent]\ncommand = [\"sh\", \"{}\"]\nrestart = \"never\"\n", at("agent").display());
        fs::write(at("init.toml"), services).unwrap();
        let mut words: Vec<String> = Vec::new();
        if is_root() {
            let namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
            let user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--bounding-set=-all"];
            words.extend(namespace.iter().chain(&user).map(|word| (*word).to_owned()));
        }
        words.push(at("skill-init").display().to_string());
        words.push("entrypoint".to_owned());
        if terminal == Terminal::Yes {
            // script(1) gives the whole container a terminal, as `docker run -t` does.
            words = ["script", "-qec", &words.join(" "), "/dev/null"].map(str::to_owned).to_vec();
        }
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("SKILL_RUNNER_RUNTIME_MODE", "container"), ("SKILL_INIT_API", "0")])
            .envs([("SKILL_INIT_ENSURE", "off"), ("SKILL_INIT_TTYD", "off"), ("SKILL_INIT_GATEWAY", "0")])
            .env("SKILL_INIT_CONFIG", at("init.toml"))
            .env("SKILL_INIT_SOCKET", at("run/control.sock"))
            .env("SKILL_RUNNER_DATA_DIR", at("data"))
            .env("SKILL_RUNNER_AGENT_CACHE_DIR", at("cache"))
            .env("SKILL_INIT_APP_DIR", at("app"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    /// What the agent wrote down, once it is through.
    fn findings(&mut self) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let out = fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
            if out.ends_with("end\n") {
                return out;
            }
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(self.child.try_wait().unwrap().is_none(), "the init ended: {out}\n{log}");
            assert!(Instant::now() < end, "the agent did not get through: {out}\n{log}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // unshare's --kill-child is a parent-death signal, which setpriv's change of user takes back (prctl(2)): the init
        // has to be found and ended, and its namespace goes with it.
        let below = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in below {
            let _ = skill_init::sys::process::kill(pid, libc::SIGKILL);
        }
    }
}

/// Every process below this one.
fn descendants(pid: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    children.into_iter().flat_map(|pid| i32::try_from(pid).into_iter().chain(descendants(pid))).collect()
}

#[test]
fn an_agent_of_the_same_user_can_read_nothing_of_the_init_and_trace_it_neither() {
    let script = r#"
        for file in environ mem maps smaps auxv pagemap stack syscall personality io; do
            head -c 1 "/proc/$INIT/$file" >/dev/null 2>&1 && echo "read $file" >> "$OUT"
        done
        for link in exe cwd root fd/0; do
            readlink "/proc/$INIT/$link" >/dev/null 2>&1 && echo "followed $link" >> "$OUT"
        done
        ls "/proc/$INIT/fd" >/dev/null 2>&1 && echo "listed fd" >> "$OUT"
        for file in oom_score_adj coredump_filter clear_refs mem comm; do
            (echo 0 > "/proc/$INIT/$file") 2>/dev/null && echo "wrote $file" >> "$OUT"
        done
        if command -v strace >/dev/null; then
            # A tracer that gets in would stay; the time limit is only for that case.
            timeout 30 strace -p "$INIT" -o /dev/null 2>"$OUT.strace"
            grep -q "Operation not permitted" "$OUT.strace" && echo "strace refused" >> "$OUT"
        else
            echo "no strace" >> "$OUT"
        fi
        # The same attempts on a process that is not protected: the script can succeed.
        sleep 100 & other=$!
        head -c 1 "/proc/$other/environ" >/dev/null 2>&1 && echo "control: read a sleeping child" >> "$OUT"
    "#;
    let mut container = Container::start(script, &[], Terminal::No);
    let found = container.findings();
    let rest = found.strip_prefix("no strace\n");
    if rest.is_some() {
        skips::skip("strace is not installed, so nothing tried to trace the init");
    }
    let rest = rest.or_else(|| found.strip_prefix("strace refused\n"));
    assert_eq!(rest, Some("control: read a sleeping child\nend\n"), "{found}");
}

#[test]
fn the_password_is_in_no_environment_and_no_file_that_an_agent_can_read() {
    let script = r#"
        for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do
            grep -qa "no agent may see" "$file" 2>/dev/null && echo "in $file" >> "$OUT"
        done
        grep -rqa "no agent may see" "$(dirname "$OUT")" --exclude=agent 2>/dev/null && echo "in a file" >> "$OUT"
        env | grep -q "^UI_BASIC_AUTH_PASSWORD" && echo "in its own environment" >> "$OUT"
        env | grep -q "^UI_BASIC_AUTH_USERNAME=admin" && echo "control: the user name is" >> "$OUT"
    "#;
    let env =
        [("UI_BASIC_AUTH_ENABLED", "1"), ("UI_BASIC_AUTH_USERNAME", "admin"), ("UI_BASIC_AUTH_PASSWORD", PASSWORD)];
    let mut container = Container::start(script, &env, Terminal::No);
    assert_eq!(container.findings(), "control: the user name is\nend\n");
    let log = fs::read_to_string(container.dir.path().join("log")).unwrap();
    assert!(!log.contains(PASSWORD), "the log shows it");
}

#[test]
fn no_signal_of_an_agent_kills_or_stops_pid_1() {
    if !is_root() {
        return skips::skip("a PID namespace needs root");
    }
    let script = r#"
        for signal in KILL STOP TSTP TTIN TTOU SEGV ABRT ILL BUS FPE PIPE ALRM VTALRM USR1 USR2 CHLD CONT WINCH SYS TRAP 34 50 64; do
            kill -$signal 1 2>/dev/null
        done
        grep '^State:' /proc/1/status | grep -qv '[TtZXx] (' && echo alive >> "$OUT"
    "#;
    let mut container = Container::start(script, &[], Terminal::No);
    let found = container.findings();
    // TERM, INT and QUIT are left out: whoever runs as the init's user may ask it to end in order, and no more than that.
    assert_eq!(found, "alive\nend\n");
}

#[test]
fn an_agent_is_not_given_the_terminal_of_its_container() {
    if !is_root() {
        return skips::skip("a PID namespace needs root, and without one nothing ends the init when its terminal goes");
    }
    let script = r#"
        cut -d ' ' -f 7 /proc/self/stat | sed 's/^/tty /' >> "$OUT"
        (: < /dev/tty) 2>/dev/null && echo "opened /dev/tty" >> "$OUT"
        readlink /proc/self/fd/0 >> "$OUT"
    "#;
    let mut container = Container::start(script, &[], Terminal::Yes);
    let found = container.findings();
    assert_eq!(found, "tty 0\n/dev/null\nend\n");
}

/// Everything that stands in a folder that agents can write to, replaced by everything that it should not be.
#[test]
fn nothing_that_an_agent_puts_in_place_of_a_file_holds_or_misleads_a_start() {
    let volume = Volume::new();
    volume.write("import/codex/auth.json", "{\"OPENAI_API_KEY\":\"k\"}");
    volume.apply(0);
    let files: Vec<String> = volume.all().into_iter().filter(|path| volume.path(path).is_file()).collect();
    assert!(files.len() >= 10, "{files:?}");
    for file in &files {
        for kind in ["fifo", "link", "dangling", "folder", "huge", "socket"] {
            let volume = Volume::new();
            volume.write("import/codex/auth.json", "{\"OPENAI_API_KEY\":\"k\"}");
            volume.apply(0);
            volume.write("sentinel", "mine");
            let path = volume.path(file);
            fs::remove_file(&path).unwrap();
            plant(kind, &path, &volume.path("sentinel"));
            let case = format!("{kind} in place of {file}");
            let code = ended(&volume, &case);
            assert!([Some(0), Some(1), Some(73)].contains(&code), "{case}: {code:?}");
            assert_eq!(volume.read("sentinel"), "mine", "{case}: a link was followed");
        }
    }
}

fn plant(kind: &str, path: &Path, sentinel: &Path) {
    match kind {
        "fifo" => nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap(),
        "link" => symlink(sentinel, path).unwrap(),
        "dangling" => symlink(sentinel.with_file_name("nowhere"), path).unwrap(),
        "folder" => fs::create_dir_all(path.join("with/content")).unwrap(),
        "huge" => fs::File::create(path).unwrap().set_len(8 << 30).unwrap(),
        _ => drop(std::os::unix::net::UnixListener::bind(short(path)).unwrap()),
    }
}

/// A socket's name has at most 107 bytes; the folder's descriptor makes any path short.
fn short(path: &Path) -> PathBuf {
    use std::os::fd::IntoRawFd;
    let folder = fs::File::open(path.parent().unwrap()).unwrap().into_raw_fd();
    PathBuf::from(format!("/proc/self/fd/{folder}")).join(path.file_name().unwrap())
}

/// Runs apply on it; its exit code. What does not come to an end was held.
fn ended(volume: &Volume, case: &str) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skill-init"));
    command
        .arg("apply")
        .env_clear()
        .envs(volume.env())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("{case}: the start is held");
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_configuration_file_that_is_no_file_is_a_mistake_and_no_hang() {
    for kind in ["fifo", "folder", "huge", "dangling", "socket"] {
        let volume = Volume::new();
        let path = volume.path("init.toml");
        plant(kind, &path, &volume.path("sentinel"));
        let output = volume.command("config").env("SKILL_INIT_CONFIG", &path).timeout(DEADLINE).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
