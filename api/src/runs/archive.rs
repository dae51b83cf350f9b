//! Archives, both ways: what a client uploads is unpacked within limits, what a run made is packed.
//!
//! Nothing that an archive says about itself is believed: sizes are counted while unpacking, and every path is made of
//! plain names below the target. Links and special files are refused, not skipped. Blocking.

use super::sink::Sink;
use crate::files;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};
use zip::{ZipWriter, unstable::read::ZipIterable, write::SimpleFileOptions};

/// How much may come out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries, folders included.
    pub entries: usize,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes out per byte in, for entries above 1 MiB.
    pub ratio: u64,
}

impl Bounds {
    /// For an archive that was limited to this many compressed bytes.
    pub const fn for_upload(compressed: u64) -> Self {
        Self { entries: 10_000, bytes: compressed.saturating_mul(8), ratio: 200 }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not a zip, or broken.
    #[error("not a readable zip archive: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// An entry's content.
    #[error("the entry {name:?} is damaged: {error}")]
    Damaged {
        /// Which.
        name: String,
        /// The decoder's words.
        error: io::Error,
    },
    /// The disk said no.
    #[error("the archive could not be unpacked: {0}")]
    Io(#[from] io::Error),
    /// A path that would leave the folder, or is no path.
    #[error("the entry {0:?} has an unsafe path")]
    UnsafePath(String),
    /// A link, device, socket or pipe.
    #[error("the entry {0:?} is neither a file nor a folder")]
    Special(String),
    /// Twice the same file.
    #[error("the entry {0:?} is there twice")]
    Twice(String),
    /// A limit.
    #[error("the archive is too large: {0}")]
    TooLarge(String),
}

impl ArchiveError {
    /// 400, 413 or 500.
    pub fn into_api(self) -> crate::error::ApiError {
        match self {
            Self::TooLarge(_) => crate::error::ApiError::too_large(self.to_string()),
            Self::Io(error) => error.into(),
            other => crate::error::ApiError::bad_request(other.to_string()),
        }
    }
}

/// Most folders and a name, one in another.
const DEPTH: usize = 64;

/// Unpacks into an empty folder; gives the files, sorted. On an error the folder's content is to be thrown away.
///
/// Entry by entry: memory does not grow with what the archive's directory claims, and a name that is there twice is seen.
pub fn unpack(archive: &Path, into: &Path, bounds: Bounds) -> Result<Vec<String>, ArchiveError> {
    let mut zip = ZipIterable::try_new(BufReader::new(File::open(archive)?), zip::read::Config::default())?
        .enforce_header_consistency(true);
    if zip.len() > bounds.entries {
        return Err(ArchiveError::TooLarge(format!("{} entries, the limit is {}", zip.len(), bounds.entries)));
    }
    fs::create_dir_all(into)?;
    let (mut left, mut names, mut seen) = (bounds.bytes, Vec::new(), HashSet::new());
    let mut entries = zip.files_with_reader(BufReader::new(File::open(archive)?), zip::ZipReadOptions::default())?;
    while let Some(entry) = entries.next() {
        let mut entry = entry?;
        let name = entry.name()?.into_owned();
        let relative = files::plain_relative(&name).ok_or_else(|| ArchiveError::UnsafePath(name.clone()))?;
        // Folders cost no bytes of the archive's content.
        if relative.components().count() > DEPTH {
            return Err(ArchiveError::TooLarge(format!("an entry lies more than {DEPTH} folders deep")));
        }
        let kind = entry.unix_mode().unwrap_or(0) & 0o170_000;
        if !matches!(kind, 0 | 0o100_000 | 0o040_000) {
            return Err(ArchiveError::Special(name));
        }
        let target = into.join(&relative);
        if entry.is_dir() || kind == 0o040_000 {
            fs::create_dir_all(&target).map_err(|error| refused(&name, error))?;
            continue;
        }
        if !seen.insert(relative.clone()) {
            return Err(ArchiveError::Twice(name));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| refused(&name, error))?;
        }
        let allowed = left.min(entry.compressed_size().max(1).saturating_mul(bounds.ratio).max(1 << 20));
        let executable = entry.unix_mode().unwrap_or(0) & 0o111 != 0;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if executable { 0o755 } else { 0o644 });
        let out = options.open(&target).map_err(|error| refused(&name, error))?;
        let written = copy(&mut entry, out, allowed, &name)?;
        if written > allowed {
            let limit = if allowed == left { format!("{} bytes in all", bounds.bytes) } else { "its ratio".to_owned() };
            return Err(ArchiveError::TooLarge(format!("the entry {name:?} goes beyond the limit ({limit})")));
        }
        left -= written;
        names.push(relative.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Copies until the end or just beyond `allowed`. What cannot be read is the archive's fault, the rest the disk's.
fn copy(entry: &mut impl Read, mut out: File, allowed: u64, name: &str) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    while written <= allowed {
        let n = match entry.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ArchiveError::Damaged { name: name.to_owned(), error }),
        };
        out.write_all(buffer.get(..n).unwrap_or_default())?;
        written += n as u64;
    }
    Ok(written)
}

/// A path that collides with an earlier entry, or that no file system takes, is the archive's fault.
fn refused(name: &str, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            ArchiveError::Twice(name.to_owned())
        }
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => ArchiveError::UnsafePath(name.to_owned()),
        _ => ArchiveError::Io(error),
    }
}

/// A line of a bundle's manifest.
#[derive(Debug, Serialize)]
struct Packed {
    path: String,
    size: u64,
    sha256: String,
}

/// Most bytes of the files of a bundle; a run that leaves more has its files, and no bundle.
const PACK_MAX: u64 = 4 << 30;

