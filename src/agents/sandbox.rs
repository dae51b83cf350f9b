//! Sandbox truth: is this engine, as it is installed here, confined or not, and by which flags.
//!
//! Kernel version and Landlock ABI do not tell: today's codex confines itself by bubblewrap, which Docker's
//! default seccomp profile refuses while both answer "yes". So the CLI's own sandbox is run on a harmless
//! command that tries to write one file of ours outside its working folder: the sandbox must work, and the
//! file must not be there afterwards. The verdict is kept with what it depends on: the program, the kernel,
//! this container, and what it may do.

mod probe;

use super::{
    catalogue::{Engine, SandboxRange, Version},
    check::{Checked, Surroundings},
    prefix::{Manifest, package_in},
};
use crate::{
    layout::{Layout, Root},
    sys::fs::{Dir, FsError, write_atomic},
};
use probe::{Finding, find_out};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

/// Greatest status file, in bytes.
const MAX_STATUS: u64 = 256 * 1024;

/// `SKILL_INIT_SANDBOX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Confine where it works, say loudly where it does not.
    Auto,
    /// An engine that cannot be confined is not to be run.
    Require,
    /// Do not confine.
    Off,
}

impl Mode {
    /// From the setting's word.
    pub fn of(word: &str) -> Self {
        match word {
            "require" => Self::Require,
            "off" => Self::Off,
            _ => Self::Auto,
        }
    }
}

/// What a verdict depends on beside the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Kernel release.
    pub kernel: String,
    /// This boot and this mount namespace: one container.
    pub container: String,
    /// User id that probed.
    pub uid: u32,
    /// `Seccomp:` of /proc/self/status: 0 none, 2 filter.
    pub seccomp: String,
    /// `NoNewPrivs:`.
    pub no_new_privs: String,
    /// `CapEff:`.
    pub capabilities: String,
    /// /proc/sys/user/max_user_namespaces.
    pub max_user_namespaces: String,
    /// /proc/sys/kernel/unprivileged_userns_clone (Debian), or apparmor_restrict_unprivileged_userns (Ubuntu).
    pub userns_restriction: String,
}

impl Facts {
    /// The facts of this process.
    pub fn read(root: &Root) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned();
        let status = text("/proc/self/status");
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned()).unwrap_or_default()
        };
        let namespace = fs::read_link(root.join("/proc/self/ns/mnt")).unwrap_or_default();
        let debian = text("/proc/sys/kernel/unprivileged_userns_clone");
        let ubuntu = text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
        Self {
            kernel: text("/proc/sys/kernel/osrelease"),
            container: format!("{} {}", text("/proc/sys/kernel/random/boot_id"), namespace.display()),
            uid: nix::unistd::geteuid().as_raw(),
            seccomp: field("Seccomp:"),
            no_new_privs: field("NoNewPrivs:"),
            capabilities: field("CapEff:"),
            max_user_namespaces: text("/proc/sys/user/max_user_namespaces"),
            userns_restriction: format!("{debian}{}", if ubuntu.is_empty() { "" } else { " apparmor" }),
        }
    }
}

/// One command that was run to find out, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// argv.
    pub command: Vec<String>,
    /// `exit 0`, `exit 1`, `signal 6`, `no answer within ...`.
    pub status: String,
    /// Its last words.
    pub words: String,
    /// Milliseconds.
    pub elapsed_ms: u64,
}

/// The verdict on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The version it holds for, as printed.
    pub version: String,
    /// The program that was asked.
    pub program: String,
    /// Device, inode, size and modification time of the program.
    pub identity: String,
    /// Runs with `flags` are confined.
    pub confined: bool,
    /// It may be run at all: `false` with SKILL_INIT_SANDBOX=require where it cannot be confined.
    pub usable: bool,
    /// What confines it: `bubblewrap`, `landlock`, `container-engine`.
    pub mechanism: Option<String>,
    /// Why it is held to be so, in words.
    pub evidence: String,
    /// Flags of a first run.
    pub flags: Vec<String>,
    /// Flags of a resumed run.
    pub resume_flags: Vec<String>,
    /// `--full-auto` exists and confines: what LANDLOCK_ENABLED=1 promises.
    pub full_auto: bool,
    /// What was run to find out.
    pub raw: Vec<Raw>,
    /// It holds while nothing changes. Not so where the trial was killed or gave no answer in time: the next check tries anew.
    #[serde(default)]
    pub settled: bool,
}

