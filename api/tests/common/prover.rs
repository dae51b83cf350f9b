//! The document against the server: asks, compares, and remembers what was asked.

use super::*;
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// Statuses by `(method, path)`.
pub type Proven = BTreeMap<(String, String), BTreeSet<u16>>;

/// `(method, path)` of the document.
pub fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())).collect()
    };
    paths.iter().flat_map(methods).collect()
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
pub struct Prover {
    pub worker: Worker,
    pub document: Value,
    schemas: Value,
    pub proven: Proven,
    /// Sent with every question.
    pub headers: &'static [(&'static str, &'static str)],
}

pub enum Send<'a> {
    Nothing,
    Json(Value),
    Raw(&'a str),
    Form(&'a [(&'a str, &'a [u8])]),
}

impl Prover {
    pub fn new(worker: Worker, proven: Proven) -> Self {
        let document = worker.get("/openapi.json").json();
        let schemas = strict(&document["components"]["schemas"]);
        Self { worker, document, schemas, proven, headers: &[] }
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
    pub fn ask(&mut self, method: &str, path: &str, with: &[&str], send: &Send<'_>, status: u16) -> Answer {
        let operation = self.operation(method, path);
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
        let mut headers = self.headers.to_vec();
        if !kind.is_empty() {
            headers.push(("content-type", kind.as_str()));
        }
        let answer = request(self.worker.address, &method.to_ascii_uppercase(), &concrete, &headers, &body);
        assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        if let (Send::Json(body), true) = (send, status < 300) {
            // What a server takes, its document allows.
            self.valid(&operation["requestBody"]["content"]["application/json"]["schema"], body, &what);
        }
        self.accept(method, path, &what, &answer);
        answer
    }

    fn operation(&self, method: &str, path: &str) -> Value {
        let operation = self.document["paths"][path][method].clone();
        assert!(operation.is_object(), "{method} {path} is not in the document");
        operation
    }

    /// An answer is one that the document tells of; it is proven.
    pub fn accept(&mut self, method: &str, path: &str, what: &str, answer: &Answer) {
        let response = &self.operation(method, path)["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{what}: {} is not in the document", answer.status);
        match response["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{what}"),
            Some(content) => {
                let (kind, of) = content.iter().next().unwrap();
                let given = answer.header("content-type").unwrap_or_default().split(';').next().unwrap().to_owned();
                assert!(kind == "*/*" || *kind == given, "{what}: {given}, not {kind}");
                if let Some(schema) = of.get("schema").filter(|_| given == "application/json") {
                    self.valid(schema, &answer.json(), what);
                }
            }
        }
        self.proven.entry((method.to_owned(), path.to_owned())).or_default().insert(answer.status);
    }

    /// Every operation that has this status, with its path filled in.
    pub fn with_status(&self, status: u16) -> Vec<(String, String, String)> {
        let mut out = Vec::new();
        for (method, path) in operations(&self.document) {
            if self.document["paths"][&path][&method]["responses"][status.to_string()].is_object() {
                let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
                out.push((method, path.clone(), parts.collect::<Vec<_>>().join("/")));
            }
        }
        out
    }

    pub fn get(&mut self, path: &str, with: &[&str], status: u16) -> Answer {
        self.ask("get", path, with, &Send::Nothing, status)
    }

    pub fn post(&mut self, path: &str, with: &[&str], body: Value, status: u16) -> Answer {
        self.ask("post", path, with, &Send::Json(body), status)
    }
}
