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
use common::*;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

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

/// `(method, path)` of the document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())).collect()
    };
    paths.iter().flat_map(methods).collect()
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

/// Unknown fields are a mistake wherever a schema lists the fields.
fn strict(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut out: Map<String, Value> = map.iter().map(|(key, value)| (key.clone(), strict(value))).collect();
            if map.get("properties").is_some_and(Value::is_object) && !map.contains_key("additionalProperties") {
                out.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(out)
        }
        Value::Array(list) => Value::Array(list.iter().map(strict).collect()),
        other => other.clone(),
    }
}

/// Asks, compares with the document, and remembers what was asked.
struct Prover {
    worker: Worker,
    document: Value,
    schemas: Value,
    proven: BTreeMap<(String, String), BTreeSet<u16>>,
}

enum Send<'a> {
    Nothing,
    Json(Value),
    Raw(&'a str),
    Form(&'a [(&'a str, &'a [u8])]),
}

impl Prover {
    fn new(worker: Worker) -> Self {
        let document = worker.get("/openapi.json").json();
        let schemas = strict(&document["components"]["schemas"]);
        Self { worker, document, schemas, proven: BTreeMap::new() }
    }

    fn valid(&self, schema: &Value, body: &Value, what: &str) {
        let mut whole = strict(schema).as_object().unwrap().clone();
        whole.insert("components".to_owned(), json!({"schemas": self.schemas}));
        let validator = jsonschema::validator_for(&Value::Object(whole)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}\n{body:#}");
    }

    /// `path` is the document's; `{...}` are filled in order from `with`, a query string may follow as the last of them.
    fn ask(&mut self, method: &str, path: &str, with: &[&str], send: &Send<'_>, status: u16) -> Answer {
        let operation = self.document["paths"][path][method].clone();
        assert!(operation.is_object(), "{method} {path} is not in the document");
        let (mut concrete, mut with) = (path.to_owned(), with.iter());
        while let (Some(from), Some(to)) = (concrete.find('{'), concrete.find('}')) {
            concrete.replace_range(from..=to, with.next().expect("a value for every parameter"));
        }
        if let Some(query) = with.next() {
            concrete.push_str(query);
        }
        let what = format!("{method} {concrete}");
        let (kind, body) = match send {
            Send::Nothing => (String::new(), Vec::new()),
            Send::Json(body) => ("application/json".to_owned(), body.to_string().into_bytes()),
            Send::Raw(text) => ("application/json".to_owned(), text.as_bytes().to_vec()),
            Send::Form(parts) => form(parts),
        };
        let headers = [("content-type", kind.as_str())];
        let headers: &[_] = if kind.is_empty() { &[] } else { &headers };
        let answer = request(self.worker.address, &method.to_ascii_uppercase(), &concrete, headers, &body);
        assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{what}: {status} is not in the document");
        if let (Send::Json(body), true) = (send, status < 300) {
            // What a server takes, its document allows.
            self.valid(&operation["requestBody"]["content"]["application/json"]["schema"], body, &what);
        }
        match response["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{what}"),
            Some(content) => {
                let (kind, of) = content.iter().next().unwrap();
                let given = answer.header("content-type").unwrap_or_default().split(';').next().unwrap().to_owned();
                assert!(kind == "*/*" || *kind == given, "{what}: {given}, not {kind}");
                if let Some(schema) = of.get("schema") {
                    self.valid(schema, &answer.json(), &what);
                }
            }
        }
        self.proven.entry((method.to_owned(), path.to_owned())).or_default().insert(status);
        answer
    }

    fn get(&mut self, path: &str, with: &[&str], status: u16) -> Answer {
        self.ask("get", path, with, &Send::Nothing, status)
    }

    fn post(&mut self, path: &str, with: &[&str], body: Value, status: u16) -> Answer {
        self.ask("post", path, with, &Send::Json(body), status)
    }
}

#[test]
fn every_operation_answers_success_and_failure_as_the_document_says() {
    let setup = Setup::new()
        .skill("demo")
        .cli("codex", &format!("mkdir -p artifacts; echo hi > artifacts/a.txt; {}", codex_says(r#"{"answer": 1}"#)))
        .env("SKILL_API_UPLOAD_MAX_BYTES", "20000")
        .env("TEMP_SKILL_PACKAGE_MAX_BYTES", "20000");
    write_skill(&setup.dir.path().join("skills"), "ask", &json!({"execution_modes": ["auto", "interactive"]}));
    write_skill(&setup.dir.path().join("skills"), "reader", &json!({}));
    let schema = json!({"type": "object", "properties": {"paper": {"type": "string"}}, "required": ["paper"]});
    fs::write(setup.dir.path().join("skills/reader/assets/input.schema.json"), schema.to_string()).unwrap();
    fs::create_dir_all(setup.dir.path().join("skills/broken/assets")).unwrap();
    let mut all = Prover::new(setup.start());
    let id_of = |answer: &Answer| answer.json()["request_id"].as_str().unwrap().to_owned();
    let big = vec![7u8; 30_000];

    for (path, _) in
        [("/", ()), ("/v1/system/ping", ()), ("/metrics", ()), ("/docs", ()), ("/redoc", ()), ("/openapi.json", ())]
    {
        all.get(path, &[], if path == "/v1/system/ping" { 204 } else { 200 });
    }
    all.get("/v1/skills", &[], 200);
    all.get("/v1/skills/{id}", &["demo"], 200);
    all.get("/v1/skills/{id}", &["none"], 404);
    all.get("/v1/skills/{id}", &["%ff"], 404);

    let installed = all.ask(
        "post",
        "/v1/skill-packages/install",
        &[],
        &Send::Form(&[("file", &package("fresh", &json!({})))]),
        200,
    );
    all.ask("post", "/v1/skill-packages/install", &[], &Send::Form(&[("file", &big)]), 413);
    all.ask("post", "/v1/skill-packages/install", &[], &Send::Form(&[("else", b"x")]), 422);
    all.get("/v1/skill-packages/{request_id}", &[&id_of(&installed)], 200);
    all.get("/v1/skill-packages/{request_id}", &["none"], 404);

    // One ended request of each kind, and one of each that waits for its upload.
    all.post("/v1/jobs", &[], json!({"skill_id": "demo", "parameter": {"n": "x"}}), 400);
    all.post("/v1/jobs", &[], json!({"skill_id": "none"}), 404);
    all.ask("post", "/v1/jobs", &[], &Send::Raw(&format!("\"{}\"", "x".repeat((8 << 20) + 8))), 413);
    all.post("/v1/jobs", &[], json!({}), 422);
    all.post("/v1/jobs", &[], json!({"skill_id": "ask", "runtime_options": {"execution_mode": "interactive"}}), 501);
    let job =
        id_of(&all.post("/v1/jobs", &[], json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}), 200));
    let reader = json!({"skill_id": "reader", "model": "m", "input": {}});
    let open_job = id_of(&all.post("/v1/jobs", &[], reader.clone(), 200));
    let upload = "/v1/jobs/{id}/upload";
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", b"no zip")]), 400);
    all.ask("post", upload, &["none"], &Send::Form(&[("file", b"x")]), 404);
    all.ask("post", upload, &[&job], &Send::Form(&[("file", b"x")]), 409);
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", &big)]), 413);
    all.ask("post", upload, &[&open_job], &Send::Form(&[]), 422);
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", &zip(&[("paper.txt", b"p")]))]), 200);
    let still_open_job = id_of(&all.post("/v1/jobs", &[], reader, 200));
    all.post("/v1/temp-skill-runs", &[], json!({"engine": "nope"}), 400);
    all.ask("post", "/v1/temp-skill-runs", &[], &Send::Raw(&format!("\"{}\"", "x".repeat((8 << 20) + 8))), 413);
    all.ask("post", "/v1/temp-skill-runs", &[], &Send::Raw("{"), 422);
    let temp = id_of(&all.post("/v1/temp-skill-runs", &[], json!({"parameter": {"n": 1}}), 200));
    let upload = "/v1/temp-skill-runs/{id}/upload";
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", b"no zip")]), 400);
    all.ask("post", upload, &["none"], &Send::Form(&[("skill_package", b"x")]), 404);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", &big)]), 413);
    all.ask("post", upload, &[&temp], &Send::Form(&[("file", b"x")]), 422);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", &package("passing", &json!({})))]), 200);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", b"x")]), 409);
    let open_temp = id_of(&all.post("/v1/temp-skill-runs", &[], json!({}), 200));

    for (prefix, id, open) in [("/v1/jobs", &job, &still_open_job), ("/v1/temp-skill-runs", &temp, &open_temp)] {
        assert_eq!(all.worker.settled(prefix, id)["status"], "succeeded");
        for below in [
            "",
            "/result",
            "/artifacts",
            "/bundle",
            "/bundle/debug",
            "/logs",
            "/events",
            "/events/history",
            "/interaction/pending",
        ] {
            all.get(&format!("{prefix}/{{id}}{below}"), &[id], 200);
            all.get(&format!("{prefix}/{{id}}{below}"), &["none"], 404);
        }
        for below in ["", "/events/history", "/interaction/pending"] {
            all.get(&format!("{prefix}/{{id}}{below}"), &[open], 200);
        }
        all.get(&format!("{prefix}/{{id}}/result"), &[open], 404);
        all.get(&format!("{prefix}/{{id}}/events"), &[id, "?cursor=x"], 422);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_seq=2&limit=1"], 200);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_ts=yesterday"], 400);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_seq=x"], 422);
        let range = format!("{prefix}/{{id}}/logs/range");
        all.get(&range, &[id, "?stream=stdout&byte_from=0&byte_to=5"], 200);
        all.get(&range, &[id, "?stream=x"], 400);
        all.get(&range, &["none", "?stream=stdout"], 404);
        all.get(&range, &[id], 422);
        let artifact = format!("{prefix}/{{id}}/artifacts/{{path}}");
        all.get(&artifact, &[id, "artifacts/a.txt"], 200);
        all.get(&artifact, &[id, "result/result.json"], 400);
        all.get(&artifact, &[id, "artifacts/none"], 404);
        let reply = format!("{prefix}/{{id}}/interaction/reply");
        let answer = json!({"interaction_id": 1, "response": "yes"});
        all.post(&reply, &[id], answer.clone(), 400);
        all.post(&reply, &["none"], answer, 404);
        all.ask("post", &reply, &[id], &Send::Raw("{"), 422);
        all.ask("post", &format!("{prefix}/{{id}}/cancel"), &[id], &Send::Nothing, 200);
        all.ask("post", &format!("{prefix}/{{id}}/cancel"), &["none"], &Send::Nothing, 404);
    }

    all.get("/v1/engines", &[], 200);
    all.get("/v1/engines/auth-status", &[], 200);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": [{"id": "m"}]}), 200);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": [{"id": "m"}]}), 409);
    all.post("/v1/engines/{engine}/models/snapshots", &["none"], json!({"models": []}), 404);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": 1}), 422);
    for below in ["models", "models/manifest", "sandbox"] {
        all.get(&format!("/v1/engines/{{engine}}/{below}"), &["codex"], 200);
        all.get(&format!("/v1/engines/{{engine}}/{below}"), &["none"], 404);
    }
    let upgrade = id_of(&all.post("/v1/engines/upgrades", &[], json!({"mode": "single", "engine": "codex"}), 200));
    all.post("/v1/engines/upgrades", &[], json!({"mode": "some"}), 422);
    all.get("/v1/engines/upgrades/{id}", &[&upgrade], 200);
    all.get("/v1/engines/upgrades/{id}", &["none"], 404);

    for path in ["/skills", "/engines", "/concurrency", "/runs"] {
        all.get(&format!("/v1/management{path}"), &[], 200);
    }
    all.get("/v1/management/runs", &["?page=x"], 422);
    for (path, name) in [("/skills/{id}", "demo"), ("/skills/{id}/schemas", "demo"), ("/engines/{engine}", "codex")] {
        all.get(&format!("/v1/management{path}"), &[name], 200);
        all.get(&format!("/v1/management{path}"), &["none"], 404);
    }
    let broken = all.worker.path("skills/ask/assets/output.schema.json");
    fs::write(broken, "{").unwrap();
    all.get("/v1/management/skills/{id}/schemas", &["ask"], 409);
    for below in ["", "/files", "/events", "/events/history", "/pending"] {
        all.get(&format!("/v1/management/runs/{{id}}{below}"), &[&job], 200);
        all.get(&format!("/v1/management/runs/{{id}}{below}"), &["none"], 404);
    }
    all.get("/v1/management/runs/{id}/events", &[&job, "?cursor=x"], 422);
    all.get("/v1/management/runs/{id}/events/history", &[&job, "?to_ts=now"], 400);
    all.get("/v1/management/runs/{id}/events/history", &[&job, "?to_seq=x"], 422);
    for (below, good, bad) in [
        ("/file", "?path=result/result.json", "?path=../x"),
        ("/protocol/history", "?stream=rasp", "?stream=x"),
        ("/logs/range", "?stream=stderr", "?stream=x"),
    ] {
        let path = format!("/v1/management/runs/{{id}}{below}");
        all.get(&path, &[&job, good], 200);
        all.get(&path, &[&job, bad], 400);
        all.get(&path, &["none", good], 404);
        all.get(&path, &[&job], 422);
    }
    let answer = json!({"interaction_id": 1, "response": "yes"});
    all.post("/v1/management/runs/{id}/reply", &[&job], answer.clone(), 409);
    all.post("/v1/management/runs/{id}/reply", &["none"], answer, 404);
    all.ask("post", "/v1/management/runs/{id}/reply", &[&job], &Send::Raw("{"), 422);
    all.ask("post", "/v1/management/runs/{id}/cancel", &[&job], &Send::Nothing, 200);
    all.ask("post", "/v1/management/runs/{id}/cancel", &["none"], &Send::Nothing, 404);
    all.ask("post", "/v1/jobs/cleanup", &[], &Send::Nothing, 200);

    // The login flows: places that are kept.
    for (method, path) in operations(&all.document.clone()) {
        if all.document["paths"][&path][&method]["tags"][0] == "engine login" {
            let parameters = path.matches('{').count();
            all.ask(&method, &path, &["x"; 2][..parameters], &Send::Json(json!({"engine": "codex"})), 501);
        }
    }

    // Proven elsewhere, by tests that need a worker of their own: a full queue, an upgrade under way, a waiting run.
    let elsewhere = [429, 409, 501, 403, 401];
    for (method, path) in operations(&all.document.clone()) {
        let proven = all.proven.get(&(method.clone(), path.clone())).cloned().unwrap_or_default();
        for status in all.document["paths"][&path][&method]["responses"].as_object().unwrap().keys() {
            let Ok(status) = status.parse::<u16>() else { continue };
            // Replies are taken once a run can wait for its user.
            if path.ends_with("/reply") && status == 200 {
                continue;
            }
            let login = all.document["paths"][&path][&method]["tags"][0] == "engine login";
            if proven.contains(&status) || elsewhere.contains(&status) || (login && status != 501) {
                continue;
            }
            panic!("{method} {path}: no case for {status}; there are {proven:?}");
        }
        assert!(!proven.is_empty(), "{method} {path}: no case");
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
                Ok(output) => return eprintln!("SKIPPED: {program}: {}", String::from_utf8_lossy(&output.stderr)),
                Err(error) => return eprintln!("SKIPPED: {program}: {error}"),
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
