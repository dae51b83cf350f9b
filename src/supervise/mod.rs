//! Room `supervise`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
