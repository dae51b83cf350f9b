//! A run's files for people: the tree, and a preview that can run nothing. Blocking.

use crate::files;
use serde_json::{Value, json};
use std::{
    io::{self, Read},
    path::Path,
};

/// Most bytes of a preview.
const PREVIEW: u64 = 256 * 1024;
/// Most entries of a tree.
const ENTRIES: usize = 5000;

/// Files and the folders that hold them, each with its depth.
pub(crate) fn tree(root: &Path) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in files::list_files(root).into_iter().take(ENTRIES) {
        let parts: Vec<&str> = name.split('/').collect();
        for depth in 0..parts.len() {
            let path = parts.get(..=depth).unwrap_or_default().join("/");
            let is_dir = depth + 1 < parts.len();
            if seen.insert(path.clone()) {
                out.push(json!({"path": path, "name": parts.get(depth), "is_dir": is_dir, "depth": depth}));
            }
        }
    }
    out
}

/// The beginning of a file; `None` where it is none, or lies outside.
pub(crate) fn preview(root: &Path, relative: &str) -> io::Result<Option<Value>> {
    let file = match files::open_inside(root, relative) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.take(PREVIEW).read_to_end(&mut bytes)?;
    let binary = bytes.contains(&0);
    let (mode, content) = if binary {
        ("binary", Value::Null)
    } else {
        ("text", Value::String(String::from_utf8_lossy(&bytes).into_owned()))
    };
    Ok(Some(json!({"mode": mode, "content": content, "size": size, "truncated": size > PREVIEW})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_tree_names_folders_once_and_a_preview_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("run");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/x"), "hello").unwrap();
        fs::write(root.join("a/y"), [0, 1, 2]).unwrap();
        fs::write(dir.path().join("outside"), "secret").unwrap();
        let paths: Vec<String> = tree(&root).iter().map(|e| e["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/x", "a/y"]);
        assert_eq!(preview(&root, "a/b/x").unwrap().unwrap()["content"], "hello");
        assert_eq!(preview(&root, "a/y").unwrap().unwrap()["mode"], "binary");
        assert_eq!(preview(&root, "../outside").unwrap(), None);
    }
}
