//! What a start will do and why: concurrency, environment, files, services. Pure: from facts and settings to values;
//! knows no clock, no files, no environment.
#![forbid(unsafe_code)]

pub mod concurrency;
pub mod environment;
pub mod files;
pub mod landlock;
mod make;
pub mod services;

pub use make::{Plan, make, user};
