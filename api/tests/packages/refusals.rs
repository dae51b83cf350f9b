//! What is refused: with every reason, and without a trace.

use super::{INSTALL, common::*, install, package_with, refused, unchanged};
use serde_json::{Value, json};

type Writer = zip::ZipWriter<std::io::Cursor<Vec<u8>>>;

#[test]
fn a_package_with_a_thousand_mistakes_is_told_a_hundred() {
    let worker = Setup::new().start();
    let properties: serde_json::Map<String, Value> =
        (0..1000).map(|n| (format!("p{n}"), json!({"type": "string", "x-type": "a".repeat(40)}))).collect();
    let schema = json!({"type": "object", "properties": properties}).to_string();
    let archive = package_with("demo", &json!({}), &[("demo/assets/output.schema.json", Some(schema.as_str()))]);
    let record = install(&worker, &archive);
    let error = record["error"].as_str().unwrap();
    assert!(error.ends_with("and more") && error.matches("x-type").count() == 100 && error.len() < 200_000, "{error}");
}

#[test]
fn every_mistake_of_a_package_is_told_at_once() {
    let worker = Setup::new().skill("demo").start();
    let runner = json!({
        "id": "other", "version": "one", "execution_modes": ["auto", "sometimes"], "max_attempt": 0, "artifacts": {},
        "schemas": {"input": "assets/input.schema.json", "parameter": "../x", "output": "assets/output.schema.json"},
        "entrypoint": {"prompts": {"codex": "{% if %}"}}, "runtime": {"dependencies": "numpy"},
    });
    let package = package_with(
        "demo",
        &runner,
        &[
            ("demo/SKILL.md", Some("---\nname: elsewhere\n---\n")),
            ("demo/assets/input.schema.json", Some(r#"{"type": "objekt"}"#)),
            ("demo/assets/output.schema.json", Some("{")),
            ("demo/assets/gemini_settings.json", Some("[]")),
            ("demo/assets/codex_config.toml", Some("a = = 1")),
        ],
    );
    let record = install(&worker, &package);
    let errors: Vec<&str> = record["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    for expected in [
        "front matter has the name \"elsewhere\"",
        "runner.json has the id \"other\"",
        "no version",
        "neither auto nor interactive",
        "max_attempt is not",
        "artifacts is not",
        "assets/input.schema.json is not a valid JSON Schema",
        "schemas.parameter: there is no file ../x",
        "assets/output.schema.json is not JSON",
        "entrypoint.prompts.codex",
        "runtime.dependencies is not",
        "gemini_settings.json is not a JSON object",
        "codex_config.toml is not TOML",
    ] {
        assert_eq!(errors.iter().filter(|error| error.contains(expected)).count(), 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 13, "{errors:#?}");
    assert_eq!(record["error"], errors.join("; "));
    unchanged(&worker, &["demo"]);
}

#[test]
fn each_thing_that_a_package_needs_is_asked_for() {
    let worker = Setup::new().start();
    let whole = |runner: Value| package("demo", &runner);
    let without = |name: &str| package_with("demo", &json!({}), &[(name, None)]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (without("demo/SKILL.md"), "SKILL.md is missing"),
        (without("demo/assets/runner.json"), "assets/runner.json is missing"),
        (without("demo/assets/parameter.schema.json"), "schemas.parameter: there is no file"),
        (package_with("demo", &json!({}), &[("demo/SKILL.md", Some("# demo"))]), "no front matter"),
        (package_with("demo", &json!({}), &[("demo/assets/runner.json", Some("[]"))]), "is not a JSON object"),
        (whole(json!({"id": null})), "the id \"\""),
        (whole(json!({"schemas": null})), "schemas with input, parameter and output is missing"),
        (whole(json!({"schemas": {"input": "assets/input.schema.json"}})), "schemas.output is missing"),
        (whole(json!({"execution_modes": []})), "execution_modes is empty"),
        (whole(json!({"execution_modes": "auto"})), "execution_modes is not a list"),
        (whole(json!({"engines": ["unknown"]})), "leave no engine"),
        (whole(json!({"engines": ["codex"], "unsupported_engines": ["codex"]})), "leave no engine"),
        (package_with("demo", &json!({}), &[("demo/assets/input.schema.json", Some("true"))]), "is not a JSON object"),
        (
            package_with(
                "demo",
                &json!({}),
                &[("demo/assets/input.schema.json", Some(r#"{"properties": {"a": {"x-input-source": "web"}}}"#))],
            ),
            "x-input-source is \"web\"",
        ),
        (package_with("demo", &json!({}), &[("README.md", Some("x"))]), "not exactly one top folder"),
        (package_with("demo", &json!({}), &[("second/x", Some("x"))]), "not exactly one top folder"),
        (zip(&[("SKILL.md", b"x")]), "not exactly one top folder"),
        (zip::<&str, &[u8]>(&[]), "empty"),
        (package(".hidden", &json!({})), "is no skill id"),
        (b"this is no zip".to_vec(), "not a readable zip archive"),
    ];
    for (archive, reason) in cases {
        let said = refused(&worker, &archive);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    unchanged(&worker, &[]);
}

#[test]
fn escapes_links_duplicates_and_bombs_are_refused_and_write_nothing_outside() {
    let worker = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "1000000").start();
    let raw = |add: &dyn Fn(&mut Writer)| {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        add(&mut out);
        out.finish().unwrap().into_inner()
    };
    let options = zip::write::SimpleFileOptions::default();
    let zeros = vec![0; 30 << 20];
    let mut twice = zip(&[("demo/aaaa", b"1"), ("demo/bbbb", b"2")]);
    // The same name in both headers of the second entry: no writer makes that, an attacker does.
    while let Some(at) = twice.windows(9).position(|w| w == b"demo/bbbb") {
        twice[at..at + 9].copy_from_slice(b"demo/aaaa");
    }
    let mut cloaked = zip(&[("demo/safe", b"1")]);
    let at = cloaked.windows(9).position(|w| w == b"demo/safe").unwrap();
    cloaked[at..at + 9].copy_from_slice(b"demo/evil");
    let mut damaged = zip(&[("demo/text", "some text that deflates ".repeat(50).as_bytes())]);
    let at = damaged.windows(9).position(|w| w == b"demo/text").unwrap() + 12;
    damaged[at] ^= 0xff;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (zip(&[("../evil", b"x")]), "unsafe path"),
        (zip(&[("demo/../../evil", b"x")]), "unsafe path"),
        (zip(&[("/evil", b"x")]), "unsafe path"),
        (zip(&[("demo\\..\\..\\evil", b"x")]), "unsafe path"),
        (zip(&[(&format!("demo/{}", "n".repeat(300)), b"x")]), "unsafe path"),
        (raw(&|out| out.add_symlink("demo/link", "/etc/passwd", options).unwrap()), "neither a file nor a folder"),
        (twice, "there twice"),
        (zip(&[("demo/a", b"x"), ("demo/a/b", b"x")]), "there twice"),
        (cloaked, "zip"),
        (damaged, "damaged"),
        (zip(&[("demo/bomb", &zeros)]), "goes beyond the limit"),
        (
            raw(&|out| {
                for n in 0..10_001 {
                    out.start_file(format!("demo/{n}"), options).unwrap();
                }
            }),
            "the limit is 10000",
        ),
    ];
    for (archive, reason) in cases {
        if archive.len() > 1_000_000 {
            let answer = worker.post_form(INSTALL, &[("file", &archive)]);
            assert_eq!(answer.status, 413, "{reason}");
            continue;
        }
        let said = refused(&worker, &archive);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert!(!worker.path("evil").exists() && !worker.path("skills/evil").exists());
    unchanged(&worker, &[]);
}

#[test]
fn a_form_without_a_package_is_refused_at_once() {
    let worker = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "2000").start();
    assert_eq!(worker.post_form(INSTALL, &[("other", b"x")]).status, 422);
    assert_eq!(worker.post(INSTALL, &json!({})).status, 422);
    let big = worker.post_form(INSTALL, &[("file", &[0; 3000])]);
    assert_eq!(big.status, 413, "{}", String::from_utf8_lossy(&big.body));
    assert_eq!(worker.get("/v1/skill-packages/none").status, 404);
    unchanged(&worker, &[]);
}

#[test]
fn basic_auth_guards_both_routes() {
    let worker = Setup::new().guarded("u", "p").start();
    assert_eq!(worker.post_form(INSTALL, &[("file", b"x")]).status, 401);
    assert_eq!(worker.get("/v1/skill-packages/x").status, 401);
    let with = [("authorization", "Basic dTpw")];
    assert_eq!(request(worker.address, "GET", "/v1/skill-packages/x", &with, b"").status, 404);
    // The upload is refused before it is read, so nothing lies on the disk.
    unchanged(&worker, &[]);
}

#[test]
fn no_file_of_a_package_is_read_beyond_what_a_skill_may_have() {
    let worker = Setup::new().skill("demo").start();
    let words: String = (0..1_300_000).map(|n| format!("{n} ")).collect();
    let long = format!("---\nname: demo\n---\n{words}");
    let told = refused(&worker, &package_with("demo", &json!({"version": "2"}), &[("demo/SKILL.md", Some(&long))]));
    assert_eq!(told, "SKILL.md cannot be read: it is larger than 8 MiB");
    let schema = format!("{{\"description\": \"{words}\"}}");
    let change = ("demo/assets/input.schema.json", Some(schema.as_str()));
    let told = refused(&worker, &package_with("demo", &json!({"version": "2"}), &[change]));
    assert_eq!(told, "assets/input.schema.json cannot be read: it is larger than 8 MiB");
    unchanged(&worker, &["demo"]);
}

#[test]
fn a_form_that_is_none_is_no_form_whatever_is_wrong_with_it() {
    let worker = Setup::new().start();
    for body in ["--B\r\nno header\r\n\r\nx\r\n--B--\r\n", "--B\r\n\u{1}: \u{2}\r\n\r\nx\r\n--B--", "x"] {
        let answer = request(
            worker.address,
            "POST",
            INSTALL,
            &[("content-type", "multipart/form-data; boundary=B")],
            body.as_bytes(),
        );
        assert_eq!(answer.status, 422, "{body}: {}", String::from_utf8_lossy(&answer.body));
    }
}
