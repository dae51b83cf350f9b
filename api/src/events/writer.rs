//! The one writer of a run's log.
//!
//! An append writes the lines, then their index entries, then rings the bell: a reader never sees an index entry whose
//! line is not there. Opening a log that a crash left repairs it: half an index entry and lines without one are cut.

use super::{
    Draft, Mark,
    index::{ENTRY, base_of, index_path, line_end, log_path},
};
use crate::{files, time::Millis};
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};
use tokio::sync::watch;

/// The open log of one attempt. Blocking.
#[derive(Debug)]
pub struct Writer {
    run_id: String,
    engine: String,
    attempt: u32,
    log: File,
    index: File,
    offset: u64,
    local_seq: u64,
    base: u64,
    last_at: Millis,
    bell: Arc<watch::Sender<Mark>>,
}

impl Writer {
    /// Opens or makes the log of an attempt.
    pub fn open(
        audit: &Path,
        run_id: &str,
        engine: &str,
        attempt: u32,
        bell: Arc<watch::Sender<Mark>>,
    ) -> io::Result<Self> {
        let (log, index) = (files::append(&log_path(audit, attempt))?, files::append(&index_path(audit, attempt))?);
        let mut count = index.metadata()?.len() / ENTRY;
        let (mut offset, mut last_at) = (0, 0);
        while count > 0 {
            let mut entry = [0u8; ENTRY as usize];
            index.read_exact_at(&mut entry, (count - 1) * ENTRY)?;
            let (start, at) = entry.split_at(8);
            match line_end(&log, u64::from_le_bytes(start.try_into().unwrap_or_default())) {
                Ok(end) => {
                    offset = end;
                    last_at = Millis::from_le_bytes(at.try_into().unwrap_or_default());
                    break;
                }
                // A power cut can lose the line and keep the entry.
                Err(_) => count -= 1,
            }
        }
        index.set_len(count * ENTRY)?;
        log.set_len(offset)?;
        let base = base_of(audit, attempt);
        bell.send_modify(|mark| mark.last_seq = base + count);
        let (run_id, engine) = (run_id.to_owned(), engine.to_owned());
        Ok(Self { run_id, engine, attempt, log, index, offset, local_seq: count, base, last_at, bell })
    }

    /// Appends events; their numbers are the next ones.
    pub fn append(&mut self, drafts: &[Draft]) -> io::Result<()> {
        let (mut lines, mut entries) = (Vec::with_capacity(drafts.len() * 256), Vec::with_capacity(drafts.len() * 16));
        let mut local = self.local_seq;
        for draft in drafts {
            local += 1;
            // The clock may step back; the log never does, so that a search by time works.
            self.last_at = self.last_at.max(draft.at);
            entries.extend_from_slice(&(self.offset + lines.len() as u64).to_le_bytes());
            entries.extend_from_slice(&self.last_at.to_le_bytes());
            let draft = Draft { at: self.last_at, ..draft.clone() };
            lines.extend_from_slice(
                draft.line(&self.run_id, &self.engine, self.attempt, self.base + local, local).as_bytes(),
            );
            lines.push(b'\n');
        }
        let written = self.log.write_all(&lines).and_then(|()| self.index.write_all(&entries));
        if let Err(error) = written {
            // A full disk: back to the last whole event, so that a later append does not follow half a line.
            self.log.set_len(self.offset)?;
            self.index.set_len(self.local_seq * ENTRY)?;
            return Err(error);
        }
        self.offset += lines.len() as u64;
        self.local_seq = local;
        self.bell.send_modify(|mark| mark.last_seq = self.base + local);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{kind, page, seq_at};
    use serde_json::{Value, json};
    use std::fs::OpenOptions;

    fn writer(dir: &Path, attempt: u32) -> Writer {
        Writer::open(dir, "r", "codex", attempt, Arc::new(watch::Sender::new(Mark::default()))).unwrap()
    }

    fn draft(at: Millis) -> Draft {
        Draft { at, kind: kind::STDOUT, data: json!({"line": "x".repeat(at as usize % 50)}), raw: None }
    }

    fn seqs(dir: &Path, from: u64, to: u64, limit: u64) -> Vec<u64> {
        let page = page(dir, from, to, limit).unwrap();
        let seqs: Vec<u64> = std::str::from_utf8(&page.lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(page.count as usize, seqs.len());
        assert_eq!(page.first, seqs.first().copied().unwrap_or(0));
        seqs
    }

    #[test]
    fn numbers_run_through_the_attempts_and_pages_are_what_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        writer(dir.path(), 1).append(&(1..=30).map(draft).collect::<Vec<_>>()).unwrap();
        writer(dir.path(), 2).append(&(31..=40).map(draft).collect::<Vec<_>>()).unwrap();
        assert_eq!(seqs(dir.path(), 0, u64::MAX, 1000), (1..=40).collect::<Vec<_>>());
        assert_eq!(seqs(dir.path(), 29, 32, 1000), [29, 30, 31, 32]);
        assert_eq!(seqs(dir.path(), 39, u64::MAX, 1), [39]);
        assert!(seqs(dir.path(), 41, u64::MAX, 10).is_empty());
        assert_eq!(seq_at(dir.path(), 0).unwrap(), 1);
        assert_eq!(seq_at(dir.path(), 35).unwrap(), 35);
        assert_eq!(seq_at(dir.path(), 41).unwrap(), 41);
    }

    #[test]
    fn a_torn_append_is_cut_at_the_next_start_and_numbering_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        writer(dir.path(), 1).append(&[draft(1), draft(2)]).unwrap();
        let mut log = OpenOptions::new().append(true).open(log_path(dir.path(), 1)).unwrap();
        log.write_all(b"{\"half").unwrap();
        OpenOptions::new().append(true).open(index_path(dir.path(), 1)).unwrap().write_all(&[1, 2, 3]).unwrap();
        assert_eq!(seqs(dir.path(), 1, 9, 9), [1, 2]);
        writer(dir.path(), 1).append(&[draft(3)]).unwrap();
        assert_eq!(seqs(dir.path(), 1, 9, 9), [1, 2, 3]);
    }

    #[test]
    fn a_log_whose_last_event_an_agent_made_endless_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        writer(dir.path(), 1).append(&[draft(1), draft(2)]).unwrap();
        let path = log_path(dir.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        // Sparse: costs nothing to make.
        OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(page(dir.path(), 1, 9, 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // With an end it is as long, and as little taken.
        let mut end = OpenOptions::new().append(true).open(&path).unwrap();
        end.write_all(b"\n").unwrap();
        OpenOptions::new().append(true).open(index_path(dir.path(), 1)).unwrap().write_all(&[0xff; 16]).unwrap();
        assert!(page(dir.path(), 1, 9, 9).is_err());
        assert_eq!(seqs(dir.path(), 1, 1, 9), [1]);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_disorder_the_log() {
        let dir = tempfile::tempdir().unwrap();
        writer(dir.path(), 1).append(&[draft(100), draft(50), draft(101)]).unwrap();
        assert_eq!(seq_at(dir.path(), 100).unwrap(), 1);
        assert_eq!(seq_at(dir.path(), 101).unwrap(), 3);
    }
}
