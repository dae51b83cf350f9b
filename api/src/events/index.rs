//! Reading the log through its index.
//!
//! The index holds 16 bytes per event: offset of its line in the log (u64, little-endian) and its time (i64, ms). An
//! event exists once its index entry is whole; bytes of the log beyond that belong to an append that did not finish.
//! Attempt N+1 continues the numbering of attempt N.

use crate::time::Millis;
use bytes::Bytes;
use std::{
    cell::OnceCell,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Bytes of one index entry.
pub(super) const ENTRY: u64 = 16;

/// Most bytes of log in one page; a longer answer is continued by the caller.
const PAGE_BYTES: u64 = 4 << 20;
/// No event is longer; what an agent writes into its run's log is neither searched nor held beyond that.
const EVENT_MAX: u64 = 128 << 20;

/// A run of events.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Sequence number of the first; 0 where there is none.
    pub first: u64,
    /// Lines of JSON, each ended by a newline.
    pub lines: Bytes,
    /// How many.
    pub count: u64,
    /// Last sequence number in the log now.
    pub last_in_log: u64,
}

pub(super) fn log_path(audit: &Path, attempt: u32) -> PathBuf {
    audit.join(format!("fcmp_events.{attempt}.jsonl"))
}

pub(super) fn index_path(audit: &Path, attempt: u32) -> PathBuf {
    audit.join(format!("fcmp_events.{attempt}.idx"))
}

/// A file of the audit folder, which the agent can write to: a link leads nowhere.
fn open(audit: &Path, path: &Path) -> io::Result<File> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if audit.is_symlink() {
        return Err(io::ErrorKind::NotFound.into());
    }
    crate::files::open_inside(audit, &name)
}

/// One attempt's index.
struct Attempt<'a> {
    audit: &'a Path,
    number: u32,
    /// Opened by the first look into it: an agent can make a thousand files of these names.
    index: OnceCell<File>,
    count: u64,
    /// Events of the attempts before.
    base: u64,
}

/// Most attempts of a run.
const ATTEMPTS: u32 = 10_000;

fn attempts(audit: &Path) -> Vec<Attempt<'_>> {
    let (mut out, mut base) = (Vec::new(), 0);
    for number in 1..=ATTEMPTS {
        let Ok(index) = open(audit, &index_path(audit, number)) else { break };
        let count = index.metadata().map_or(0, |m| m.len() / ENTRY);
        out.push(Attempt { audit, number, index: OnceCell::new(), count, base });
        base += count;
    }
    out
}

/// How many events the attempts before this one left.
pub(super) fn base_of(audit: &Path, attempt: u32) -> u64 {
    attempts(audit).iter().filter(|a| a.number < attempt).map(|a| a.count).sum()
}

impl Attempt<'_> {
    fn index(&self) -> io::Result<&File> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = open(self.audit, &index_path(self.audit, self.number))?;
        Ok(self.index.get_or_init(|| index))
    }

    fn entry(&self, at: u64) -> io::Result<(u64, Millis)> {
        let mut bytes = [0u8; ENTRY as usize];
        self.index()?.read_exact_at(&mut bytes, at * ENTRY)?;
        let (offset, time) = bytes.split_at(8);
        Ok((
            u64::from_le_bytes(offset.try_into().unwrap_or_default()),
            Millis::from_le_bytes(time.try_into().unwrap_or_default()),
        ))
    }
}

