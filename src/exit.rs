//! The exit-code table.
//!
//! 0-125 of a supervised essential service pass through unchanged; 126, 127 and 128+n have their usual
//! meaning. Own codes follow sysexits(3) where one fits.
#![forbid(unsafe_code)]

/// An exit status of `skill-init` itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Everything went as asked.
    pub const OK: Self = Self(0);
    /// A check said no (`health`, `doctor`, `agents check`), or a command failed for the reason printed.
    pub const FAILURE: Self = Self(1);
    /// The command line was not understood.
    pub const USAGE: Self = Self(2);
    /// Something that must be there is not available (control socket, service; `EX_UNAVAILABLE`).
    pub const UNAVAILABLE: Self = Self(69);
    /// A fault of skill-init itself (`EX_SOFTWARE`): a bug; the log says where.
    pub const SOFTWARE: Self = Self(70);
    /// The operating system refused something essential: fork, pipe, socket (`EX_OSERR`).
    pub const OS: Self = Self(71);
    /// A required path cannot be created or written (`EX_CANTCREAT`).
    pub const CANT_CREATE: Self = Self(73);
    /// An essential service was given up without a failing exit status of its own (`EX_TEMPFAIL`).
    pub const BUDGET: Self = Self(75);
    /// The configuration is wrong; every mistake was printed, nothing was touched (`EX_CONFIG`).
    pub const CONFIG: Self = Self(78);
    /// The command was found but cannot be executed.
    pub const NOT_EXECUTABLE: Self = Self(126);
    /// The command was not found.
    pub const NOT_FOUND: Self = Self(127);

    /// `128 + signal`, the shell's convention for a death by signal.
    pub const fn signal(signal: i32) -> Self {
        Self((128 + (signal & 0x7f)) as u8)
    }
}

/// One row of the table: code, name, meaning, what to do.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The code.
    pub code: &'static str,
    /// Short name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The whole table, in order: the source of docs/exit-codes.md and of the man page.
pub const TABLE: &[Row] = &[
    Row {
        code: "0",
        name: "ok",
        meaning: "stopped as asked, or the essential service ended with 0",
        remedy: "nothing",
    },
    Row {
        code: "1",
        name: "failure",
        meaning: "a check said no, or the command failed for the reason printed",
        remedy: "read the printed reason",
    },
    Row { code: "2", name: "usage", meaning: "the command line was not understood", remedy: "skill-init --help" },
    Row {
        code: "1-125",
        name: "service",
        meaning: "the exit status of the essential service (or of CMD) that ended the container",
        remedy: "see that program's documentation",
    },
    Row {
        code: "69",
        name: "unavailable",
        meaning: "no skill-init answers on the control socket, or no such service",
        remedy: "is the container running, and is SKILL_INIT_SOCKET the same?",
    },
    Row { code: "70", name: "software", meaning: "a fault of skill-init itself", remedy: "report it with the log" },
    Row {
        code: "71",
        name: "os",
        meaning: "the operating system refused something essential (fork, pipe, socket)",
        remedy: "look at pids, memory and descriptor limits: skill-init probe",
    },
    Row {
        code: "73",
        name: "cant-create",
        meaning: "a required path cannot be created or written",
        remedy: "the message names the path and the command that mends it",
    },
    Row {
        code: "75",
        name: "budget",
        meaning: "an essential service was given up (restart budget, liveness probe, start timeout) although its own exit status was 0",
        remedy: "read the service's last reason: skill-init status, or the termination log",
    },
    Row {
        code: "78",
        name: "config",
        meaning: "the configuration is wrong; every mistake was printed, nothing was touched",
        remedy: "correct the printed lines: skill-init config",
    },
    Row {
        code: "126",
        name: "not-executable",
        meaning: "the command was found but cannot be executed",
        remedy: "chmod +x, or check the file's format and interpreter",
    },
    Row { code: "127", name: "not-found", meaning: "the command was not found", remedy: "check the name and PATH" },
    Row {
        code: "128+n",
        name: "signal",
        meaning: "the essential service (or CMD) died by signal n: 137 = KILL, 139 = SEGV, 143 = TERM",
        remedy: "the log says whether it was the OOM killer, a deadline or an operator",
    },
];

impl std::process::Termination for Exit {
    fn report(self) -> std::process::ExitCode {
        std::process::ExitCode::from(self.0)
    }
}
