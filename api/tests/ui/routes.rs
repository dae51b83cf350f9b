//! The table of the pages' routes against the router: no route without a success and a failure.

use super::{HTML, common::*, send, started, text, with_engine};
use serde_json::json;
use std::collections::BTreeSet;

/// Every route of the pages: how it is asked, a success, a failure. `RUN` and `UPGRADE` are ids.
const ROUTES: &[(&str, &str, &str, u16, &str, u16)] = &[
    ("GET", "/ui", "/ui", 200, "/ui/nowhere", 404),
    ("GET", "/ui/", "/ui/", 308, "/ui//", 404),
    ("GET", "/ui/load", "/ui/load", 200, "/ui/load/x", 404),
    ("GET", "/ui/assets/{name}", "/ui/assets/app.js", 200, "/ui/assets/none", 404),
    ("GET", "/ui/skills", "/ui/skills", 308, "/ui/skills/", 404),
    ("GET", "/ui/skills/{id}", "/ui/skills/demo", 200, "/ui/skills/none", 404),
    ("GET", "/ui/skills/{id}/view", "/ui/skills/demo/view?path=SKILL.md", 200, "/ui/skills/demo/view", 422),
    ("POST", "/ui/skills/{id}/run", "/ui/skills/demo/run", 303, "/ui/skills/none/run", 404),
    ("GET", "/ui/engines", "/ui/engines", 200, "/ui/engines/", 404),
    ("POST", "/ui/engines/upgrades", "/ui/engines/upgrades", 303, "/ui/engines/upgrades/", 404),
    (
        "GET",
        "/ui/engines/upgrades/{id}/status",
        "/ui/engines/upgrades/UPGRADE/status",
        200,
        "/ui/engines/upgrades/none/status",
        404,
    ),
    ("GET", "/ui/engines/tui/session", "/ui/engines/tui/session", 200, "/ui/engines/tui", 404),
    ("GET", "/ui/engines/{engine}/models", "/ui/engines/codex/models", 200, "/ui/engines/none/models", 404),
    ("GET", "/ui/runs", "/ui/runs", 200, "/ui/runs?status=odd", 400),
    ("GET", "/ui/runs/{id}", "/ui/runs/RUN", 200, "/ui/runs/none", 404),
    ("GET", "/ui/runs/{id}/view", "/ui/runs/RUN/view?path=input.json", 200, "/ui/runs/RUN/view?path=../x", 400),
    (
        "GET",
        "/ui/runs/{id}/download",
        "/ui/runs/RUN/download?path=input.json",
        200,
        "/ui/runs/RUN/download?path=none",
        404,
    ),
    ("GET", "/ui/runs/{id}/logs/tail", "/ui/runs/RUN/logs/tail", 200, "/ui/runs/RUN/logs/tail?stream=pty", 400),
    ("POST", "/ui/runs/{id}/cancel", "/ui/runs/RUN/cancel", 303, "/ui/runs/none/cancel", 404),
    ("GET", "/ui/management/skills/table", "/ui/management/skills/table", 200, "/ui/management/skills", 404),
    ("GET", "/ui/management/engines/table", "/ui/management/engines/table", 200, "/ui/management/engines", 404),
    ("GET", "/ui/management/runs/table", "/ui/management/runs/table", 200, "/ui/management/runs/table?page=x", 422),
    ("GET", "/ui/management/runs/{id}/view", "/ui/management/runs/RUN/view", 200, "/ui/management/runs/none/view", 404),
    ("GET", "/ui/{*rest}", "/ui/load", 200, "/ui/x/y/z", 404),
];

#[test]
fn every_route_of_the_pages_answers_its_success_and_its_failure() {
    let worker = with_engine().init("echo done").start();
    let printed = format!("{:?}", skill_api::server::router(&worker.app));
    let served: BTreeSet<&str> =
        printed.split('"').filter(|part| part.starts_with("/ui") && !part.contains("__private")).collect();
    let listed: BTreeSet<&str> = ROUTES.iter().map(|row| row.1).collect();
    assert_eq!(served, listed, "routes without a row, or rows without a route");
    let run = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    let upgrade =
        worker.post("/v1/engines/upgrades", &json!({"mode": "single", "engine": "codex"})).json()["request_id"]
            .as_str()
            .unwrap()
            .to_owned();
    becomes("the upgrade ends", || {
        worker.get(&format!("/v1/engines/upgrades/{upgrade}")).json()["status"] == "succeeded"
    });
    let ask = |method: &str, path: &str| {
        let path = path.replace("RUN", &run).replace("UPGRADE", &upgrade);
        match (method, path.as_str()) {
            ("POST", path) if path.ends_with("/run") => send(worker.address, path, &[("engine", None, "codex")]),
            ("POST", path) => {
                let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
                request(worker.address, method, path, &form, b"mode=single&engine=codex")
            }
            (_, path) => request(worker.address, method, path, &[HTML], b""),
        }
    };
    for (method, _, good, status, bad, failure) in ROUTES {
        assert_eq!(ask(method, good).status, *status, "{method} {good}");
        let refused = ask(method, bad);
        assert_eq!(refused.status, *failure, "{method} {bad}");
        assert!(text(&refused).contains("<h1>"), "{bad}");
    }
}
