//! Everything that a release consists of, in `target/release-VERSION`: tarballs, a Debian package, the list of components,
//! checksums. `RELEASING.md` says when and how to use it.
//!
//! The same sources give the same archives: entries are sorted, belong to root, and carry the time of the last commit
//! (or `SOURCE_DATE_EPOCH`). What has been packed is unpacked again and run before its checksum is written.

use crate::dist::{self, Linkage};
use skill_init::sys::utc::Utc;
use std::{
    env,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const USAGE: &str = "usage: cargo xtask release [--profile NAME]";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where a file of the repository goes, and its mode; `*` stands for every file of that folder.
const FILES: [(&str, &str, u32); 12] = [
    ("docs/man/*", "share/man/man1/", 0o644),
    ("completions/skill-init.bash", "share/bash-completion/completions/skill-init", 0o644),
    ("completions/_skill-init", "share/zsh/vendor-completions/_skill-init", 0o644),
    ("completions/skill-init.fish", "share/fish/vendor_completions.d/skill-init.fish", 0o644),
    ("docs/services.schema.json", "share/skill-init/services.schema.json", 0o644),
    ("docs/examples/init.toml", "share/skill-init/init.toml", 0o644),
    ("docs/grafana-dashboard.json", "share/skill-init/grafana-dashboard.json", 0o644),
    ("image/seccomp/skill-runner.json", "share/skill-init/seccomp/skill-runner.json", 0o644),
    ("README.md", "share/doc/skill-init/README.md", 0o644),
    ("CHANGELOG.md", "share/doc/skill-init/CHANGELOG.md", 0o644),
    ("LICENSE-APACHE", "share/doc/skill-init/LICENSE-APACHE", 0o644),
    ("LICENSE-MIT", "share/doc/skill-init/LICENSE-MIT", 0o644),
];

/// Debian's words for what is in the package (deb-control(5)).
const CONTROL: &str = "\
Package: skill-init
Version: @VERSION@
Architecture: @ARCH@
Maintainer: The skill-init authors <skill-init@example.org>
Section: admin
Priority: optional
Installed-Size: @SIZE@
Description: PID 1 for AI-agent containers: probe, plan, apply, supervise
 An init that prepares the volumes of an agent container, supervises its services, reaps orphans, answers health
 questions and ends everything in order. The embedded API worker comes with it. Statically linked.
";

/// debian-policy 12.5: the licence is part of the package.
const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: skill-init

Files: *
Copyright: The skill-init authors
License: Apache-2.0 or MIT
 See LICENSE-APACHE and LICENSE-MIT beside this file.
";

/// Builds, packs, checks. Errors are words for a person.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let profile = match args {
        [] => None,
        [flag, name] if flag == "--profile" => Some(name.as_str()),
        _ => return Err(USAGE.to_owned()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let out = root.join(format!("target/release-{VERSION}"));
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let epoch = epoch(root)?;
    let mut made = Vec::new();
    for linkage in [Linkage::Static, Linkage::Dynamic] {
        let binaries = dist::artefact(root, profile, linkage, env::consts::ARCH)?;
        let name = format!("skill-init-{VERSION}-{}-linux-gnu-{}", env::consts::ARCH, linkage.word());
        let stage = out.join(".stage").join(&name);
        stage_into(root, &binaries, &stage, "sbin")?;
        let archive = out.join(format!("{name}.tar.gz"));
        pack(&stage, &archive, &epoch)?;
        check_archive(&archive, &out.join(".check").join(&name), &name)?;
        made.push(archive);
        if linkage == Linkage::Static {
            made.push(debian(root, &binaries, &out, &epoch)?);
        }
    }
    made.extend(components(root, &out, &epoch)?);
    let mut sums = String::new();
    for file in &made {
        let sum = ran(Command::new("sha256sum").arg("--").arg(name_of(file)).current_dir(&out))?;
        sums.push_str(&String::from_utf8_lossy(&sum.stdout));
    }
    write(&out.join("SHA256SUMS"), &sums, 0o644)?;
    ran(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&out))?;
    for folder in [".stage", ".check"] {
        let _ = fs::remove_dir_all(out.join(folder));
    }
    for file in made.iter().chain([&out.join("SHA256SUMS")]) {
        let size = fs::metadata(file).map_or(0, |meta| meta.len());
        eprintln!("{}: {:.1} MiB", file.display(), size as f64 / f64::from(1 << 20));
    }
    Ok(())
}

