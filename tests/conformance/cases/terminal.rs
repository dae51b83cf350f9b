//! With a terminal, and job control with and without one.

use super::{Context, Verdict, passed};
use crate::rig::{End, Init, Mode, Run, Setup, state_of};

fn terminal() -> Setup {
    Setup { terminal: true, ..Setup::default() }
}

pub(super) fn foreground(context: &Context<'_>) -> Verdict {
    let line = context.helper(&["identity"], &terminal())?.line()?;
    if line.contains("foreground=true") { Ok(None) } else { Err(line) }
}

pub(super) fn keyboard(context: &Context<'_>) -> Verdict {
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"hello\n")?;
    run.expect("hello")?;
    run.type_in(b"\x04")?;
    passed(run.ends_with(0))
}

pub(super) fn interrupt(context: &Context<'_>) -> Verdict {
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x03")?;
    passed(run.ends_with(130))
}

pub(super) fn keyboard_stop_as_pid1(context: &Context<'_>) -> Verdict {
    if !context.mode.is_pid1() {
        return Ok(Some("needs PID 1"));
    }
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x1a")?;
    run.type_in(b"still here\n")?;
    run.expect("still here")?;
    Ok(None)
}

pub(super) fn shell_job(context: &Context<'_>) -> Verdict {
    let leader = Init {
        name: "job",
        program: context.own.into(),
        argv0: context.own.into(),
        words: &["command", "job"],
        patience: context.init.patience,
        subreaper_words: &[],
    };
    let program = context.init.program.to_string_lossy().into_owned();
    let mut words = vec![program.as_str(), context.init.argv0.as_str()];
    words.extend(context.init.subreaper_words.iter().chain(context.init.words));
    words.extend([context.own, "command", "echo"]);
    let mut run = Run::start(&leader, Mode::Subreaper, &words, &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x1a")?;
    run.expect("job stopped")?;
    run.type_in(b"hello again\n")?;
    run.expect("hello again")?;
    run.type_in(b"\x04")?;
    run.expect("job ended 0")?;
    passed(run.ends_with(0))
}

pub(super) fn stop_and_continue(context: &Context<'_>) -> Verdict {
    // One process: a shell stopped amid vfork(2) would show as waiting for its child, not as stopped.
    let mut run = context.plain(&["pause"])?;
    run.expect("ready")?;
    run.send(libc::SIGTSTP)?;
    let command = run.children().first().map(|(pid, _)| *pid).ok_or("no child")?;
    run.until_children("the command should be stopped", |_| state_of(command) == Some('T'))?;
    if !context.mode.is_pid1() {
        // An init that stops with its command must be continued first; for another this does nothing.
        run.send(libc::SIGCONT)?;
    }
    run.send(libc::SIGCONT)?;
    run.until_children("the command should go on", |_| state_of(command).is_some_and(|state| state != 'T'))?;
    run.send(libc::SIGTERM)?;
    match run.end()? {
        End::Exit(143) => Ok(None),
        other => Err(format!("{other:?}")),
    }
}
