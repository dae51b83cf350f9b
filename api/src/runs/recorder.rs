//! Takes an engine's output as it comes: logs, events, the reader of its format. One blocking task per run.
//!
//! A batch is whatever has arrived; first the bytes go to `.audit/std*.N.log`, then the lines become events whose
//! `raw_ref` points at them, so no event ever points past the end of its log.

use super::{RunFolder, Stream};
use crate::{
    engines::output::{Reader, Spoken},
    events::{Draft, Mark, RawRef, Writer, kind},
    excerpt::excerpt,
    files,
    time::{now_ms, rfc3339},
};
use bytes::Bytes;
use serde_json::{Value, json};
use skill_init::agents::catalogue::Output;
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};
use tokio::sync::{mpsc, watch};

/// Longest line that becomes an event whole; the rest of it is in the log.
const EVENT_LINE: usize = 16 * 1024;
/// Longest line that is read as one.
const LINE: usize = 8 << 20;
/// Most bytes kept of one stream; what follows is counted, not kept.
pub(super) const STREAM_MAX: u64 = 512 << 20;

/// What reaches the recorder.
#[derive(Debug)]
pub(crate) enum Input {
    /// Bytes of a stream.
    Chunk(Stream, Bytes),
}

/// What it knows at the end.
#[derive(Debug)]
pub(super) struct Recording {
    /// The engine's words.
    pub(super) spoken: Spoken,
    /// The last of standard error and of what was not structured, for a failure's message.
    pub(super) tail: String,
    /// Bytes of each stream.
    pub(super) bytes: (u64, u64),
    /// The log, for the run's last events.
    pub(super) recorder: Recorder,
}

/// The recorder. Blocking.
#[derive(Debug)]
pub(super) struct Recorder {
    writer: Writer,
    rasp: Beside,
    orchestrator: Beside,
    rasp_seq: u64,
    run_id: String,
    engine: String,
    attempt: u32,
}

/// The logs of an engine's two streams.
#[derive(Debug)]
pub(super) struct Logs {
    out: Lines,
    err: Lines,
}

#[derive(Debug)]
struct Lines {
    stream: Stream,
    log: File,
    size: u64,
    dropped: u64,
    pending: Vec<u8>,
    pending_at: u64,
}

impl Recorder {
    /// Opens the audit files of an attempt.
    pub(super) fn open(
        folder: &RunFolder,
        run_id: &str,
        engine: &str,
        attempt: u32,
        bell: Arc<watch::Sender<Mark>>,
    ) -> io::Result<Self> {
        let append = |stem| Beside::open(&folder.audit_file(stem, attempt, "jsonl"));
        Ok(Self {
            writer: Writer::open(&folder.audit(), run_id, engine, attempt, bell)?,
            rasp: append("events")?,
            orchestrator: append("orchestrator_events")?,
            rasp_seq: 0,
            run_id: run_id.to_owned(),
            engine: engine.to_owned(),
            attempt,
        })
    }

    /// Appends events; a disk that refuses them is reported, and the run goes on.
    pub(super) fn events(&mut self, drafts: &[Draft]) {
        if drafts.is_empty() {
            return;
        }
        for draft in
            drafts.iter().filter(|d| matches!(d.kind, kind::STATE | kind::STARTED | kind::COMPLETED | kind::FAILED))
        {
            let line = json!({"ts": rfc3339(draft.at), "attempt_number": self.attempt, "type": draft.kind, "data": draft.data});
            self.orchestrator.line(&line);
        }
        if let Err(error) = self.writer.append(drafts) {
            tracing::error!(run = %self.run_id, %error, "events cannot be written");
        }
    }

    fn rasp(&mut self, kind: &str, data: &Value, raw: RawRef) {
        self.rasp_seq += 1;
        let line = json!({
            "protocol_version": "rasp/1.0", "run_id": self.run_id, "seq": self.rasp_seq, "ts": rfc3339(now_ms()),
            "source": {"engine": self.engine, "parser": self.engine}, "event": {"category": "agent", "type": kind},
            "data": data, "attempt_number": self.attempt,
            "raw_ref": {"stream": raw.stream, "byte_from": raw.from, "byte_to": raw.to},
        });
        self.rasp.line(&line);
    }

    /// The engine's logs, opened before it starts: it can write to its folder.
    pub(super) fn logs(&self, folder: &RunFolder) -> io::Result<Logs> {
        let open = |stream| Lines::open(folder, stream, self.attempt);
        Ok(Logs { out: open(Stream::Stdout)?, err: open(Stream::Stderr)? })
    }