/// The time that every packed file carries.
fn epoch(root: &Path) -> Result<String, String> {
    if let Some(given) = env::var_os("SOURCE_DATE_EPOCH") {
        return Ok(given.to_string_lossy().into_owned());
    }
    let said = ran(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The tree below a prefix: programs in `SBIN`, everything else where a distribution looks for it.
fn stage_into(root: &Path, binaries: &Path, prefix: &Path, sbin: &str) -> Result<(), String> {
    for (name, _) in dist::BINARIES {
        copy(&binaries.join(name), &prefix.join(sbin).join(name), 0o755)?;
    }
    for (from, to, mode) in FILES {
        match from.strip_suffix('*') {
            None => copy(&root.join(from), &prefix.join(to), mode)?,
            Some(folder) => {
                let entries = fs::read_dir(root.join(folder)).map_err(|error| format!("{folder}: {error}"))?;
                for entry in entries {
                    let path = entry.map_err(|error| format!("{folder}: {error}"))?.path();
                    copy(&path, &prefix.join(to).join(name_of(&path)), mode)?;
                }
            }
        }
    }
    Ok(())
}

fn pack(stage: &Path, archive: &Path, epoch: &str) -> Result<(), String> {
    let (folder, name) = (stage.parent().ok_or("a stage without a parent")?, name_of(stage));
    ran(Command::new("tar")
        .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"])
        .args([&format!("--mtime=@{epoch}"), "--use-compress-program=gzip -9n", "--file"])
        .arg(archive)
        .arg("-C")
        .args([folder.as_os_str(), name.as_ref()]))?;
    Ok(())
}

/// Unpacks it elsewhere and runs both programs.
fn check_archive(archive: &Path, into: &Path, name: &str) -> Result<(), String> {
    fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    ran(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into))?;
    runs(&into.join(name).join("sbin"))
}

/// Both programs say this version.
fn runs(sbin: &Path) -> Result<(), String> {
    for (name, _) in dist::BINARIES {
        // A program that serves instead of answering must not hold the release up.
        let said = ran(Command::new("timeout").arg("60").arg(sbin.join(name)).arg("--version"))?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if said != format!("{name} {VERSION}") {
            return Err(format!("{}: --version said {said:?}", sbin.join(name).display()));
        }
    }
    Ok(())
}

/// The Debian package, installed into a root of its own and run from there.
fn debian(root: &Path, binaries: &Path, out: &Path, epoch: &str) -> Result<PathBuf, String> {
    let said = ran(Command::new("dpkg").arg("--print-architecture"))?;
    let arch = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let stage = out.join(".stage/deb");
    stage_into(root, binaries, &stage.join("usr"), "sbin")?;
    write(&stage.join("usr/share/doc/skill-init/copyright"), COPYRIGHT, 0o644)?;
    let pages = fs::read_dir(stage.join("usr/share/man/man1")).map_err(|error| format!("man1: {error}"))?;
    for page in pages.flatten() {
        ran(Command::new("gzip").args(["-9n"]).arg(page.path()))?;
    }
    let du = ran(Command::new("du").args(["-sk", "usr"]).current_dir(&stage))?;
    let size = String::from_utf8_lossy(&du.stdout).split_whitespace().next().unwrap_or("0").to_owned();
    let control = CONTROL.replace("@VERSION@", VERSION).replace("@ARCH@", &arch).replace("@SIZE@", &size);
    write(&stage.join("DEBIAN/control"), &control, 0o644)?;
    let sums = ran(Command::new("sh")
        .args(["-c", "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"])
        .current_dir(&stage))?;
    write(&stage.join("DEBIAN/md5sums"), &String::from_utf8_lossy(&sums.stdout), 0o644)?;
    let package = out.join(format!("skill-init_{VERSION}_{arch}.deb"));
    ran(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&stage)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", epoch))?;
    check_debian(&package, &out.join(".check/deb"))?;
    Ok(package)
}

/// dpkg itself installs it (as root), or unpacks it (as anybody else, and says so).
fn check_debian(package: &Path, into: &Path) -> Result<(), String> {
    let state = into.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        let folder = state.join(folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    write(&state.join("status"), "", 0o644)?;
    let id = ran(Command::new("id").arg("-u"))?;
    if id.stdout == b"0\n" {
        let log = format!("--log={}", into.join("dpkg.log").display());
        ran(Command::new("dpkg").arg(&log).arg("--root").arg(into).arg("--install").arg(package))?;
        let listed = ran(Command::new("dpkg").arg("--root").arg(into).args(["--status", "skill-init"]))?;
        if !String::from_utf8_lossy(&listed.stdout).contains("Status: install ok installed") {
            return Err("dpkg does not list the package as installed".to_owned());
        }
        ran(Command::new("dpkg").arg("--root").arg(into).args(["--verify", "skill-init"]))?;
    } else {
        eprintln!("SKIPPED: installing the .deb needs root; it is only unpacked");
        ran(Command::new("dpkg-deb").arg("--extract").arg(package).arg(into))?;
    }
    for file in ["man/man1/skill-init.1.gz", "man/man1/skill-init-agents-upgrade.1.gz", "doc/skill-init/copyright"] {
        if !into.join("usr/share").join(file).is_file() {
            return Err(format!("the package has no usr/share/{file}"));
        }
    }
    runs(&into.join("usr/sbin"))
}

/// What is in the programs: CycloneDX, one file per program, by cargo-cyclonedx.
fn components(root: &Path, out: &Path, epoch: &str) -> Result<Vec<PathBuf>, String> {
    if ran(Command::new("cargo-cyclonedx").args(["cyclonedx", "--version"])).is_err() {
        return Err("cargo-cyclonedx is missing: cargo install --locked cargo-cyclonedx".to_owned());
    }
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    ran(Command::new("cargo-cyclonedx")
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--all", "--target", &target])
        .args(["--override-filename", "sbom.cdx"])
        .current_dir(root))?;
    let mut made = Vec::new();
    for (folder, name) in [("", "skill-init"), ("api", "skill-api")] {
        let from = root.join(folder).join("sbom.cdx.json");
        let text = fs::read_to_string(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        let text = of_the_commit(&text, epoch)?;
        check_components(name, &text, root)?;
        let to = out.join(format!("{name}-{VERSION}.cdx.json"));
        write(&to, &text, 0o644)?;
        made.push(to);
    }
    for folder in ["", "api", "xtask", "fuzz/targets"] {
        let _ = fs::remove_file(root.join(folder).join("sbom.cdx.json"));
    }
    Ok(made)
}

/// The same commit gives the same list: no random serial number, and the commit's time instead of the clock's.
fn of_the_commit(text: &str, epoch: &str) -> Result<String, String> {
    let bad = |what: &dyn std::fmt::Display| format!("cargo-cyclonedx wrote a list that cannot be used: {what}");
    let mut list: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(&error))?;
    list.as_object_mut().ok_or_else(|| bad(&"no object"))?.remove("serialNumber");
    let seconds: i64 = epoch.parse().map_err(|error| format!("SOURCE_DATE_EPOCH {epoch}: {error}"))?;
    let time = Utc(seconds.saturating_mul(1000)).rfc3339();
    list.pointer_mut("/metadata").ok_or_else(|| bad(&"no metadata"))?["timestamp"] = time.into();
    serde_json::to_string_pretty(&list).map(|text| text + "\n").map_err(|error| bad(&error))
}

/// The list names the program, and every direct dependency with version, licence and package URL.
fn check_components(name: &str, text: &str, root: &Path) -> Result<(), String> {
    let bad = |what: &str| format!("the component list of {name} {what}");
    let list: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(&format!("is no JSON: {error}")))?;
    if list.get("bomFormat").and_then(|v| v.as_str()) != Some("CycloneDX") {
        return Err(bad("is not CycloneDX"));
    }
    if list.pointer("/metadata/component/name").and_then(|v| v.as_str()) != Some(name) {
        return Err(bad("is about something else"));
    }
    let components = list.get("components").and_then(|v| v.as_array()).ok_or_else(|| bad("has no components"))?;
    let mut wrong = String::new();
    for component in components {
        let text = |key: &str| component.get(key).and_then(|v| v.as_str()).unwrap_or_default();
        // The product's own library is part of the worker; it comes from no registry.
        let ours = text("name") == "skill-init";
        if text("version").is_empty()
            || !(ours || text("purl").starts_with("pkg:cargo/"))
            || component.get("licenses").is_none()
        {
            let _ = write!(wrong, " {}", text("name"));
        }
    }
    if !wrong.is_empty() {
        return Err(bad(&format!("lacks version, licence or package URL of:{wrong}")));
    }
    let manifest = root.join(if name == "skill-init" { "Cargo.toml" } else { "api/Cargo.toml" });
    let manifest = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let direct =
        manifest.split("[dependencies]\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    for dependency in direct.filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next()) {
        if !components.iter().any(|c| c.get("name").and_then(|v| v.as_str()) == Some(dependency)) {
            return Err(bad(&format!("does not know {dependency}")));
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    let words = |error: std::io::Error| format!("{} -> {}: {error}", from.display(), to.display());
    to.parent().map_or(Ok(()), fs::create_dir_all).map_err(words)?;
    fs::copy(from, to).and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode))).map_err(words)
}

fn write(to: &Path, text: &str, mode: u32) -> Result<(), String> {
    let words = |error: std::io::Error| format!("{}: {error}", to.display());
    to.parent().map_or(Ok(()), fs::create_dir_all).map_err(words)?;
    fs::write(to, text).and_then(|()| fs::set_permissions(to, fs::Permissions::from_mode(mode))).map_err(words)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for its tools")]
fn ran(command: &mut Command) -> Result<Output, String> {
    let what = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_beside_the_programs_is_there_and_is_data() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (from, _, mode) in FILES {
            let files: Vec<PathBuf> = match from.strip_suffix('*') {
                None => vec![root.join(from)],
                Some(folder) => fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect(),
            };
            assert!(!files.is_empty(), "{from} is empty");
            for file in files {
                let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                assert!(mode == 0o644 && !text.starts_with(b"#!"), "{} is a tool of developers", file.display());
            }
        }
    }
}
