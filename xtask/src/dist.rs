//! The release artefact: both binaries, linked statically against glibc, in `target/dist`.
//!
//! A program loader in the file would tie it to one image's libc, so each file is checked to have none. The
//! address is fixed (no PIE): without self-relocation no page of the file is written at start, which is what keeps the
//! bare mode near a C init. `--dynamic` builds the same for a distribution that wants shared libraries, in
//! `target/dist/dynamic`. `--arch aarch64` builds for another machine, in `target/dist/aarch64`; it takes that machine's
//! standard library and a C compiler (docs/evidence.md shows where both can be had).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The binaries and the profile of their release: the init waits and is to be small, the worker works.
pub(crate) const BINARIES: [(&str, &str); 2] = [("skill-init", "init"), ("skill-api", "release")];
/// `ET_EXEC` of elf(5): linked for a fixed address.
const FIXED_ADDRESS: u16 = 2;
/// `PT_INTERP` of elf(5).
const PROGRAM_LOADER: u32 = 3;

const USAGE: &str = "usage: cargo xtask dist [--profile NAME] [--dynamic] [--arch x86_64|aarch64]";
/// The machines that there are releases for.
const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

/// How the artefact is linked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Runs in any image.
    Static,
    /// For a distribution that wants shared libraries.
    Dynamic,
}

impl Linkage {
    /// For names of files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        }
    }
    fn flags(self) -> &'static str {
        match self {
            Self::Static => "-C target-feature=+crt-static -C relocation-model=static",
            Self::Dynamic => "",
        }
    }
    fn check(self, file: &Path, bytes: &[u8], arch: &str) -> Result<(), String> {
        let name = file.display();
        let header = Header::read(bytes).ok_or_else(|| format!("{name}: not a 64-bit little-endian ELF file"))?;
        match self {
            _ if header.machine != machine(arch) => Err(format!("{name}: is not for {arch}")),
            Self::Static if header.loader => Err(format!("{name}: is linked dynamically")),
            Self::Static if header.kind != FIXED_ADDRESS => Err(format!("{name}: is position-independent")),
            Self::Dynamic if !header.loader => Err(format!("{name}: is linked statically")),
            _ => Ok(()),
        }
    }
}

/// Builds, checks and copies. Errors are words for a person.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut chosen, mut linkage, mut arch) = (None, Linkage::Static, env::consts::ARCH);
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--profile" => chosen = Some(words.next().ok_or(USAGE)?),
            "--dynamic" => linkage = Linkage::Dynamic,
            "--arch" => arch = words.next().filter(|word| ARCHES.contains(word)).ok_or(USAGE)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    artefact(root, chosen, linkage, arch).map(|_| ())
}

/// Builds and checks both programs, each with its own profile where none is chosen; the folder that they are in.
pub(crate) fn artefact(root: &Path, chosen: Option<&str>, linkage: Linkage, arch: &str) -> Result<PathBuf, String> {
    let target = format!("{arch}-unknown-linux-gnu");
    let (mut target_dir, mut dist) = (target_dir(root), root.join("target/dist"));
    if arch != env::consts::ARCH {
        dist = dist.join(arch);
    }
    if linkage == Linkage::Dynamic {
        // Other flags, other folder: neither build throws the other's away.
        target_dir = target_dir.join("dynamic");
        dist = dist.join("dynamic");
    }
    fs::create_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    for (name, own) in BINARIES {
        let profile = chosen.unwrap_or(own);
        build(root, &target_dir, &target, (name, profile), linkage)?;
        let from = target_dir.join(&target).join(folder_of(profile)).join(name);
        let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        linkage.check(&from, &bytes, arch)?;
        // A running copy keeps its inode: the new file takes the name in one step.
        let (part, to) = (dist.join(format!(".{name}.part")), dist.join(name));
        fs::copy(&from, &part)
            .and_then(|_| fs::rename(&part, &to))
            .map_err(|error| format!("{}: {error}", to.display()))?;
        let how = if linkage == Linkage::Static { "static, fixed address" } else { "dynamic" };
        eprintln!("{}: {how}, {:.1} MiB", to.display(), bytes.len() as f64 / f64::from(1 << 20));
    }
    Ok(dist)
}

fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// `e_machine` of elf(5).
fn machine(arch: &str) -> u16 {
    if arch == "aarch64" { 183 } else { 62 }
}

fn folder_of(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for cargo")]
fn build(
    root: &Path,
    target_dir: &Path,
    target: &str,
    (name, profile): (&str, &str),
    linkage: Linkage,
) -> Result<(), String> {
    // With --target, these flags reach the product only, not build scripts and procedural macros.
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if !target.starts_with(env::consts::ARCH) {
        // Debian's name for the cross compiler; cargo's own variable still decides.
        let variable = format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_").to_uppercase());
        if env::var_os(&variable).is_none() {
            command.env(variable, target.replace("unknown-", "") + "-gcc");
        }
    }
    let status = command
        .args(["build", "--locked", "--profile", profile, "--target", target, "--bin", name, "-p", name])
        .env("RUSTFLAGS", linkage.flags())
        .env("CARGO_TARGET_DIR", target_dir)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}")) }
}

/// What the ELF header and the program headers say.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// `e_type`.
    kind: u16,
    /// `e_machine`.
    machine: u16,
    /// A program header asks for a loader.
    loader: bool,
}

impl Header {
    /// `None` if this is no ELF file that we know.
    fn read(file: &[u8]) -> Option<Self> {
        if file.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let half = |at: usize| Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?));
        let table = usize::try_from(u64::from_le_bytes(file.get(32..40)?.try_into().ok()?)).ok()?;
        let (kind, machine) = (half(16)?, half(18)?);
        let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
        let mut loader = false;
        for index in 0..count {
            let at = table.checked_add(index.checked_mul(size)?)?;
            let kind = u32::from_le_bytes(file.get(at..at.checked_add(4)?)?.try_into().ok()?);
            loader |= kind == PROGRAM_LOADER;
        }
        Some(Self { kind, machine, loader })
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, machine};
    use std::env;

    #[test]
    fn the_running_test_is_dynamic_and_a_text_is_no_elf() {
        let own = std::fs::read("/proc/self/exe").unwrap_or_default();
        let header = Header::read(&own);
        assert!(header.is_some_and(|header| header.loader && header.machine == machine(env::consts::ARCH)));
        assert_eq!(Header::read(b"#!/bin/sh\n"), None);
        assert_eq!(Header::read(b"\x7fELF\x02\x01 cut short"), None);
    }
}
