//! What every command that asks a running init shares: where it is, how long to wait, what its errors mean.

use crate::{
    cli::{Context, output},
    control::{
        client::{Client, ClientError},
        protocol::{ErrorCode, Request, Response},
        render, rundir,
    },
    exit::Exit,
    settings::{Settings, SystemFiles, keys},
};
use std::{path::PathBuf, time::Duration};

/// Which init to ask.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Target {
    /// The control socket (else SKILL_INIT_SOCKET, else the usual places)
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The folder of a local start (skill-init local --dir DIR)
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    dir: Option<PathBuf>,
}

impl Target {
    /// The surroundings with the folder that was named on the command line.
    pub fn context(&self, context: &Context) -> Context {
        Context { local_dir: self.dir.clone().or_else(|| context.local_dir.clone()), ..context.clone() }
    }

    /// A client for it.
    ///
    /// Mistakes in the configuration do not matter here: a container must not turn unhealthy because somebody
    /// is editing its file.
    pub fn client(&self, context: &Context) -> Client {
        let context = self.context(context);
        let settings = Settings::load_tolerant(&context.env, &SystemFiles::at(context.root.join("/")));
        let explicit = self.socket.clone().or_else(|| settings.get_opt(&keys::SOCKET)).filter(|_| self.dir.is_none());
        let mode = context.layout(&settings).mode;
        let xdg = context.env.get("XDG_RUNTIME_DIR");
        Client::find(|uid| rundir::candidates(explicit.as_deref(), &mode, xdg, uid))
    }
}

/// Prints the error, gives its exit code.
pub fn failed(error: &ClientError) -> Exit {
    // It may carry a name that a hostile process chose, or that was pasted with the command.
    output::error(&render::clean(&error.to_string()));
    match error {
        ClientError::NobodyThere { .. }
        | ClientError::Refused { .. }
        | ClientError::Timeout { .. }
        | ClientError::Io { .. }
        | ClientError::Garbage { .. }
        | ClientError::Answer { code: ErrorCode::NoSuchService, .. } => Exit::UNAVAILABLE,
        ClientError::Answer { .. } => Exit::FAILURE,
    }
}

/// Asks for a change and prints what was done.
pub fn change(target: &Target, context: &Context, request: &Request, deadline: Duration) -> Exit {
    match target.client(context).ask(request, deadline) {
        Ok(Response::Done { message }) => {
            output::line(&message);
            Exit::OK
        }
        Ok(other) => {
            output::error(&format!("unexpected answer: {other:?}"));
            Exit::SOFTWARE
        }
        Err(error) => failed(&error),
    }
}

/// A span of time on the command line: `500ms`, `8s`, `2m`, `1h`; a bare number is seconds.
pub fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 =
        digits.parse().map_err(|_| format!("\"{text}\" is not a span of time such as 500ms, 8s or 2m"))?;
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("\"{other}\" is not a unit of time; use ms, s, m or h")),
    };
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|span| *span <= Duration::from_secs(365 * 24 * 3600))
        .ok_or_else(|| format!("\"{text}\" is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_bounds() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(span("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "ms", "-1s", "1d", "1e300", "NaN", "1 s"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
