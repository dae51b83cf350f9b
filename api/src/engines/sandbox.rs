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
    /// Runs with `flags` are confined; `None`: nobody has tried it here with this version, and the confined flags are
    /// used all the same.
    #[serde(default)]
    pub confined: Option<bool>,
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

impl Verdict {
    /// Runs are known to be unconfined.
    pub fn is_free(&self) -> bool {
        self.confined == Some(false)
    }

    /// `supported`, `unsupported`, `unknown`.
    pub(crate) const fn word(&self) -> &'static str {
        match self.confined {
            Some(true) => "supported",
            Some(false) => "unsupported",
            None => "unknown",
        }
    }
}

/// The verdict that counts.
pub(super) fn verdict(file: &SandboxFile, engine: Option<&Engine>, version: &str, policy: SandboxPolicy) -> Verdict {
    let Some(engine) = engine else { return Verdict::default() };
    if let Some(verdict) = file.engines.get(&engine.name)
        && Version::find(&verdict.version) == Version::find(version)
    {
        return Verdict {
            usable: verdict.usable && (!verdict.is_free() || policy != SandboxPolicy::Require),
            ..verdict.clone()
        };
    }
    // The newest range where the version is not known yet.
    let latest = Version(u64::MAX, 0, 0);
    let range = engine.sandbox_for(Version::find(version).unwrap_or(latest)).cloned().unwrap_or_default();
    let (confined, evidence) = match &range.mechanism {
        None => (Some(false), format!("{} has no sandbox of its own", engine.name)),
        Some(_) if policy == SandboxPolicy::Off => (Some(false), "SKILL_INIT_SANDBOX=off".to_owned()),
        Some(mechanism) => (None, format!("{mechanism}: not tried yet; the confined flags are used all the same")),
    };
    let free = confined == Some(false);
    Verdict {
        confined,
        usable: !free || policy != SandboxPolicy::Require,
        mechanism: range.mechanism.clone().filter(|_| !free),
        evidence,
        flags: if free { range.free.clone() } else { range.start },
        resume_flags: if free { range.free } else { range.resume },
        version: version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::command::{Fill, start};
    use skill_init::agents::catalogue::Catalogue;

    /// What init found out, before the worker reads it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Found {
        /// The sandbox was run, and works.
        Works,
        /// It was run, and does not.
        Fails,
        /// Nobody has tried, or with another version.
        Nothing,
    }
    use Found::{Fails, Nothing, Works};
    use SandboxPolicy::{Auto, Off, Require};

    /// The verdict of this engine after init published what it found.
    fn judged(engine: &str, version: &str, found: Found, policy: SandboxPolicy) -> Verdict {
        let table = Catalogue::built_in();
        let known = table.get(engine).unwrap();
        let range = known.sandbox_for(Version::find(version).unwrap()).cloned().unwrap_or_default();
        let (confined, usable) = (found == Works && policy != Off, found == Works || policy != Require);
        let (flags, resume) = match (confined, usable) {
            (true, _) => (range.start, range.resume),
            (false, true) => (range.free.clone(), range.free),
            (false, false) => Default::default(),
        };
        let verdict = serde_json::json!({"version": format!("{engine}-cli {version}"), "confined": confined,
            "usable": usable, "mechanism": range.mechanism, "evidence": "tried", "flags": flags, "resume_flags": resume});
        let mut file = SandboxFile::default();
        if found != Nothing {
            file.engines.insert(engine.to_owned(), serde_json::from_value(verdict.clone()).unwrap());
        }
        let counts = super::verdict(&file, Some(known), version, policy);
        // What was found with another version says nothing about this one.
        let mut other = verdict;
        other["version"] = "0.0.1".into();
        let other =
            SandboxFile { engines: BTreeMap::from([(engine.to_owned(), serde_json::from_value(other).unwrap())]) };
        let untried = super::verdict(&SandboxFile::default(), Some(known), version, policy);
        assert_eq!(super::verdict(&other, Some(known), version, policy), untried);
        counts
    }

    #[test]
    fn every_version_of_every_engine_gets_the_flags_that_it_understands_and_its_sandbox_allows() {
        let exec = |flags: &str| format!("exec --skip-git-repo-check --json {flags} PROMPT");
        let (full_auto, workspace, yolo) = (exec("--full-auto"), exec("--sandbox workspace-write"), exec("--yolo"));
        let gemini = |flags: &str| format!("--output-format json {flags} PROMPT");
        let (boxed, free) = (gemini("--sandbox --yolo"), gemini("--yolo"));
        let (iflow, opencode) = ("--yolo --thinking -p PROMPT".to_owned(), "run --format json PROMPT".to_owned());
        // Engine, version, what was found, what is run with: auto, require ("": refused), off. Versions are the borders
        // and the measured ones: Landlock until 0.114, --full-auto until 0.146, no sandbox of its own in iflow, opencode.
        let mut cases: Vec<(&str, &str, Found, [&String; 3])> = Vec::new();
        let none = String::new();
        for version in [
            "0.106.0", "0.111.0", "0.114.0", "0.115.0", "0.117.0", "0.122.0", "0.139.9", "0.140.0", "0.144.0",
            "0.146.9",
        ] {
            cases.push(("codex", version, Works, [&full_auto, &full_auto, &yolo]));
            cases.push(("codex", version, Fails, [&yolo, &none, &yolo]));
            cases.push(("codex", version, Nothing, [&full_auto, &full_auto, &yolo]));
        }
        for version in ["0.147.0", "0.152.0", "0.164.0", "0.169.0", "1.0.0"] {
            cases.push(("codex", version, Works, [&workspace, &workspace, &yolo]));
            cases.push(("codex", version, Fails, [&yolo, &none, &yolo]));
            cases.push(("codex", version, Nothing, [&workspace, &workspace, &yolo]));
        }
        cases.push(("gemini", "0.61.0", Works, [&boxed, &boxed, &free]));
        cases.push(("gemini", "0.61.0", Fails, [&free, &none, &free]));
        cases.push(("gemini", "0.61.0", Nothing, [&boxed, &boxed, &free]));
        for found in [Fails, Nothing] {
            cases.push(("iflow", "0.5.0", found, [&iflow, &none, &iflow]));
            cases.push(("opencode", "1.18.33", found, [&opencode, &none, &opencode]));
        }
        for (engine, version, found, wanted) in cases {
            for (policy, wanted) in [Auto, Require, Off].into_iter().zip(wanted) {
                let what = format!("{engine} {version} {found:?} {policy:?}");
                let verdict = judged(engine, version, found, policy);
                assert_eq!(verdict.usable, !wanted.is_empty(), "{what}: {verdict:?}");
                if verdict.usable {
                    let table = Catalogue::built_in();
                    let fill = Fill { sandbox: &verdict.flags, extra: &[], model: None, prompt: "PROMPT" };
                    assert_eq!(start(table.get(engine).unwrap(), fill).join(" "), *wanted, "{what}");
                }
                let said = match (found, policy, engine) {
                    (_, _, "iflow" | "opencode") | (_, Off, _) | (Fails, ..) => "unsupported",
                    (Works, ..) => "supported",
                    (Nothing, ..) => "unknown",
                };
                assert_eq!(verdict.word(), said, "{what}");
                // Never silently free: where nothing confines, the run carries a warning.
                let bypass = ["--yolo", "--dangerously-bypass-approvals-and-sandbox"];
                let confined = verdict.flags.iter().any(|flag| flag.starts_with("--sandbox"));
                if verdict.flags.iter().any(|flag| bypass.contains(&flag.as_str())) && !confined {
                    assert!(verdict.is_free() && !verdict.evidence.is_empty(), "{what}");
                }
            }
        }
    }

    #[test]
    fn before_anything_is_known_of_codex_the_newest_confined_flags_count_and_the_api_says_unknown() {
        let table = Catalogue::built_in();
        let nothing = |policy| verdict(&SandboxFile::default(), table.get("codex"), "", policy);
        for policy in [Auto, Require] {
            let found = nothing(policy);
            assert_eq!((found.confined, found.usable, found.word()), (None, true, "unknown"));
            assert_eq!(found.flags, ["--sandbox", "workspace-write"]);
        }
        assert_eq!((nothing(Off).flags, nothing(Off).confined), (vec!["--yolo".to_owned()], Some(false)));
    }
}
