//! `cargo bench -p skill-api --bench load`: the worker's numbers, for docs/performance.md.
//!
//! The release binary, real processes, loopback; the clients run on the same cores. A stub in place of the engine makes a run
//! of 100,000 events and a silent one. `-- --write` puts the table between the markers of the page, `-- --quick` takes
//! shorter samples. Medians, unless a line says otherwise. python_floor.py stands in for the Python worker: it does the
//! least that one can.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for developers: what fails ends it"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Setup, program::Program, write_cli, write_skill};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const EVENTS: usize = 100_000;
const CLIENTS: usize = 1_000;
const SKILLS: usize = 20;
const MARKERS: [&str; 2] = ["<!-- api:begin -->", "<!-- api:end -->"];
/// Ticks of /proc/pid/stat per second: a constant of the kernel's interface.
const TICKS: f64 = 100.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    if !given("--bench") {
        // A test run over all targets: nothing to test here.
        return;
    }
    enough_descriptors();
    let quick = given("--quick");
    let (starts, seconds) = if quick { (7, 2) } else { (31, 10) };
    let mut rows = Vec::new();
    let mut row = |what: &str, value: String, target: &str| {
        eprintln!("{what}: {value}");
        rows.push(format!("| {what} | {value} | {target} |"));
    };

    let setup = Setup::new();
    let root = setup.dir.path().to_owned();
    for n in 0..SKILLS {
        write_skill(&root.join("skills"), &format!("skill-{n}"), &json!({}));
    }
    write_cli(&root, "codex", &format!("if grep -q '\"n\":1' input.json; then seq {EVENTS}; else sleep 3600; fi"));

    let mut ready: Vec<f64> = (0..starts)
        .map(|_| {
            let started = Instant::now();
            let program = Program::start(&root);
            let took = started.elapsed();
            drop(program);
            took.as_secs_f64() * 1e3
        })
        .collect();
    row("ready after exec", format!("{:.1} ms", median(&mut ready)), "60 ms");

    let program = Program::start(&root);
    let pid = program.child.id();
    std::thread::sleep(Duration::from_secs(if quick { 2 } else { 10 }));
    row("idle, resident", format!("{:.1} MiB", kib(pid, "VmRSS:") / 1024.0), "16 MiB");

    let run = |n: u64| {
        let body = json!({"skill_id": "skill-0", "parameter": {"n": n}, "runtime_options": {"no_cache": true}});
        let created = program.try_json("POST", "/v1/jobs", &body).unwrap();
        created["request_id"].as_str().unwrap().to_owned()
    };
    let long = run(1);
    let status = || program.try_json("GET", &format!("/v1/jobs/{long}"), &Value::Null).unwrap();
    while matches!(status()["status"].as_str(), Some("queued" | "running")) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let window = Duration::from_secs(seconds);
    let floor = PythonFloor::start(&root);
    for (what, ours, theirs) in [
        (format!("`GET /v1/skills`, {SKILLS} skills"), "/v1/skills".to_owned(), "/v1/skills"),
        ("`GET /v1/jobs/{id}`".to_owned(), format!("/v1/jobs/{long}"), "/v1/jobs/one"),
    ] {
        let rate = throughput(program.address, &ours, window);
        let beside = floor.as_ref().map(|floor| {
            let theirs = throughput(floor.address, theirs, window);
            format!("; the least in Python {theirs:.0}/s: {:.1}×", rate / theirs)
        });
        row(&what, format!("{rate:.0}/s{}", beside.unwrap_or_default()), "10 × the Python worker");
    }
    drop(floor);

    let path = format!("/v1/jobs/{long}/events/history");
    let mut pages: Vec<f64> = (0..starts)
        .map(|_| {
            let asked = Instant::now();
            let page = program.try_json("GET", &path, &Value::Null).unwrap();
            let took = asked.elapsed();
            let events = page["cursor_ceiling"].as_u64().unwrap();
            assert!(events >= EVENTS as u64, "the run has {events} events");
            took.as_secs_f64() * 1e3
        })
        .collect();
    row(&format!("history of {EVENTS} events, first page"), format!("{:.1} ms", median(&mut pages)), "20 ms");

    let silent = run(2);
    while program.try_json("GET", &format!("/v1/jobs/{silent}"), &Value::Null).unwrap()["status"] != "running" {
        std::thread::sleep(Duration::from_millis(50));
    }
    let streams: Vec<TcpStream> = (0..CLIENTS).map(|_| stream(program.address, &silent)).collect();
    // The heartbeats of all of them fall into the sample.
    std::thread::sleep(Duration::from_secs(5));
    let (before, from) = (cpu(pid), Instant::now());
    std::thread::sleep(Duration::from_secs(if quick { 5 } else { 60 }));
    let share = (cpu(pid) - before) / from.elapsed().as_secs_f64() * 100.0;
    row(&format!("{CLIENTS} clients on a silent run, CPU"), format!("{share:.2} % of a core"), "2 %");
    row("the same, resident", format!("{:.1} MiB", kib(pid, "VmRSS:") / 1024.0), "");
    drop(streams);

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let table = format!(
        "Linux {}, {cores} CPUs, load {load} at the end (the clients are part of it){}.\n\n| measure | skill-api | target |\n| --- | --: | --: |\n{}\n",
        kernel.trim(),
        if quick { "; short samples" } else { "" }.to_owned()
            + if cfg!(debug_assertions) { "; a debug build" } else { "" },
        rows.join("\n"),
    );
    println!("{table}");
    if given("--write") {
        if cfg!(debug_assertions) {
            eprintln!("a debug build's numbers are not for the page: nothing is written");
            std::process::exit(2);
        }
        write_between_markers(&table);
    }
}

