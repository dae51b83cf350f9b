//! The generations of an agent CLI: staged, proven, switched, rolled back. At every moment the old CLI answers or the new
//! one, and the next start and the next upgrade complete.

use crate::{
    scene::{ALL, each_call},
    trace::{Fault, in_memory},
    world::{NEW, OLD, World},
};
use std::{fs, path::Path, process::Command};

/// A world that can be brought back to what it was.
struct Kept(World);

impl Kept {
    fn new(world: World) -> Self {
        copy(&world.path(""), &["data", "cache"], &world.path("kept"));
        Self(world)
    }
    fn again(&self) {
        for folder in ["data", "cache"] {
            let _ = fs::remove_dir_all(self.0.path(folder));
        }
        copy(&self.0.path("kept"), &["data", "cache"], &self.0.path(""));
    }
}

fn copy(from: &Path, names: &[&str], to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names.iter().filter(|name| from.join(name).exists()) {
        assert!(Command::new("cp").arg("-a").arg(from.join(name)).arg(to).status().unwrap().success());
    }
}

/// `skill-init agents ARGS` in this world, cut off or failing at every call; before it the CLI said `before`.
fn sweep(world: World, args: &[&str], before: Option<&str>, faults: &[Fault]) {
    let kept = Kept::new(world);
    let world = &kept.0;
    let command = || {
        kept.again();
        let mut command = world.command(&["agents"]);
        command.args(args);
        command
    };
    each_call(&world.path("cache/npm"), faults, &[0], command, |case, _, _| {
        let answer = world.answer();
        let whole = answer == OLD || answer == NEW;
        assert!(whole || before.is_none(), "{case}: the CLI is gone: {answer}");
        let words = world.agents(&["ensure", "codex"], true);
        let answer = world.answer();
        assert!(answer == OLD || answer == NEW, "{case}: {answer}: {words}");
        assert!(world.leftovers().is_empty(), "{case}: {:?}", world.leftovers());
        assert!(world.status().contains("\"present\": true"), "{case}: {}", world.status());
        let words = world.agents(&["upgrade", "codex"], true);
        assert_eq!(world.answer(), NEW, "{case}: {words}");
    });
}

#[test]
fn a_first_install_cut_off_at_any_call_is_completed_by_the_next_start() {
    sweep(World::new_in(in_memory()), &["ensure", "codex"], None, ALL);
}

#[test]
fn an_upgrade_cut_off_at_any_call_leaves_a_cli_that_answers() {
    sweep(World::new_in(in_memory()).and_old(), &["upgrade", "codex"], Some(OLD), ALL);
}

#[test]
fn a_way_back_cut_off_at_any_call_leaves_a_cli_that_answers() {
    let world = World::new_in(in_memory()).and_old();
    world.agents(&["upgrade", "codex"], true);
    sweep(world, &["rollback", "codex"], Some(NEW), ALL);
}

// npm's own folder becomes a generation before it is replaced.
#[test]
fn the_adoption_of_a_plain_folder_cut_off_at_any_call_leaves_a_cli_that_answers() {
    let world = World::new_in(in_memory());
    let mut npm = Command::new(world.path("bin/npm"));
    npm.args(["install", "-g", "--prefix"]).arg(world.path("cache/npm")).arg("@openai/codex@1.0.0");
    assert!(npm.status().unwrap().success());
    assert_eq!(world.answer(), OLD);
    sweep(world, &["upgrade", "codex"], Some(OLD), ALL);
}