/// Packs these files of `root` with a manifest; archive and manifest appear whole or not at all.
pub fn pack(root: &Path, paths: &[String], archive: &Path, manifest: &Path) -> Result<(), ArchiveError> {
    let temporary = files::temporary(archive);
    let packed = pack_into(root, paths, &temporary, manifest)
        .and_then(|()| fs::rename(&temporary, archive).map_err(ArchiveError::from));
    if packed.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_file(&temporary);
    }
    packed
}

fn pack_into(root: &Path, paths: &[String], temporary: &Path, manifest: &Path) -> Result<(), ArchiveError> {
    let mut zip = ZipWriter::new(BufWriter::new(Sink::new(File::create(temporary)?)));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).large_file(false);
    let too_large = || ArchiveError::TooLarge(format!("the files have more than {PACK_MAX} bytes"));
    let (mut lines, mut left) = (Vec::new(), PACK_MAX);
    for path in paths {
        // A file that an engine's leftover removed meanwhile is no reason to have no bundle.
        let Ok(mut file) = files::open_inside(root, path) else { continue };
        let large = file.metadata()?.len() >= u64::from(u32::MAX);
        // Before it is read: a sparse file of terabytes costs its agent nothing.
        left = left.checked_sub(file.metadata()?.len()).ok_or_else(too_large)?;
        zip.start_file(path, options.large_file(large))?;
        let (mut hash, mut size) = (Sha256::new(), 0u64);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = file.read(&mut buffer)?;
            let read = buffer.get(..n).unwrap_or_default();
            if read.is_empty() {
                break;
            }
            hash.update(read);
            zip.write_all(read)?;
            size += read.len() as u64;
            if size > PACK_MAX {
                return Err(too_large());
            }
        }
        lines.push(Packed { path: path.clone(), size, sha256: hex(&hash.finalize()) });
    }
    let text = serde_json::to_vec_pretty(&json!({"files": lines})).map_err(io::Error::from)?;
    if let Ok(name) = manifest.strip_prefix(root) {
        zip.start_file(name.to_string_lossy(), options)?;
        zip.write_all(&text)?;
    }
    zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
    files::write_atomic(manifest, &text)?;
    Ok(())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(path: &Path, entries: &[(&str, &[u8], Option<u32>)]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for (name, content, mode) in entries {
            let options = SimpleFileOptions::default();
            if *mode == Some(0o120_777) {
                zip.add_symlink(*name, std::str::from_utf8(content).unwrap(), options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
        zip.finish().unwrap();
    }

    fn refused(entries: &[(&str, &[u8], Option<u32>)], bounds: Bounds) -> String {
        let dir = tempfile::tempdir().unwrap();
        archive(&dir.path().join("a.zip"), entries);
        let out = dir.path().join("out");
        let error = unpack(&dir.path().join("a.zip"), &out, bounds).unwrap_err();
        assert!(!dir.path().join("evil").exists());
        error.to_string()
    }

    const WIDE: Bounds = Bounds { entries: 10, bytes: 1 << 30, ratio: 200 };

    #[test]
    fn escapes_links_bombs_and_crowds_are_refused() {
        assert!(refused(&[("../evil", b"x", None)], WIDE).contains("unsafe"));
        assert!(refused(&[("/evil", b"x", None)], WIDE).contains("unsafe"));
        assert!(refused(&[("a\\..\\evil", b"x", None)], WIDE).contains("unsafe"));
        assert!(refused(&[("link", b"/etc/passwd", Some(0o120_777))], WIDE).contains("neither"));
        let zeros = vec![0; 40 << 20];
        assert!(refused(&[("bomb", &zeros, None)], WIDE).contains("ratio"));
        assert!(
            refused(&[("a", &[1; 600], None), ("b", &[1; 600], None)], Bounds { bytes: 1000, ..WIDE }).contains("1000")
        );
        assert!(refused(&[("a", b"", None), ("b", b"", None)], Bounds { entries: 1, ..WIDE }).contains("entries"));
    }

    #[test]
    fn folders_cost_no_bytes_and_have_a_bound() {
        let deep = format!("{}file", "d/".repeat(DEPTH));
        assert!(refused(&[(&deep, b"", None)], WIDE).contains("deep"));
        let dir = tempfile::tempdir().unwrap();
        archive(&dir.path().join("a.zip"), &[(&deep[2..], b"", None)]);
        assert_eq!(unpack(&dir.path().join("a.zip"), &dir.path().join("out"), WIDE).unwrap(), [&deep[2..]]);
    }

    #[test]
    fn a_sparse_file_of_terabytes_is_not_packed() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("huge")).unwrap().set_len(8 << 40).unwrap();
        let (zip, manifest) = (dir.path().join("b.zip"), dir.path().join("manifest.json"));
        let error = pack(dir.path(), &["huge".to_owned()], &zip, &manifest).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
        assert!(!zip.exists() && !manifest.exists());
    }

    #[test]
    fn what_is_packed_unpacks_with_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bundle")).unwrap();
        fs::write(dir.path().join("a.txt"), "hello").unwrap();
        let (zip, manifest) = (dir.path().join("bundle/b.zip"), dir.path().join("bundle/manifest.json"));
        pack(dir.path(), &["a.txt".to_owned(), "gone".to_owned()], &zip, &manifest).unwrap();
        let out = dir.path().join("out");
        assert_eq!(unpack(&zip, &out, WIDE).unwrap(), ["a.txt", "bundle/manifest.json"]);
        let text = fs::read_to_string(out.join("bundle/manifest.json")).unwrap();
        assert!(text.contains("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), "{text}");
    }
}
