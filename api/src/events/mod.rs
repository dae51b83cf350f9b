//! The event log of a run, and who waits for it.
//!
//! ```text
//! engine output -> Draft -> Writer --append--> fcmp_events.N.jsonl + .idx      (disk: the truth)
//!                              |---- watch ---> Hub: (last seq, ended)         (memory: a bell)
//! client <- bytes of the file from its cursor on, found through the index
//! ```
//!
//! A sequence number is given once, at the append, and never changes. A client costs nothing while nothing happens,
//! and a read costs what it returns, however long the run is.

mod fcmp;
mod hub;
mod index;
mod writer;

pub use fcmp::{Draft, RawRef, kind};
pub use hub::{Hub, Mark};
pub use index::{Page, last_lines, page, seq_at};
pub use writer::Writer;
