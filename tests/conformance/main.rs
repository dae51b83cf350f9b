//! One suite of black-box cases for any init, run on skill-init and on its peers side by side.
//!
//! ```text
//! cargo test --test conformance                            the quick run
//! cargo test --test conformance -- --full                  every value instead of a sample
//! cargo test --test conformance -- --markdown FILE         and write the table
//! cargo test --test conformance -- --subreaper             as ordinary processes, although PID 1 would do
//! cargo test --test conformance -- WORD                    cases whose name holds WORD
//! ```
//!
//! Only skill-init's own column decides, and its columns under foreign names where the program of that name
//! passes. A peer that is not installed is left out, loudly. SKILL_INIT_BIN tests another build.
#![allow(
    unsafe_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test program without the test harness: it drives raw processes and prints its own report"
)]

mod cases;
mod command;
mod rig;
#[expect(dead_code, reason = "a case is no test of its own")]
#[path = "../skips/mod.rs"]
mod skips;

use cases::{Case, Context};
use rig::{Init, Mode};
use std::{env, fmt::Write, fs, path::PathBuf, process::ExitCode, time::Duration};

#[derive(Clone, PartialEq, Eq, Debug)]
enum Result {
    Pass,
    Fail(String),
    Skip(&'static str),
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [word, name, rest @ ..] = args.as_slice()
        && word == "command"
    {
        return ExitCode::from(command::run(name, rest) as u8);
    }
    let full = args.iter().any(|arg| arg == "--full");
    let markdown = args.iter().position(|arg| arg == "--markdown").and_then(|at| args.get(at + 1)).map(PathBuf::from);
    let filter = args
        .iter()
        .enumerate()
        .find(|(at, arg)| !arg.starts_with("--") && args.get(at.wrapping_sub(1)).is_none_or(|p| p != "--markdown"))
        .map(|(_, arg)| arg.clone());
    if args.iter().any(|arg| arg == "--list") {
        // A runner asks twice, the second time for the ignored ones: there are none. Naming them all again would make it
        // take every case for ignored, and run none.
        for case in cases::ALL.iter().filter(|_| !args.iter().any(|arg| arg == "--ignored")) {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let exact = args.iter().any(|arg| arg == "--exact");

    let mode = if args.iter().any(|arg| arg == "--subreaper") { Mode::Subreaper } else { Mode::of_machine() };
    if !mode.is_pid1() {
        eprintln!(
            "conformance: NO PID NAMESPACE (refused or not wanted): every init runs as a subreaper, not as PID 1"
        );
    }
    let own = env::current_exe().expect("the path of this program").to_string_lossy().into_owned();
    let folder = env::temp_dir().join(format!("conformance-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the cases");
    let inits = inits();

    let chosen: Vec<&Case> = cases::ALL
        .iter()
        .filter(|case| {
            filter
                .as_ref()
                .is_none_or(|word| if exact { case.name == word.as_str() } else { case.name.contains(word.as_str()) })
        })
        .collect();
    let mut rows = Vec::new();
    for case in chosen {
        let run = |init| match (case.run)(&Context { init, mode, own: &own, folder: folder.clone(), full }) {
            Ok(None) => Result::Pass,
            Ok(Some(why)) => Result::Skip(why),
            Err(why) => Result::Fail(why),
        };
        let mut row: Vec<Result> = inits.iter().map(run).collect();
        // What is a race by the model's own contract, on a busy machine either of the two may lose: dumb-init sends TERM to
        // what is left and goes, and the kernel ends the rest. Whoever does worse does so every time.
        for column in 1..row.len() {
            for _ in 0..29 {
                if !matches!(row[column], Result::Fail(_)) || !counts(&inits, &row, column) {
                    break;
                }
                row[column] = run(&inits[column]);
            }
        }
        print_row(case, &inits, &row);
        rows.push((case, row));
    }
    let _ = fs::remove_dir_all(&folder);
    if let Some(path) = markdown {
        fs::write(&path, table(&inits, &rows, mode)).expect("the table can be written");
    }
    verdict(&inits, &rows)
}

/// skill-init under its names, then whatever peers are installed.
fn inits() -> Vec<Init> {
    let product = env::var_os("SKILL_INIT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_skill-init").into(), PathBuf::from);
    let own = |name: &'static str, argv0: &str, words, subreaper_words| Init {
        name,
        program: product.clone(),
        argv0: argv0.into(),
        words,
        patience: Duration::from_secs(if name == "skill-init" { 20 } else { 6 }),
        subreaper_words,
    };
    let mut inits = vec![
        own("skill-init", "skill-init", &["--"][..], &[][..]),
        own("as tini", "tini", &["--"], &["-s"]),
        own("as dumb-init", "dumb-init", &["--"], &[]),
    ];
    let peers: [(&str, &[&str], &[&str]); 3] =
        [("tini", &["--"], &["-s"]), ("dumb-init", &["--"], &[]), ("catatonit", &["--"], &[])];
    for (name, words, subreaper_words) in peers {
        match find(name) {
            Some(program) => inits.push(Init {
                name,
                program,
                argv0: name.into(),
                words,
                patience: Duration::from_secs(2),
                subreaper_words,
            }),
            None => eprintln!("conformance: {name} IS NOT INSTALLED: its column is left out (apt-get install {name})"),
        }
    }
    inits
}

fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn print_row(case: &Case, inits: &[Init], row: &[Result]) {
    let mut line = format!("{:<72}", case.name);
    for (init, result) in inits.iter().zip(row) {
        let mark = match result {
            Result::Pass => "ok",
            Result::Fail(_) => "FAIL",
            Result::Skip(_) => "-",
        };
        let _ = write!(line, " {}:{mark}", init.name.replace(' ', "-"));
    }
    println!("{line}");
    for (init, result) in inits.iter().zip(row) {
        if let Result::Fail(why) = result {
            eprintln!("    {}: {why}", init.name);
        }
    }
}

/// Whether this failure is ours to mend: the product's own column, or a foreign name that does worse than its owner.
fn counts(inits: &[Init], row: &[Result], column: usize) -> bool {
    match inits[column].name.strip_prefix("as ") {
        None => column == 0,
        Some(model) => inits.iter().position(|init| init.name == model).is_some_and(|at| row[at] == Result::Pass),
    }
}

fn verdict(inits: &[Init], rows: &[(&Case, Vec<Result>)]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (case, row) in rows {
        for (column, result) in row.iter().enumerate() {
            match result {
                Result::Pass if column == 0 => passed += 1,
                Result::Skip(why) if column == 0 => {
                    skips::skip_of(case.name, why);
                    skipped += 1;
                }
                Result::Fail(why) if counts(inits, row, column) => {
                    eprintln!("conformance: FAILED: {}: {}: {why}", inits[column].name, case.name);
                    failed += 1;
                }
                _ => {}
            }
        }
    }
    println!(
        "test result: {}. {passed} passed; {failed} failed; {skipped} ignored",
        if failed == 0 { "ok" } else { "FAILED" }
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(inits: &[Init], rows: &[(&Case, Vec<Result>)], mode: Mode) -> String {
    let mut text = String::from(
        "# Conformance\n\n\
         One suite of black-box cases, run on each init in turn. Written by\n\
         `cargo test --test conformance -- --full --markdown docs/conformance.md`.\n\n",
    );
    let how = if mode.is_pid1() {
        "Every init ran as PID 1 of fresh pid and mount namespaces."
    } else {
        "No pid namespace was to be had: every init ran as a subreaper."
    };
    let _ = writeln!(
        text,
        "{how} A failure is not always a fault: some inits promise less on purpose (tini signals one process \
         unless `-g` is given, and leaves what its child left behind to the kernel). The columns `as tini` and `as dumb-init` \
         are skill-init called by that name; it must pass there what the program of that name passes. \
         A peer that loses a race on some days passes on others: dumb-init with a signal that is pending at start.\n"
    );
    let names: Vec<&str> = inits.iter().map(|init| init.name).collect();
    let _ = writeln!(text, "| case | {} |\n| --- |{}", names.join(" | "), " :-: |".repeat(names.len()));
    for (case, row) in rows {
        let marks: Vec<&str> = row
            .iter()
            .map(|result| match result {
                Result::Pass => "●",
                Result::Fail(_) => "○",
                Result::Skip(_) => "–",
            })
            .collect();
        let _ = writeln!(text, "| {} | {} |", case.name, marks.join(" | "));
    }
    let totals: Vec<String> = (0..names.len())
        .map(|column| format!("{}/{}", rows.iter().filter(|(_, row)| row[column] == Result::Pass).count(), rows.len()))
        .collect();
    let _ = writeln!(text, "| **passed** | {} |\n\n● passes, ○ does not, – cannot be run here.", totals.join(" | "));
    text
}
