//! The result cache's key: everything that the result depends on, hashed. Blocking.

use super::archive::hex;
use crate::{files, skills::Skill, store::Request};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What a result depends on.
#[derive(Debug)]
pub(super) struct Key<'a> {
    /// Every file of its folder counts.
    pub(super) skill: &'a Skill,
    /// Engine, model, inline input, parameters.
    pub(super) request: &'a Request,
    /// The uploads, where there are any.
    pub(super) uploads: Option<&'a Path>,
}

impl Key<'_> {
    /// The hash, in hexadecimal.
    pub(super) fn hash(&self) -> io::Result<String> {
        let mut out = Sha256::new();
        let mut part = |name: &str, bytes: &[u8]| {
            // Lengths keep ("ab", "c") from being ("a", "bc").
            out.update((name.len() as u64).to_le_bytes());
            out.update(name.as_bytes());
            out.update((bytes.len() as u64).to_le_bytes());
            out.update(bytes);
        };
        part("version", b"1");
        let Self { skill, request, .. } = self;
        part("skill_id", skill.id.as_bytes());
        part("engine", request.engine.as_bytes());
        part("model", request.model.as_deref().unwrap_or_default().as_bytes());
        part("input", canonical(&request.input).to_string().as_bytes());
        part("parameter", canonical(&request.parameter).to_string().as_bytes());
        for (name, digest) in tree(&skill.path)? {
            part(&format!("skill/{name}"), &digest);
        }
        if let Some(uploads) = self.uploads {
            for (name, digest) in tree(uploads)? {
                part(&format!("uploads/{name}"), &digest);
            }
        }
        Ok(hex(&out.finalize()))
    }
}

/// Keys in order, at every depth.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            entries.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect()
        }
        Value::Array(list) => list.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

fn tree(root: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut buffer = vec![0; 64 * 1024];
    files::list_files(root)
        .into_iter()
        .map(|name| {
            let (mut file, mut hash) = (File::open(root.join(&name))?, Sha256::new());
            loop {
                let n = file.read(&mut buffer)?;
                if n == 0 {
                    return Ok((name, hash.finalize().to_vec()));
                }
                hash.update(buffer.get(..n).unwrap_or_default());
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Kind;
    use serde_json::json;

    #[test]
    fn the_key_follows_content_and_not_the_order_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("assets")).unwrap();
        std::fs::write(dir.path().join("assets/runner.json"), r#"{"id": "s"}"#).unwrap();
        std::fs::write(dir.path().join("SKILL.md"), "---\nname: s\n---\na").unwrap();
        let (skill, _) = Skill::read(dir.path(), &["codex".to_owned()]).unwrap();
        let hash = |input: Value| {
            let request = Request {
                request_id: String::new(),
                kind: Kind::Job,
                skill_id: "s".to_owned(),
                engine: "codex".to_owned(),
                model: None,
                input,
                parameter: json!({}),
                options: json!({}),
                run_id: None,
                created_at: 0,
            };
            Key { skill: &skill, request: &request, uploads: None }.hash().unwrap()
        };
        let before = hash(json!({"a": 1, "b": {"c": 1, "d": 2}}));
        assert_eq!(before, hash(json!({"b": {"d": 2, "c": 1}, "a": 1})));
        assert_ne!(before, hash(json!({"a": 2})));
        std::fs::write(dir.path().join("SKILL.md"), "---\nname: s\n---\nb").unwrap();
        assert_ne!(before, hash(json!({"a": 1, "b": {"c": 1, "d": 2}})));
    }
}
