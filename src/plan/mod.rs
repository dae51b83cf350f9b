//! What a start would do and why: pure decisions on facts and settings. Knows no clock, no files, no environment.
#![forbid(unsafe_code)]

pub mod concurrency;
pub mod environment;
pub mod landlock;
