//! Skills and uploads on file systems that say no: read-only, full, a layer of an image. Needs the right to mount.

use super::{INSTALL, common::*, install, refused, unchanged};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system of its own at a folder, for as long as this lives.
struct Mounted {
    at: PathBuf,
    root: PathBuf,
}

impl Mounted {
    /// Needs the right to mount; the reason where that is missing.
    fn new(root: &Path, below: &str, kind: &str, options: &str) -> Result<Self, String> {
        let at = root.join(below);
        fs::create_dir_all(&at).unwrap();
        let output = Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(&at).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self { at, root: root.to_owned() }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        // The worker could not remove it while it was mounted.
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn mounted(root: &Path, below: &str, kind: &str, options: &str) -> Option<Mounted> {
    match Mounted::new(root, below, kind, options) {
        Ok(mounted) => Some(mounted),
        Err(reason) => {
            skips::skip(format_args!("{kind} cannot be mounted here: {reason}"));
            None
        }
    }
}

#[test]
fn a_skills_folder_that_cannot_be_written_says_what_to_do() {
    let setup = Setup::new();
    let Some(_mounted) = mounted(setup.dir.path(), "skills", "tmpfs", "ro") else { return };
    let worker = setup.start();
    let reason = refused(&worker, &package("demo", &json!({})));
    assert!(reason.contains("Read-only file system") && reason.contains("mount it writable"), "{reason}");
    assert_eq!(worker.get("/v1/skills").json(), json!([]));
}

#[test]
fn a_full_disk_leaves_the_old_skill_and_no_rubbish() {
    let setup = Setup::new();
    let skills = setup.skills();
    let Some(_mounted) = mounted(setup.dir.path(), "skills", "tmpfs", "size=400k") else { return };
    write_skill(&skills, "demo", &json!({}));
    let worker = setup.start();
    // Nothing that compresses: it must be the disk that says no, not a limit.
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(600_000)
    .collect();
    let mut entries = package_entries("demo", &json!({"version": "2.0.0"}));
    entries.push(("demo/noise".to_owned(), noise));
    let reason = refused(&worker, &zip(&entries));
    assert!(reason.contains("No space left") && reason.contains("make room"), "{reason}");
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "1.0.0");
    unchanged(&worker, &["demo"]);
    assert_eq!(install(&worker, &package("demo", &json!({"version": "2.0.0"})))["status"], "succeeded");
}

#[test]
fn a_skill_of_the_image_is_updated_although_its_layer_cannot_be_renamed() {
    let setup = Setup::new();
    let skills = setup.skills();
    // The upper layer must not lie on an overlay itself.
    let Some(_disk) = mounted(setup.dir.path(), "disk", "tmpfs", "size=8m") else { return };
    let disk = setup.dir.path().join("disk");
    for below in ["lower", "upper", "work"] {
        fs::create_dir_all(disk.join(below)).unwrap();
    }
    write_skill(&disk.join("lower"), "demo", &json!({}));
    let layers = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,redirect_dir=off", disk.display());
    let Some(_overlay) = mounted(setup.dir.path(), "skills", "overlay", &layers) else { return };
    assert_eq!(
        fs::rename(skills.join("demo"), skills.join("x")).unwrap_err().kind(),
        std::io::ErrorKind::CrossesDevices,
        "the layer of the image can be renamed: this proves nothing"
    );
    let worker = setup.start();
    let record = install(&worker, &package("demo", &json!({"version": "2.0.0"})));
    assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("update")), "{record}");
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "2.0.0");
    assert!(worker.path("skills/.archive/demo/1.0.0/SKILL.md").exists());
    unchanged(&worker, &["demo"]);
}

#[test]
fn an_upload_to_a_full_data_volume_says_so() {
    let setup = Setup::new();
    let Some(_mounted) = mounted(setup.dir.path(), "data/skill_packages", "tmpfs", "size=100k") else { return };
    let worker = setup.start();
    assert_eq!(worker.post_form(INSTALL, &[("file", &[7; 400_000])]).status, 507);
}