/// `python_floor.py` in a virtual environment of its own, ended with this value.
struct PythonFloor {
    child: std::process::Child,
    address: SocketAddr,
}

impl PythonFloor {
    /// `None`, said loudly, where Python or its packages are not to be had.
    fn start(root: &Path) -> Option<Self> {
        let venv = root.join("python");
        let done = |program: &Path, args: &[&str]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        let text = venv.to_string_lossy().into_owned();
        if !done(Path::new("python3"), &["-m", "venv", &text])
            || !done(&venv.join("bin/pip"), &["install", "-q", "fastapi", "uvicorn[standard]"])
        {
            eprintln!("SKIPPED: the least in Python (no python3, or fastapi and uvicorn cannot be installed)");
            return None;
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/python_floor.py");
        let child = Command::new(venv.join("bin/python"))
            .args([script, &address.port().to_string()])
            .arg(root.join("skills"))
            .spawn()
            .unwrap();
        let floor = Self { child, address };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "the Python floor does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(floor)
    }
}

impl Drop for PythonFloor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker inherits the limit, so it is raised by starting again below a shell that raises it.
fn enough_descriptors() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<usize>().ok());
    if soft.is_some_and(|soft| soft < 2 * CLIENTS + 100) {
        assert!(
            std::env::var_os("SKILL_API_BENCH").is_none(),
            "the hard limit of open files is below {}",
            2 * CLIENTS + 100
        );
        let error = Command::new("sh")
            .args(["-c", "ulimit -n \"$(ulimit -H -n)\" && exec \"$@\"", "sh"])
            .args(std::env::args_os())
            .env("SKILL_API_BENCH", "again")
            .exec();
        panic!("sh: {error}");
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A line of /proc/pid/status, in KiB.
fn kib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// User and system time so far, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
}

/// Answers per second over four connections that stay open.
fn throughput(address: SocketAddr, path: &str, window: Duration) -> f64 {
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let socket = TcpStream::connect(address).unwrap();
                socket.set_nodelay(true).unwrap();
                let (mut reader, mut writer) = (BufReader::new(socket.try_clone().unwrap()), socket);
                let ask = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
                let mut body = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    writer.write_all(ask.as_bytes()).unwrap();
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        reader.read_line(&mut line).unwrap();
                        let line = line.trim_end().to_ascii_lowercase();
                        if line.is_empty() {
                            break;
                        }
                        assert!(!line.starts_with("http/") || line.contains(" 200 "), "{path}: {line}");
                        if let Some(text) = line.strip_prefix("content-length:") {
                            length = text.trim().parse().unwrap();
                        }
                    }
                    body.resize(length, 0);
                    reader.read_exact(&mut body).unwrap();
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(window);
        stop.store(true, Ordering::Relaxed);
    });
    answers.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// A client of a run's events, past its first event.
fn stream(address: SocketAddr, id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 1024]);
    while !said.windows(7).any(|window| window == b"event: ") {
        let n = socket.read(&mut piece).unwrap();
        assert!(n > 0, "closed: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..n]);
    }
    socket
}

fn write_between_markers(table: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/performance.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(MARKERS[0]).unwrap();
    let (_, after) = rest.split_once(MARKERS[1]).unwrap();
    fs::write(page, format!("{before}{}\n{table}{}{after}", MARKERS[0], MARKERS[1])).unwrap();
}
