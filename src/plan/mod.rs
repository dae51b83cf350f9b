//! What a start will do: concurrency, environment, files, services. Pure: from facts and settings to values.
#![forbid(unsafe_code)]

pub mod services;
