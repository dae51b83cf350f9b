//! The trial: the engine's own sandbox, run on a harmless command that tries to write outside.

use super::{Mode, Raw};
use crate::agents::{
    catalogue::SandboxRange,
    check::{Home, Surroundings, last_words},
    environment,
    run::{self, Ended, Job},
};
use std::{fs, path::Path, time::Duration};

/// What was found out: does the mechanism work, why is it held so, and the raw results.
pub(super) struct Finding {
    pub(super) works: bool,
    pub(super) evidence: String,
    pub(super) raw: Vec<Raw>,
    /// Another trial would find the same.
    pub(super) settled: bool,
}

pub(super) fn find_out(range: &SandboxRange, program: &Path, around: Surroundings<'_>, mode: Mode) -> Finding {
    let no = |evidence: String| Finding { works: false, evidence, raw: Vec::new(), settled: true };
    let Some(mechanism) = &range.mechanism else {
        return no("this engine has no sandbox of its own".to_owned());
    };
    if mode == Mode::Off {
        return no("SKILL_INIT_SANDBOX=off: not confined, not probed".to_owned());
    }
    let path = environment::outer_path(around.env, around.layout);
    let on_path = |name: &&String| run::find_in_path(name, &path).is_some();
    if let Some(missing) = range.needs_all.iter().find(|name| !on_path(name)) {
        return no(format!("its sandbox ({mechanism}) needs {missing}, which is not on PATH"));
    }
    let needed = range.needs_any.iter().find(on_path);
    if needed.is_none() && !range.needs_any.is_empty() {
        return no(format!("its sandbox ({mechanism}) needs {}: none is on PATH", range.needs_any.join(" or ")));
    }
    let mut raw = Vec::new();
    let forms: Vec<Vec<String>> = if range.probe_program.is_empty() {
        let own = |form: &Vec<String>| {
            let mut argv = vec![program.display().to_string()];
            argv.extend(form.iter().cloned());
            argv
        };
        [&range.probe, &range.probe_old].into_iter().filter(|form| !form.is_empty()).map(own).collect()
    } else {
        let fill = |word: &String| match (word.as_str(), needed) {
            ("{needed}", Some(needed)) => needed.clone(),
            _ => word.clone(),
        };
        vec![range.probe_program.iter().map(fill).collect()]
    };
    for form in forms {
        match attempt(&form, &path, around) {
            Ok((result, Trial { ran, leaked, settled })) => {
                let ended_well = result.status == "exit 0";
                let works = ended_well && ran && !leaked;
                let evidence = if ended_well && !ran {
                    format!("{mechanism}: its own sandbox ended with 0 without having run the command")
                } else if leaked {
                    format!("{mechanism}: the sandbox ran, but a write outside was not refused")
                } else if works {
                    format!(
                        "{mechanism}: its own sandbox ran a command in {} ms and refused it a write",
                        result.elapsed_ms
                    )
                } else {
                    format!("{mechanism}: its own sandbox does not work here: {}: {}", result.status, result.words)
                };
                // Not understood (2: usage; 101: the old word was taken for the command): the older form next.
                let understood = ended_well || leaked || !matches!(result.status.as_str(), "exit 2" | "exit 101");
                raw.push(result);
                if understood {
                    return Finding { works, evidence, raw, settled };
                }
            }
            Err(evidence) => return Finding { works: false, evidence, raw, settled: false },
        }
    }
    let last = raw.last().map(|r| format!("{}: {}", r.status, r.words)).unwrap_or_default();
    Finding {
        works: false,
        evidence: format!("{mechanism}: no known form of its own sandbox is understood: {last}"),
        raw,
        settled: true,
    }
}

/// The harmless command: tries to write the file that its first argument names; 42 if it could, else it says `refused`.
const HARMLESS: &str = "if (: > \"$0\") 2>/dev/null; then exit 42; fi; echo refused";

/// What the harmless command did.
struct Trial {
    /// It said its word; of a form without a command nothing is asked.
    ran: bool,
    /// Its write came through.
    leaked: bool,
    /// Neither the deadline nor somebody else ended it.
    settled: bool,
}

/// Runs one form in a throw-away home.
fn attempt(form: &[String], path: &str, around: Surroundings<'_>) -> Result<(Raw, Trial), String> {
    let home = Home::make(around.layout, "sandbox").map_err(|e| format!("no home for the probe: {e}"))?;
    let (work, outside) = (home.path().join("work"), home.path().join("outside"));
    fs::create_dir_all(&work).map_err(|e| format!("no folder for the probe: {e}"))?;
    let mut argv: Vec<String> = Vec::new();
    for word in form {
        if word == "{command}" {
            let target = outside.display().to_string();
            argv.extend(["/bin/sh", "-c", HARMLESS, &target].map(str::to_owned));
        } else {
            argv.push(word.clone());
        }
    }
    let (name, args) = argv.split_first().ok_or("the table names no command for the probe")?;
    let program = if name.contains('/') { Some(name.into()) } else { run::find_in_path(name, path) };
    let program = program.ok_or_else(|| format!("{name} is not on PATH"))?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let env = environment::child(around.env, around.layout, home.path());
    let mut job = Job::new(program, &args, &env, around.deadline.max(Duration::from_secs(3)));
    job.cwd = Some(work);
    let outcome = run::run(&job, around.interrupt, &mut |_| {}).map_err(|e| e.to_string())?;
    let leaked = outside.exists() || (outcome.ended == Ended::Itself && outcome.status.code() == 42);
    let words = last_words(&outcome.stderr, &outcome.stdout);
    let raw = Raw { command: argv, status: outcome.how(), words, elapsed_ms: outcome.elapsed.as_millis() as u64 };
    let asked = form.iter().any(|word| word == "{command}");
    let ran = !asked || outcome.stdout.lines().any(|line| line.trim() == "refused");
    Ok((raw, Trial { ran, leaked, settled: leaked || outcome.ended_by_itself() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_harmless_command_tells_a_write_that_came_through() {
        let dir = tempfile::tempdir().unwrap();
        let run = |target: &Path| {
            let target = target.display().to_string();
            let job = Job::new("/bin/sh", &["-c", HARMLESS, &target], &BTreeMap::new(), Duration::from_secs(60));
            run::run(&job, None, &mut |_| {}).unwrap().status.code()
        };
        assert_eq!(run(&dir.path().join("outside")), 42);
        assert_eq!(run(Path::new("/proc/no/such/place")), 0);
    }
}
