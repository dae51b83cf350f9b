//! The CLIs never stand between a container and its readiness: not while npm works, not while a CLI says nothing.

use crate::{
    fixture::Init,
    world::{World, kill_group},
};
use std::fs;

const APP: &str = r#"
    [service.app]
    command = ["sh", "-c", "echo >&5; exec sleep 1000"]
    readiness = { fd = 5 }
    essential = true
"#;

/// A whole start over a prefix.
fn start(world: &World, ensure: &str) -> Init {
    let path = |name: &str| world.path(name).display().to_string();
    Init::start_with(
        APP,
        &[
            ("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin", path("bin"))),
            ("SKILL_RUNNER_DATA_DIR", &path("data")),
            ("SKILL_RUNNER_AGENT_CACHE_DIR", &path("cache")),
            ("SKILL_INIT_CATALOGUE", &path("table.toml")),
            ("SKILL_INIT_ENGINES", "codex"),
            ("SKILL_INIT_CHECK_TIMEOUT", "10m"),
            ("SKILL_INIT_ENSURE", ensure),
        ],
    )
}

#[test]
fn an_npm_that_never_ends_does_not_keep_the_container_from_being_ready() {
    let world = World::new();
    world.npm("stop-0");
    let mut init = start(&world, "background");
    init.ready();
    let group = world.reached();
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(0), "while npm works");
    assert!(world.status().contains("\"present\": false"), "{}", world.status());
    init.stop();
    // npm went with its init: nobody is left in its group.
    assert!(nix::sys::signal::killpg(group, None).is_err());
}

#[test]
fn a_cli_that_says_nothing_does_not_keep_the_container_from_being_ready() {
    for ensure in ["background", "off"] {
        let world = World::with_old();
        let program = world.path("cache/npm/.skill-init/codex/1-1.0.0/lib/node_modules/@openai/codex/bin/codex.js");
        let fifos = format!("echo $$ > {0}/reached; read -r _ < {0}/go", world.path("bin").display());
        fs::write(&program, format!("#!/bin/sh\n{fifos}\n")).unwrap();
        let mut init = start(&world, ensure);
        init.ready();
        // Only now is it known that the CLI had been asked and was silent.
        let asked = fs::read_to_string(world.path("bin/reached")).unwrap();
        assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(0), "{ensure}");
        kill_group(nix::unistd::Pid::from_raw(asked.trim().parse().unwrap()));
        assert!(init.stop().success(), "{ensure}");
    }
}
