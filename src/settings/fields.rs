//! The fields of a `[service.NAME]` table and of its probes: one line of truth per field.
//!
//! Feeds the parser's list of known names, the JSON Schema and docs/services.md.

/// One field of a table.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// The default, in words or as it would be written.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// The form of a field's value, as the JSON Schema needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// `"500ms"`, `"8s"`, or a number of seconds.
    Duration,
    /// A whole number within bounds.
    Int(i64, i64),
    /// A number from 0 to 1.
    Share,
    /// A list of strings.
    List,
    /// A list of strings, or one string that is split as a shell splits words.
    Command,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Variable names to strings, numbers or booleans.
    Env,
    /// Resource names to limits.
    Limits,
    /// A signal's name or number.
    Signal,
    /// `uid[:gid]`.
    User,
    /// Back-off: a table.
    Backoff,
    /// Restart budget: a table.
    Budget,
    /// A readiness probe: a table.
    Readiness,
    /// A liveness probe: a table.
    Liveness,
    /// `true` and nothing else.
    True,
}

const fn f(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Field {
    Field { name, form, default, help }
}

/// `[service.NAME]`.
pub const FIELDS: &[Field] = &[
    f(
        "command",
        Form::Command,
        "",
        "the program and its arguments; required for a service of your own, not allowed for a built-in one",
    ),
    f("enabled", Form::Bool, "true", "false: the table is checked, the service is left out"),
    f(
        "kind",
        Form::OneOf(&["daemon", "oneshot"]),
        "\"daemon\"",
        "oneshot: runs once and is ready when it has ended with 0",
    ),
    f("cwd", Form::Text, "the application folder", "working directory, a whole path"),
    f("env", Form::Env, "{}", "variables on top of the children's environment"),
    f("secrets", Form::List, "[]", "settings of kind secret that this service gets as variables; it gets no others"),
    f("user", Form::User, "SKILL_INIT_USER", "UID or UID:GID in numbers; needs a start as root"),
    f(
        "restart",
        Form::OneOf(&["always", "on-failure", "never"]),
        "SKILL_INIT_RESTART; a oneshot: \"on-failure\"",
        "when it is started again after it ended by itself",
    ),
    f(
        "backoff",
        Form::Backoff,
        "SKILL_INIT_BACKOFF, SKILL_INIT_BACKOFF_MAX",
        "delay before a restart; doubles each time",
    ),
    f(
        "budget",
        Form::Budget,
        "SKILL_INIT_RESTART_BUDGET, SKILL_INIT_RESTART_WINDOW",
        "restarts within a window before it is given up",
    ),
    f("essential", Form::Bool, "false", "true: its end ends the container, with its exit status"),
    f("after", Form::List, "[]", "services that must be ready first; one that is switched off is not waited for"),
    f("stop_signal", Form::Signal, "\"TERM\"", "the signal that asks it to stop"),
    f("stop_grace", Form::Duration, "\"5s\", at most SKILL_INIT_STOP_GRACE", "from the stop signal to SIGKILL"),
    f("limits", Form::Limits, "{}", "resource limits (setrlimit(2)): a number, \"unlimited\", or \"SOFT:HARD\""),
    f("oom_score_adj", Form::Int(-1000, 1000), "unchanged", "how early the kernel's OOM killer takes it (proc(5))"),
    f("readiness", Form::Readiness, "ready as soon as it runs", "when it is ready"),
    f("liveness", Form::Liveness, "none", "a failing liveness probe restarts it"),
    f("start_timeout", Form::Duration, "none", "deadline of a oneshot, or of a daemon's readiness"),
];

/// `[service.NAME.readiness]` and `[service.NAME.liveness]`: exactly one of the first five says how to ask.
pub const PROBE_FIELDS: &[Field] = &[
    f("http", Form::Text, "", "`http://IP:PORT/PATH`; 200 to 399 is success"),
    f("tcp", Form::Text, "", "`IP:PORT`; a connection is success"),
    f("exec", Form::Command, "", "a command; exit status 0 is success"),
    f("fd", Form::Int(3, 1023), "", "readiness only: the service writes a newline to this descriptor"),
    f("notify", Form::True, "", "readiness only: the service sends READY=1 to $NOTIFY_SOCKET (sd_notify(3))"),
    f(
        "start_period",
        Form::Duration,
        "\"0s\"; liveness: \"10s\"",
        "failures do not count before this long after the start",
    ),
    f("interval", Form::Duration, "\"1s\"; liveness: \"10s\"", "between two questions"),
    f("timeout", Form::Duration, "\"1s\"; liveness: \"2s\"", "deadline of one question"),
    f("success_threshold", Form::Int(1, 1000), "1", "successes in a row that make it true"),
    f("failure_threshold", Form::Int(1, 1000), "3", "failures in a row that make it false"),
];

/// `backoff = { ... }`.
pub const BACKOFF_FIELDS: &[Field] = &[
    f("initial", Form::Duration, "SKILL_INIT_BACKOFF", "before the first restart; 0: at once"),
    f("max", Form::Duration, "SKILL_INIT_BACKOFF_MAX", "greatest delay"),
    f("jitter", Form::Share, "0.1", "share of the delay that is random, 0.0 to 1.0"),
    f("reset_after", Form::Duration, "\"60s\"", "after this long in good health the next delay is the first again"),
];

/// `budget = { ... }`.
pub const BUDGET_FIELDS: &[Field] = &[
    f("restarts", Form::Int(0, 1_000_000), "SKILL_INIT_RESTART_BUDGET", "restarts; 0: none"),
    f("window", Form::Duration, "SKILL_INIT_RESTART_WINDOW", "the window"),
];

/// Resources of `limits`, as setrlimit(2) names them without `RLIMIT_`.
pub const LIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Services that the plan makes; a table of that name tunes it.
pub const BUILT_IN: &[&str] = &["api", "ttyd", "gateway", "agents"];
