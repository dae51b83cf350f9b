//! A run's files for people: the tree, and a preview that can run nothing. Blocking.

use crate::files;
use encoding_rs::{Encoding, GB18030, UTF_8, WINDOWS_1252};
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
    let cut = size > PREVIEW;
    let (mode, content, encoding) = match text(&bytes, cut) {
        Some((text, encoding)) => ("text", Some(text), Some(encoding.name())),
        None => ("binary", None, None),
    };
    Ok(Some(json!({"mode": mode, "content": content, "encoding": encoding, "size": size, "truncated": cut})))
}

/// A text, and the encoding that it is most likely in: what its mark says, else UTF-8, else GB 18030, else Windows-1252, where
/// every byte is a character. `None`: it is no text. `cut`: its last character may be half there.
fn text(bytes: &[u8], cut: bool) -> Option<(String, &'static Encoding)> {
    if let Some((marked, length)) = Encoding::for_bom(bytes) {
        let (text, _) = marked.decode_without_bom_handling(bytes.get(length..).unwrap_or_default());
        return Some((text.into_owned(), marked));
    }
    if bytes.contains(&0) {
        return None;
    }
    // No character has more than four bytes.
    let last = if cut { 3 } else { 0 };
    for encoding in [UTF_8, GB18030] {
        for missing in 0..=last {
            let whole = bytes.get(..bytes.len().saturating_sub(missing)).unwrap_or_default();
            if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(whole) {
                return Some((text.into_owned(), encoding));
            }
        }
    }
    Some((WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(), WINDOWS_1252))
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

    #[test]
    fn a_preview_is_read_in_the_encoding_that_the_file_is_in() {
        let dir = tempfile::tempdir().unwrap();
        let seen = |bytes: &[u8]| {
            fs::write(dir.path().join("f"), bytes).unwrap();
            let preview = preview(dir.path(), "f").unwrap().unwrap();
            let word = |key: &str| preview[key].as_str().unwrap_or("-").to_owned();
            (word("mode"), word("content"), word("encoding"))
        };
        let text = |content: &str, encoding: &str| ("text".to_owned(), content.to_owned(), encoding.to_owned());
        assert_eq!(seen("grün".as_bytes()), text("grün", "UTF-8"));
        assert_eq!(seen(b"\xef\xbb\xbfa"), text("a", "UTF-8"));
        assert_eq!(seen(b"\xff\xfea\0\x2d\x4e"), text("a中", "UTF-16LE"));
        assert_eq!(seen(b"\xfe\xff\0a\x4e\x2d"), text("a中", "UTF-16BE"));
        assert_eq!(seen(b"\xd6\xd0\xce\xc4"), text("中文", "gb18030"));
        assert_eq!(seen(b"caf\xe9 "), text("café ", "windows-1252"));
        assert_eq!(seen(b""), text("", "UTF-8"));
        assert_eq!(seen(b"a\0b").0, "binary");
        // Cut in the middle of a character, in either encoding.
        for (character, encoding) in [("中".as_bytes(), "UTF-8"), (b"\xd6\xd0".as_slice(), "gb18030")] {
            let long = [b"x".as_slice(), &character.repeat(PREVIEW as usize)].concat();
            let (_, content, known) = seen(&long);
            assert!(known == encoding && content.starts_with("x中") && content.ends_with('中'), "{encoding}");
        }
    }
}
