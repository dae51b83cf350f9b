//! What surrounds the command: streams, descriptors, environment, orphans, and what it leaves behind.

use super::{Context, Verdict, equal, passed};
use crate::rig::{Init, Mode, Run, Setup};
use std::fs;

pub(super) fn closed_streams(context: &Context<'_>) -> Verdict {
    for (closed, script) in [
        (vec![0], "readlink /proc/self/fd/0 && exit 8; exit 7"),
        (vec![2], "readlink /proc/$$/fd/2 && exit 8; exit 7"),
        (vec![0, 1, 2], "exit 7"),
    ] {
        context
            .shell(script, &Setup { closed: closed.clone(), ..Setup::default() })?
            .ends_with(7)
            .map_err(|error| format!("closed {closed:?}: {error}"))?;
    }
    Ok(None)
}

pub(super) fn descriptors(context: &Context<'_>) -> Verdict {
    let setup = Setup { extra_fd: Some(7), ..Setup::default() };
    let text = context.start(&["/bin/ls", "/proc/self/fd"], &setup)?.rest()?;
    // ls itself opens 3 for the folder.
    equal(text.split_whitespace().collect::<Vec<_>>(), vec!["0", "1", "2", "3", "7"])
}

pub(super) fn huge(context: &Context<'_>) -> Verdict {
    let env: Vec<(String, String)> = (0..12).map(|n| (format!("BIG_{n}"), "e".repeat(100_000))).collect();
    let argument = "a".repeat(400);
    let mut words = vec!["sums"];
    words.extend(std::iter::repeat_n(argument.as_str(), 800));
    let setup = Setup { env: Some(env), ..Setup::default() };
    let through = context.helper(&words, &setup)?.line()?;
    let direct = Init {
        name: "direct",
        program: context.own.into(),
        argv0: context.own.into(),
        patience: context.init.patience,
        words: &["command"],
        subreaper_words: &[],
    };
    equal(through, Run::start(&direct, Mode::Subreaper, &words, &setup)?.line()?)
}

pub(super) fn surroundings(context: &Context<'_>) -> Verdict {
    let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("A".to_owned(), "1".to_owned())];
    let setup = Setup { env: Some(env), cwd: Some("/usr"), ..Setup::default() };
    let text = context.start(&["/bin/sh", "-c", "umask; pwd; tr '\\0' '\\n' </proc/$$/environ"], &setup)?.rest()?;
    let mut umask = String::new();
    if let Some(line) =
        fs::read_to_string("/proc/self/status").unwrap_or_default().lines().find(|l| l.starts_with("Umask:"))
    {
        umask = line.trim_start_matches("Umask:").trim().to_owned();
    }
    equal(text, format!("{umask}\n/usr\nPATH=/usr/bin:/bin\nA=1\n"))
}

pub(super) fn orphans(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["orphans", "500"])?;
    run.expect("ready")?;
    run.until_children("only the command should be left", |children| children.len() == 1)?;
    run.send(libc::SIGTERM)?;
    passed(run.ends_with(7))
}

pub(super) fn real_time_orphan(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["rt-orphan"])?;
    run.expect("ready")?;
    run.until_children("only the command should be left", |children| children.len() == 1)?;
    run.send(libc::SIGTERM)?;
    passed(run.ends_with(7))
}

pub(super) fn crowd(context: &Context<'_>) -> Verdict {
    for _ in 0..if context.full { 50 } else { 10 } {
        let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (exit 1 & exit 2 & :) & done; exit 7";
        context.shell(script, &Setup::default())?.ends_with(7)?;
    }
    Ok(None)
}

pub(super) fn leftovers(context: &Context<'_>) -> Verdict {
    leave_behind(context, "")
}

pub(super) fn escaped_leftovers(context: &Context<'_>) -> Verdict {
    leave_behind(context, "setsid")
}

/// A background process says "bye" on TERM; the command waits until it is ready to, then exits.
fn leave_behind(context: &Context<'_>, how: &str) -> Verdict {
    let marker = context.folder.join(format!("ready-{}", if how.is_empty() { "group" } else { how }));
    let _ = fs::remove_file(&marker);
    let background = format!("trap \"echo bye; exit\" TERM; : > {}; while :; do sleep 0.01; done", marker.display());
    let script =
        format!("{how} sh -c '{background}' & while ! test -e {}; do sleep 0.01; done; exit 3", marker.display());
    let mut run = context.shell(&script, &Setup::default())?;
    run.expect("bye")?;
    passed(run.ends_with(3))
}
