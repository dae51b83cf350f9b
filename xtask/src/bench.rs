//! `cargo xtask bench`: the init and its peers side by side, and the table of docs/performance.md.
//!
//! benches/gauge.c measures one thing once; here are the subjects, the rounds (interleaved, so that a busy machine is
//! busy for all), the medians and the table. Needs root (fresh namespaces), cc with a static libc, and the peers that
//! are to be in the table: what is not installed is left out, loudly.

mod budget;
mod peers;
mod picture;
mod subjects;
mod table;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use subjects::Subject;

const USAGE: &str = "usage: cargo xtask bench [--rounds N] [--quick] [--bin PATH]";
/// One measure of one subject that takes longer is not repeated.
const SLOW: Duration = Duration::from_secs(15);
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Words `name=value` of one run.
type Reading = BTreeMap<String, f64>;

/// How thorough.
struct Plan {
    rounds: usize,
    orphans: usize,
    zombies: usize,
    signals: usize,
    idle_seconds: usize,
    /// Streams of so many orphans: what one costs must not depend on it.
    growth: &'static [usize],
    /// Words before the gauge: real-time priority, where it is to be had.
    priority: Vec<String>,
}

impl Default for Plan {
    /// A full run.
    fn default() -> Self {
        Self {
            rounds: 41,
            orphans: 20_000,
            zombies: 5_000,
            signals: 200,
            idle_seconds: 30,
            growth: &[1, 100, 10_000, 100_000],
            priority: priority(),
        }
    }
}

/// The measures of one subject: name of measure and value -> all readings.
type Readings = BTreeMap<String, Vec<f64>>;

/// Runs everything and writes the table.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let mut plan = Plan::default();
    let mut binary = root.join("target/dist/skill-init");
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--rounds" => plan.rounds = words.next().and_then(|n| n.parse().ok()).ok_or(USAGE)?,
            "--quick" => {
                plan = Plan {
                    rounds: 11,
                    orphans: 4_000,
                    zombies: 2_000,
                    signals: 50,
                    idle_seconds: 5,
                    growth: &[1, 100, 10_000],
                    ..plan
                };
            }
            "--bin" => binary = words.next().map(PathBuf::from).ok_or(USAGE)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    if !binary.exists() {
        return Err(format!("{}: not there: run cargo xtask dist first", binary.display()));
    }
    let work = env::temp_dir().join(format!("skill-init-bench-{}", std::process::id()));
    fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    let done = measure_all(root, &work, &binary, &plan);
    let _ = fs::remove_dir_all(&work);
    let (table, picture) = done?;
    eprintln!("{table}");
    let file = root.join("docs/performance.svg");
    fs::write(&file, picture).map_err(|error| format!("{}: {error}", file.display()))?;
    write_between_markers(&root.join("docs/performance.md"), &table)
}

/// What must not grow, whatever the machine does meanwhile: `cargo xtask budget`.
pub(crate) fn budget(args: &[String]) -> Result<(), String> {
    budget::run(args)
}

