//! The release artefact: both binaries, linked statically against glibc, in `target/dist`.
//!
//! A program loader in the file would tie it to one image's libc, so each file is checked to have none.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const BINARIES: [&str; 2] = ["skill-init", "skill-api"];
/// `PT_INTERP` of elf(5).
const PROGRAM_LOADER: u32 = 3;

/// Builds, checks and copies. Errors are words for a person.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let profile = match args {
        [] => "release",
        [flag, name] if flag == "--profile" => name,
        _ => return Err("usage: cargo xtask dist [--profile NAME]".to_owned()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let built = target_dir(root).join(&target).join(folder_of(profile));
    build(root, &target, profile)?;
    let dist = root.join("target/dist");
    fs::create_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    for name in BINARIES {
        let (from, to) = (built.join(name), dist.join(name));
        let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        if has_loader(&bytes).ok_or_else(|| format!("{}: not a 64-bit little-endian ELF file", from.display()))? {
            return Err(format!("{}: is linked dynamically", from.display()));
        }
        // A running copy keeps its inode: the new file takes the name in one step.
        let part = dist.join(format!(".{name}.part"));
        fs::copy(&from, &part)
            .and_then(|_| fs::rename(&part, &to))
            .map_err(|error| format!("{}: {error}", to.display()))?;
        eprintln!("{}: static, {:.1} MiB", to.display(), bytes.len() as f64 / f64::from(1 << 20));
    }
    Ok(())
}

fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

fn folder_of(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for cargo")]
fn build(root: &Path, target: &str, profile: &str) -> Result<(), String> {
    // With --target, these flags reach the product only, not build scripts and procedural macros.
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--locked",
            "--profile",
            profile,
            "--target",
            target,
            "--bins",
            "-p",
            "skill-init",
            "-p",
            "skill-api",
        ])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}")) }
}

/// Whether the program headers ask for a loader; `None` if this is no ELF file that we know.
fn has_loader(file: &[u8]) -> Option<bool> {
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(file.get(32..40)?.try_into().ok()?)).ok()?;
    let size = usize::from(u16::from_le_bytes(file.get(54..56)?.try_into().ok()?));
    let count = usize::from(u16::from_le_bytes(file.get(56..58)?.try_into().ok()?));
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(size)?)?;
        let kind = u32::from_le_bytes(file.get(at..at.checked_add(4)?)?.try_into().ok()?);
        if kind == PROGRAM_LOADER {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::has_loader;

    #[test]
    fn the_running_test_is_dynamic_and_a_text_is_no_elf() {
        let own = std::fs::read("/proc/self/exe").unwrap_or_default();
        assert_eq!(has_loader(&own), Some(true));
        assert_eq!(has_loader(b"#!/bin/sh\n"), None);
        assert_eq!(has_loader(b"\x7fELF\x02\x01 cut short"), None);
    }
}
