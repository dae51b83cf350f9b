//! Words on stderr while agents commands work: a line that changes on a terminal, a line per event elsewhere.

use crate::{
    agents::{
        install::{Action, News, Report},
        sandbox::Verdicts,
    },
    cli::output,
};
use std::{
    io::{IsTerminal, Write},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// On a terminal, a line that counts the seconds of what takes longer than one; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Option<(Sender<()>, JoinHandle<()>)>);

impl Waiting {
    /// `what` is going on from now on: `checking 4 CLIs`.
    pub(super) fn new(what: String) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (sender, receiver) = channel();
        let start = Instant::now();
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let mut open = false;
            // The other end is dropped when it is over.
            while receiver.recv_timeout(Duration::from_secs(1)).is_err_and(|why| why == RecvTimeoutError::Timeout) {
                rewrite(&format!("{what}, {} s", start.elapsed().as_secs()));
                open = true;
            }
            if open {
                rewrite("");
            }
        });
        Self(thread.ok().map(|thread| (sender, thread)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

/// The line of the terminal that changes.
fn rewrite(words: &str) {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "\r{words}\x1b[K");
    let _ = err.flush();
}

/// Tells the news of an installer.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    open: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), open: false }
    }

    pub(super) fn tell(&mut self, news: News<'_>) {
        match news {
            News::Note(engine, words) => {
                self.close();
                output::error(&format!("{engine}: {words}"));
            }
            News::Working(engine, elapsed) if self.terminal => {
                rewrite(&format!("{engine}: npm has been working for {} s", elapsed.as_secs()));
                self.open = true;
            }
            News::Working(..) => {}
            News::Done(report) => {
                self.close();
                output::error(&line(report));
                for word in report.reason.iter().skip(1) {
                    output::error(&format!("{}:   {word}", report.engine));
                }
            }
        }
    }

    fn close(&mut self) {
        if self.open {
            rewrite("");
            self.open = false;
        }
    }
}

fn line(report: &Report) -> String {
    let Report { engine, version, .. } = report;
    let why = report.reason.first().map(String::as_str).unwrap_or_default();
    let seconds = report.elapsed.as_secs_f32();
    match &report.action {
        Action::AlreadyPresent => format!("{engine}: {version}, already there"),
        Action::Installed => format!("{engine}: {version}, installed in {seconds:.1} s"),
        Action::Repaired => format!("{engine}: {version}, mended in {seconds:.1} s"),
        Action::Upgraded { from } => format!("{engine}: {version}, upgraded from {from} in {seconds:.1} s"),
        Action::UpToDate => format!("{engine}: {version}, up to date"),
        Action::RolledBack { from } => format!("{engine}: {version}, back from {from}"),
        Action::Unavailable => format!("{engine}: unavailable: {why}"),
        Action::Failed if version.is_empty() => format!("{engine}: failed, and not installed: {why}"),
        Action::Failed => format!("{engine}: failed, {version} stays: {why}"),
    }
}

/// Says loudly where an engine will run without confinement, or may not run at all.
pub(super) fn warn(verdicts: &Verdicts) {
    for (engine, verdict) in verdicts.engines.iter().filter(|(_, v)| !v.confined) {
        let what = if verdict.usable && verdict.flags.is_empty() {
            "runs WITHOUT a sandbox".to_owned()
        } else if verdict.usable {
            format!("runs WITHOUT a sandbox (flags: {})", verdict.flags.join(" "))
        } else {
            "is unusable (SKILL_INIT_SANDBOX=require)".to_owned()
        };
        output::error(&format!("{engine}: {what}: {}", verdict.evidence));
    }
}
