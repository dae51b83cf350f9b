//! What ARCHITECTURE.md promises about the source, read from the source.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panic"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every Rust file below a folder.
fn rust_files(top: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Every file of `src/`, with the room that it is in.
fn sources() -> Vec<(String, PathBuf)> {
    let src = Path::new(ROOT).join("src");
    let room = |path: PathBuf| {
        let below = path.strip_prefix(&src).unwrap();
        let room = below.components().next().unwrap().as_os_str().to_string_lossy();
        (room.trim_end_matches(".rs").to_owned(), path)
    };
    rust_files(&src).into_iter().map(room).collect()
}

/// The rooms in the order of ARCHITECTURE.md's table.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    text.lines()
        .skip_while(|line| !line.starts_with("| room |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('`').nth(1).unwrap().trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .collect()
}

/// The modules of this crate that a file names: `crate::NAME` and the heads of `crate::{NAME.., NAME..}`.
fn named(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut head = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => head = true,
                c if head && depth == 1 && !c.is_whitespace() => {
                    found.push(word(&group[at..]));
                    head = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn imports_are_read_from_single_paths_and_from_groups() {
    let text = "use crate::exit::Exit;\nuse crate::{\n    plan::{self, make},\n    sys,\n    probe::Facts,\n}; // crate::cli\n";
    assert_eq!(named(text), ["exit", "plan", "sys", "probe"]);
}

#[test]
fn a_room_imports_only_rooms_below_it() {
    let rooms = rooms();
    let place = |room: &str| rooms.iter().position(|known| known == room);
    let mut wrong = Vec::new();
    for (room, path) in sources() {
        if room == "lib" {
            continue;
        }
        let own = place(&room).unwrap_or_else(|| panic!("{room} is not in ARCHITECTURE.md's table"));
        for other in named(&fs::read_to_string(&path).unwrap()) {
            // The bare mode stands beside the others: it is small because it needs nothing else.
            let beside = room == "bare" && !["bare", "exit", "sys"].contains(&other.as_str());
            let above = room != "bare" && place(&other).is_some_and(|other| other < own);
            if beside || above {
                wrong.push(format!("{}: crate::{other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "a room imports from above:\n{}", wrong.join("\n"));
}

/// Longer than [`LONGEST`], and why it stays whole.
const LONG: &[(&str, &str)] = &[(
    "benches/gauge.c",
    "both sides of a measure share it, and one `cc` line makes it a program without any library of ours",
)];
const LONGEST: usize = 400;

/// Every file that somebody writes by hand, below the root. Generated pages and completions, data and captures are not code.
fn written() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let ours =
                !name.starts_with('.') && !["target", "completions", "fixtures", "corpus"].contains(&name.as_str());
            if ours && path.is_dir() {
                folders.push(path);
            } else if ours
                && ["rs", "c", "py", "sh", "js", "css", "html"]
                    .iter()
                    .any(|end| path.extension().is_some_and(|has| has == *end))
            {
                files.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files
}

#[test]
fn no_file_is_longer_than_a_reader_takes_in_and_each_says_what_it_is_for() {
    let files = written();
    assert!(files.len() > 400, "{}", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        let known = LONG.iter().any(|(path, _)| Path::new(path) == file);
        let lines = text.lines().count();
        if (lines > LONGEST) != known {
            wrong.push(format!("{}: {lines} lines", file.display()));
        }
        if file.extension().is_some_and(|end| end == "rs") && !text.starts_with("//! ") {
            wrong.push(format!("{}: no first paragraph", file.display()));
        }
    }
    assert!(wrong.is_empty(), "split them where a reader would, or say in LONG why not:\n{}", wrong.join("\n"));
}

/// Copies a file or a whole folder.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test asks cargo")]
fn the_docker_build_context_holds_every_member_of_the_workspace() {
    let context = tempfile::tempdir().unwrap();
    let rules = fs::read_to_string(Path::new(ROOT).join(".dockerignore")).unwrap();
    // The rest is binaries that the build is to make.
    for let_in in rules.lines().filter_map(|line| line.strip_prefix('!')).filter(|path| !path.starts_with("target")) {
        let from = Path::new(ROOT).join(let_in);
        if from.exists() {
            copy(&from, &context.path().join(let_in));
        }
    }
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets: Vec<&str> = shown["packages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap())
        .filter(|target| target["kind"][0] == "bin" || target["kind"][0] == "lib")
        .map(|target| target["src_path"].as_str().unwrap())
        .collect();
    assert!(targets.len() >= 4 && targets.iter().all(|path| Path::new(path).exists()), "{targets:?}");
}

/// The string literals of Rust code, with the lines they begin on; comments and everything from `#[cfg(test)]` on are left out.
fn literals(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut found, mut at) = (Vec::new(), 0);
    let line = |at: usize| 1 + code[..at].matches('\n').count();
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        let bare = at == 0 || !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let hashes = rest[1.min(rest.len())..].chars().take_while(|c| *c == '#').count();
        at += if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == 'r' && bare && rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = &rest[2 + hashes..];
            let end = body.find(&close).unwrap_or(body.len());
            found.push((line(at), body[..end].to_owned()));
            2 + hashes + end + close.len()
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let end = end.unwrap_or(rest.len() - 1);
            found.push((line(at), rest[1..=end].to_owned()));
            end + 2
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\") {
            rest[3..].find('\'').map_or(rest.len(), |end| end + 4)
        } else {
            c.len_utf8()
        };
    }
    found
}

#[test]
fn literals_are_read_without_comments_and_tests() {
    let text = "a(\"one\", '\"', '\\'', r#\"t\"wo\"#); // \"no\"\nlet b = \"th\\\"ree\"; /* \"no\" */\n#[cfg(test)]\nc(\"no\");";
    let found: Vec<(usize, String)> = literals(text);
    assert_eq!(found, [(1, "one".to_owned()), (1, "t\"wo".to_owned()), (2, "th\\\"ree".to_owned())]);
}

/// Where code may name an engine all the same: file, a part of the literal, and why.
const NAMED: &[(&str, &str, &str)] = &[
    ("src/cli/commands/entrypoint.rs", "Examples:", "an example that can be typed as it stands"),
    ("src/cli/commands/agents.rs", "Examples:", "examples that can be typed as they stand"),
    ("src/cli/commands/trust.rs", "Examples:", "examples that can be typed as they stand"),
    ("src/settings/keys.rs", "GEMINI_OAUTH", "a variable of the old container keeps its name"),
    ("src/settings/keys.rs", "gemini_client", "the file's key of that variable"),
    ("src/settings/keys.rs", "OAuth client of", "the words about that variable"),
    ("src/settings/keys.rs", "OPENCODE_", "a variable of the old container keeps its name"),
    ("src/settings/keys.rs", "opencode_", "the file's key of that variable, and where its default leads"),
    ("src/settings/keys.rs", "ask opencode", "the words about that variable"),
    ("src/settings/keys.rs", "gemini starts in", "a measured time, in the words about a deadline"),
    ("api/src/runs/create.rs", "codex", "the contract's engine of a request that names none"),
];

#[test]
fn no_code_knows_an_engine_by_its_name() {
    let names: Vec<String> = skill_init::agents::catalogue::Catalogue::built_in()
        .engines
        .into_iter()
        .flat_map(|engine| [engine.name.to_lowercase(), engine.binary.to_lowercase()])
        .collect();
    assert!(names.len() >= 8, "the table is empty");
    let (mut wrong, mut used) = (Vec::new(), vec![false; NAMED.len()]);
    for (path, text) in code() {
        for (line, literal) in literals(&text) {
            let low = literal.to_lowercase();
            let words = || low.split(|c: char| !c.is_alphanumeric());
            if !words().any(|word| names.iter().any(|name| name == word)) {
                continue;
            }
            match NAMED.iter().position(|(file, part, _)| *file == path && literal.contains(part)) {
                Some(index) => used[index] = true,
                None => wrong.push(format!("{path}:{line}: {literal:?}")),
            }
        }
    }
    let stale = NAMED
        .iter()
        .zip(&used)
        .filter(|(_, used)| !**used)
        .map(|((file, part, _), _)| format!("{file}: {part:?} is gone"));
    wrong.extend(stale);
    assert!(
        wrong.is_empty(),
        "an engine is a row of src/agents/catalogue/engines.toml, not code:\n{}",
        wrong.join("\n")
    );
}

/// The Rust files of both products, without those that hold nothing but tests.
fn code() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for top in ["src", "api/src"] {
        for path in rust_files(&Path::new(ROOT).join(top)) {
            let name = path.strip_prefix(ROOT).unwrap().to_string_lossy().into_owned();
            if !name.ends_with("/tests.rs") {
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 200, "{} files", files.len());
    files
}
