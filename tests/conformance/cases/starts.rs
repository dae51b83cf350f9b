//! How a command starts and ends: exit statuses, deaths by signals, programs that cannot be run.

use super::{Context, Verdict, passed, signals::HARMLESS};
use crate::rig::{SIGNALS, Setup};

pub(super) fn exit_statuses(context: &Context<'_>) -> Verdict {
    for code in 0..=255 {
        context
            .shell(&format!("exit {code}"), &Setup::default())?
            .ends_with(code)
            .map_err(|error| format!("exit {code}: {error}"))?;
    }
    Ok(None)
}

pub(super) fn deaths(context: &Context<'_>) -> Verdict {
    for signal in SIGNALS.filter(|signal| !HARMLESS.contains(signal)) {
        context
            .plain(&["die", &signal.to_string()])?
            .ends_with(128 + signal)
            .map_err(|error| format!("signal {signal}: {error}"))?;
    }
    Ok(None)
}

pub(super) fn missing(context: &Context<'_>) -> Verdict {
    passed(context.start(&["/no/such/program"], &Setup::default())?.ends_with(127))
}

pub(super) fn missing_in_path(context: &Context<'_>) -> Verdict {
    passed(context.start(&["no-such-program-anywhere"], &Setup::default())?.ends_with(127))
}

pub(super) fn missing_interpreter(context: &Context<'_>) -> Verdict {
    let script = context.file("orphaned", b"#!/no/such/interpreter\n", 0o755)?;
    passed(context.start(&[&script], &Setup::default())?.ends_with(127))
}

pub(super) fn not_executable(context: &Context<'_>) -> Verdict {
    let file = context.file("plain", b"#!/bin/sh\n", 0o644)?;
    passed(context.start(&[&file], &Setup::default())?.ends_with(126))
}

pub(super) fn folder(context: &Context<'_>) -> Verdict {
    passed(context.start(&["/tmp"], &Setup::default())?.ends_with(126))
}

pub(super) fn foreign_binary(context: &Context<'_>) -> Verdict {
    // The header of an ELF file for machine 0xffff, and nothing behind it.
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xff\x01\0\0\0".to_vec();
    elf.resize(200, 0);
    let file = context.file("foreign", &elf, 0o755)?;
    passed(context.start(&[&file], &Setup::default())?.ends_with(126))
}

pub(super) fn script_without_interpreter(context: &Context<'_>) -> Verdict {
    let script = context.file("bare-script", b"echo \"$0 $1 $2\"; exit 4\n", 0o755)?;
    let mut run = context.start(&[&script, "a b", "c"], &Setup::default())?;
    run.expect(&format!("{script} a b c"))?;
    passed(run.ends_with(4))
}

pub(super) fn found_in_path(context: &Context<'_>) -> Verdict {
    context.file("found", b"#!/bin/sh\nexit 5\n", 0o755)?;
    let path = format!("/no/such/folder:{}:/usr/bin:/bin", context.folder.display());
    let setup = Setup { env: Some(vec![("PATH".into(), path)]), ..Setup::default() };
    passed(context.start(&["found"], &setup)?.ends_with(5))
}
