//! Room `probe`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
