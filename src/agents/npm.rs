//! npm: how it is called, and what it said.
//!
//! npm's exit status is not evidence: it is 0 when an optional dependency, which the codex binary is, could
//! not be fetched, verified or unpacked. So nothing here decides anything; `install` proves what is there.

use super::{
    check::Surroundings,
    environment,
    lock::PrefixLock,
    prefix,
    run::{self, Job, Outcome, Progress, RunError},
};
use crate::agents::catalogue::Engine;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// From SIGTERM to SIGKILL: npm needs about 3 s to roll back.
const GRACE: Duration = Duration::from_secs(10);

/// One retry after a second instead of two after 10 and 60, and 30 s instead of 300 per request: without a
/// network npm gives up after seconds, behind a black hole after a minute, not after 18.
const BOUNDS: &[&str] = &[
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
    "--fetch-timeout=30000",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--loglevel=verbose",
];

/// npm, found and configured.
#[derive(Debug)]
pub struct Npm {
    program: PathBuf,
    env: BTreeMap<String, String>,
    secrets: Vec<String>,
    deadline: Duration,
}

impl Npm {
    /// npm from PATH, outside the managed prefix first. `None`: there is none.
    pub fn find(around: Surroundings<'_>, deadline: Duration) -> Option<Self> {
        let program = run::find_in_path("npm", &environment::outer_path(around.env, around.layout))
            .or_else(|| run::find_in_path("npm", &environment::path(around.env, around.layout)))?;
        let home = &around.layout.agent_home;
        // npm refuses to start without a home; where this one cannot be made it says so itself.
        let _ = fs::create_dir_all(home);
        let mut env = environment::npm(around.env, around.layout, home);
        if !env.keys().any(|name| name.eq_ignore_ascii_case("npm_config_cache")) {
            env.insert("npm_config_cache".to_owned(), cache(around).display().to_string());
        }
        Some(Self { program, env, secrets: environment::npm_secrets(around.env), deadline })
    }

    /// `npm install -g PACKAGE[@VERSION]` into a prefix of its own; npm inherits the lock.
    ///
    /// Without a version no tag is given either: then npm picks the newest release whose `engines` fit the
    /// node that runs, while `@latest` takes the tag and only warns.
    pub fn install(
        &self,
        engine: &Engine,
        version: Option<&str>,
        into: &Path,
        lock: &mut PrefixLock,
        around: Surroundings<'_>,
        tell: &mut dyn FnMut(Duration),
    ) -> Result<Outcome, RunError> {
        let what = version.map_or_else(|| engine.package.clone(), |v| format!("{}@{v}", engine.package));
        let mut job = self.job(&["install", "-g"]);
        job.args.extend(["--prefix".to_owned(), into.display().to_string()]);
        if engine.scripts {
            job.args.extend(["--ignore-scripts=false".to_owned(), format!("--allow-scripts={}", engine.package)]);
        }
        job.args.push(what);
        job.cwd = Some(into.to_owned());
        job.inherit = Some(lock.fd());
        let outcome = run::run(&job, around.interrupt, &mut |progress| match progress {
            Progress::Started(group) => lock.record(group),
            Progress::Second(elapsed) => tell(elapsed),
        });
        lock.record(0);
        outcome
    }

    /// The registry's newest version of a package; the error is what npm said.
    pub fn newest(&self, package: &str, around: Surroundings<'_>) -> Result<String, String> {
        let outcome = run::run(&self.job(&["view", package, "version"]), around.interrupt, &mut |_| {})
            .map_err(|e| e.to_string())?;
        let version = outcome.stdout.lines().map(str::trim).find(|line| !line.is_empty());
        match version {
            Some(version) if outcome.success() => Ok(version.to_owned()),
            _ => Err(format!("npm view: {}: {}", outcome.how(), self.words(&outcome.stderr).join("; "))),
        }
    }

