//! The document and the server agree: routes both ways, and every answer of every operation against its schema.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::{prover::operations, *};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Every endpoint of the reference's HTTP surface but its pages, as its documentation lists them (3.1 to 3.4).
const DOCUMENTED: &str = "
    get /
    get /docs
    get /redoc
    get /openapi.json
    get /v1/skills
    get /v1/skills/{id}
    post /v1/skill-packages/install
    get /v1/skill-packages/{request_id}
    post /v1/jobs
    post /v1/jobs/cleanup
    post /v1/temp-skill-runs
    post REQUEST/{id}/upload
    get REQUEST/{id}
    get REQUEST/{id}/result
    get REQUEST/{id}/artifacts
    get REQUEST/{id}/artifacts/{path}
    get REQUEST/{id}/bundle
    get REQUEST/{id}/logs
    get REQUEST/{id}/logs/range
    get REQUEST/{id}/events
    get REQUEST/{id}/events/history
    get REQUEST/{id}/interaction/pending
    post REQUEST/{id}/interaction/reply
    post REQUEST/{id}/cancel
    get /v1/engines
    get /v1/engines/{engine}/models
    get /v1/engines/{engine}/models/manifest
    post /v1/engines/{engine}/models/snapshots
    get /v1/engines/auth-status
    post /v1/engines/upgrades
    get /v1/engines/upgrades/{id}
    post LOGIN
    get LOGIN/{id}
    post LOGIN/{id}/input
    post LOGIN/{id}/cancel
    get /v1/engines/auth/oauth-proxy/callback/openai
    get /v1/engines/auth/callback/openai
    get /auth/callback
    get /v1/management/skills
    get /v1/management/skills/{id}
    get /v1/management/skills/{id}/schemas
    get /v1/management/engines
    get /v1/management/engines/{engine}
    get /v1/management/runs
    get /v1/management/runs/{id}
    get /v1/management/runs/{id}/files
    get /v1/management/runs/{id}/file
    get /v1/management/runs/{id}/events
    get /v1/management/runs/{id}/events/history
    get /v1/management/runs/{id}/protocol/history
    get /v1/management/runs/{id}/logs/range
    get /v1/management/runs/{id}/pending
    post /v1/management/runs/{id}/reply
    post /v1/management/runs/{id}/cancel
";

fn documented() -> Vec<(String, String)> {
    let mut out = Vec::new();
    for line in DOCUMENTED.lines().filter(|line| !line.trim().is_empty()) {
        let (method, path) = line.trim().split_once(' ').unwrap();
        let prefixes: &[&str] = match path {
            path if path.starts_with("REQUEST") => &["/v1/jobs", "/v1/temp-skill-runs"],
            path if path.starts_with("LOGIN") => &[
                "/v1/engines/auth/oauth-proxy/sessions",
                "/v1/engines/auth/cli-delegate/sessions",
                "/v1/engines/auth/sessions",
            ],
            _ => &[""],
        };
        for prefix in prefixes {
            let path = path.replacen("REQUEST", prefix, 1).replacen("LOGIN", prefix, 1);
            out.push((method.to_owned(), path));
        }
    }
    out
}

#[test]
fn every_route_is_in_the_document_and_every_operation_is_served() {
    let worker = Setup::new().start();
    let document = worker.get("/openapi.json").json();
    // The router lists its paths when it is printed; nothing else of it is a text that begins with a slash.
    let printed = format!("{:?}", skill_api::server::router(&worker.app));
    let paths: BTreeSet<&str> = printed.split('"').filter(|part| part.starts_with('/')).collect();
    assert!(paths.len() > 50, "{paths:?}");
    let mut served = BTreeSet::new();
    for path in
        paths.into_iter().filter(|path| *path != "/ui" && !path.starts_with("/ui/") && !path.contains("__private"))
    {
        let concrete: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let answer = request(worker.address, "PATCH", &concrete.join("/"), &[], b"");
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header("allow").unwrap_or_else(|| panic!("{path}: no Allow"));
        for method in
            allowed.split(',').map(|method| method.trim().to_ascii_lowercase()).filter(|method| method != "head")
        {
            served.insert((method, path.replace("{*", "{")));
        }
    }
    assert_eq!(served, operations(&document));
}

#[test]
fn every_documented_endpoint_is_served() {
    let worker = Setup::new().start();
    let served = operations(&worker.get("/openapi.json").json());
    for endpoint in documented() {
        assert!(served.contains(&endpoint), "{endpoint:?} is not served");
    }
}