/// The tables and the picture.
fn measure_all(root: &Path, work: &Path, binary: &Path, plan: &Plan) -> Result<(String, String), String> {
    let (gauge, floor) = (work.join("gauge"), work.join("floor"));
    compile(&root.join("benches/gauge.c"), &gauge)?;
    compile(&root.join("benches/floor.c"), &floor)?;
    let bare = subjects::bare(binary, &floor);
    let supervisors = subjects::supervisors(binary, work, &gauge)?;

    let mut results = vec![Readings::new(); bare.len() + supervisors.len()];
    let all: Vec<&Subject> = bare.iter().chain(&supervisors).collect();
    let each =
        |label: &str, rounds: usize, results: &mut Vec<Readings>, only: &dyn Fn(&Subject) -> bool, words: &[&str]| {
            // Who cannot finish is not asked again: its cell stays empty.
            let mut given_up = vec![false; all.len()];
            for round in 1..=rounds {
                eprint!("\r{label}: round {round} of {rounds}   ");
                let asked = all.iter().zip(results.iter_mut()).zip(given_up.iter_mut());
                for ((subject, readings), given_up) in asked.filter(|((subject, _), _)| only(subject)) {
                    if *given_up {
                        continue;
                    }
                    let asked = Instant::now();
                    match gauge_once(&gauge, plan, subject, words) {
                        Ok(reading) => {
                            add(readings, label, reading);
                            // Who takes seconds for what takes others milliseconds is asked once.
                            *given_up = asked.elapsed() > SLOW;
                        }
                        Err(reason) => {
                            *given_up = true;
                            eprintln!("\n{} {label}: {reason}", subject.name);
                        }
                    }
                }
            }
            eprintln!();
        };
    let few = (plan.rounds / 6).max(3);
    let any = |subject: &Subject| !subject.start_only;
    let bares = |subject: &Subject| !subject.service;
    let services = |subject: &Subject| subject.service && !subject.start_only;
    let starts = |subject: &Subject| subject.service;
    let number = |n: usize| n.to_string();
    each("start", plan.rounds, &mut results, &bares, &["start", "1"]);
    each("start", few, &mut results, &starts, &["start", "1"]);
    each("memory", 3, &mut results, &any, &["memory", "1"]);
    each("signal", few, &mut results, &bares, &["signal", &number(plan.signals)]);
    each("zombies", few, &mut results, &any, &["zombies", &number(plan.zombies)]);
    each("orphans", few, &mut results, &any, &["orphans", &number(plan.orphans)]);
    each("storm", few, &mut results, &any, &["storm", &number(plan.orphans)]);
    each("restart", 3, &mut results, &services, &["restart", "5"]);
    each("stop", few, &mut results, &any, &["stop", "1"]);
    eprintln!("idle: {} s, all at once", plan.idle_seconds);
    std::thread::scope(|scope| {
        let runs: Vec<_> = all
            .iter()
            .map(|subject| {
                let seconds = plan.idle_seconds.to_string();
                let gauge = &gauge;
                scope.spawn(move || match subject.start_only {
                    true => Err("nothing to idle".to_owned()),
                    false => gauge_once(gauge, plan, subject, &["idle", &seconds]),
                })
            })
            .collect();
        for (run, readings) in runs.into_iter().zip(results.iter_mut()) {
            if let Ok(Ok(reading)) = run.join() {
                add(readings, "idle", reading);
            }
        }
    });
    for count in plan.growth {
        let label = format!("grow-{count}");
        // Those that reap fewer than a hundred a second have no place in this table.
        let reaps = |subject: &Subject| any(subject) && !["supervisord", "horust"].contains(&subject.name.as_str());
        each(&label, 3, &mut results, &reaps, &["orphans", &number(*count)]);
    }
    let exits: Vec<usize> = bare.iter().map(|subject| exit_contract(subject, work)).collect();
    let services = Services {
        fleets: fleets(binary, work, &gauge, plan)?,
        http: http(binary, work, &gauge, plan),
        late: late(binary, work, &gauge, plan)?,
    };
    Ok((
        table::tables(&bare, &supervisors, &results, &exits, &services, plan),
        picture::svg(&bare, &supervisors, &results),
    ))
}

/// What only a supervisor is asked.
struct Services {
    /// Who, with how many services, and what they cost.
    fleets: Vec<(String, usize, Readings)>,
    /// Milliseconds until `GET /`.
    http: Option<f64>,
    /// Milliseconds after its grace that a service which ignores TERM has gone, and the init with it: the worst.
    late: Option<f64>,
}

/// Us three times, each peer once: with a thousand services a round of theirs takes long.
fn fleets(binary: &Path, work: &Path, gauge: &Path, plan: &Plan) -> Result<Vec<(String, usize, Readings)>, String> {
    let mut out = Vec::new();
    for count in [10, 100, 1000] {
        let config = subjects::fleet(work, gauge, count)?;
        let ours = subjects::entrypoint(binary, work, "skill-init", &config, &[]);
        // One that ends nobody in time is not asked for a crowd.
        let mut peers = peers::supervisors(&work.join(format!("fleet-{count}")), gauge, count)?;
        peers.retain(|peer| peer.name != "horust");
        for (subject, rounds) in std::iter::once((ours, 3)).chain(peers.into_iter().map(|peer| (peer, 1))) {
            let mut readings = Readings::new();
            for _ in 0..rounds {
                eprintln!("{count} services: {}", subject.name);
                match gauge_once(gauge, plan, &subject, &["fleet", &count.to_string()]) {
                    Ok(reading) => add(&mut readings, "fleet", reading),
                    Err(reason) => eprintln!("{count} services: {}: {reason}", subject.name),
                }
            }
            out.push((subject.name, count, readings));
        }
    }
    Ok(out)
}

