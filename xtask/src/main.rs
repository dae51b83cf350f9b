//! Developer tasks: `cargo xtask TASK`.
//!
//! `bench` measures, `budget` guards what must not grow, `dist` builds the release artefact, `docs` writes what the code knows into docs/ and completions/, `release` packs everything. A task that finds something wrong says what and exits 1.
#![forbid(unsafe_code)]

mod bench;
mod dist;
mod docs;
mod release;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK\n\n  bench [--rounds N] [--quick] [--bin PATH]   the init and its peers side by side, for docs/performance.md\n  \
                     budget [--bin PATH]   size, memory and wake-ups against their limits; fails above them\n  dist [--profile NAME] [--dynamic]   skill-init and skill-api in target/dist\n  \
                     docs [--check]   the generated pages, manual, completions and schema; --check: fail if they drifted\n  \
                     release [--profile NAME]   tarballs, .deb, component lists and checksums in target/release-VERSION";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match task.as_str() {
        "bench" => bench::run(&rest),
        "budget" => bench::budget(&rest),
        "dist" => dist::run(&rest),
        "docs" => docs::run(&rest),
        "release" => release::run(&rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
