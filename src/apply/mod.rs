//! Does what the plan says: looks at the volumes, makes the plan, carries it out, reports.
//!
//! `observe` reads (each file once, no link followed), `plan::files` decides, `carry_out` writes. A failed
//! step never stops the next one. Where nothing has to change, nothing is written: no lock, no report.
#![forbid(unsafe_code)]

mod carry_out;
mod mend;
mod observe;
mod report;
mod run;

pub use carry_out::carry_out;
pub use observe::observe;
pub use report::{Outcome, Report, StepReport, Summary};
pub use run::{Wanted, import, prepare, preview};