#[test]
fn the_document_is_sound_and_says_what_is_protected() {
    let worker = Setup::new().start();
    let document = worker.get("/openapi.json").json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(used, known, "schemas that are missing or never used");
    for (name, schema) in schemas {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
    let mut ids = BTreeSet::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][&method];
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}: its id is taken");
        let declared: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let wanted: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(declared, wanted, "{method} {path}");
        assert_eq!(!operation["security"].is_null(), worker.app.auth.protects(&path), "{method} {path}");
    }
    let page = worker.get("/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="), "it loads something");
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'sha256-"));
    assert_eq!(worker.get("/redoc").body, page.body);
}

#[test]
fn the_document_says_where_a_password_is_asked_for_now() {
    for (setup, expected) in
        [(Setup::new(), json!([{}, {"basic": []}])), (Setup::new().guarded("me", "secret"), json!([{"basic": []}]))]
    {
        let document = setup.start().get("/openapi.json").json();
        assert_eq!(document["paths"]["/v1/skill-packages/install"]["post"]["security"], expected);
        assert!(document["paths"]["/v1/jobs"]["post"]["security"].is_null());
    }
}

#[test]
fn what_the_document_allows_as_a_parameter_is_taken_and_nothing_beside_it() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    let document = worker.get("/openapi.json").json();
    let mut seen = BTreeSet::new();
    // Temporary runs have the parameters of jobs.
    for (method, path) in operations(&document).into_iter().filter(|(_, path)| !path.starts_with("/v1/temp-skill-runs"))
    {
        let operation = &document["paths"][&path][&method];
        let of = |which: &str| -> Vec<&Value> {
            operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == which).collect()
        };
        let filled = path.replace("{id}", &id).replace("{path}", "artifacts/x");
        let good = |schema: &Value| -> Vec<String> {
            match (schema["enum"].as_array(), schema["format"].as_str(), schema["maximum"].as_u64()) {
                (Some(words), ..) => words.iter().map(|word| word.as_str().unwrap().to_owned()).collect(),
                (_, Some("date-time"), _) => {
                    ["2026-11-23T16:00:00+08:00", "0001-01-01T00:00:00Z", "2026-11-23t08:00:00.5z"]
                        .map(|time| time.replace('+', "%2B"))
                        .into()
                }
                (.., Some(most)) => vec!["0".to_owned(), most.to_string()],
                _ => vec!["input.json".to_owned()],
            }
        };
        for parameter in of("query") {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let others: String = of("query")
                .into_iter()
                .filter(|other| *other != parameter && other["required"] == true)
                .map(|other| format!("&{}={}", other["name"].as_str().unwrap(), good(&other["schema"])[0]))
                .collect();
            for value in good(schema) {
                let asked = format!("{filled}?{name}={value}{others}");
                assert_eq!(worker.get(&asked).status, 200, "{asked}");
            }
            let bad = schema["maximum"].as_u64().map_or_else(|| "..".to_owned(), |most| format!("{most}0"));
            let asked = format!("{filled}?{name}={bad}{others}");
            assert!([400, 422].contains(&worker.get(&asked).status), "{asked}");
            seen.insert(name.to_owned());
        }
    }
    for name in ["stream", "from_ts", "byte_to", "attempt", "cursor", "page", "path"] {
        assert!(seen.contains(name), "{name}");
    }
}

fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                out.insert(reference.rsplit('/').next().unwrap().to_owned());
            }
            map.values().for_each(|value| references(value, out));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, out)),
        _ => {}
    }
}

#[test]
fn the_document_passes_an_independent_validator() {
    let worker = Setup::new().start();
    let file = worker.path("openapi.json");
    fs::write(&file, worker.get("/openapi.json").body).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-validator");
    let python = folder.join("bin/python");
    let has = |python: &Path| {
        Command::new(python)
            .args(["-c", "import openapi_spec_validator"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !has(&python) {
        let steps = [
            ("python3", vec!["-m", "venv", folder.to_str().unwrap()]),
            (
                python.to_str().unwrap(),
                vec!["-m", "pip", "install", "--quiet", "--retries", "0", "openapi-spec-validator"],
            ),
        ];
        for (program, arguments) in steps {
            match Command::new(program).args(&arguments).output() {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    return skips::skip(format_args!("{program}: {}", String::from_utf8_lossy(&output.stderr)));
                }
                Err(error) => return skips::skip(format_args!("{program}: {error}")),
            }
        }
    }
    let said = Command::new(&python).args(["-m", "openapi_spec_validator"]).arg(&file).output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}