fn late(binary: &Path, work: &Path, gauge: &Path, plan: &Plan) -> Result<Option<f64>, String> {
    let grace = subjects::GRACE_MS.to_string();
    let subject = subjects::entrypoint(binary, work, "stubborn", &subjects::stubborn(work, gauge)?, &[]);
    let mut worst: Option<f64> = None;
    for _ in 0..plan.rounds {
        match gauge_once(gauge, plan, &subject, &["stubborn", &grace]) {
            Ok(reading) => {
                worst = reading.get("stop_us").map(|us| us / 1000.0).into_iter().chain(worst).reduce(f64::max)
            }
            Err(reason) => eprintln!("a stubborn service: {reason}"),
        }
    }
    Ok(worst)
}

/// `None` where there is no embedded worker beside the binary.
fn http(binary: &Path, work: &Path, gauge: &Path, plan: &Plan) -> Option<f64> {
    if !binary.with_file_name("skill-api").exists() {
        eprintln!("bench: NO skill-api BESIDE {}: GET / is left out", binary.display());
        return None;
    }
    let worker = [
        ("SKILL_INIT_API", "true"),
        ("SKILL_INIT_IMPORT", "true"),
        ("SKILL_INIT_TRUST", "true"),
        ("SKILL_INIT_API_HOST", "127.0.0.1"),
        ("PORT", "18765"),
    ];
    let subject = subjects::entrypoint(binary, work, "http", Path::new(""), &worker);
    let mut values = Vec::new();
    for _ in 0..5 {
        match gauge_once(gauge, plan, &subject, &["http", "18765"]) {
            Ok(reading) => values.extend(reading.get("http_us").map(|us| us / 1000.0)),
            Err(reason) => eprintln!("GET /: {reason}"),
        }
    }
    table::median(Some(&values))
}

fn add(readings: &mut Readings, label: &str, reading: Reading) {
    for (name, value) in reading {
        readings.entry(format!("{label}.{name}")).or_default().push(value);
    }
}

/// Real-time priority keeps whatever else the machine does out of the measure.
fn priority() -> Vec<String> {
    let words = ["chrt", "-f", "20"].map(str::to_owned).to_vec();
    if output(Command::new("chrt").args(["-f", "20", "true"])).is_ok() {
        words
    } else {
        eprintln!("bench: NO REAL-TIME PRIORITY: other work on this machine will be in the numbers");
        Vec::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for its tools")]
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn compile(source: &Path, program: &Path) -> Result<(), String> {
    output(Command::new("cc").args(["-O2", "-static", "-o"]).args([program, source]))
        .map(|_| ())
        .map_err(|error| format!("{}: {error}", source.display()))
}

fn gauge_once(gauge: &Path, plan: &Plan, subject: &Subject, words: &[&str]) -> Result<Reading, String> {
    let mut line: Vec<String> = plan.priority.clone();
    line.extend(["timeout", "-k", "1", "120"].map(str::to_owned));
    line.push(gauge.display().to_string());
    line.extend(words.iter().map(|word| (*word).to_owned()));
    if subject.service {
        line.push("--service".to_owned());
    }
    line.extend(subject.argv.iter().cloned());
    let (program, rest) = line.split_first().ok_or("no words")?;
    let text = output(Command::new(program).args(rest).envs(subject.env.iter().map(|(name, value)| (name, value))))?;
    // An init may write to the same stream: only the gauge's own words count.
    Ok(text
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect())
}

/// How many of five ends give the exit code that a container platform expects.
#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for its tools")]
fn exit_contract(subject: &Subject, work: &Path) -> usize {
    let plain = work.join("not-executable");
    let _ = fs::write(&plain, "#!/bin/sh\n");
    let plain = plain.display().to_string();
    let cases: [(i32, Vec<&str>); 5] = [
        (7, vec!["sh", "-c", "exit 7"]),
        (137, vec!["sh", "-c", "kill -9 $$"]),
        (143, vec!["sh", "-c", "kill -15 $$"]),
        (127, vec!["/no/such/program"]),
        (126, vec![&plain]),
    ];
    cases
        .iter()
        .filter(|(wanted, command)| {
            Command::new("unshare")
                .args(["--pid", "--fork", "--mount-proc"])
                .args(&subject.argv)
                .args(command)
                .output()
                .is_ok_and(|output| output.status.code() == Some(*wanted))
        })
        .count()
}

fn write_between_markers(file: &Path, table: &str) -> Result<(), String> {
    let error = |error| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(error)?;
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("{}: no {BEGIN}", file.display()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{}: no {END}", file.display()))?;
    fs::write(file, format!("{before}{BEGIN}\n{table}{END}{after}")).map_err(error)
}