    /// The telling lines of npm's stderr, without the registry's secrets.
    pub fn words(&self, stderr: &str) -> Vec<String> {
        let mut text = stderr.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "[redacted]");
        }
        words(&text)
    }

    fn job(&self, args: &[&str]) -> Job {
        let mut job = Job::new(&self.program, args, &self.env, self.deadline);
        job.args.extend(BOUNDS.iter().map(|arg| (*arg).to_owned()));
        job.grace = GRACE;
        job.keep = 512 * 1024;
        job
    }
}

/// npm's cache, on the cache volume.
pub fn cache(around: Surroundings<'_>) -> PathBuf {
    around.layout.cache.join("npm-cache")
}

/// The telling lines of npm's stderr, at most twelve: what it calls errors first, then failed requests and failed optional
/// dependencies (a package for many platforms fails many requests that nobody here needs).
/// Not masked: [`Npm::words`] is for people, this is its pure half.
#[doc(hidden)]
pub fn words(stderr: &str) -> Vec<String> {
    let (mut errors, mut others): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for line in stderr.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("npm ") else { continue };
        let telling = match rest.split_once(' ') {
            Some(("error" | "ERR!", text)) => !text.contains("A complete log of this run") && !text.trim().is_empty(),
            Some(("http", text)) => text
                .split_once("fetch ")
                .and_then(|(_, request)| request.split_whitespace().nth(1)?.parse::<u16>().ok())
                .is_some_and(|status| status >= 400),
            Some(("verbose" | "warn" | "WARN", text)) => {
                text.contains("failed optional dependency")
                    || ["ENOSPC", "EINTEGRITY", "ETIMEDOUT", "EAI_AGAIN", "ECONN", "EROFS", "EBADENGINE", "tarball"]
                        .iter()
                        .any(|code| text.contains(code))
            }
            _ => false,
        };
        let line: String = rest.chars().take(240).collect();
        let list = if rest.starts_with("err") || rest.starts_with("ERR") { &mut errors } else { &mut others };
        if telling && !list.contains(&line) {
            list.push(line);
        }
    }
    errors.extend(others);
    errors.truncate(12);
    errors
}

/// Does an npm other than ours work right now? Its leftovers are then not ours to remove.
pub fn at_work() -> bool {
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            return false;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        text.starts_with("npm ")
            || text.split('\0').take(3).any(|word| word.ends_with("/npm") || word.ends_with("npm-cli.js"))
    })
}

/// Free space that an install needs, and where it is missing: bytes on the prefix's volume (the package and a
/// margin) and on the cache's (the packed form, about two fifths); one sum where both are one volume.
pub fn space(engine: &Engine, around: Surroundings<'_>) -> Result<(), (PathBuf, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let prefix = prefix::store(&around.layout.npm_prefix);
    let cache = cache(around);
    let _ = fs::create_dir_all(&cache);
    let mib = 1024 * 1024;
    let unpacked = (engine.disk_mib + engine.disk_mib / 10 + 32) * mib;
    let packed = (engine.disk_mib * 2 / 5 + 16) * mib;
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    let wanted = if device(&prefix) == device(&cache) {
        vec![(prefix, unpacked + packed)]
    } else {
        vec![(prefix, unpacked), (cache, packed)]
    };
    for (path, needed) in wanted {
        if let Ok(stat) = nix::sys::statvfs::statvfs(&path) {
            let free = stat.blocks_available() * stat.fragment_size();
            if free < needed {
                return Err((path, needed / mib, free / mib));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn npms_telling_words_are_kept_and_its_chatter_is_not() {
        let stderr = "npm verbose cli /usr/bin/node\nnpm http fetch GET 200 https://r/x 90ms (cache miss)\n\
                      npm http fetch GET 500 https://r/y.tgz attempt #1 failed\nnpm error code E404\n\
                      npm error A complete log of this run can be found in: /x\n\
                      npm verbose reify failed optional dependency /p/codex-linux-x64\n";
        assert_eq!(
            super::words(stderr),
            [
                "error code E404",
                "http fetch GET 500 https://r/y.tgz attempt #1 failed",
                "verbose reify failed optional dependency /p/codex-linux-x64",
            ]
        );
    }
}
