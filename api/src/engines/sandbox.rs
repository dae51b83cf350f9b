//! Init's sandbox verdicts (`agent_sandbox.json`), and what counts while there is none. Pure.
//!
//! Never a silent `--yolo`: without a verdict the confined flags are used, so that a sandbox that does not work makes
//! the run fail, not run free. Free flags come only from a verdict, from `SKILL_INIT_SANDBOX=off` or from an engine
//! that has no sandbox, and each of these is a warning of the run. `LANDLOCK_ENABLED=0` is no such verdict: it says
//! that `--full-auto` does not exist or does not work, which is true of every present codex.

use crate::config::SandboxPolicy;
use serde::{Deserialize, Serialize};
use skill_init::agents::catalogue::{Engine, Version};
use std::collections::BTreeMap;

/// `agent_sandbox.json`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SandboxFile {
    /// By engine.
    #[serde(default)]
    pub engines: BTreeMap<String, Verdict>,
}

/// Is an engine confined, and how?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Runs with `flags` are confined.
    #[serde(default)]
    pub confined: bool,
    /// It may be run at all.
    #[serde(default)]
    pub usable: bool,
    /// `bubblewrap`, `landlock`, `container-engine`.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// Why it is held to be so.
    #[serde(default)]
    pub evidence: String,
    /// Flags of a first run.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Flags of a resumed run.
    #[serde(default)]
    pub resume_flags: Vec<String>,
    /// The version it was found with, as printed.
    #[serde(default, skip_serializing)]
    pub version: String,
}

/// The verdict that counts.
pub(super) fn verdict(file: &SandboxFile, engine: Option<&Engine>, version: &str, policy: SandboxPolicy) -> Verdict {
    let Some(engine) = engine else { return Verdict::default() };
    if let Some(verdict) = file.engines.get(&engine.name)
        && Version::find(&verdict.version) == Version::find(version)
    {
        return Verdict {
            usable: verdict.usable && (verdict.confined || policy != SandboxPolicy::Require),
            ..verdict.clone()
        };
    }
    // The newest range where the version is not known yet.
    let latest = Version(u64::MAX, 0, 0);
    let range = engine.sandbox_for(Version::find(version).unwrap_or(latest)).cloned().unwrap_or_default();
    let (confined, evidence) = match &range.mechanism {
        None => (false, format!("{} has no sandbox of its own", engine.name)),
        Some(_) if policy == SandboxPolicy::Off => (false, "SKILL_INIT_SANDBOX=off".to_owned()),
        Some(mechanism) => (true, format!("{mechanism}: not probed yet; the confined flags are used all the same")),
    };
    Verdict {
        confined,
        usable: confined || policy != SandboxPolicy::Require,
        mechanism: range.mechanism.clone().filter(|_| confined),
        evidence,
        flags: if confined { range.start } else { range.free.clone() },
        resume_flags: if confined { range.resume } else { range.free },
        version: version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skill_init::agents::catalogue::Catalogue;

    fn of(engine: &str, file: &SandboxFile, policy: SandboxPolicy) -> Verdict {
        verdict(file, Catalogue::built_in().get(engine), "0.169.0", policy)
    }

    #[test]
    fn without_a_verdict_codex_is_confined_and_never_silently_free() {
        let empty = SandboxFile::default();
        let auto = of("codex", &empty, SandboxPolicy::Auto);
        assert_eq!((auto.confined, auto.flags), (true, vec!["--sandbox".to_owned(), "workspace-write".to_owned()]));
        assert_eq!(of("codex", &empty, SandboxPolicy::Off).flags, ["--yolo"]);
        assert!(of("codex", &empty, SandboxPolicy::Require).confined);
        assert!(!of("opencode", &empty, SandboxPolicy::Require).usable);
        assert!(of("opencode", &empty, SandboxPolicy::Auto).usable);
    }

    #[test]
    fn a_verdict_counts_for_the_version_it_was_found_with() {
        let file: SandboxFile = serde_json::from_str(
            r#"{"engines":{"codex":{"version":"codex-cli 0.169.0","confined":false,"usable":true,"evidence":"bwrap refused","flags":["--yolo"]}}}"#,
        )
        .unwrap();
        assert_eq!(of("codex", &file, SandboxPolicy::Auto).flags, ["--yolo"]);
        assert!(!of("codex", &file, SandboxPolicy::Require).usable);
        let other = verdict(&file, Catalogue::built_in().get("codex"), "0.170.0", SandboxPolicy::Auto);
        assert!(other.confined);
    }
}