/// Events `from..=to` (numbers from 1), at most `limit`, as they lie in the log. Blocking.
pub fn page(audit: &Path, from: u64, to: u64, limit: u64) -> io::Result<Page> {
    let attempts = attempts(audit);
    let last_in_log = attempts.last().map_or(0, |a| a.base + a.count);
    let from = from.max(1);
    let to = to.min(last_in_log).min(from.saturating_add(limit).saturating_sub(1));
    let mut page = Page { last_in_log, ..Page::default() };
    let mut lines = Vec::new();
    for attempt in &attempts {
        let (low, high) = (from.max(attempt.base + 1), to.min(attempt.base + attempt.count));
        if low > high {
            continue;
        }
        let log = open(audit, &log_path(audit, attempt.number))?;
        let start = attempt.entry(low - attempt.base - 1)?.0;
        let (taken, end) = attempt.end_of(&log, low, high, start, PAGE_BYTES.saturating_sub(lines.len() as u64))?;
        // An agent can write to its run's folder: nothing is allocated for an offset that the log does not reach.
        if end > log.metadata()?.len() {
            return Err(damaged());
        }
        let at = lines.len();
        lines.resize(at + usize::try_from(end - start).map_err(|_| damaged())?, 0);
        log.read_exact_at(lines.get_mut(at..).unwrap_or_default(), start)?;
        if page.first == 0 {
            page.first = low;
        }
        page.count += taken;
        if low + taken <= high {
            break;
        }
    }
    page.lines = Bytes::from(lines);
    Ok(page)
}

impl Attempt<'_> {
    /// How many of `low..=high` fit into `room` bytes (one at least), and where the last of them ends.
    fn end_of(&self, log: &File, low: u64, high: u64, start: u64, room: u64) -> io::Result<(u64, u64)> {
        let end = |seq: u64| -> io::Result<u64> {
            let next = seq - self.base;
            let end = if next < self.count {
                self.entry(next)?.0
            } else {
                // The last line ends at its newline; what follows is an append under way.
                line_end(log, self.entry(next - 1)?.0)?
            };
            if end < start { Err(damaged()) } else { Ok(end) }
        };
        let whole = end(high)?;
        if whole - start <= room {
            return Ok((high - low + 1, whole));
        }
        let (mut fits, mut too_many) = (low, high);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if end(middle)? - start <= room {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        let last = end(fits)?;
        if last - start > EVENT_MAX { Err(damaged()) } else { Ok((fits - low + 1, last)) }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the index of the event log is damaged")
}

/// One past the newline of the line that starts at `at`.
pub(super) fn line_end(log: &File, at: u64) -> io::Result<u64> {
    let mut position = at;
    let mut buffer = [0u8; 8192];
    loop {
        let n = log.read_at(&mut buffer, position)?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last event has no end"));
        }
        let read = buffer.get(..n).unwrap_or_default();
        if let Some(newline) = read.iter().position(|byte| *byte == b'\n') {
            return Ok(position + newline as u64 + 1);
        }
        position += n as u64;
        if position - at > EVENT_MAX {
            return Err(damaged());
        }
    }
}

/// The last `limit` lines of a file of lines, from its last 8 MiB; none where it is missing. Blocking.
pub fn last_lines(path: &Path, limit: u64) -> io::Result<Vec<String>> {
    let file = match open(path.parent().unwrap_or(path), path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    let from = size.saturating_sub(8 << 20);
    let mut bytes = vec![0; usize::try_from(size - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    let skip = lines.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(lines.into_iter().skip(skip).map(str::to_owned).collect())
}

/// The first sequence number at or after a time; one past the last where there is none. Blocking.
pub fn seq_at(audit: &Path, at: Millis) -> io::Result<u64> {
    let attempts = attempts(audit);
    for attempt in &attempts {
        let (mut low, mut high) = (0, attempt.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if attempt.entry(middle)?.1 < at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < attempt.count {
            return Ok(attempt.base + low + 1);
        }
    }
    Ok(attempts.last().map_or(0, |a| a.base + a.count) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_that_an_agent_made_are_not_held_open() {
        let dir = tempfile::tempdir().unwrap();
        for number in 1..=3000 {
            std::fs::write(index_path(dir.path(), number), [0; 16]).unwrap();
        }
        let all = attempts(dir.path());
        assert_eq!(all.iter().map(|attempt| attempt.count).sum::<u64>(), 3000);
        assert!(all.iter().all(|attempt| attempt.index.get().is_none()));
        assert_eq!(all.last().unwrap().entry(0).unwrap(), (0, 0));
    }
}
