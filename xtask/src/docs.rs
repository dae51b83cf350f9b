//! `cargo xtask docs [--check]`: everything in `docs/` and `completions/` that the code already knows.
//!
//! ```text
//! registry, fields, exit table, machine, clap  -->  rendered files  -->  write, or compare (--check)
//! ```
//!
//! A file is generated whole, or between two marker comments in a page that a person writes:
//! `<!-- generated: NAME -->` and `<!-- end -->`.

mod complete;
mod man;
mod pages;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes the generated files, or with `--check` says which of them drifted.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: cargo xtask docs [--check]".to_owned()),
    };
    let root = root()?;
    let mut drifted = Vec::new();
    let mut count = 0;
    for (path, content) in files(&root)? {
        count += 1;
        let full = root.join(&path);
        if fs::read(&full).is_ok_and(|old| old == content) {
            continue;
        }
        if check {
            drifted.push(path.display().to_string());
            continue;
        }
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&full, content).map_err(|error| format!("{}: {error}", full.display()))?;
        eprintln!("written: {}", path.display());
    }
    if drifted.is_empty() {
        eprintln!("{count} generated files agree with the code");
        Ok(())
    } else {
        Err(format!("generated files drifted from the code: {}; run `cargo xtask docs`", drifted.join(", ")))
    }
}

/// The project's folder.
fn root() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    Ok(root.to_owned())
}

/// Every generated file, by its path under the project.
fn files(root: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let mut out = vec![
        (PathBuf::from("docs/environment.md"), pages::environment().into_bytes()),
        (PathBuf::from("docs/exit-codes.md"), pages::exit_codes().into_bytes()),
        (PathBuf::from("docs/states.md"), pages::states().into_bytes()),
        (PathBuf::from("docs/services.schema.json"), schema::text()?.into_bytes()),
    ];
    out.extend(man::files()?);
    out.extend(complete::files());
    let services = PathBuf::from("docs/services.md");
    let page = fs::read_to_string(root.join(&services)).map_err(|error| format!("docs/services.md: {error}"))?;
    out.push((services, filled(&page, &pages::services())?.into_bytes()));
    Ok(out)
}

/// The page with the text between each pair of markers replaced.
fn filled(page: &str, parts: &[(&str, String)]) -> Result<String, String> {
    const END: &str = "<!-- end -->";
    let mut page = page.to_owned();
    for (name, part) in parts {
        let marker = format!("<!-- generated: {name} -->\n");
        let missing = || format!("the page has no {marker:?} followed by {END:?}");
        let (before, rest) = page.split_once(&marker).ok_or_else(missing)?;
        let (_, after) = rest.split_once(END).ok_or_else(missing)?;
        page = format!("{before}{marker}{part}{END}{after}");
    }
    Ok(page)
}
