//! kill -9 of init, of npm and of both, at every stage of an install and of an upgrade.

use crate::world::{NEW, OLD, World, kill_group};

const STAGES: u32 = 6;

fn sweep(old: bool) {
    for stage in 0..STAGES {
        for (init, npm) in [(true, false), (false, true), (true, true)] {
            let world = if old { World::with_old() } else { World::new() };
            let what = format!("stage {stage}, init killed: {init}, npm killed: {npm}");
            world.npm(&format!("stop-{stage}"));
            let mut child = world.start(&[if old { "upgrade" } else { "ensure" }, "codex"]);
            let group = world.reached();
            if old {
                assert_eq!(world.answer(), OLD, "{what}: while npm works");
            }
            if npm {
                kill_group(group);
            }
            if init {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            assert!(!status.success(), "{what}: {status}");
            if old {
                assert_eq!(world.answer(), OLD, "{what}: after the kill");
            }
            world.npm("good");
            let words = world.agents(&["ensure", "codex"], true);
            assert_eq!(world.answer(), if old { OLD } else { NEW }, "{what}: {words}");
            assert!(world.leftovers().is_empty(), "{what}: {:?}", world.leftovers());
            assert!(world.status().contains("\"present\": true"), "{what}: {}", world.status());
            // Nothing of the killed one stands in the way of the next upgrade and of the way back.
            if old {
                world.agents(&["upgrade", "codex"], true);
                assert_eq!(world.answer(), NEW, "{what}");
                world.agents(&["rollback", "codex"], true);
                assert_eq!(world.answer(), OLD, "{what}");
            }
        }
    }
}

#[test]
fn a_kill_at_any_stage_of_an_install_is_mended_by_the_next_ensure() {
    sweep(false);
}

#[test]
fn a_kill_at_any_stage_of_an_upgrade_leaves_the_old_cli_working() {
    sweep(true);
}
