//! A file that an archive is written to, whose first error is told at the end.
//!
//! The archive's writer goes back to finish its headers, also when it is dropped after a failed write, and then counts on
//! what it believes to have written: it panics. So it never hears of an error: what comes after the first one goes nowhere, and
//! [`Sink::finish`] says what happened.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

/// The file, and where its writer believes to be.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    at: u64,
    end: u64,
    failed: Option<io::Error>,
}

impl Sink {
    /// Over an empty file.
    pub(crate) const fn new(file: File) -> Self {
        Self { file, at: 0, end: 0, failed: None }
    }

    /// The first error, if there was one; else what was written is on the disk.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.file.sync_data(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.file.write_all_at(bytes, self.at).err();
        }
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_goes_back_and_forth_is_a_file_like_any_other() {
        let mut file = tempfile::tempfile().unwrap();
        let mut sink = Sink::new(file.try_clone().unwrap());
        sink.write_all(b"0123456789").unwrap();
        assert_eq!(sink.seek(SeekFrom::Start(2)).unwrap(), 2);
        sink.write_all(b"ab").unwrap();
        assert_eq!(sink.stream_position().unwrap(), 4);
        assert_eq!(sink.seek(SeekFrom::End(0)).unwrap(), 10);
        assert!(sink.seek(SeekFrom::Current(-11)).is_err());
        sink.write_all(b"!").unwrap();
        sink.finish().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "01ab456789!");
    }

    #[test]
    fn a_full_disk_is_told_at_the_end_and_not_before() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut zip = zip::ZipWriter::new(Sink::new(full));
        zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&[7; 100_000]).unwrap();
        let told = zip.finish().unwrap().finish().unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
    }
}