/// Every verdict: the content of `agent_sandbox.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// `SKILL_INIT_SANDBOX` at the time.
    pub mode: Mode,
    /// What they depend on.
    pub facts: Facts,
    /// By engine; only engines that run.
    pub engines: BTreeMap<String, Verdict>,
}

/// Reads the published verdicts; `None` where there are none that parse.
pub fn read(layout: &Layout) -> Option<Verdicts> {
    // PID 1 reads this in a folder that agents can write to: a FIFO or a link in its place must not hold the start up.
    let name = layout.sandbox_status();
    let (bytes, _) = Dir::open(&layout.data).ok()?.read(name.file_name()?, MAX_STATUS).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Publishes the verdicts, readable by everybody.
pub fn publish(layout: &Layout, verdicts: &Verdicts) -> Result<(), FsError> {
    let mut text = serde_json::to_string_pretty(verdicts).unwrap_or_default();
    text.push('\n');
    write_atomic(&layout.sandbox_status(), text.as_bytes(), 0o644)
}

/// What is known at the start of a container, before anything was probed: may LANDLOCK_ENABLED, which speaks of this
/// engine, be 1 for it as it is installed? `None`: it is not there, or only a probe can tell.
///
/// A version without `--full-auto` settles it without a probe; a published verdict counts only for this very
/// program in this very container.
pub fn full_auto_at_start(layout: &Layout, engine: &Engine) -> Option<bool> {
    let manifest = Manifest::read(&package_in(&layout.npm_prefix, engine));
    let range = manifest.and_then(|m| Version::find(&m.version)).and_then(|version| engine.sandbox_for(version));
    if range.is_some_and(|range| !range.full_auto) {
        return Some(false);
    }
    let verdicts = read(layout)?;
    let verdict = verdicts.engines.get(&engine.name)?;
    let now = Facts::read(&Root::real());
    let same_place = verdicts.facts.kernel == now.kernel && verdicts.facts.container == now.container;
    (same_place && verdict.identity == identity(Path::new(&verdict.program))).then_some(verdict.full_auto)
}

/// Finds a verdict for each engine that runs; verdicts of before are kept where nothing changed.
pub fn judge(
    engines: &[&Engine],
    checked: &[Checked],
    around: Surroundings<'_>,
    mode: Mode,
    before: Option<&Verdicts>,
) -> Verdicts {
    let facts = Facts::read(&Root::real());
    let known = before.filter(|b| b.mode == mode && b.facts == facts);
    let mut out = Verdicts { mode, facts: facts.clone(), engines: BTreeMap::new() };
    for (engine, checked) in engines.iter().zip(checked) {
        let Some((program, answer, _)) = checked.effective() else { continue };
        let identity = identity(program);
        let kept = known.and_then(|b| b.engines.get(&engine.name)).filter(|v| v.identity == identity && v.settled);
        let verdict = match kept {
            Some(verdict) => verdict.clone(),
            None => {
                let range = engine.sandbox_for(answer.version).cloned().unwrap_or_default();
                let finding = find_out(&range, program, around, mode);
                verdict(&range, finding, mode, &answer.line, program, identity)
            }
        };
        out.engines.insert(engine.name.clone(), verdict);
    }
    out
}

/// Pure: from what was found to what is published.
fn verdict(
    range: &SandboxRange,
    finding: Finding,
    mode: Mode,
    line: &str,
    program: &Path,
    identity: String,
) -> Verdict {
    let confined = finding.works && mode != Mode::Off;
    let usable = confined || mode != Mode::Require;
    let (flags, resume_flags) = match (confined, usable) {
        (true, _) => (range.start.clone(), range.resume.clone()),
        (false, true) => (range.free.clone(), range.free.clone()),
        (false, false) => (Vec::new(), Vec::new()),
    };
    Verdict {
        version: line.to_owned(),
        program: program.display().to_string(),
        identity,
        confined,
        usable,
        mechanism: range.mechanism.clone(),
        evidence: finding.evidence,
        flags,
        resume_flags,
        full_auto: confined && range.full_auto,
        raw: finding.raw,
        settled: finding.settled,
    }
}

/// Device, inode, size and modification time of the file behind a path.
fn identity(program: &Path) -> String {
    program
        .canonicalize()
        .and_then(|path| path.metadata().map(|meta| (path, meta)))
        .map(|(path, m)| format!("{} {}:{} {} {}", path.display(), m.dev(), m.ino(), m.size(), m.mtime()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;

    fn codex(version: &str, works: bool, mode: Mode) -> Verdict {
        let table = Catalogue::built_in();
        let version_number = Version::find(version).unwrap();
        let range = table.get("codex").unwrap().sandbox_for(version_number).unwrap();
        let finding = Finding { works, evidence: "tried".to_owned(), raw: Vec::new(), settled: true };
        verdict(range, finding, mode, version, Path::new("/x"), String::new())
    }

    #[test]
    fn landlock_enabled_may_be_true_only_where_full_auto_exists_and_the_sandbox_works() {
        assert!(codex("codex-cli 0.146.0", true, Mode::Auto).full_auto);
        assert!(!codex("codex-cli 0.146.0", false, Mode::Auto).full_auto);
        assert!(!codex("codex-cli 0.169.0", true, Mode::Auto).full_auto);
    }

    #[test]
    fn the_flags_are_the_ones_that_this_version_understands() {
        assert_eq!(codex("codex-cli 0.122.0", true, Mode::Auto).flags, ["--full-auto"]);
        assert_eq!(codex("codex-cli 0.169.0", true, Mode::Auto).flags, ["--sandbox", "workspace-write"]);
        assert_eq!(codex("codex-cli 0.169.0", true, Mode::Auto).resume_flags.first().unwrap(), "-c");
        assert_eq!(codex("codex-cli 0.169.0", false, Mode::Auto).flags, ["--yolo"]);
    }

    #[test]
    fn require_makes_an_unconfined_engine_unusable_and_gives_no_flags() {
        let verdict = codex("codex-cli 0.169.0", false, Mode::Require);
        assert!(!verdict.usable && verdict.flags.is_empty() && verdict.resume_flags.is_empty());
        assert!(codex("codex-cli 0.169.0", true, Mode::Require).usable);
    }

    #[test]
    fn off_is_free_and_says_so() {
        let verdict = codex("codex-cli 0.169.0", true, Mode::Off);
        assert!(!verdict.confined && verdict.usable);
        assert_eq!(verdict.flags, ["--yolo"]);
    }

    #[test]
    fn an_installed_codex_without_full_auto_settles_it_before_any_probe() {
        use crate::{
            layout::Mode as Place,
            settings::{Environment, Settings},
        };
        let dir = tempfile::tempdir().unwrap();
        let layout =
            Layout::new(&Settings::load(&Environment::default()).unwrap(), Place::Local(dir.path().to_owned()));
        let table = Catalogue::built_in();
        let codex = table.landlock_engine().unwrap();
        assert_eq!((codex.name.as_str(), full_auto_at_start(&layout, codex)), ("codex", None));
        let package = package_in(&layout.npm_prefix, codex);
        fs::create_dir_all(&package).unwrap();
        let write = |version: &str| {
            let json = format!(r#"{{"name":"@openai/codex","version":"{version}","bin":{{"codex":"x"}}}}"#);
            fs::write(package.join("package.json"), json).unwrap();
        };
        write("0.169.0");
        assert_eq!(full_auto_at_start(&layout, codex), Some(false));
        write("0.146.0");
        assert_eq!(full_auto_at_start(&layout, codex), None);
    }
}