    /// Records until every sender is gone.
    pub(super) fn record(
        mut self,
        logs: Logs,
        output: Arc<Output>,
        mut input: mpsc::Receiver<Input>,
    ) -> io::Result<Recording> {
        let Logs { mut out, mut err } = logs;
        let mut reader = Reader::new(output);
        let mut tail = Tail::default();
        while let Some(first) = input.blocking_recv() {
            let mut drafts = Vec::new();
            let mut next = Some(first);
            let mut bytes = 0;
            while let Some(one) = next {
                let Input::Chunk(stream, chunk) = one;
                bytes += chunk.len();
                let lines = if stream == Stream::Stderr { &mut err } else { &mut out };
                for (line, raw) in lines.take(&chunk)? {
                    self.line(stream, &line, raw, &mut reader, &mut tail, &mut drafts);
                }
                next = if bytes < (1 << 20) && drafts.len() < 2048 { input.try_recv().ok() } else { None };
            }
            self.events(&drafts);
        }
        let mut drafts = Vec::new();
        for lines in [&mut out, &mut err] {
            let stream = lines.stream;
            if let Some((line, raw)) = lines.rest() {
                self.line(stream, &line, raw, &mut reader, &mut tail, &mut drafts);
            }
            if lines.dropped > 0 {
                drafts.push(Draft::warning(
                    "OUTPUT_TRUNCATED",
                    format!("{} bytes of {} were not kept", lines.dropped, stream.as_str()),
                ));
            }
        }
        let whole = reader.is_whole();
        let spoken = reader.finish();
        if whole {
            drafts
                .extend(spoken.messages.iter().map(|text| Draft::new(kind::MESSAGE, json!({"text": text.trim_end()}))));
        }
        self.events(&drafts);
        Ok(Recording { spoken, tail: tail.0, bytes: (out.size, err.size), recorder: self })
    }

    fn line(
        &mut self,
        stream: Stream,
        line: &[u8],
        raw: RawRef,
        reader: &mut Reader,
        tail: &mut Tail,
        drafts: &mut Vec<Draft>,
    ) {
        let text = String::from_utf8_lossy(line);
        let read = if stream == Stream::Stdout { reader.line(&text) } else { Default::default() };
        if let Some(kind) = &read.structured {
            self.rasp(kind, &Value::String(excerpt(&text, EVENT_LINE).to_owned()), raw);
        } else {
            tail.push(&text);
        }
        let (kind, data) = match read.message {
            Some(message) => (kind::MESSAGE, json!({"text": message})),
            None => {
                let line = excerpt(&text, EVENT_LINE);
                let cut = line.len() < text.len();
                let kind = if stream == Stream::Stderr { kind::STDERR } else { kind::STDOUT };
                (kind, if cut { json!({"line": line, "truncated": true}) } else { json!({"line": line}) })
            }
        };
        drafts.push(Draft { at: now_ms(), kind, data, raw: Some(raw) });
    }
}

/// A log of JSON lines, kept beside the events for older tools: a line that cannot be written is left out. What counts are
/// the events.
#[derive(Debug)]
struct Beside {
    file: File,
    size: u64,
}

impl Beside {
    /// Opens or makes it; half a line that a crash left is cut off.
    fn open(path: &Path) -> io::Result<Self> {
        let file = files::append(path)?;
        let end = file.metadata()?.len();
        let mut size = end;
        let mut piece = [0; 4096];
        while size > 0 {
            let from = size.saturating_sub(piece.len() as u64);
            let part = piece.get_mut(..usize::try_from(size - from).unwrap_or_default()).unwrap_or_default();
            file.read_exact_at(part, from)?;
            if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
                size = from + at as u64 + 1;
                break;
            }
            size = from;
        }
        if size < end {
            file.set_len(size)?;
        }
        Ok(Self { file, size })
    }

    /// One line in one write.
    fn line(&mut self, line: &Value) {
        let line = format!("{line}\n");
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => self.size += line.len() as u64,
            // No half line before the next one.
            Err(_) => drop(self.file.set_len(self.size)),
        }
    }
}

/// The last few lines.
#[derive(Debug, Default)]
struct Tail(String);

impl Tail {
    fn push(&mut self, line: &str) {
        self.0.push_str(excerpt(line, 2000));
        self.0.push('\n');
        if self.0.len() > 8192 {
            let mut cut = self.0.len() - 4096;
            while !self.0.is_char_boundary(cut) {
                cut += 1;
            }
            self.0.drain(..cut);
        }
    }
}

impl Lines {
    fn open(folder: &RunFolder, stream: Stream, attempt: u32) -> io::Result<Self> {
        let log = files::append(&folder.log(stream, attempt))?;
        let size = log.metadata()?.len();
        Ok(Self { stream, log, size, dropped: 0, pending: Vec::new(), pending_at: size })
    }

    /// Writes the bytes, gives the lines that are whole now.
    fn take(&mut self, chunk: &[u8]) -> io::Result<Vec<(Vec<u8>, RawRef)>> {
        let mut out = Vec::new();
        if self.size + chunk.len() as u64 > STREAM_MAX {
            self.dropped += chunk.len() as u64;
            return Ok(out);
        }
        self.log.write_all(chunk)?;
        self.size += chunk.len() as u64;
        let mut rest = chunk;
        while let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(newline + 1);
            self.pending.extend_from_slice(line);
            rest = after;
            out.extend(self.rest());
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > LINE {
            out.extend(self.rest());
        }
        Ok(out)
    }

    /// The line that has not ended.
    fn rest(&mut self) -> Option<(Vec<u8>, RawRef)> {
        if self.pending.is_empty() {
            return None;
        }
        let mut line = std::mem::take(&mut self.pending);
        let to = self.pending_at + line.len() as u64;
        let raw = RawRef { stream: self.stream.as_str(), from: self.pending_at, to };
        self.pending_at = to;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some((line, raw))
    }
}
